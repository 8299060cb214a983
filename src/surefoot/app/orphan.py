"""Claims without a result, as questions and pages show them: who claimed what, and how long ago.

Keeps: the claim's time is its entry's; one younger than a lease is an act under way.
Does not: close an orphan. The engine does, by looking and claiming anew.
"""

from __future__ import annotations

from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.core.orphan import Orphan, orphans
from surefoot.core.target import Plain
from surefoot.engine.loop import LEASE_SECONDS


def shown_orphans(app: App, deployment: int = 0, seconds: int = LEASE_SECONDS) -> list[Plain]:
    """Claims that are at least so old and have no result, oldest first."""
    now_ms = app.clock.now_ms()
    rows = [_row(app, orphan, now_ms) for orphan in app.read(lambda w: orphans(w, deployment))]
    return [row for row in rows if int(str(row["age_seconds"])) >= seconds]


def _row(app: App, orphan: Orphan, now_ms: int) -> Plain:
    (entry,) = app.log.entries(orphan.index, 1)
    return {
        "index": orphan.index,
        "at": shown(entry.time_ms),
        "age_seconds": max(0, now_ms - entry.time_ms) // 1000,
        "deployment": orphan.deployment,
        "environment": orphan.environment,
        "step": orphan.step,
        "undo": orphan.undo,
        "worker": orphan.worker,
        "claims": orphan.claims,
    }
