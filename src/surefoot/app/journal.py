"""Operations on the journal and the installation."""

from __future__ import annotations

import base64
from typing import Annotated

import msgspec

from surefoot import __version__
from surefoot.app.as_of import AsOf
from surefoot.app.environments import summary_of
from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.app.operation import Arguments, Request, operation
from surefoot.app.orphan import shown_orphans
from surefoot.app.payload import commitments_of, opened, opened_body
from surefoot.app.people import AtArguments
from surefoot.app.witnesses import watching
from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.engine.loop import LEASE_SECONDS
from surefoot.trust.entry import Entry


class NoArguments(Arguments, frozen=True, kw_only=True):
    pass


class PageArguments(Arguments, frozen=True, kw_only=True):
    before: int = 2**53 - 1
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    stream: str = ""
    kind: str = ""
    at: str = ""


class EntryArguments(Arguments, frozen=True, kw_only=True):
    index: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class OrphanArguments(Arguments, frozen=True, kw_only=True):
    seconds: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = LEASE_SECONDS
    at: str = ""


class WaitArguments(Arguments, frozen=True, kw_only=True):
    size: int
    seconds: Annotated[int, msgspec.Meta(ge=0, le=25)] = 20


@operation("installation show", "GET", "/installation", AtArguments, public=True)
def installation(app: App, request: Request, arguments: AtArguments) -> Plain:
    """What this installation is, or was, and the checkpoint its answers stand on."""
    then = AsOf(app, arguments.at)
    people = then.people()
    size = _size(app, then)
    answer: Plain = {
        "installation": people.installation,
        "product": people.product,
        "version": __version__,
        "size": size,
        "checkpoint": _checkpoint(app, then),
        "log_key": app.log_key,
        "environments": [*sorted(then.names())],
    }
    if app.log.alarm is not None:
        answer["alarm"] = dict(app.log.alarm.record())
    return answer | (watching(app) if then.now else {})


def _size(app: App, then: AsOf) -> int:
    size = app.log.size()
    return size if then.now else app.log.size_at(then.at_ms, size)


def _checkpoint(app: App, then: AsOf) -> str:
    return app.log.checkpoint() if then.now else app.log.checkpoint_at(_size(app, then))


@operation("journal show", "GET", "/journal", PageArguments)
def show(app: App, request: Request, arguments: PageArguments) -> Plain:
    """Entries, newest first, all or of one stream or kind, up to now or a time."""
    found: list[Entry] = []
    size = _size(app, AsOf(app, arguments.at))
    before = min(arguments.before, size)
    while before > 0 and len(found) < arguments.limit:
        first = max(0, before - 500)
        page = [e for e in app.log.entries(first, before - first) if e.index < before]
        found += [
            e
            for e in sorted(page, key=lambda e: -e.index)
            if arguments.stream in ("", e.stream) and arguments.kind in ("", e.kind)
        ]
        before = first
    return {
        "entries": [_row(e) for e in found[: arguments.limit]],
        "size": size,
    }


def _row(entry: Entry) -> Plain:
    return {
        "index": entry.index,
        "at": shown(entry.time_ms),
        "stream": entry.stream,
        "n": entry.n,
        "kind": entry.kind,
        "actor": f"{entry.actor.type} {entry.actor.id}",
        "summary": summary_of(entry),
    }


@operation(
    "journal entry",
    "GET",
    "/journal/{index}",
    EntryArguments,
    timeless="an entry never changes: its place names it",
)
def show_entry(app: App, request: Request, arguments: EntryArguments) -> Plain:
    """One entry, with the exact bytes that are hashed."""
    found = app.log.entries(arguments.index, 1)
    if not found or found[0].index != arguments.index:
        raise Refused(
            "journal.entry.unknown",
            f"entry {arguments.index}",
            expected=f"an entry below {app.log.size()} that is not a seal",
            found="none there",
            remedy="see: surefoot journal show",
        )
    entry = found[0]
    return {
        **_row(entry),
        "body": opened_body(app, entry.body),
        "auth": entry.actor.auth,
        "state": entry.state,
        "evidence": list(entry.evidence),
        "reason": opened(app, entry.reason),
        "erasable": [*commitments_of(entry)],
        "raw": base64.b64encode(entry.raw).decode(),
    }


@operation("journal verify", "POST", "/journal/verify", NoArguments)
def verify(app: App, request: Request, arguments: NoArguments) -> Plain:
    """Verify the whole journal again, trusting nothing that is kept beside it."""
    return {"report": app.verify_journal()}


@operation("journal orphans", "GET", "/journal/orphans", OrphanArguments)
def show_orphans(app: App, request: Request, arguments: OrphanArguments) -> Plain:
    """Claims without a result, older than a lease: somebody may have acted, nobody said so."""
    then = AsOf(app, arguments.at)
    return {"orphans": [*shown_orphans(app, then, seconds=arguments.seconds)]}


@operation("journal checkpoint", "GET", "/journal/checkpoint", AtArguments, public=True)
def checkpoint(app: App, request: Request, arguments: AtArguments) -> Plain:
    """The newest signed checkpoint, now or of that time, to be kept somewhere else."""
    return {"checkpoint": _checkpoint(app, AsOf(app, arguments.at))}


@operation(
    "journal wait",
    "GET",
    "/journal/wait",
    WaitArguments,
    timeless="it waits for what comes next",
)
def wait(app: App, request: Request, arguments: WaitArguments) -> Plain:
    """Answer when the journal is larger than a size, or after some seconds."""
    return {"size": app.log.wait_for_change(arguments.size, float(arguments.seconds))}
