"""Why devices of a rollout do not begin: what holds them now, how many, and until when.

Keeps: it asks the same bounds that the pacing asks (`core.pace`), so what it names is what holds.
Does not: hold or let begin (`device_pacing`), or know of the deployment around a rollout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from surefoot.core.governance import Pace, done_state
from surefoot.core.pace import Paced, bounds, permitted
from surefoot.store.database import Database, Session, Value
from surefoot.store.device_retry import Terms


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """Devices that one thing holds; `until_ms` is when the first of them is looked at again."""

    held: str
    devices: int
    until_ms: int


class Holds(msgspec.Struct, frozen=True, kw_only=True):
    """What holds a rollout's devices. `caps` are those of its caps that let no more begin now."""

    waiting: tuple[Waiting, ...] = ()
    caps: tuple[str, ...] = ()
    under_way: int = 0
    pace: Pace = Pace()


class DeviceHolds:
    """See the module. May be called from any thread."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms

    def of_rollout(self, environment: str, deployment: int, count: Mapping[str, int]) -> Holds:
        """What holds a rollout; `count` is the sealed counter of its first wave, for growth."""
        key: dict[str, Value] = {"environment": environment, "deployment": deployment}
        with self._database.read() as session:
            row = session.row("device_pace.find", **key)
            if row is None:
                return Holds()
            terms = msgspec.json.decode(row[0], type=Terms)
            paced = msgspec.json.decode(row[1], type=Paced)
            waiting = tuple(Waiting(*each) for each in session.rows("device_pace.held", **key))
            under_way = _under_way(session, key)
        return Holds(
            waiting=waiting,
            caps=_caps(terms, paced, self._now_ms(), under_way, count),
            under_way=under_way,
            pace=terms.pace,
        )

    def of_action(self, action: int) -> Waiting | None:
        """What holds one device's action; None when nothing does."""
        with self._database.read() as session:
            row = session.row("device_pace.held_action", action=action)
        return Waiting(row[0], 1, row[1]) if row else None


def _under_way(session: Session, key: dict[str, Value]) -> int:
    counts = (session.row("device_pace.begun", **key), session.row("device_pace.let_begin", **key))
    return sum(int(row[0]) for row in counts if row)


def _caps(
    terms: Terms, paced: Paced, now_ms: int, under_way: int, count: Mapping[str, int]
) -> tuple[str, ...]:
    growth, reached = terms.pace.exponential, None
    if growth is not None:
        reached = permitted(growth, count, terms.success_percent, done_state(terms.urgency))
    found = bounds(terms.pace, paced, now_ms, under_way, reached)
    return tuple(name for name, left in found.items() if left <= 0)
