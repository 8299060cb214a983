"""Operations on the journal and the installation."""

from __future__ import annotations

import base64
from typing import Annotated

import msgspec

from surefoot import __version__
from surefoot.app.environments import summary_of
from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.app.operation import Arguments, Request, operation
from surefoot.app.orphan import shown_orphans
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


class EntryArguments(Arguments, frozen=True, kw_only=True):
    index: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class OrphanArguments(Arguments, frozen=True, kw_only=True):
    seconds: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = LEASE_SECONDS


class WaitArguments(Arguments, frozen=True, kw_only=True):
    size: int
    seconds: Annotated[int, msgspec.Meta(ge=0, le=25)] = 20


@operation("installation show", "GET", "/installation", NoArguments, public=True)
def installation(app: App, request: Request, arguments: NoArguments) -> Plain:
    """What this installation is, and the checkpoint its answers stand on."""
    name, product, environments = app.read(
        lambda w: (w.people.installation, w.people.product, sorted(w.environments))
    )
    answer: Plain = {
        "installation": name,
        "product": product,
        "version": __version__,
        "size": app.log.size(),
        "checkpoint": app.log.checkpoint(),
        "log_key": app.log_key,
        "environments": list(environments),
    }
    if app.log.alarm is not None:
        answer["alarm"] = dict(app.log.alarm.record())
    return answer


@operation("journal show", "GET", "/journal", PageArguments)
def show(app: App, request: Request, arguments: PageArguments) -> Plain:
    """Entries, newest first, all or of one stream or kind."""
    found: list[Entry] = []
    before = min(arguments.before, app.log.size())
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
        "size": app.log.size(),
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


@operation("journal entry", "GET", "/journal/{index}", EntryArguments)
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
        "body": entry.body,
        "auth": entry.actor.auth,
        "state": entry.state,
        "evidence": list(entry.evidence),
        "reason": entry.reason,
        "raw": base64.b64encode(entry.raw).decode(),
    }


@operation("journal verify", "POST", "/journal/verify", NoArguments)
def verify(app: App, request: Request, arguments: NoArguments) -> Plain:
    """Verify the whole journal again, trusting nothing that is kept beside it."""
    return {"report": app.verify_journal()}


@operation("journal orphans", "GET", "/journal/orphans", OrphanArguments)
def show_orphans(app: App, request: Request, arguments: OrphanArguments) -> Plain:
    """Claims without a result, older than a lease: somebody may have acted, nobody said so."""
    return {"orphans": [*shown_orphans(app, seconds=arguments.seconds)]}


@operation("journal checkpoint", "GET", "/journal/checkpoint", NoArguments, public=True)
def checkpoint(app: App, request: Request, arguments: NoArguments) -> Plain:
    """The newest signed checkpoint, to be kept somewhere else."""
    return {"checkpoint": app.log.checkpoint()}


@operation("journal wait", "GET", "/journal/wait", WaitArguments)
def wait(app: App, request: Request, arguments: WaitArguments) -> Plain:
    """Answer when the journal is larger than a size, or after some seconds."""
    return {"size": app.log.wait_for_change(arguments.size, float(arguments.seconds))}
