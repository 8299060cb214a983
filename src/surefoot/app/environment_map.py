"""The map of an environment: code, configuration, tools and infrastructure of a moment, with who.

Keeps: what is there comes from the recorded state of that moment; who is behind it from `origin`
for what stands in the repository, and from the journal's entries for secrets and approvals.
"""

from __future__ import annotations

from surefoot.app.as_of import AsOf
from surefoot.app.environments import ShowArguments, state_of
from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.app.operation import Request, operation
from surefoot.app.origin import Origins, unknown
from surefoot.core.environment import flatten
from surefoot.core.manifest import Manifest, ManifestComponent
from surefoot.core.target import Plain
from surefoot.core.world import Environment
from surefoot.product import Definition, Migrations

_PAGE = 1000
_NOTHING = "nothing was released here yet"


@operation("environment map", "GET", "/environments/{name}/map", ShowArguments)
def show(app: App, request: Request, arguments: ShowArguments) -> Plain:
    """Code, configuration, tools and infrastructure, with the commit and the person behind each."""
    then = AsOf(app, arguments.at)
    state, source = state_of(app, arguments.name, arguments.at)
    if state is None:
        return {"name": arguments.name, "exists": False, **source}
    answer: Plain = {
        "name": state.name,
        "exists": True,
        **source,
        "protected": state.protected,
        "source": state.source,
        "requested_by": state.requested_by,
        "approved_by": list(state.approved_by),
        "secrets": [*_secrets(app, then, state)],
    }
    if not state.release:
        empty: Plain = {
            name: [] for name in ("components", "values", "infrastructure", "tools", "migrations")
        }
        return {**answer, **empty, "release": {}, "origins": {"from": "nothing", "why": _NOTHING}}
    return {**answer, **_released(app, then, state)}


def _released(app: App, then: AsOf, state: Environment) -> Plain:
    manifest = app.manifest(state.release)
    definition = app.definition(manifest.definition)
    origins = Origins(app, manifest, then.people())
    return {
        "origins": origins.source(),
        "release": {
            "version": state.release_version,
            "digest": state.release,
            "commit": manifest.commit,
            "cutter": manifest.cutter,
            "contributors": list(manifest.contributors),
            "definition": manifest.definition,
        },
        "components": [*_components(app, then, state, manifest, origins)],
        "migrations": [*_migrations(manifest, definition, origins)],
        **_settings(state, definition, origins),
    }


def _components(
    app: App, then: AsOf, state: Environment, manifest: Manifest, origins: Origins
) -> list[Plain]:
    """Each component by the release it came with, which need not be the newest one."""
    made: dict[str, tuple[Manifest, Origins]] = {state.release: (manifest, origins)}
    rows: list[Plain] = []
    for name, running in state.components.items():
        if running.release not in made:
            older = app.manifest(running.release)
            made[running.release] = (older, Origins(app, older, then.people()))
        own, asked = made[running.release]
        part = next((c for c in own.components if c.name == name), None)
        rows.append(
            {
                "name": name,
                "kind": running.kind,
                "version": running.version,
                "artifact": running.artifact,
                "release": own.version,
                "release_commit": own.commit,
                "provenance": part.provenance if part else "",
                "sbom": part.sbom if part else "",
                "origin": _origin_of(app, own, part, asked),
            }
        )
    return rows


def _origin_of(
    app: App, manifest: Manifest, part: ManifestComponent | None, origins: Origins
) -> Plain:
    declared = app.definition(manifest.definition).components.get(part.name) if part else None
    if declared is None:
        return unknown("the release does not name it")
    return origins.of_path(declared.path)


def _migrations(manifest: Manifest, definition: Definition, origins: Origins) -> list[Plain]:
    """Each migration of the release with the commit that last changed its file."""
    rows: list[Plain] = []
    for component in manifest.of_kind("migrations"):
        declared = definition.components.get(component.name)
        listed = component.detail.get("migrations", [])
        if not isinstance(declared, Migrations) or not isinstance(listed, list):
            continue
        for each in listed:
            assert isinstance(each, dict)
            words = str(each["words"]).replace(" ", "_")
            file = f"{each['number']:04d}_{each['class']}_{words}.sql"
            rows.append(
                {
                    "component": component.name,
                    "file": file,
                    "sha256": each["sha256"],
                    "origin": origins.of_path(f"{declared.path}/{file}"),
                }
            )
    return rows


def _settings(state: Environment, definition: Definition, origins: Origins) -> Plain:
    """Values, infrastructure and tools, each with the commit that last set its line."""
    own = state.name if state.name in definition.environments else state.source
    here = ("environments", own)
    wanted: dict[str, dict[str, tuple[str, ...]]] = {
        "values": {name: (*here, "values", name) for name in state.values},
        "infrastructure": {
            name: (*here, "targets", *_infrastructure(name)) for name in state.infrastructure
        },
        "tools": {name: ("tools", name) for name in state.tools},
    }
    found = origins.of_values(path for part in wanted.values() for path in part.values())
    shown_parts: dict[str, Plain] = {
        "values": state.values,
        "infrastructure": state.infrastructure,
        "tools": state.tools,
    }
    return {
        part: [
            {"name": name, "value": _text(shown_parts[part][name]), "origin": found[path]}
            for name, path in paths.items()
        ]
        for part, paths in wanted.items()
    }


def _infrastructure(name: str) -> tuple[str, ...]:
    """Where a part of the recorded infrastructure stands in the definition."""
    kind, _, database = name.partition(" ")
    if kind == "database" and database:
        return ("databases", database, "engine")
    return ("process", name)


def _text(value: object) -> str:
    flat = flatten(value)
    if set(flat) == {""}:
        return flat[""]
    return ", ".join(f"{name} {text}" for name, text in flat.items())


def _secrets(app: App, then: AsOf, state: Environment) -> list[Plain]:
    """Secrets in use and set, by name and version, with who set that version and when."""
    set_by = _setters(app, then, state.name)
    rows: list[Plain] = []
    for name, newest in sorted(state.secrets.items()):
        used = state.secret_references.get(name, 0)
        version = used or newest
        who, when = set_by.get((name, str(version)), ("unknown", 0))
        rows.append(
            {
                "name": name,
                "version": version,
                "in_use": bool(used),
                "set_by": who,
                "set_at": shown(when),
            }
        )
    return rows


def _setters(app: App, then: AsOf, name: str) -> dict[tuple[str, str], tuple[str, int]]:
    """(Secret, version) to the person who set it and when, from the environment's entries."""
    stream = f"env/{name}"
    last = then.entry(stream)
    found = {}
    for first in range(0, last.n + 1 if last else 0, _PAGE):
        assert last is not None
        for entry in app.log.stream_entries(stream, first, min(_PAGE, last.n + 1 - first)):
            if entry.kind == "SecretSet":
                key = (str(entry.body["name"]), str(entry.body["version"]))
                found[key] = (entry.actor.id, entry.time_ms)
    return found
