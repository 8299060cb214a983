"""The rules that hold between the leaves of a journal, checked leaf by leaf.

Keeps: positions without gaps; in each stream n from 0 without gaps and `prev` the leaf hash before;
times that never decrease; a seal that covers all leaves before it, with their root, the heads map's
root and the number of streams. Does not: read, sign or fold.
"""

from __future__ import annotations

from surefoot.trust.entry import Entry, Seal
from surefoot.trust.heads import Head, HeadsMap
from surefoot.trust.merkle import Tree, leaf_hash


class Broken(ValueError):
    """A leaf that breaks a rule: which rule, at which position, expected and found."""

    def __init__(self, code: str, index: int, expected: str, found: str) -> None:
        super().__init__(f"leaf {index}: {code}: expected {expected}, found {found}")
        self.code = code
        self.index = index
        self.expected = expected
        self.found = found


class Chain:
    """The tree and the heads of a journal up to some leaf.

    With `seals` False the content of seals is taken as it is, which is enough (and fast) where the
    whole tree's root is compared with a signed one afterwards.
    """

    def __init__(self, *, seals: bool = True) -> None:
        self.tree = Tree()
        self.heads = HeadsMap()
        self.time_ms = 0
        self.last_seal = -1
        self._seals = seals

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self.tree.size

    def next_in(self, stream: str) -> tuple[int, str | None]:
        """`n` and `prev` of the stream's next entry."""
        head = self.heads.heads.get(stream)
        return (0, None) if head is None else (head.n + 1, head.leaf)

    def add(self, leaf: Entry | Seal) -> None:
        """Take the next leaf. Raises `Broken`; the chain is then of no more use."""
        size = self.tree.size
        if leaf.index != size:
            raise Broken("journal.entry.missing", size, str(size), str(leaf.index))
        if leaf.time_ms < self.time_ms:
            raise Broken(
                "journal.entry.time", leaf.index, f"at least {self.time_ms}", str(leaf.time_ms)
            )
        self.time_ms = leaf.time_ms
        if isinstance(leaf, Seal):
            self._add_seal(leaf)
        else:
            self._add_entry(leaf)

    def seal(self, time_ms: int, clamped_ms: int) -> Seal:
        """The seal of all leaves so far, without its bytes."""
        return Seal(
            index=self.size,
            covers=self.size,
            root=self.tree.root().hex(),
            heads=self.heads.root().hex(),
            streams=len(self.heads.heads),
            time_ms=time_ms,
            clamped_ms=clamped_ms,
        )

    def _add_entry(self, entry: Entry) -> None:
        n, prev = self.next_in(entry.stream)
        if entry.n != n:
            found = f"{entry.stream} n={entry.n}"
            raise Broken("journal.stream.gap", entry.index, f"n={n}", found)
        if entry.prev != prev:
            raise Broken("journal.stream.prev", entry.index, str(prev), str(entry.prev))
        leaf = leaf_hash(entry.raw)
        self.tree.append(leaf)
        head = Head(i=entry.index, leaf=leaf.hex(), n=entry.n, state=entry.state)
        self.heads.set(entry.stream, head)

    def _add_seal(self, seal: Seal) -> None:
        if seal.covers != seal.index:
            raise Broken("journal.seal.covers", seal.index, str(seal.index), str(seal.covers))
        if self._seals:
            self._check_seal(seal)
        self.tree.append(leaf_hash(seal.raw))
        self.last_seal = seal.index

    def _check_seal(self, seal: Seal) -> None:
        expected = self.seal(seal.time_ms, seal.clamped_ms)
        leaves = f"leaves {self.last_seal + 1} to {seal.index - 1}"
        for code, want, found in (
            ("journal.seal.root", expected.root, seal.root),
            ("journal.seal.heads", expected.heads, seal.heads),
            ("journal.seal.streams", str(expected.streams), str(seal.streams)),
        ):
            if want != found:
                raise Broken(code, self.last_seal + 1, f"{found} over {leaves}", want)
