"""What a verified bundle shows, and whose keys stand behind it.

Does not: verify. Source: docs/formats/proof.md.
"""

from __future__ import annotations

import msgspec

from surefoot.trust.entry import Entry, Plain
from surefoot.trust.evidence import Shown


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """One end of the bracket: a signed tree (root in hex), the time its seal says, and who signed.

    `witnessed_s` is when witnesses had made the quorum, in seconds, 0 when none did. Names are the
    root's; `anchored` says that the log's post-quantum key signed too.
    """

    size: int
    root: str
    time_ms: int
    log_key: str
    witnessed_s: int = 0
    witnesses: tuple[str, ...] = ()
    auditors: tuple[str, ...] = ()
    anchored: bool = False


class Proved(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle shows. `entry` and `state` are None when the stream did not exist then.

    `changes` counts the stream's entries between the two checkpoints. Without `after` the journal
    had nothing later, and the time shown is the one of its newest seal. `pinned` says whether the
    key was the caller's own; otherwise it is the bundle's, and nothing vouches for it. For a claim
    about a release, `entry` and `state` are those in force at the end. `root_version` is 0 without
    a root.
    """

    stream: str
    from_ms: int
    until_ms: int
    release: str
    entry: Entry | None
    state: Plain | None
    before: Edge | None
    after: Edge | None
    changes: int
    key: str
    pinned: bool
    root_version: int
    evidence: tuple[Shown, ...]
    tool: str

    @property
    def witnessed(self) -> bool:
        """Whether a quorum of witnesses signed each checkpoint that is shown."""
        return all(edge.witnessed_s for edge in (self.before, self.after) if edge)

    @property
    def audited(self) -> bool:
        """Whether an auditor signed the later checkpoint: it has recomputed all maps up to it."""
        edge = self.after or self.before
        return edge is not None and bool(edge.auditors)

    @property
    def backed_by(self) -> str:
        """The class of key: `log`, `witnesses`, `auditor` or `witnesses and auditor`."""
        classes = ["witnesses"] * self.witnessed + ["auditor"] * self.audited
        return " and ".join(classes) or "log"
