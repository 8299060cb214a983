"""Operations on environments: show, compare, history, documents, drift, freezes, secrets."""

from __future__ import annotations

from typing import Annotated

import msgspec

from surefoot.app.document import document_of
from surefoot.app.facade import App
from surefoot.app.moment import parse_moment, shown
from surefoot.app.operation import Arguments, Request, operation
from surefoot.app.people import AtArguments
from surefoot.app.upkeep import NameArguments, ask_for, fresh_secrets
from surefoot.core import environment as environments
from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.core.world import Environment
from surefoot.trust import canonical
from surefoot.trust.entry import Entry


class ShowArguments(Arguments, frozen=True, kw_only=True):
    name: str
    at: str = ""


class DiffArguments(Arguments, frozen=True, kw_only=True):
    left: str
    right: str


class HistoryArguments(Arguments, frozen=True, kw_only=True):
    name: str
    before: int = 2**53 - 1
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


class CloneArguments(Arguments, frozen=True, kw_only=True):
    name: str
    to: str
    data: str = "masked"


def state_of(app: App, name: str, at: str = "") -> tuple[Environment | None, Plain]:
    """An environment's state with where the answer is from: size, root, entry and its time."""
    if not at:
        state = app.read(lambda w: w.state(f"env/{environments.find(w, name).name}"))
        moment = app.clock.now_ms()
    else:
        moment = parse_moment(at)
        app.read(lambda w: environments.find(w, name))
        found = app.log.state_at(f"env/{name}", moment)
        if found is None:
            return None, _source(app, moment, None)
        state = found[1]
    entry = app.log.entry_at(f"env/{name}", moment)
    return msgspec.convert(state, Environment), _source(app, moment, entry)


def _source(app: App, moment: int, entry: Entry | None) -> Plain:
    receipt: Plain = {"at": shown(moment), "journal_size": app.log.size()}
    if entry is not None:
        receipt |= {"entry": entry.index, "since": shown(entry.time_ms), "state": entry.state}
    return receipt


@operation("environment list", "GET", "/environments", AtArguments)
def list_environments(app: App, request: Request, arguments: AtArguments) -> Plain:
    """The matrix: environments by components, now or at a time."""
    names = app.read(lambda w: list(w.environments))
    rows: list[canonical.JSON] = []
    for name in names:
        state, source = state_of(app, name, arguments.at)
        if state is not None:
            rows.append({**_row(state), **_now(app, name, arguments.at), "since": source["since"]})
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


def _now(app: App, name: str, at: str) -> Plain:
    if at:
        return {}
    active = app.read(lambda w: w.active_deployment(name))
    freeze = app.read(lambda w: environments.frozen_by(w, name, app.clock.now_ms()))
    status = f"deployment {active.number} {active.status}" if active else "idle"
    return {"status": status, "holder": active.requester if active else "", "freeze": freeze}


@operation("environment show", "GET", "/environments/{name}", ShowArguments)
def show(app: App, request: Request, arguments: ShowArguments) -> Plain:
    """Everything an environment is, now or at a time: release, components, values, who."""
    state, source = state_of(app, arguments.name, arguments.at)
    if state is None:
        return {"name": arguments.name, "exists": False, **source}
    return {
        **_full(state),
        **_now(app, arguments.name, arguments.at),
        **source,
        **_fleet(app, arguments),
        **_places(app, arguments),
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


def _places(app: App, arguments: ShowArguments) -> Plain:
    return {} if arguments.at else {"addresses": app.addresses(arguments.name)}


def _fleet(app: App, arguments: ShowArguments) -> Plain:
    """Devices by verified firmware version, from the last sealed batch of that time."""
    moment = parse_moment(arguments.at) if arguments.at else app.clock.now_ms()
    found = app.log.state_at(f"devices/{arguments.name}", moment)
    shares = found[1].get("firmware", {}) if found else {}
    return {"firmware_shares": shares}


@operation("environment diff", "GET", "/environments/diff", DiffArguments)
def diff(app: App, request: Request, arguments: DiffArguments) -> Plain:
    """What differs between two environments or two moments: NAME or NAME@TIME."""
    left, right = _comparable(app, arguments.left), _comparable(app, arguments.right)
    return {
        "left": arguments.left,
        "right": arguments.right,
        "differences": [
            {"path": d.path, "left": d.expected, "right": d.found}
            for d in environments.differences(left, right)
        ],
    }


def _comparable(app: App, text: str) -> Plain:
    """The part of a state that says how something is configured, not when or by whom."""
    name, _, at = text.partition("@")
    state, _ = state_of(app, name, at)
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
    }


@operation("environment history", "GET", "/environments/{name}/history", HistoryArguments)
def history(app: App, request: Request, arguments: HistoryArguments) -> Plain:
    """What happened to an environment, newest first."""
    app.read(lambda w: environments.find(w, arguments.name))
    entries = app.log.stream_entries(f"env/{arguments.name}", 0, 500, newest=True)
    chosen = [e for e in entries if e.n < arguments.before][: arguments.limit]
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
            for e in chosen
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
