"""Operations on environments: show, compare, history, documents, drift, freezes, secrets."""

from __future__ import annotations

from typing import Annotated

import msgspec

from surefoot.app.as_of import AsOf
from surefoot.app.document import document_of
from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.app.operation import Arguments, Request, operation
from surefoot.app.people import AtArguments
from surefoot.app.upkeep import NameArguments, ask_for, fresh_secrets
from surefoot.core import environment as environments
from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.core.world import Environment, World
from surefoot.trust import canonical
from surefoot.trust.entry import Entry


class ShowArguments(Arguments, frozen=True, kw_only=True):
    name: str
    at: str = ""


class DiffArguments(Arguments, frozen=True, kw_only=True):
    left: str
    right: str
    at: str = ""


class HistoryArguments(Arguments, frozen=True, kw_only=True):
    name: str
    before: int = 2**53 - 1
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    at: str = ""


class CloneArguments(Arguments, frozen=True, kw_only=True):
    name: str
    to: str
    data: str = "masked"


def state_of(app: App, name: str, at: str = "") -> tuple[Environment | None, Plain]:
    """An environment's state with where the answer is from: size, root, entry and its time."""
    then = AsOf(app, at)
    state = then.environment(name)
    receipt: Plain = {"at": shown(then.at_ms), "journal_size": app.log.size()}
    entry = then.entry(f"env/{name}") if state is not None else None
    if entry is not None:
        receipt |= {"entry": entry.index, "since": shown(entry.time_ms), "state": entry.state}
    return state, receipt


@operation("environment list", "GET", "/environments", AtArguments)
def list_environments(app: App, request: Request, arguments: AtArguments) -> Plain:
    """The matrix: environments by components, now or at a time."""
    then = AsOf(app, arguments.at)
    rows: list[canonical.JSON] = []
    for state in then.environments():
        entry = then.entry(f"env/{state.name}")
        since = {"since": shown(entry.time_ms)} if entry else {}
        rows.append({**_row(state), **_standing(then, state), **since})
    return {"environments": rows}


def _row(state: Environment) -> Plain:
    return {
        "name": state.name,
        "protected": state.protected,
        "source": state.source,
        "release_version": state.release_version,
        "components": {
            name: {"version": c.version, "artifact": c.artifact, "kind": c.kind}
            for name, c in state.components.items()
        },
        "drift": len(state.drift),
        "devices": state.devices,
        "deployment": state.deployment,
        "destroyed": state.destroyed,
    }


def _standing(then: AsOf, state: Environment) -> Plain:
    """Which deployment holds it, whose, and the freeze in force at that moment."""
    world = World()
    world.definition, world.environments = then.definition(), {state.name: state}
    active = then.active(state.name)
    return {
        "status": f"deployment {active.number} {active.status}" if active else "idle",
        "holder": active.requester if active else "",
        "freeze": environments.frozen_by(world, state.name, then.at_ms),
    }


@operation("environment show", "GET", "/environments/{name}", ShowArguments)
def show(app: App, request: Request, arguments: ShowArguments) -> Plain:
    """Everything an environment is, now or at a time: release, components, values, who."""
    then = AsOf(app, arguments.at)
    state, source = state_of(app, arguments.name, arguments.at)
    if state is None:
        return {"name": arguments.name, "exists": False, **source}
    books = then.devices(arguments.name)
    return {
        **_full(state),
        **_standing(then, state),
        **source,
        "firmware_shares": books.firmware if books else {},
        **({"addresses": app.addresses(arguments.name)} if then.now else {}),
    }


def _full(state: Environment) -> Plain:
    return {
        **_row(state),
        "exists": True,
        "release": state.release,
        "values": state.values,
        "secret_references": state.secret_references,
        "infrastructure": state.infrastructure,
        "tools": state.tools,
        "schema": {
            name: c.detail.get("schema", 0)
            for name, c in state.components.items()
            if c.kind == "migrations"
        },
        "drift": [msgspec.to_builtins(d) for d in state.drift],
        "drift_checked_at": shown(state.drift_checked_ms),
        "freezes": {
            name: {"from": shown(z.from_ms), "until": shown(z.until_ms)}
            for name, z in state.freezes.items()
        },
        "backups": dict(state.backups),
        "requested_by": state.requested_by,
        "approved_by": list(state.approved_by),
    }


@operation("environment diff", "GET", "/environments/diff", DiffArguments)
def diff(app: App, request: Request, arguments: DiffArguments) -> Plain:
    """What differs between two environments or two moments: NAME or NAME@TIME."""
    left, right = (_comparable(app, arguments, s) for s in (arguments.left, arguments.right))
    return {
        "left": arguments.left,
        "right": arguments.right,
        "exists": {"left": bool(left), "right": bool(right)},
        "differences": [
            {"path": d.path, "left": d.expected, "right": d.found}
            for d in environments.differences(left, right)
        ],
    }


def _comparable(app: App, arguments: DiffArguments, side: str) -> Plain:
    """The part of a state that says how something is configured, not when or by whom.

    A side without a time of its own is looked at at the time of the question.
    """
    name, _, own = side.partition("@")
    then = AsOf(app, own or arguments.at)
    state, books = then.environment(name), then.devices(name)
    if state is None:
        return {}
    return {
        "release": state.release_version,
        "protected": "yes" if state.protected else "no",
        "components": {
            n: {"version": c.version, "artifact": c.artifact, "schema": c.detail.get("schema", 0)}
            for n, c in state.components.items()
        },
        "values": state.values,
        "secrets": {
            name: f"version {version}" for name, version in state.secret_references.items()
        },
        "infrastructure": state.infrastructure,
        "tools": state.tools,
        "devices": state.devices,
        "firmware": {
            version: f"{count} of {state.devices} devices"
            for version, count in (books.firmware if books else {}).items()
        },
    }


@operation("environment history", "GET", "/environments/{name}/history", HistoryArguments)
def history(app: App, request: Request, arguments: HistoryArguments) -> Plain:
    """What happened to an environment, newest first, up to now or a time."""
    then = AsOf(app, arguments.at)
    then.environment(arguments.name)
    last = then.entry(f"env/{arguments.name}")
    before = min(arguments.before, last.n + 1 if last else 0)
    first = max(0, before - arguments.limit)
    entries = app.log.stream_entries(f"env/{arguments.name}", first, before - first)
    return {
        "entries": [
            {
                "n": e.n,
                "index": e.index,
                "at": shown(e.time_ms),
                "kind": e.kind,
                "actor": e.actor.id,
                "summary": summary_of(e),
            }
            for e in reversed(entries)
        ]
    }


def summary_of(entry: Entry) -> str:
    """An entry in a few words."""
    body = entry.body
    words = [
        f"{name} {body[name]}"
        for name in (
            "person",
            "role",
            "release_version",
            "version",
            "component",
            "step",
            "status",
            "verdict",
            "cause",
            "freeze",
            "name",
            "database",
            "count",
            "code",
        )
        if body.get(name)
    ]
    differences = body.get("differences")
    if isinstance(differences, list):
        words.append(f"{len(differences)} differences")
    return ", ".join(words)[:300]


@operation("environment document", "GET", "/environments/{name}/document", ShowArguments)
def document(app: App, request: Request, arguments: ShowArguments) -> Plain:
    """The environment's set-up as a document, written from what is recorded."""
    plain = show(app, request, arguments)
    return {"markdown": document_of(plain)}


@operation("environment destroy", "POST", "/environments/{name}/destroy", NameArguments)
def destroy(app: App, request: Request, arguments: NameArguments) -> Plain:
    """Ask for the removal of an environment's processes, folders and databases."""
    return ask_for(app, request, arguments.name, "destroy")


@operation("environment backup", "POST", "/environments/{name}/backups", NameArguments)
def backup(app: App, request: Request, arguments: NameArguments) -> Plain:
    """Ask for verified backups of an environment's databases."""
    return ask_for(app, request, arguments.name, "backup")


@operation("environment rebuild", "POST", "/environments/{name}/rebuild", NameArguments)
def rebuild(app: App, request: Request, arguments: NameArguments) -> Plain:
    """Ask for an environment to be made again from the record and the verified backup."""
    return ask_for(app, request, arguments.name, "rebuild")


@operation("environment clone", "POST", "/environments/{name}/clones", CloneArguments)
def clone(app: App, request: Request, arguments: CloneArguments) -> Plain:
    """Ask for a copy of an environment; the data comes over as none, masked or full."""
    if arguments.data not in ("none", "masked", "full"):
        raise Refused(
            "clone.data.input",
            f"clone of {arguments.name}",
            expected="none, masked or full",
            found=arguments.data[:40],
            remedy="choose how the data comes over",
        )
    app.read(lambda w: environments.check_deployed(w, arguments.name))
    app.command(
        request,
        lambda w: environments.declare_clone(w, request.asker, arguments.name, arguments.to),
    )
    fresh_secrets(app, request, arguments.name, arguments.to)
    return ask_for(app, request, arguments.to, "clone", arguments.data)
