"""The Merkle tree of RFC 6962 and RFC 9162: roots, inclusion and consistency proofs.

Keeps: a leaf hash is SHA-256 of 0x00 and the leaf, a node hash SHA-256 of 0x01 and its children;
proofs are in the order of the RFC, from the leaf up. A verifier raises nothing: it says True or
False for any input. Does not: store anything. Source: RFC 6962 section 2.1, RFC 9162 section 2.1.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()
HASH_BYTES = 32


def leaf_hash(leaf: bytes) -> bytes:
    """Hash of a leaf's bytes."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def parents(row: bytearray, first: int = 0) -> bytearray:
    """The nodes above a row's complete pairs, from the pair `first` on."""
    sha256, content = hashlib.sha256, bytes(row)
    ends = range(first * 64 + 64, len(content) + 1, 64)
    return bytearray().join([sha256(b"\x01" + content[at - 64 : at]).digest() for at in ends])


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Root over leaf hashes."""
    return Tree(leaves).root()


def cover(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The largest whole subtrees that lie between two places, from the left: where each begins and
    ends."""
    while start < end:
        width = 1 << ((end - start).bit_length() - 1)
        stop = start + (min(width, start & -start) if start else width)
        yield start, stop
        start = stop


class _Ranges(ABC):
    """Inclusion and consistency proofs, for whatever knows the hash over a range of leaves."""

    @abstractmethod
    def _range(self, start: int, end: int) -> bytes:
        """The hash over the leaves from start up to end, a range that such a tree splits into."""

    def _path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        split = start + _split(end - start)
        if index < split:
            return [*self._path(index, start, split), self._range(split, end)]
        return [*self._path(index, split, end), self._range(start, split)]

    def _subproof(self, old: int, start: int, end: int, *, whole: bool) -> list[bytes]:
        if old == end:
            return [] if whole else [self._range(start, end)]
        split = start + _split(end - start)
        if old <= split:
            rest = self._subproof(old, start, split, whole=whole)
            return [*rest, self._range(split, end)]
        rest = self._subproof(old, split, end, whole=False)
        return [*rest, self._range(start, split)]


class Partial(_Ranges):
    """A tree of which only some ranges are known: put leaves, and subtrees that lie between them.

    Where a range is asked for that does not follow from those put, `IndexError` is raised.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], bytes] = {}

    def put(self, start: int, end: int, node: bytes) -> None:
        """The hash over the leaves from start up to end."""
        self._known[start, end] = node

    def root(self, size: int) -> bytes:
        """Root of the first `size` leaves."""
        return self._range(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Proof that the leaf at `index` is in the tree of `size`."""
        if not 0 <= index < size:
            raise IndexError(index)
        return self._path(index, 0, size)

    def consistency(self, old: int, size: int) -> list[bytes]:
        """Proof that the tree of `size` begins with the tree of `old`."""
        if not 0 < old <= size:
            raise IndexError(old)
        return self._subproof(old, 0, size, whole=True)

    def _range(self, start: int, end: int) -> bytes:
        found = self._known.get((start, end))
        if found is None:
            if end - start < 2:
                raise IndexError(start)
            split = start + _split(end - start)
            found = node_hash(self._range(start, split), self._range(split, end))
            self._known[start, end] = found
        return found


class Tree(_Ranges):
    """A tree that only grows; it keeps the hash of every complete subtree in memory.

    `levels[k]` is the nodes of level k one after the other, 32 bytes each; node i covers the leaves
    from i*2^k up to (i+1)*2^k. 64 bytes a leaf.
    """

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.levels: list[bytearray] = [bytearray()]
        for leaf in leaves:
            self.append(leaf)

    @classmethod
    def of_leaves(cls, leaves: bytes) -> Tree:
        """The tree over leaf hashes that stand one after the other; several times faster."""
        tree, row = cls(), bytearray(leaves)
        tree.levels = [row]
        while len(row) >= 2 * HASH_BYTES:
            row = parents(row)
            tree.levels.append(row)
        return tree

    @property
    def size(self) -> int:
        """Number of leaves."""
        return len(self.levels[0]) // HASH_BYTES

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash and the subtrees that it completes."""
        node = leaf
        for row in self.levels:
            row += node
            if len(row) & HASH_BYTES:
                return
            node = hashlib.sha256(b"\x01" + row[-64:]).digest()
        self.levels.append(bytearray(node))

    def leaf(self, index: int) -> bytes:
        """The leaf hash at this position."""
        return self._node(0, index)

    def root(self, size: int | None = None) -> bytes:
        """Root of the first `size` leaves, of all by default."""
        size = self._bounded(size)
        return self._range(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Proof that the leaf at `index` is in the tree of `size`. Raises `IndexError`."""
        size = self._bounded(size)
        if not 0 <= index < size:
            raise IndexError(index)
        return self._path(index, 0, size)

    def consistency(self, old: int, size: int | None = None) -> list[bytes]:
        """Proof that the tree of `size` begins with the tree of `old`. Raises `IndexError`."""
        size = self._bounded(size)
        if not 0 < old <= size:
            raise IndexError(old)
        return self._subproof(old, 0, size, whole=True)

    def between(self, start: int, end: int) -> list[bytes]:
        """The largest whole subtrees between two places. Raises `IndexError`."""
        return [self._range(*place) for place in cover(start, self._bounded(end))]

    def _bounded(self, size: int | None) -> int:
        if size is None:
            return self.size
        if not 0 <= size <= self.size:
            raise IndexError(size)
        return size

    def _node(self, level: int, place: int) -> bytes:
        found = bytes(self.levels[level][place * HASH_BYTES : (place + 1) * HASH_BYTES])
        if len(found) != HASH_BYTES:
            raise IndexError(place)
        return found

    def _range(self, start: int, end: int) -> bytes:
        width = end - start
        level = width.bit_length() - 1
        if width == 1 << level:
            return self._node(level, start >> level)
        split = start + (1 << level)
        return node_hash(self._range(start, split), self._range(split, end))


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """True when the proof shows the leaf hash at `index` of the tree (RFC 9162, 2.1.3.2)."""
    return root_by(leaf, index, size, proof) == root


def root_by(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion proof comes to; None when it is none for that place."""
    if not 0 <= index < size or not _hashes(proof) or len(leaf) != HASH_BYTES:
        return None
    first, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return None
        if first & 1 or first == last:
            found = node_hash(sibling, found)
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        first, last = first >> 1, last >> 1
    return found if last == 0 else None


def verify_consistency(
    old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]
) -> bool:
    """True when the proof shows that the larger tree begins with the smaller (RFC 9162, 2.1.4.2).

    A tree of size 0 begins every tree, with an empty proof.
    """
    if not 0 <= old <= size or not _hashes(proof):
        return False
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    if old == size:
        return not proof and old_root == root
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    return _walk(old, size, path) == (old_root, root)


def _walk(old: int, size: int, path: list[bytes]) -> tuple[bytes, bytes] | None:
    first, last = old - 1, size - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    old_found = found = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if first & 1 or first == last:
            old_found = node_hash(sibling, old_found)
            found = node_hash(sibling, found)
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        first, last = first >> 1, last >> 1
    return (old_found, found) if last == 0 else None


def _hashes(proof: Sequence[bytes]) -> bool:
    return len(proof) <= 64 and all(len(node) == HASH_BYTES for node in proof)


def _split(width: int) -> int:
    return 1 << ((width - 1).bit_length() - 1)
