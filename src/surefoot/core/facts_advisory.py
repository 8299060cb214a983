"""Facts about advisories: which snapshot judges from now on, and what is said about weaknesses."""

from __future__ import annotations

from surefoot.core.fact import Fact
from surefoot.trust.digest import Digest


class AdvisoriesImported(Fact, frozen=True, kw_only=True):
    """A signed snapshot was taken; `snapshot` is its statement's envelope, a blob.

    `made_at_ms` is when it was made, `newest_ms` when its newest record was last changed; the
    counts are of records, of weaknesses known to be exploited, and of likelihoods.
    """

    snapshot: Digest
    signer: str
    made_at_ms: int
    newest_ms: int
    records: int
    withdrawn: int = 0
    exploited: int = 0
    likely: int = 0
    ecosystems: dict[str, int] = {}


class VexImported(Fact, frozen=True, kw_only=True):
    """A VEX document about a component was taken: it replaces the one before; a blob.

    `statements` is how many silence something.
    """

    component: str
    document: Digest
    statements: int
