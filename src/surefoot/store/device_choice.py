"""The choice of a wave's devices, read as a stream: a million rows are never in memory together.

Keeps: the ordering is `core.rollout`'s; a device that the rollout has already moved keeps its place
in it. Does not: write, or give the devices anything (`store.device_bulk`).
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

import msgspec

from surefoot.core.eligibility import AlreadyThere, Demand, Fit, Judgement, Unfit
from surefoot.core.rollout import share_of
from surefoot.store.database import Row, Session
from surefoot.store.device_known import Judgements, begun
from surefoot.store.device_target import Targeted, Targeting

# A wave of 10 % lies among the first 13 % of the ordering, or the fleet is so small that reading it
# once more costs nothing.
_MARGIN_PERCENT = 3
_KEY_BYTES = 32


class Assignee(msgspec.Struct, frozen=True, gc=False):
    """A chosen device: what its new action's rows need of it."""

    number: int
    device: str
    runs: str
    auto_confirm: str
    found: Fit | None = None


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What a wave chooses of those that the rollout is for: the first `percent` of the ordering,
    or with a `count` so many."""

    deployment: int
    percent: int
    count: int = 0
    targeting: Targeting = Targeting()

    def of(self, fit: int) -> int:
        """How many of so many that fit."""
        return min(self.count, fit) if self.count else share_of(fit, self.percent)


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The devices to assign, in their order, and how many accepted ones were left out."""

    devices: list[Assignee]
    left_out: dict[str, int]


def choose(session: Session, environment: str, share: Share, demand: Demand) -> Choice:
    """The devices of a share of the ordering that the rollout has not moved yet.

    Those that may not be moved have no place in it, those that it has moved keep theirs; those
    that the rollout is not for are not counted.
    """
    targeted = Targeted(share.targeting)
    targeted.read_tags(session, environment)
    given = session.each("device.given", environment=environment, deployment=share.deployment)
    there = {number for (number,) in given}
    judgements = Judgements(demand, begun(session, environment))
    words = judgements.words | ({"whole": 1} if targeted.wants_attributes else {})
    for ceiling in (_ceiling(share.percent), b"\xff" * _KEY_BYTES):
        found = _Pool(str(share.deployment), ceiling)
        rows = session.each("device.assignable", environment=environment, **words)
        found.fill(judgements.each(targeted.of(rows, there), there))
        if len(found.keys) >= share.of(found.fit):
            break
    devices = [each for each in found.first(share) if each.number not in there]
    return Choice(devices=devices, left_out=found.left_out)


class _Pool:
    """Those that fit: all are counted, those low in the ordering are kept."""

    def __init__(self, rollout: str, ceiling: bytes) -> None:
        self._beginning = f"{rollout}\n".encode()
        self._ceiling = ceiling
        self.keys: list[bytes] = []
        self._kept: list[Assignee] = []
        self.fit = 0
        self.left_out = {"unfit": 0}

    def fill(self, judged: Iterable[tuple[Row, Judgement | None]]) -> None:
        """Keep devices that the rollout has moved (None), or that fit; count the others."""
        beginning, ceiling, keep, fit = self._beginning, self._ceiling, self._keep, 0
        for row, found in judged:
            kind = type(found)
            if kind is AlreadyThere or kind is Unfit or row[6]:
                self._leave(row, found)
                continue
            fit += 1
            # `core.rollout.order_key`, with what is alike for all devices made once.
            key = sha256(beginning + row[1].encode()).digest()
            if key <= ceiling:
                keep(key, row, found)
        self.fit += fit

    def _keep(self, key: bytes, row: Row, found: Judgement | None) -> None:
        self.keys.append(key)
        number, device, runs, auto_confirm, *_ = row
        fit = found if isinstance(found, Fit) else None
        self._kept.append(Assignee(number, device, runs, auto_confirm, fit))

    def _leave(self, row: Row, found: Judgement | None) -> None:
        if row[6]:  # whoever is not let in is not counted
            return
        if isinstance(found, Unfit):
            self._count("unfit")
            self._count(f"unfit_{found.reason}")
        else:
            self._count("already_there")

    def _count(self, name: str) -> None:
        self.left_out[name] = self.left_out.get(name, 0) + 1

    def first(self, share: Share) -> list[Assignee]:
        places = sorted(range(len(self.keys)), key=self.keys.__getitem__)
        return [self._kept[place] for place in places[: share.of(self.fit)]]


def _ceiling(percent: int) -> bytes:
    part = min(percent + _MARGIN_PERCENT, 100)
    return ((1 << 8 * _KEY_BYTES) * part // 100 - 1).to_bytes(_KEY_BYTES, "big")
