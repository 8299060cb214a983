"""The fact about a gate that was run again, on a schedule, against what an environment runs."""

from __future__ import annotations

from surefoot.core.fact import Fact
from surefoot.trust.digest import Digest


class GateWatched(Fact, frozen=True, kw_only=True):
    """A gate looked at an environment again; `release` is what ran there, by its manifest."""

    environment: str
    gate: str
    release: Digest
    verdict: str
    reason: str
    evidence: Digest
