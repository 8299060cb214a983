"""What all client connections of one keeper share: the counts, the limits, the live generation.

Keeps: every connection that is open, so that waits which ran out are ended.
Does not: read or answer anything.
"""

from __future__ import annotations

from typing import Protocol

from surefoot.targets.keeper.back import Upstream
from surefoot.targets.keeper.counts import Counts
from surefoot.targets.keeper.limits import Limits


class Client(Protocol):
    """A client connection; `deadline` is on the loop's clock, 0 while nothing is waited for."""

    deadline: float

    def overdue(self) -> None:
        """Its wait ran out."""


class Hub:
    """What all client connections of one keeper share."""

    def __init__(self, counts: Counts, limits: Limits) -> None:
        self.counts = counts
        self.limits = limits
        self.live: Upstream | None = None
        self.fronts: set[Client] = set()

    def sweep(self, now: float) -> None:
        """End what waits too long; `now` is the loop's clock."""
        for front in [f for f in self.fronts if 0 < f.deadline < now]:
            front.overdue()
