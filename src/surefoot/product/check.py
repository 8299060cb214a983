"""What must hold between the fields of a definition.

One small function a rule; each yields (path, expected, found, remedy). Rules never change the
definition and never stop at the first mistake.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from itertools import pairwise

from surefoot.core.device import VERSION_NAMES
from surefoot.core.errors import Refused
from surefoot.core.fiql import fields_of, parse
from surefoot.core.governance import FOUNDER_PERMISSIONS
from surefoot.core.version import key_of
from surefoot.product.check_load import Complaint, Path
from surefoot.product.check_pipeline import PIPELINE_RULES
from surefoot.product.form import (
    Definition,
    Environment,
    Firmware,
    Migrations,
    Service,
)

PERMISSIONS = ("release.create", "approve", "gate.waive", *FOUNDER_PERMISSIONS)
RESERVED = frozenset({"all", "any", "self", "none", "new", "system", "journal", "surefoot"})
APPROVALS_MIN = 2
_HOLDER = re.compile(r"\{[a-z_]+\}")


def complaints(definition: Definition) -> Iterator[Complaint]:
    """Every rule that the definition breaks."""
    for rule in _RULES:
        yield from rule(definition)


def _reserved(d: Definition) -> Iterator[Complaint]:
    named: list[Path] = [("product",)] if d.product in RESERVED else []
    for part, names in (
        ("components", d.components),
        ("environments", d.environments),
        ("roles", d.roles),
    ):
        named += [(part, name) for name in names if name in RESERVED]
    for path in named:
        yield path, "a name that is not reserved", "a reserved one", "choose another name"


def _counts(d: Definition) -> Iterator[Complaint]:
    if not d.components:
        yield ("components",), "at least one component", "none", ""
    if not d.environments:
        yield ("environments",), "at least one environment", "none", ""


def _commands(d: Definition) -> Iterator[Complaint]:
    for name, component in d.components.items():
        path: Path = ("components", name)
        if isinstance(component, Service | Firmware):
            yield from _holders((*path, "build", "command"), component.build.command, {"{out}"})
            tests = component.build.tests
            if tests:
                yield from _holders(
                    (*path, "build", "tests", "command"), tests.command, {"{junit}"}
                )
        if isinstance(component, Service):
            optional = {"{config}", "{secrets}"}
            words = component.run.command
            yield from _holders((*path, "run", "command"), words, {"{listen}"}, optional)


def _holders(
    path: Path,
    words: tuple[str, ...],
    needed: set[str],
    optional: frozenset[str] | set[str] = frozenset(),
) -> Iterator[Complaint]:
    found = {holder for word in words for holder in _HOLDER.findall(word)}
    for missing in sorted(needed - found):
        yield path, f"{missing} in the command", "no such word", ""
    for unknown in sorted(found - needed - optional):
        known = ", ".join(sorted(needed | optional))
        yield path, f"only {known} in braces", unknown, ""


def _component_databases(d: Definition) -> Iterator[Complaint]:
    for name, component in d.components.items():
        for env_name, environment in d.environments.items():
            wanted = _database_of(component)
            if wanted and wanted not in environment.targets.databases:
                where = f"no {wanted} in environment {env_name}"
                key = ("database",) if isinstance(component, Migrations) else ("run", "database")
                yield ("components", name, *key), "a database of every environment", where, ""


def _database_of(component: Service | Migrations | Firmware) -> str | None:
    if isinstance(component, Service):
        return component.run.database
    return component.database if isinstance(component, Migrations) else None


def _component_targets(d: Definition) -> Iterator[Complaint]:
    services = [n for n, c in d.components.items() if isinstance(c, Service)]
    firmware = [n for n, c in d.components.items() if isinstance(c, Firmware)]
    for name, environment in d.environments.items():
        path: Path = ("environments", name, "targets")
        if services and environment.targets.process is None:
            yield path, f"the key process, for {services[0]}", "no such key", ""
        if firmware and environment.targets.fleet is None:
            yield path, f"the key fleet, for {firmware[0]}", "no such key", ""
        if firmware and environment.devices is None:
            yield ("environments", name), f"the key devices, for {firmware[0]}", "no such key", ""
    for extra in services[1:]:
        expected = "one service: an environment has one listener"
        yield ("components", extra), expected, f"{services[0]} and {extra}", ""


def _manifests(d: Definition) -> Iterator[Complaint]:
    for name, component in d.components.items():
        if isinstance(component, Firmware) and component.build.manifest is None:
            path: Path = ("components", name, "build")
            yield path, "the key manifest: devices are told the image's version", "no such key", ""


def _images(d: Definition) -> Iterator[Complaint]:
    """Versions that have an order, and one image for each part of a device."""
    seen: dict[tuple[str, str], str] = {}
    for name, component in d.components.items():
        if not isinstance(component, Firmware):
            continue
        path: Path = ("components", name)
        if component.from_version and key_of(component.from_version) is None:
            yield (*path, "from_version"), "a version like 1.4.0", component.from_version, ""
        if component.attribute in VERSION_NAMES:
            remedy = "leave it out: it is the usual name"
            yield (*path, "attribute"), "a name of this part", str(component.attribute), remedy
        for hardware in component.hardware:
            other = seen.setdefault((component.attribute or "", hardware), name)
            if other != name:
                remedy = "name the attribute that tells this image's version"
                expected = f"one image for a part of {hardware}"
                yield (*path, "hardware"), expected, f"{other} and {name}", remedy


def _one_of_each(d: Definition) -> Iterator[Complaint]:
    seen: dict[str, str] = {}
    for name, component in d.components.items():
        if isinstance(component, Migrations):
            other = seen.setdefault(component.database, name)
            if other != name:
                yield (
                    ("components", name, "database"),
                    "one component of migrations for a database",
                    f"{other} migrates {component.database} already",
                    "",
                )


def _compatibility(d: Definition) -> Iterator[Complaint]:
    provided: dict[str, list[tuple[int, int]]] = {}
    for name, entry in d.compatibility.items():
        if name not in d.components:
            known = ", ".join(d.components)
            yield ("compatibility", name), f"a component: {known}", name, ""
        for part, ranges in (("provides", entry.provides), ("requires", entry.requires)):
            for interface, (low, high) in ranges.items():
                if low > high:
                    path: Path = ("compatibility", name, part, interface)
                    yield path, "[lowest, highest]", f"[{low}, {high}]", "swap them"
        for interface, span in entry.provides.items():
            provided.setdefault(interface, []).append(span)
    for name, entry in d.compatibility.items():
        for interface, (low, high) in entry.requires.items():
            spans = provided.get(interface, [])
            if not any(a <= high and low <= b for a, b in spans):
                found = "nobody provides it" if not spans else f"only {spans[0]} is provided"
                path = ("compatibility", name, "requires", interface)
                yield path, f"a provider of {interface} [{low}, {high}]", found, ""


def _roles(d: Definition) -> Iterator[Complaint]:
    known = (*PERMISSIONS, *(f"deploy.{name}" for name in d.environments))
    for role, permissions in d.roles.items():
        for index, permission in enumerate(permissions):
            if permission not in known:
                yield ("roles", role, index), "one of " + ", ".join(known), permission, ""


def _order(d: Definition) -> Iterator[Complaint]:
    for name, environment in d.environments.items():
        path: Path = ("environments", name, "after")
        if environment.after is None:
            continue
        if environment.after not in d.environments:
            yield path, "one of " + ", ".join(d.environments), environment.after, ""
        elif _in_circle(d, name):
            yield path, "an order without a circle", f"{name} comes after itself", ""


def _in_circle(d: Definition, start: str) -> bool:
    seen: set[str] = set()
    at: str | None = start
    while at is not None and at in d.environments and at not in seen:
        seen.add(at)
        at = d.environments[at].after
    return at == start


def _approvals(d: Definition) -> Iterator[Complaint]:
    least = 1 if d.small_team else APPROVALS_MIN
    for name, environment in d.environments.items():
        path: Path = ("environments", name)
        approvals = environment.approvals
        if approvals is None:
            if environment.protected:
                yield path, "the key approvals in a protected environment", "no such key", ""
            continue
        path = (*path, "approvals")
        if environment.protected and approvals.count < least:
            remedy = "" if d.small_team else "or declare small_team"
            yield (*path, "count"), f"at least {least}", str(approvals.count), remedy
        if approvals.role not in d.roles:
            yield (*path, "role"), "one of " + ", ".join(d.roles), approvals.role, ""
        elif "approve" not in d.roles[approvals.role]:
            yield (*path, "role"), "a role with the permission approve", approvals.role, ""


def _environments(d: Definition) -> Iterator[Complaint]:
    for name, environment in d.environments.items():
        path: Path = ("environments", name)
        for rule in (_waves, _query, _pace, _freezes, _lists, _databases, _listener):
            for inner, expected, found, remedy in rule(environment):
                yield (*path, *inner), expected, found, remedy


def _waves(e: Environment) -> Iterator[Complaint]:
    if e.devices is None:
        return
    waves = e.devices.waves
    if any(a >= b for a, b in pairwise(waves)):
        yield ("devices", "waves"), "rising percentages", str(list(waves)), ""
    if waves[-1] != 100:
        yield ("devices", "waves"), "100 as the last wave", str(waves[-1]), ""


def _query(e: Environment) -> Iterator[Complaint]:
    """A query that would find other devices by time alone is none that approvals could bind to."""
    path = ("devices", "query")
    try:
        found = fields_of(parse(e.devices.query)) if e.devices and e.devices.query else frozenset()
    except Refused as refused:
        yield path, f"{refused.expected} ({refused.subject})", refused.found, refused.remedy
        return
    if "lastseen" in found:
        yield path, "fields that do not change by time alone", "lastseen", ""


def _pace(e: Environment) -> Iterator[Complaint]:
    devices = e.devices
    if devices is None:
        return
    counts, path = devices.counts, "devices"
    if any(a >= b for a, b in pairwise(counts)):
        yield (path, "counts"), "rising numbers", str(list(counts)), ""
    if (len(devices.waves) > 1) + bool(counts) + (devices.exponential is not None) > 1:
        yield (path, "waves"), "one of waves, counts and exponential", "more than one", ""
    if devices.start_ms and devices.end_ms and devices.start_ms >= devices.end_ms:
        yield (path, "end"), "an end after the start", "one that is not later", "swap them"
    if (devices.type == "time-forced") != (devices.force_after_seconds is not None):
        yield (path, "force_after_seconds"), "it with time-forced alone", devices.type, ""


def _freezes(e: Environment) -> Iterator[Complaint]:
    for index, freeze in enumerate(e.freezes):
        if freeze.from_ms >= freeze.until_ms:
            yield ("freezes", index), "from before until", "from is not earlier", "swap them"


def _lists(e: Environment) -> Iterator[Complaint]:
    for index, name in enumerate(e.secrets):
        if name in e.secrets[:index]:
            yield ("secrets", index), f"{name} once", "twice", ""
        if name in e.values:
            yield ("secrets", index), "a secret that is not a value too", name, "rename one"


def _databases(e: Environment) -> Iterator[Complaint]:
    for name, database in e.targets.databases.items():
        path: Path = ("targets", "databases", name)
        if database.engine == "sqlite":
            for key in ("address", "password_secret"):
                if getattr(database, key) is not None:
                    yield (*path, key), f"no {key} for sqlite", "it is there", "leave it out"
            continue
        if database.address is None:
            yield path, "the key address", "no such key", ""
        elif "password" in database.address or re.search(r"://[^/@]*:[^/@]*@", database.address):
            remedy = "use password_secret"
            yield (*path, "address"), "an address without a password", "a password", remedy
        secret = database.password_secret
        if secret is not None and secret not in e.secrets:
            yield (*path, "password_secret"), "a secret of the environment", secret, ""


def _listener(e: Environment) -> Iterator[Complaint]:
    if e.targets.process is None:
        return
    host, _, port = e.targets.process.listener.rpartition(":")
    path: Path = ("targets", "process", "listener")
    if int(port) > 65_535:
        yield path, "a port up to 65535", port, ""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        yield path, "an address like 127.0.0.1", host, "write the number: names move"


_RULES = (
    _reserved,
    _counts,
    _commands,
    _component_databases,
    _component_targets,
    _manifests,
    _images,
    _one_of_each,
    _compatibility,
    *PIPELINE_RULES,
    _roles,
    _order,
    _approvals,
    _environments,
)
