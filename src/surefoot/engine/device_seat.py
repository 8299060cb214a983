"""A device's seat in the poll table: all that a poll needs, made once from the registry's row.

Keeps: a device that is pending, rejected or revoked is offered nothing; neither is one whose client
cannot take the image, or whose user has not confirmed it. Does not: read or write anything.
"""

from __future__ import annotations

import hashlib

import msgspec

from surefoot.core.device import OPEN, WAITING
from surefoot.core.offer import Poll
from surefoot.store.device import DeskRow

_JITTER_FROM_SECONDS = 20
_SLEEP_MAX = 86_399
_NOBODYS = bytes(32)


class Seat(msgspec.Struct, gc=False):
    """One device in the poll table. `readable`: the image of `action` may be read."""

    number: int
    environment: str
    device: str
    token_hash: bytes
    action: int
    offered: bool
    readable: bool
    standing: str
    profile: str
    poll: Poll


def seat_of(row: DeskRow, sleep_seconds: int, *, fits: bool, proved: bool) -> Seat:
    """The seat. `fits`: the device's client can take the image; `proved`: its claim was proved."""
    opened = row.state in OPEN and not row.standing and proved
    waits = opened and row.consent in WAITING
    offered = opened and fits and not waits
    wants = row.wants_attributes and not row.standing
    poll = Poll(
        sleep_seconds=_spread(sleep_seconds, row.device),
        action=row.action if offered and not row.cancelling else 0,
        cancel=row.action if opened and row.cancelling else 0,
        confirm=row.action if waits and not row.cancelling else 0,
        installed=0 if row.standing else row.installed,
        change=_change(row) if offered or waits else 0,
        wants_attributes=wants,
    )
    return Seat(
        row.number,
        row.environment,
        row.device,
        _NOBODYS if row.standing == "revoked" else row.token_hash,
        row.action,
        offered,
        offered or (row.state not in OPEN and not row.standing),
        row.standing,
        row.profile,
        poll,
    )


def _change(row: DeskRow) -> int:
    """The change number of an offer: other content, another number, signed 32 bits, never 0."""
    content = f"{row.action}/{row.firmware}/{row.profile}/{row.consent}"
    number = int.from_bytes(hashlib.sha256(content.encode()).digest()[:4], "big", signed=True)
    return number or 1


def _spread(seconds: int, device: str) -> int:
    """The poll interval with a stable spread of 10 %, so that a fleet does not poll as one."""
    bounded = min(max(seconds, 1), _SLEEP_MAX)
    if bounded < _JITTER_FROM_SECONDS:
        return bounded
    place = int.from_bytes(hashlib.sha256(device.encode()).digest()[:2], "big")
    return min(bounded - bounded // 10 + bounded * place // (5 * 65_536), _SLEEP_MAX)
