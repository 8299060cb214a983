"""Facts of the journal itself: roots that were published, keys that took over, epochs, erasures."""

from __future__ import annotations

from surefoot.core.fact import Fact
from surefoot.trust.digest import Digest


class RootPublished(Fact, frozen=True, kw_only=True):
    """A root.json was accepted: its version, and its digest among the blobs."""

    version: int
    digest: Digest


class PayloadErased(Fact, frozen=True, kw_only=True):
    """The words behind a commitment were forgotten; the entry that holds it is as it was."""

    commitment: str


class LogKeyRotated(Fact, frozen=True, kw_only=True):
    """Another key signs checkpoints, the old one beside it until the overlap ends.

    `statement` is a C2SP note of three lines (what it is, old key, new key), signed by both.
    """

    old: str
    new: str
    statement: str
    overlap_until_ms: int


class EpochOpened(Fact, frozen=True, kw_only=True):
    """The log goes on under another origin and key: which, why, and from where.

    `before` is the last checkpoint known of the epoch before, a note. `cause` is lost, compromised
    or discontinuity; for the last, the leaves from `lost_from` up to `lost_until` (not itself) were
    signed once and are gone.
    """

    epoch: int
    key: str
    cause: str
    before: str
    root: Digest
    lost_from: int = 0
    lost_until: int = 0
