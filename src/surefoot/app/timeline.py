"""What lies beside a moment of an environment: the change before it, the change after it.

Keeps: a change is an entry of the environment's stream; reading a secret and noting an observation
change nothing that is shown, and are passed over. Entries written at one time are one change.
Does not: answer with a state.
"""

from __future__ import annotations

from surefoot.app.as_of import AsOf
from surefoot.app.environments import summary_of
from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.core.target import Plain
from surefoot.trust.entry import Entry

_QUIET = ("SecretRead", "ObservationRecorded")
_PAGE = 200
_LOOKED_AT_MAX = 10_000


def beside(app: App, name: str, at: str) -> Plain:
    """`earlier` and `later`: {at, kind, actor, summary} of the next changes, empty for none."""
    then = AsOf(app, at)
    stream = f"env/{name}"
    last = then.entry(stream)
    since = _earlier(app, stream, last.n + 1, then.at_ms + 1) if last else None
    before = _earlier(app, stream, since.n, since.time_ms) if since else None
    after = None if then.now else _later(app, stream, last.n + 1 if last else 0)
    return {"since": _row(since), "earlier": _row(before), "later": _row(after)}


def _earlier(app: App, stream: str, below: int, before_ms: int) -> Entry | None:
    lowest = max(0, below - _LOOKED_AT_MAX)
    while below > lowest:
        first = max(lowest, below - _PAGE)
        for entry in reversed(app.log.stream_entries(stream, first, below - first)):
            if entry.kind not in _QUIET and entry.time_ms < before_ms:
                return entry
        below = first
    return None


def _later(app: App, stream: str, first: int) -> Entry | None:
    for start in range(first, first + _LOOKED_AT_MAX, _PAGE):
        page = app.log.stream_entries(stream, start, _PAGE)
        found = next((entry for entry in page if entry.kind not in _QUIET), None)
        if found is not None or len(page) < _PAGE:
            return found
    return None


def _row(entry: Entry | None) -> Plain:
    if entry is None:
        return {}
    return {
        "at": shown(entry.time_ms),
        "kind": entry.kind,
        "actor": entry.actor.id,
        "summary": summary_of(entry),
    }
