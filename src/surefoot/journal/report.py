"""What a verification found: counts, and everything that is not as it must be.

Does not: verify.
"""

from __future__ import annotations

import msgspec

from surefoot.core.errors import Corrupt

_CHANGED = (
    "the journal is read-only from here: keep a copy of it as it is, compare it "
    "with an export or a backup, and find out who changed it"
)
_LATE = (
    "nothing is signed: put a newer copy of the database back, or what an export has: "
    "surefoot journal recover --mirror EXPORT"
)


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it must be. `index` is a position in the tree, -1 for none."""

    code: str
    subject: str
    expected: str
    found: str
    index: int = -1


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was verified. `problems` is empty when all is well; the first is the first bad thing.

    `orphans` counts claims without a result, those of acts under way included: no fault of the
    journal, but somebody may have acted and nobody said what came of it. `rules` counts entries
    compared with the rules; `cosigned` says who else signed the newest checkpoint.
    """

    origin: str
    size: int
    root: str
    entries: int
    seals: int
    streams: int
    states: int
    checkpoint_size: int
    replayed: bool
    signatures: int = 0
    rules: int = 0
    orphans: int = 0
    epochs: tuple[str, ...] = ()
    cosigned: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """True when nothing bad was found."""
        return not self.problems

    def error(self) -> Corrupt | None:
        """The first problem as an error."""
        if not self.problems:
            return None
        first = self.problems[0]
        return Corrupt(
            first.code,
            first.subject,
            expected=first.expected,
            found=first.found,
            remedy=_LATE if first.code == "journal.tail.missing" else _CHANGED,
        )
