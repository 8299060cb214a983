"""How facts about watched gates change the world; the rules are those of `fold`."""

from __future__ import annotations

from typing import Any

from surefoot.core import facts_watch as f
from surefoot.core import world as w
from surefoot.core.fact import Fact


def _watched(world: w.World, fact: f.GateWatched, entry: w.Recorded) -> None:
    watch = world.watches.setdefault(fact.environment, w.Watch(environment=fact.environment))
    before = watch.gates.get(fact.gate)
    same = before is not None and before.verdict == fact.verdict
    watch.gates[fact.gate] = w.WatchedGate(
        verdict=fact.verdict,
        reason=fact.reason,
        release=fact.release,
        evidence=fact.evidence,
        runs=before.runs + 1 if before else 1,
        checked_ms=entry.time_ms,
        since_ms=before.since_ms if before and same else entry.time_ms,
    )


FOLDS: dict[type[Fact], Any] = {f.GateWatched: _watched}
