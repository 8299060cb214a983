"""The heads map: what the newest entry of every stream is, and that there is no other stream.

Keeps: one leaf a stream, sorted by SHA-256 of the stream's name; leaf = that key and canonical
JSON of {i, leaf, n, state}; the tree over the leaves is the one of `merkle`. A stream is shown by
its inclusion proof, its absence by two neighbours. Does not: know entries.
Source: docs/formats/heads-map.md.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left

import msgspec

from surefoot.trust import merkle


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A stream's newest entry: tree position, leaf hash as 64 hex digits, n, state's digest."""

    i: int
    leaf: str
    n: int
    state: str


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One leaf of the map (its exact bytes), where it stands, and its inclusion proof."""

    leaf: bytes
    index: int
    proof: tuple[bytes, ...]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Proof about one stream: itself when `present`, else its neighbours below and above."""

    streams: int
    present: Place | None = None
    below: Place | None = None
    above: Place | None = None


def key_of(stream: str) -> bytes:
    """The stream's place in the order."""
    return hashlib.sha256(stream.encode()).digest()


def leaf_of(stream: str, head: Head) -> bytes:
    """Exact bytes of the stream's leaf; its texts are hex digits, so nothing needs escaping."""
    content = f'{{"i":{head.i},"leaf":"{head.leaf}","n":{head.n},"state":"{head.state}"}}'
    return key_of(stream) + content.encode()


class HeadsMap:
    """The map, kept with all its nodes: a changed head costs one path, a new stream a rebuild."""

    def __init__(self) -> None:
        self.heads: dict[str, Head] = {}
        self._keys: list[bytes] = []
        self._leaves: dict[bytes, bytes] = {}
        self._rows: list[list[bytes]] = [[]]
        self._rebuild = False

    def set(self, stream: str, head: Head) -> None:
        """Put the stream's newest head."""
        known = stream in self.heads
        key, leaf = key_of(stream), leaf_of(stream, head)
        self.heads[stream] = head
        self._leaves[key] = leaf
        if not known:
            self._keys.insert(bisect_left(self._keys, key), key)
            self._rebuild = True
        elif not self._rebuild:
            self._climb(bisect_left(self._keys, key), merkle.leaf_hash(leaf))

    def root(self) -> bytes:
        """Root of the map; the empty tree's root when there is no stream."""
        self._settle()
        return self._rows[-1][0] if self._keys else merkle.EMPTY_ROOT

    def answer(self, stream: str) -> Answer:
        """Proof of the stream's head, or that there is no such stream."""
        self._settle()
        tree = merkle.Tree(self._rows[0])
        place = bisect_left(self._keys, key_of(stream))
        if stream in self.heads:
            return Answer(streams=tree.size, present=self._place(tree, place))
        return Answer(
            streams=tree.size,
            below=self._place(tree, place - 1) if place else None,
            above=self._place(tree, place) if place < tree.size else None,
        )

    def _place(self, tree: merkle.Tree, index: int) -> Place:
        leaf = self._leaves[self._keys[index]]
        return Place(leaf=leaf, index=index, proof=tuple(tree.inclusion(index)))

    def _settle(self) -> None:
        if not self._rebuild:
            return
        row = [merkle.leaf_hash(self._leaves[key]) for key in self._keys]
        self._rows = [row]
        while len(row) > 1:
            row = [_pair(row, place) for place in range(0, len(row), 2)]
            self._rows.append(row)
        self._rebuild = False

    def _climb(self, index: int, node: bytes) -> None:
        self._rows[0][index] = node
        for below, row in zip(self._rows, self._rows[1:], strict=False):
            index >>= 1
            row[index] = _pair(below, index * 2)


def verify_present(stream: str, head: Head, answer: Answer, root: bytes) -> bool:
    """True when the answer shows this head for this stream under the map's root."""
    place = answer.present
    if place is None or place.leaf != leaf_of(stream, head):
        return False
    return _holds(place, answer.streams, root)


def verify_absent(stream: str, answer: Answer, root: bytes) -> bool:
    """True when the answer shows that the map has no such stream."""
    below, above, size, key = answer.below, answer.above, answer.streams, key_of(stream)
    if answer.present is not None:
        return False
    if size == 0:
        return below is None and above is None and root == merkle.EMPTY_ROOT
    if (below is None and above is None) or size < 0:
        return False
    if below is None and above is not None and above.index != 0:
        return False
    if above is None and below is not None and below.index != size - 1:
        return False
    if below is not None and above is not None and above.index != below.index + 1:
        return False
    if below is not None and not (below.leaf[:32] < key and _holds(below, size, root)):
        return False
    return above is None or (key < above.leaf[:32] and _holds(above, size, root))


def _holds(place: Place, size: int, root: bytes) -> bool:
    leaf = merkle.leaf_hash(place.leaf)
    return merkle.verify_inclusion(leaf, place.index, size, place.proof, root)


def _pair(row: list[bytes], place: int) -> bytes:
    """The node above two neighbours; the last one without a neighbour moves up as it is."""
    if place + 1 == len(row):
        return row[place]
    return merkle.node_hash(row[place], row[place + 1])
