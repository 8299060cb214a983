"""Rules of gates that run again and again: when one is due, what a result says, what is an alarm.

Keeps: a result counts only for what the environment runs when it is written down; a verdict other
than pass is an alarm when it is new, or when it finds something else than before: what has long
been known hides nothing; a look that never came is overdue and says so. A deployment that only
waits for approval stops no look. Times are UTC milliseconds. Does not: run a gate or read the time.
"""

from __future__ import annotations

from collections.abc import Mapping

from surefoot.core import facts as f
from surefoot.core.facts_gate import GateWatched
from surefoot.core.gate import Evidence
from surefoot.core.world import Environment, Watch, WatchedGate, World
from surefoot.trust import canonical
from surefoot.trust.digest import digest_of

MINUTE_MS = 60_000
_LATE = 2
"""So many intervals without a look are overdue: one may be missed by a deployment under way."""


def schedule(world: World, environment: Environment) -> Mapping[str, int]:
    """Minutes between looks by gate, as the rules in force have it; none where nothing runs."""
    if environment.destroyed or not environment.release:
        return {}
    return world.definition.governance.policy(environment.name, environment.source).watch


def seen(world: World, environment: str) -> Mapping[str, WatchedGate]:
    """The last result of each gate of an environment."""
    return world.watches.get(environment, Watch(environment=environment)).gates


def changing(world: World, environment: str) -> bool:
    """Whether a deployment that has begun is under way: what changes under a look spoils it."""
    active = world.active_deployment(environment)
    return active is not None and active.begun_ms > 0


def due(world: World, now_ms: int) -> list[tuple[str, str]]:
    """Environment and gate of each look that must be made now, the longest waiting first.

    None while a deployment changes the environment.
    """
    found = []
    for environment in world.environments.values():
        planned = schedule(world, environment)
        if not planned or changing(world, environment.name):
            continue
        for gate, minutes in planned.items():
            last = seen(world, environment.name).get(gate)
            next_ms = last.checked_ms + minutes * MINUTE_MS if last else 0
            if next_ms <= now_ms:
                found.append((next_ms, environment.name, gate))
    return [(environment, gate) for _, environment, gate in sorted(found)]


def record(world: World, fact: GateWatched) -> list[f.Fact]:
    """What is written for a result; nothing when the environment has moved on meanwhile."""
    environment = world.environments.get(fact.environment)
    if environment is None or environment.release != fact.release:
        return []
    if changing(world, fact.environment):
        return []
    before = seen(world, fact.environment).get(fact.gate)
    known = before is not None and (before.verdict, before.found) == (fact.verdict, fact.found)
    if fact.verdict == "pass" or known:
        return [fact]
    subject = f"{fact.gate} in {fact.environment}"
    return [fact, f.AlarmRaised(code=f"watch.{fact.verdict}", subject=subject)]


def found_by(evidence: Evidence) -> str:
    """What a look found as one digest: the same, in whatever order, makes no new alarm."""
    marks = sorted({each.fingerprint for each in evidence.findings if each.severity != "info"})
    return digest_of(canonical.encode(marks)) if marks else ""


def overdue(minutes: int, last: WatchedGate | None, now_ms: int) -> bool:
    """Whether so long nobody looked that the last result says little."""
    return last is not None and last.checked_ms + _LATE * minutes * MINUTE_MS < now_ms
