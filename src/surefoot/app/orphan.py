"""Claims without a result, as questions and pages show them: who claimed what, and how long ago.

Keeps: the claim's time is its entry's; one younger than a lease is an act under way.
Does not: close an orphan. The engine does, by looking and claiming anew.
"""

from __future__ import annotations

from surefoot.app.as_of import AsOf
from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.core.orphan import Orphan, orphans
from surefoot.core.target import Plain
from surefoot.core.world import World
from surefoot.engine.loop import LEASE_SECONDS


def shown_orphans(
    app: App, then: AsOf, deployment: int = 0, seconds: int = LEASE_SECONDS
) -> list[Plain]:
    """Claims that were at least so old then and had no result, oldest first."""
    rows = [_row(app, orphan, then.at_ms) for orphan in _orphans(app, then, deployment)]
    return [row for row in rows if int(str(row["age_seconds"])) >= seconds]


def _orphans(app: App, then: AsOf, deployment: int) -> list[Orphan]:
    if then.now:
        return app.read(lambda w: orphans(w, deployment))
    world = World()
    chosen = [then.deployment(deployment)] if deployment else then.deployments()
    world.deployments = {d.number: d for d in chosen if d is not None}
    return orphans(world, deployment)


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
