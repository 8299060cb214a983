"""The blast radius of a rollout, from one stream over the registry: nothing is written.

Keeps: who is meant and who can take it are the same two questions that the waves ask
(`device_target`, `core.eligibility`); a million rows are never in memory together; names are the
first by name after a given one. Does not: assign, or say how long it takes (`core.outlook`).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from surefoot.core.eligibility import AlreadyThere, Demand, Fit, Unfit
from surefoot.core.outlook import Heard
from surefoot.store.database import Database, Session
from surefoot.store.device_known import Judgements, begun
from surefoot.store.device_target import Targeted, Targeting

_REASON_NAMES_MAX = 5


class BlastAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Which rollout; `limit` names of devices that would move, those after the name `after`."""

    environment: str
    demand: Demand
    targeting: Targeting
    now_ms: int
    limit: int = 100
    after: str = ""


class Group(msgspec.Struct, kw_only=True):
    """Devices that cannot take it for one reason: how many, the first names, one in words."""

    count: int = 0
    names: list[str] = []
    example: str = ""


class Blast(msgspec.Struct, kw_only=True):
    """The answer; counts of devices, images (`hops`) and bytes."""

    registered: int = 0
    matching: int = 0
    already_there: int = 0
    moves: int = 0
    hops: int = 0
    size_bytes: int = 0
    names: list[str] = []
    unfit: dict[str, Group] = {}
    heard: Heard


def blast(database: Database, ask: BlastAsk) -> Blast:
    """Look at every device once. Raises `Refused` for a wrong query."""
    targeted = Targeted(ask.targeting, ask.now_ms)
    found = Blast(heard=Heard(now_ms=ask.now_ms))
    names = _First(ask.limit, ask.after)
    with database.read() as session:
        targeted.read_tags(session, ask.environment)
        judgements = Judgements(ask.demand, begun(session, ask.environment))
        found.registered = _registered(session, ask.environment)
        words = judgements.words | ({"whole": 1} if targeted.wants_attributes else {})
        rows = session.each("device.assignable_seen", environment=ask.environment, **words)
        moves: dict[int, tuple[Fit, list[int]]] = {}
        for row, judged in judgements.each(targeted.of(rows)):
            found.matching += 1
            if isinstance(judged, Fit):
                # Devices that are judged alike have the very same judgement.
                moves.setdefault(id(judged), (judged, [0]))[1][0] += 1
                found.heard.note(row[8])
                names.note(row[1])
            elif isinstance(judged, AlreadyThere):
                found.already_there += 1
            elif judged is not None:
                _leave_out(found.unfit, row[1], judged)
    _sum(found, moves.values())
    found.names = names.first()
    return found


def _registered(session: Session, environment: str) -> int:
    row = session.row("device.count", environment=environment)
    return int(row[0]) if row else 0


def _sum(found: Blast, moves: Iterable[tuple[Fit, list[int]]]) -> None:
    for judged, (count,) in moves:
        found.moves += count
        found.hops += count * len(judged.hops)
        found.size_bytes += count * sum(hop.size_bytes for hop in judged.hops)


def _leave_out(unfit: dict[str, Group], device: str, judged: Unfit) -> None:
    group = unfit.setdefault(judged.reason, Group())
    group.count += 1
    if len(group.names) < _REASON_NAMES_MAX:
        group.names.append(device)
    group.example = group.example or judged.sentence


class _First:
    """The first names by order, of a stream in any order, with room for twice as many."""

    def __init__(self, limit: int, after: str) -> None:
        self._limit = limit
        self._after = after
        self._held: list[str] = []
        self._last = ""

    def note(self, name: str) -> None:
        if name <= self._after or (self._last and name >= self._last):
            return
        self._held.append(name)
        if len(self._held) >= 2 * self._limit + 16:
            self._held = self.first()
            self._last = self._held[-1] if len(self._held) == self._limit else ""

    def first(self) -> list[str]:
        return sorted(self._held)[: self._limit]
