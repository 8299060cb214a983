"""Who of the devices is let in: standings, what changes them, and names that fit a path.

Keeps: a device that is pending, rejected or revoked is offered nothing and none of its reports
counts; every change says what it was before. Does not: keep tokens or read time.
"""

from __future__ import annotations

from typing import Literal

from surefoot.core.device import Standing
from surefoot.core.errors import Refused

Verdict = Literal["accept", "reject", "revoke"]

PENDING_MAX = 10_000
_FROM: dict[str, tuple[str, ...]] = {
    "accept": ("pending", "rejected", "revoked"),
    "reject": ("pending",),
    "revoke": ("", "pending", "rejected"),
}
_TO: dict[str, Standing] = {"accept": "", "reject": "rejected", "revoke": "revoked"}


def judged(device: str, verdict: Verdict, standing: str) -> Standing:
    """The device's standing after a person's verdict. Raises `Refused` when it does not apply."""
    if standing not in _FROM[verdict]:
        names = " or ".join(shown(each) for each in _FROM[verdict])
        raise Refused(
            "device.standing.moved",
            f"device {device[:80]}",
            expected=f"one that is {names}, to {verdict} it",
            found=shown(standing),
            remedy="look again with: surefoot device show",
        )
    return _TO[verdict]


def shown(standing: str) -> str:
    """The standing as people read it."""
    return standing or "accepted"
