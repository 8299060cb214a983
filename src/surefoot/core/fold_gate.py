"""How facts about watched and waived gates change the world; the rules are those of `fold`."""

from __future__ import annotations

from typing import Any

from surefoot.core import facts_gate as f
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
        found=fact.found,
    )


def _waivers(world: w.World, environment: str) -> dict[str, w.Waiver]:
    return world.environments[environment].waivers if environment else world.waivers.gates


def _waived(world: w.World, fact: f.GateWaived, entry: w.Recorded) -> None:
    _waivers(world, fact.environment)[fact.gate] = w.Waiver(
        person=fact.person, until_ms=fact.until_ms, given_ms=entry.time_ms, entry=entry.index
    )


def _ended(world: w.World, fact: f.GateWaiverEnded, entry: w.Recorded) -> None:
    _waivers(world, fact.environment).pop(fact.gate, None)


FOLDS: dict[type[Fact], Any] = {
    f.GateWatched: _watched,
    f.GateWaived: _waived,
    f.GateWaiverEnded: _ended,
}
