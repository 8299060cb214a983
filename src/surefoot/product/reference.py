"""The reference page of the product definition, made from the example and the types.

Rules: nothing is written twice: the words come from the commented example and from the records'
docstrings and limits, so that page, schema and errors cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import inspect

from surefoot.product import form, gate_form, load_form, resilience_form
from surefoot.product.check import PERMISSIONS
from surefoot.product.check_pipeline import DEPLOY_GATES, RELEASE_GATES, WATCH_GATES
from surefoot.product.read import expected_of

_RECORDS: tuple[tuple[str, type], ...] = (
    ("top level", form.Definition),
    ("components.NAME, kind: service", form.Service),
    ("components.NAME, kind: migrations", form.Migrations),
    ("components.NAME, kind: firmware", form.Firmware),
    ("components.NAME.build", form.Build),
    ("components.NAME.build.tests", form.Tests),
    ("components.NAME.run", form.Run),
    ("components.NAME.run.health", form.Health),
    ("compatibility.COMPONENT", form.Compatibility),
    ("pipeline", form.Pipeline),
    ("pipeline.smoke, each check", form.Smoke),
    ("pipeline.hardening, and environments.NAME.hardening", gate_form.Hardening),
    ("pipeline.load, each scenario", load_form.LoadScenario),
    ("pipeline.load, each step", load_form.LoadStep),
    ("pipeline.load, limits", load_form.LoadLimits),
    ("pipeline.resilience", resilience_form.Resilience),
    ("pipeline.resilience.login", resilience_form.ResilienceLogin),
    ("pipeline.resilience.limits", resilience_form.ResilienceLimits),
    ("pipeline.active", load_form.ActiveBudget),
    ("pipeline.baseline, and environments.NAME.baseline", gate_form.Baseline),
    ("hardening.except, baseline.except and transport.except, each", gate_form.Exemption),
    ("environments.NAME.privilege", gate_form.Privilege),
    ("environments.NAME.privilege.databases.NAME", gate_form.DatabaseRoles),
    ("environments.NAME.privilege.databases.NAME.roles.ROLE", gate_form.DatabaseRole),
    ("environments.NAME.transport", gate_form.Transport),
    ("environments.NAME.transport.endpoints, each", gate_form.SecureEndpoint),
    ("environments.NAME", form.Environment),
    ("environments.NAME.targets", form.Targets),
    ("environments.NAME.targets.process", form.ProcessTarget),
    ("environments.NAME.targets.databases.NAME", form.DatabaseTarget),
    ("environments.NAME.targets.fleet", form.FleetTarget),
    ("environments.NAME.devices", form.Devices),
    ("environments.NAME.devices.exponential", form.Exponential),
    ("environments.NAME.devices.windows, each", form.MaintenanceWindow),
    ("environments.NAME.devices.retry", form.Retry),
    ("environments.NAME.approvals", form.Approvals),
    ("environments.NAME.data", form.Data),
    ("environments.NAME.freezes, each", form.Freeze),
    ("small_team", form.SmallTeam),
    ("advisories", form.Advisories),
)

_HEAD = """# The product definition: surefoot.yaml

One file in the product's repository says what a release is made of, how it is checked, who may do
what, and which environments there are. It is plain YAML without anchors, tags and merge keys, at
most 256 KiB. An unknown key is an error; every mistake is reported with line and column. This page
is made from the commented example and from the types that read it.

## The commented example
"""


def reference_page(example: str) -> str:
    """The page as Markdown, from the text of the commented example."""
    parts = [_HEAD, "```yaml", example.rstrip("\n"), "```", "", "## Every key", ""]
    for title, record in _RECORDS:
        parts += [f"### {title}", "", " ".join((record.__doc__ or "").split()), ""]
        parts += list(_table(record))
    parts += _names()
    return "\n".join(parts).rstrip("\n") + "\n"


def _table(record: type) -> Iterator[str]:
    info = inspect.type_info(record)
    assert isinstance(info, inspect.StructType)
    if not info.fields:
        yield "No keys."
        yield ""
        return
    yield "| key | form | when absent |"
    yield "|---|---|---|"
    for field in info.fields:
        yield f"| `{field.encode_name}` | {_form(field.type)} | {_absent(field)} |"
    yield ""


def _form(info: inspect.Type) -> str:
    if isinstance(info, inspect.Metadata):
        note = (info.extra_json_schema or {}).get("description")
        return str(note) if note else _form(info.type)
    if isinstance(info, inspect.UnionType):
        types = [t for t in info.types if not isinstance(t, inspect.NoneType)]
        if len(types) == 1:
            return _form(types[0])
        if all(isinstance(t, inspect.StructType) for t in types):
            return "one of the kinds below"
        return "text, a whole number, true or false"
    if isinstance(info, inspect.StructType):
        return "a mapping, see below"
    if isinstance(info, inspect.DictType):
        return f"a mapping: {_form(info.key_type)} to {_form(info.value_type)}"
    if isinstance(info, inspect.VarTupleType):
        return f"a list: {_form(info.item_type)}"
    if isinstance(info, inspect.TupleType):
        return "`[lowest, highest]`"
    return expected_of(info)


def _absent(field: inspect.Field) -> str:
    if field.required:
        return "an error"
    if field.default in (None, msgspec.NODEFAULT):
        return "none"
    if isinstance(field.default, bool):
        return str(field.default).lower()
    if isinstance(field.default, msgspec.Struct | tuple | dict):
        return "`[100]`" if field.default == (100,) else "empty"
    return str(field.default)


def _names() -> list[str]:
    return [
        "## Known names",
        "",
        f"Gates of a release: {_ticked(RELEASE_GATES)}. Gates of a deployment: "
        f"{_ticked(DEPLOY_GATES)}. Gates that look again: {_ticked(WATCH_GATES)}.",
        "",
        f"Permissions: {_ticked(PERMISSIONS)}, and `deploy.NAME` for each environment.",
        "",
    ]


def _ticked(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)
