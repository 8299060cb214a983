"""A device's seat in the poll table: all that a poll needs, made once from the registry's row.

Keeps: a device that is pending, rejected or revoked is offered nothing; neither is one whose client
cannot take the image, whose user has not confirmed it, or whose turn has not come. A seat is small,
since there may be a million: it is its own answer to a poll, and what many devices have alike is
kept once.
Does not: read or write anything.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import msgspec

from surefoot.core.device import OPEN, WAITING
from surefoot.core.offer import Poll
from surefoot.store.device import DeskRow

_JITTER_FROM_SECONDS = 20
_SLEEP_MAX = 86_399
_NOBODYS = bytes(32)
_SHARED = 4096


class Ground(msgspec.Struct, frozen=True, gc=False):
    """What many seats have alike. `readable`: the image of the newest action may be read."""

    environment: str
    standing: str
    profile: str
    offered: bool
    readable: bool


class Seat(Poll, frozen=True, kw_only=True, gc=False):
    """One device in the poll table, and what it hears; `newest` is its newest action, or 0."""

    number: int
    device: str
    token_hash: bytes
    newest: int
    ground: Ground


def seat_of(
    row: DeskRow, sleep_seconds: int, *, fits: bool, proved: bool, forced: bool = True
) -> Seat:
    """The seat. `fits`: the device's client can take the image; `proved`: its claim was proved.

    One that is not `forced` has another change number, so that its device hears when it is.
    """
    opened = row.state in OPEN and not row.standing and proved and not row.held
    waits = opened and row.consent in WAITING
    offered = opened and fits and not waits
    readable = offered or (row.state not in OPEN and not row.standing)
    # The same number is the same object wherever it stands in the seat.
    installed = row.action if row.installed == row.action else row.installed
    return Seat(
        sleep_seconds=_same(_spread(sleep_seconds, row.device)),
        action=row.action if offered and not row.cancelling else 0,
        cancel=row.action if opened and row.cancelling else 0,
        confirm=row.action if waits and not row.cancelling else 0,
        installed=0 if row.standing else installed,
        change=_change(row, forced) if offered or waits else 0,
        wants_attributes=row.wants_attributes and not row.standing,
        number=row.number,
        device=row.device,
        token_hash=_hash(row),
        newest=row.action,
        ground=_ground(row.environment, row.standing, row.profile, offered, readable),
    )


@lru_cache(_SHARED)
def _ground(environment: str, standing: str, profile: str, offered: bool, readable: bool) -> Ground:
    return Ground(environment, standing, profile, offered, readable)


@lru_cache(_SHARED)
def _same(number: int) -> int:
    """One object for equal numbers."""
    return number


def _hash(row: DeskRow) -> bytes:
    known = row.standing != "revoked" and row.token_hash != _NOBODYS
    return row.token_hash if known else _NOBODYS


def _change(row: DeskRow, forced: bool) -> int:
    """The change number of an offer: other content, another number, signed 32 bits, never 0."""
    content = (
        f"{row.action}/{row.firmware}/{row.profile}/{row.consent}{'' if forced else '/attempt'}"
    )
    number = int.from_bytes(hashlib.sha256(content.encode()).digest()[:4], "big", signed=True)
    return number or 1


def _spread(seconds: int, device: str) -> int:
    """The poll interval with a stable spread of 10 %, so that a fleet does not poll as one."""
    bounded = min(max(seconds, 1), _SLEEP_MAX)
    if bounded < _JITTER_FROM_SECONDS:
        return bounded
    place = int.from_bytes(hashlib.sha256(device.encode()).digest()[:2], "big")
    return min(bounded - bounded // 10 + bounded * place // (5 * 65_536), _SLEEP_MAX)
