"""Facts about gates apart from one release or step: looks that are repeated, and waivers."""

from __future__ import annotations

from collections.abc import Callable

from surefoot.core.fact import Fact
from surefoot.trust.digest import Digest


class GateWatched(Fact, frozen=True, kw_only=True):
    """A gate looked at an environment again; `release` is what ran there, by its manifest.

    `found` is a digest of the findings' fingerprints, empty for none.
    """

    environment: str
    gate: str
    release: Digest
    verdict: str
    reason: str
    evidence: Digest
    found: str = ""


class GateWaived(Fact, frozen=True, kw_only=True):
    """Until a time a person takes "inconclusive" of a gate upon themselves.

    It is so in an environment, or, with none named, before releases. The entry's words say why.
    """

    environment: str
    gate: str
    person: str
    until_ms: int


class GateWaiverEnded(Fact, frozen=True, kw_only=True):
    """A waiver ended before its time."""

    environment: str
    gate: str
    person: str


def _place(fact: Fact) -> str:
    # With the environment's other facts, so that a plan made before it is void.
    name: str = fact.environment  # type: ignore[attr-defined]
    return f"env/{name}" if name else "waivers"


STREAMS: dict[type[Fact], Callable[[Fact], str]] = {
    GateWatched: lambda fact: f"watch/{fact.environment}",  # type: ignore[attr-defined]
    GateWaived: _place,
    GateWaiverEnded: _place,
}
