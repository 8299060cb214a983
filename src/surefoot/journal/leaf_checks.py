"""What can be said of each leaf alone, for a process of its own beside a verification.

Keeps: a leaf's canonical form, its row's columns and its state are checked as the verification
itself would; the answer is the hashes of the leaves that are sound, and nothing when any is not,
the process ended early or could not start. Whoever asks then verifies everything in one pass, so
what is bad is always named by that pass. Does not: check what holds between leaves, write, or
start the process.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Protocol

import msgspec

from surefoot.core.errors import SurefootError
from surefoot.journal.source import Row, Source
from surefoot.trust.digest import Digest, digest_of
from surefoot.trust.entry import SEAL, Entry, NotAnEntry, Seal, parse
from surefoot.trust.merkle import leaf_hash
from surefoot.trust.note import NotANote, parse_checkpoint

WORTH_LEAVES = 50_000
"""A smaller journal is verified sooner than another process has started."""

Again = Callable[[], Source]
"""Opens the source of a verification once more, in the process where it is called."""
Begin = Callable[[], "Checks"]
"""Starts the process; the room that may start processes gives it (`compose`)."""


class Sound(msgspec.Struct, frozen=True):
    """The hashes of the sound leaves one after the other, and how many states were read with them.

    The hashes bind the answer to the leaves that the verification itself read.
    """

    leaves: bytes
    states: int


def is_large(source: Source) -> bool:
    """Whether the newest checkpoint speaks of so many leaves that two processes are faster."""
    try:
        note = source.checkpoint() or ""
        return parse_checkpoint(note.partition("\n\n")[0] + "\n").size >= WORTH_LEAVES
    except (NotANote, SurefootError):
        return False


class Checks(Protocol):
    """The process, running; leaving the context ends it."""

    def __enter__(self) -> Checks: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def sound(self) -> Sound | None:
        """Waits for the answer; None unless all leaves are sound."""


def check_leaves(again: Again) -> Sound | None:
    """Read and check all leaves; None when one of them is not sound."""
    source, states, hashes = again(), 0, bytearray()
    shared: set[Digest] = set()
    for row in source.rows_with_states():
        try:
            leaf = parse(row.index, row.raw)
        except NotAnEntry:
            return None
        if row.columns is not None and row.columns != columns_of(leaf):
            return None
        hashes += leaf_hash(row.raw)
        if isinstance(leaf, Entry) and leaf.state not in shared:
            if not _state_is_right(source, row, leaf):
                return None
            states += 1
            if row.columns is None:
                shared.add(leaf.state)
    return Sound(bytes(hashes), states)


def _state_is_right(source: Source, row: Row, entry: Entry) -> bool:
    content = source.state(entry) if row.state is None else row.state
    return content is not None and digest_of(content) == entry.state


def columns_of(leaf: Entry | Seal) -> tuple[str | None, int | None, str, int]:
    """What the database says of a leaf beside its bytes: stream, n, kind, time."""
    if isinstance(leaf, Seal):
        return (None, None, SEAL, leaf.time_ms)
    return (leaf.stream, leaf.n, leaf.kind, leaf.time_ms)
