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


class Head(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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
    """Exact bytes of the stream's leaf."""
    return key_of(stream) + content_of(head)


def content_of(head: Head) -> bytes:
    """The leaf's bytes behind its key; its texts are hex digits, so nothing needs escaping."""
    content = f'{{"i":{head.i},"leaf":"{head.leaf}","n":{head.n},"state":"{head.state}"}}'
    return content.encode()


class HeadsMap:
    """The map with all its nodes: root and proofs compute what changed since they were asked last.

    A changed head costs its path, a new stream the nodes to the right of its place.
    """

    def __init__(self) -> None:
        self.heads: dict[str, Head] = {}
        self._keys: list[bytes] = []
        self._streams: dict[bytes, str] = {}
        self._key_of: dict[str, bytes] = {}
        self._hashes: dict[bytes, bytes] = {}
        self._rows: list[bytearray] = [bytearray()]
        self._changed: set[str] = set()

    def set(self, stream: str, head: Head) -> None:
        """Put the stream's newest head."""
        self.heads[stream] = head
        self._changed.add(stream)

    def root(self) -> bytes:
        """Root of the map; the empty tree's root when there is no stream."""
        self._settle()
        return bytes(self._rows[-1]) if self._keys else merkle.EMPTY_ROOT

    def answer(self, stream: str) -> Answer:
        """Proof of the stream's head, or that there is no such stream."""
        self._settle()
        size, place = len(self._keys), bisect_left(self._keys, key_of(stream))
        if stream in self.heads:
            return Answer(streams=size, present=self._place(place))
        return Answer(
            streams=size,
            below=self._place(place - 1) if place else None,
            above=self._place(place) if place < size else None,
        )

    def _place(self, index: int) -> Place:
        stream = self._streams[self._keys[index]]
        leaf, proof, at = leaf_of(stream, self.heads[stream]), [], index
        for row in self._rows[:-1]:
            if sibling := _node(row, at ^ 1):
                proof.append(sibling)
            at >>= 1
        return Place(leaf=leaf, index=index, proof=tuple(proof))

    def _settle(self) -> None:
        if not self._changed:
            return
        keys, new = [], []
        for stream in self._changed:
            key = self._key_of.get(stream)
            if key is None:
                key = self._key_of[stream] = key_of(stream)
                new.append(key)
                self._streams[key] = stream
            keys.append(key)
            self._hashes[key] = merkle.leaf_hash(key + content_of(self.heads[stream]))
        self._changed.clear()
        if new:
            self._keys = sorted(self._keys + new)
        if new or len(keys) * 8 > len(self._keys):
            self._rebuild(bisect_left(self._keys, min(keys)))
        else:
            self._climb(keys)

    def _rebuild(self, first: int) -> None:
        """Compute anew what is above the leaves from the place `first` on."""
        row, level = self._rows[0], 0
        row[first * merkle.HASH_BYTES :] = b"".join(self._hashes[key] for key in self._keys[first:])
        while len(row) > merkle.HASH_BYTES:
            first, level = first >> 1, level + 1
            if level == len(self._rows):
                self._rows.append(bytearray())
            above = self._rows[level]
            above[first * merkle.HASH_BYTES :] = merkle.parents(row, first) + _lonely(row)
            row = above

    def _climb(self, keys: list[bytes]) -> None:
        """Compute anew the paths of these leaves, shared nodes once."""
        sha256 = hashlib.sha256
        changed = {bisect_left(self._keys, key): self._hashes[key] for key in keys}
        for row in self._rows:
            for place, node in changed.items():
                row[place * 32 : place * 32 + 32] = node
            above = {}
            for pair in {place >> 1 for place in changed}:
                both = row[pair * 64 : pair * 64 + 64]
                # The last one without a neighbour moves up as it is.
                whole = len(both) == 64
                above[pair] = sha256(b"\x01" + both).digest() if whole else bytes(both)
            changed = above


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


def _node(row: bytearray, place: int) -> bytes:
    """The node at this place of a row, empty when there is none."""
    return bytes(row[place * merkle.HASH_BYTES : (place + 1) * merkle.HASH_BYTES])


def _lonely(row: bytearray) -> bytearray:
    """The last node of a row when it has no neighbour."""
    return row[-merkle.HASH_BYTES :] if len(row) & merkle.HASH_BYTES else bytearray()
