"""The choice of a wave's devices, read as a stream: a million rows are never in memory together.

Keeps: the ordering is `core.rollout`'s; a device that the rollout has already moved keeps its place
in it. Does not: write, or give the devices anything (`store.device_bulk`).
"""

from __future__ import annotations

import msgspec

from surefoot.core.rollout import order_key, share_of
from surefoot.store.database import Session

# A wave of 10 % lies among the first 13 % of the ordering, or the fleet is so small that reading it
# once more costs nothing.
_MARGIN_PERCENT = 3
_KEY_BYTES = 32


class Candidate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A device as it is judged, in the order of the statement `assignable`."""

    number: int
    device: str
    runs: str
    auto_confirm: str
    hardware: str
    attributes: str
    standing: str
    profile: str


class Assignee(msgspec.Struct, frozen=True, gc=False):
    """A chosen device: what its new action's rows need of it."""

    number: int
    device: str
    runs: str
    auto_confirm: str


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The devices to assign, in their order, and how many accepted ones were left out."""

    devices: list[Assignee]
    unfit: int


def choose(
    session: Session, environment: str, deployment: int, percent: int, hardware: tuple[str, ...]
) -> Choice:
    """The devices of the first `percent` of the ordering that the rollout has not moved yet."""
    for ceiling in (_ceiling(percent), b"\xff" * _KEY_BYTES):
        found = _Pool(str(deployment), ceiling)
        for row in session.each("device.assignable", environment=environment):
            device = Candidate(*row)
            if not device.standing:
                found.take(device, fits=not hardware or device.hardware in hardware)
        if len(found.keys) >= share_of(found.fit, percent):
            break
    given = session.each("device.given", environment=environment, deployment=deployment)
    there = {number for (number,) in given}
    devices = [each for each in found.first(percent) if each.number not in there]
    return Choice(devices=devices, unfit=found.unfit)


class _Pool:
    """Those that fit: all are counted, those low in the ordering are kept."""

    def __init__(self, rollout: str, ceiling: bytes) -> None:
        self._rollout = rollout
        self._ceiling = ceiling
        self.keys: list[bytes] = []
        self._kept: list[Assignee] = []
        self.fit = 0
        self.unfit = 0

    def take(self, device: Candidate, *, fits: bool) -> None:
        if not fits:
            self.unfit += 1
            return
        self.fit += 1
        key = order_key(self._rollout, device.device)
        if key <= self._ceiling:
            self.keys.append(key)
            kept = Assignee(device.number, device.device, device.runs, device.auto_confirm)
            self._kept.append(kept)

    def first(self, percent: int) -> list[Assignee]:
        places = sorted(range(len(self.keys)), key=self.keys.__getitem__)
        return [self._kept[place] for place in places[: share_of(self.fit, percent)]]


def _ceiling(percent: int) -> bytes:
    part = min(percent + _MARGIN_PERCENT, 100)
    return ((1 << 8 * _KEY_BYTES) * part // 100 - 1).to_bytes(_KEY_BYTES, "big")
