"""What the journal's writer keeps in memory: the tree, the heads and the folded world.

Keeps: it is always the fold of a prefix of the stored leaves, read in order and checked by the
rules between leaves; at the end the whole tree's root is compared with the stored head, so one
changed byte is seen. Does not: write, or look into seals (verify does).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from surefoot.core.errors import Corrupt
from surefoot.journal.leaf_checks import columns_of
from surefoot.journal.seal import Folding
from surefoot.journal.source import Row, Source
from surefoot.trust.chain import Broken, Chain
from surefoot.trust.entry import Entry, NotAnEntry, Seal, read_stored
from surefoot.trust.merkle import leaf_hash
from surefoot.trust.note import Checkpoint, NotANote, VerifierKey, open_checkpoint

W = TypeVar("W", bound=Folding)

_REMEDY = "the journal is read-only: run journal verify, keep a copy, and restore the newest backup"


class Memory(Generic[W]):
    """Tree, heads and world up to the same leaf.

    The rows of the first `unread` leaves were not read to make it: a snapshot gave their hashes.
    """

    def __init__(self, world: W) -> None:
        self.world = world
        self.chain = Chain(seals=False)
        self.signed_size = -1
        self.unread = 0
        self._reread = 0

    def catch_up(self, source: Source) -> None:
        """Take what is stored and not yet folded, then compare with the stored head.

        Raises `Corrupt`; the memory is then of no more use.
        """
        head = _head(source)
        while head[0] != self.chain.size:
            before = self.chain.size
            beyond = self._take_below(source, head[0])
            if self.chain.size == before or (beyond and _head(source) == head):
                subject, expected = "tail of the journal", f"{head[0]} leaves"
                found = f"{self.chain.size} leaves" + (" and more beyond" if beyond else "")
                raise _corrupt("journal.head.differs", subject, expected, found)
            head = _head(source)
        self._compare_head(head)

    def take(self, row: Row) -> Entry | Seal:
        """Fold one stored leaf, and return it. Raises `Corrupt`."""
        subject = f"leaf {row.index} of the journal"
        try:
            leaf = read_stored(row.index, row.raw)
            self.chain.add(leaf)
        except NotAnEntry as error:
            raise _corrupt("journal.entry.malformed", subject, "an entry", str(error)) from error
        except Broken as error:
            raise _corrupt(error.code, subject, error.expected, error.found) from error
        if row.columns is not None and row.columns != columns_of(leaf):
            expected, found = str(columns_of(leaf)), str(row.columns)
            raise _corrupt("journal.row.differs", subject, expected, found)
        if isinstance(leaf, Entry):
            self._fold(leaf, subject)
        return leaf

    def recheck(self, source: Source, limit: int) -> bool:
        """Compare the next unread rows with the tree; True while there are more.

        Raises `Corrupt` for a row that is not what its leaf hash was made of. May be called beside
        the writer: leaves that are in the tree never change.
        """
        end = min(self.unread, self._reread + limit)
        for row in source.rows(self._reread):
            if row.index >= end:
                break
            self._compare_row(row)
            self._reread = row.index + 1
        if self._reread < end:
            subject, found = "tail of the journal", f"{self._reread} leaves"
            raise _corrupt("journal.head.differs", subject, f"{end} leaves", found)
        return self._reread < self.unread

    def _compare_row(self, row: Row) -> None:
        subject = f"leaf {row.index} of the journal"
        expected, found = self.chain.tree.leaf(self._reread).hex(), leaf_hash(row.raw).hex()
        if row.index != self._reread or found != expected:
            raise _corrupt("journal.root.differs", subject, expected, found)
        columns = columns_of(read_stored(row.index, row.raw))
        if row.columns is not None and row.columns != columns:
            raise _corrupt("journal.row.differs", subject, str(columns), str(row.columns))

    def compare(self, checkpoint: Checkpoint, subject: str) -> None:
        """Raise `Corrupt` unless the tree begins with what the checkpoint says."""
        size = self.chain.size
        if checkpoint.size > size:
            found = f"{size} leaves: the last {checkpoint.size - size} are missing"
            raise _corrupt("journal.tail.missing", subject, f"{checkpoint.size} leaves", found)
        found = self.chain.tree.root(checkpoint.size).hex()
        if found != checkpoint.root.hex():
            raise _corrupt("journal.root.differs", subject, checkpoint.root.hex(), found)

    def opened(self, note: str | None, keys: Sequence[VerifierKey]) -> Checkpoint | None:
        """A checkpoint from the database, opened and compared. Raises `Corrupt`."""
        if note is None:
            return None
        try:
            checkpoint = open_checkpoint(note, *keys)
        except NotANote as error:
            expected = f"a signature by {keys[0].text()}"
            subject = "newest checkpoint"
            raise _corrupt("journal.checkpoint.signature", subject, expected, str(error)) from error
        self.compare(checkpoint, "newest checkpoint")
        return checkpoint

    def _take_below(self, source: Source, size: int) -> bool:
        """Take leaves up to a size; True when there were more, as while another process writes."""
        for row in source.rows(self.chain.size):
            if row.index >= size:
                return True
            self.take(row)
        return False

    def _fold(self, entry: Entry, subject: str) -> None:
        """A stored entry that does not fold is a changed entry, or our own mistake."""
        try:
            self.world.apply(entry)
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
            raise _corrupt("journal.entry.fold", subject, "an entry to fold", found) from error

    def _compare_head(self, head: tuple[int, str]) -> None:
        size = self.chain.size
        found = (size, self.chain.tree.root().hex() if size else "")
        if head != found:
            subject, expected = "head of the journal", f"size {head[0]}, root {head[1]}"
            raise _corrupt(
                "journal.head.differs", subject, expected, f"size {size}, root {found[1]}"
            )


def _head(source: Source) -> tuple[int, str]:
    head = source.head()
    if head is None:
        raise _corrupt("journal.head.differs", "head of the journal", "a row", "none")
    return head


def load(source: Source, world: W, first_bad: int) -> Memory[W]:
    """Fold the stored leaves before the first bad one (all when it is -1) as far as they go."""
    memory = Memory(world)
    for row in source.rows():
        if row.index == first_bad:
            break
        try:
            memory.take(row)
        except Corrupt:
            break
    return memory


def _corrupt(code: str, subject: str, expected: str, found: str) -> Corrupt:
    return Corrupt(code, subject, expected=expected, found=found, remedy=_REMEDY)
