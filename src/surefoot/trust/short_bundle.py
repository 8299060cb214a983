"""The short form of a proof bundle: what follows from the rest is left out, and is put back here.

Keeps: what is put back is believed no more than what was given: all is verified as if it had stood
in the bundle. A bundle has one spelling: each hash given is needed, and none that follows from
others is taken. Left out are the heads (the first and the last entry of the chain say them), what a
seal says of its tree and of its heads map, and of all hash paths in the trees everything but the
largest subtrees between the leaves that are shown; a second path in the heads map begins with the
first hash that differs from the first path's.
Does not: verify. Source: docs/formats/proof.md, "The short form".
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from surefoot.trust import canonical, merkle
from surefoot.trust.entry import Entry, NotAnEntry, Plain, parse
from surefoot.trust.form import (
    NotProved,
    check_members,
    decoded,
    hashes_of,
    joined,
    list_of,
    malformed,
    number_of,
    object_of,
    text_of,
)
from surefoot.trust.heads import Head, leaf_of
from surefoot.trust.note import NotANote, parse_checkpoint, split_note

FORMAT = "surefoot-proof/2"
WHOLE = "surefoot-proof/1"

_HASHES_MAX = 380_000
_SIDES = ("before", "after")


class _Side(msgspec.Struct, kw_only=True):
    """One end of the bracket: the size of its tree, and what stands in the bundle."""

    size: int
    checkpoint: str
    seal: Plain
    map: Plain


class _Item(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that is shown: its place, its bytes, and the object it stands in."""

    index: int
    raw: bytes
    fields: Plain


def expanded(fields: Plain) -> Plain:
    """The whole bundle that a short one stands for. Raises `NotProved`."""
    if "tree" not in fields or "consistency" in fields:
        raise malformed("bundle", "a tree, and no consistency proof", "another form")
    stream = text_of(fields.get("stream"), "stream", 200)
    sides = {name: _side(fields[name], name) for name in _SIDES if name in fields}
    chain = [_item(link, "chain", "i", "raw") for link in list_of(fields.get("chain"), "chain")]
    listed = list_of(fields.get("evidence", []), "evidence")
    exhibits = [_item(each, "evidence", "i", "raw", "texts") for each in listed]
    # The map binds the head before: it needs no place in the tree.
    bound = int("before" in sides and "index" in sides["before"].map)
    tree = _Tree(hashes_of(fields["tree"], "tree", _HASHES_MAX), [*chain[bound:], *exhibits])
    whole = {name: value for name, value in fields.items() if name != "tree"}
    earlier: _Side | None = None
    for name, side in sides.items():
        ends = chain[:1] if name == "before" else chain[-1:]
        whole[name] = _whole(stream, side, earlier, ends, tree)
        earlier = side
    tree.check_used()
    whole["format"] = WHOLE
    whole["chain"] = [*(link.fields for link in chain[:bound]), *map(tree.proved, chain[bound:])]
    if "evidence" in fields:
        whole["evidence"] = [tree.proved(each) for each in exhibits]
    if len(sides) == len(_SIDES):
        sizes = [side.size for side in sides.values()]
        whole["consistency"] = joined(tree.nodes.consistency(*sizes))
    return whole


class _Tree:
    """The newest tree, from the left: leaves that are shown, and the subtrees between them."""

    def __init__(self, hashes: Sequence[bytes], items: Sequence[_Item]) -> None:
        self.nodes = merkle.Partial()
        self._hashes = hashes
        self._used = 0
        self._size = 0
        self._items = sorted(items, key=lambda item: item.index)
        self._shown = 0

    def go_on(self, end: int) -> None:
        """Take all that lies before this place. Raises `NotProved`."""
        while self._shown < len(self._items) and self._items[self._shown].index < end:
            item = self._items[self._shown]
            self._shown += 1
            # An entry may be shown twice; that both are the one in the tree is verified later.
            if item.index != self._size - 1:
                self._take(item.index)
                self.add(merkle.leaf_hash(item.raw))
        self._take(end)

    def add(self, leaf: bytes) -> None:
        """Take the next leaf."""
        self.nodes.put(self._size, self._size + 1, leaf)
        self._size += 1

    def check_used(self) -> None:
        """Nothing is left over. Raises `NotProved`."""
        if self._used != len(self._hashes) or self._shown != len(self._items):
            raise malformed("tree", f"{self._used} hashes, entries before the last seal", "more")

    def proved(self, item: _Item) -> Plain:
        """The object with the entry's inclusion proof."""
        return {**item.fields, "proof": joined(self.nodes.inclusion(item.index, self._size))}

    def _take(self, end: int) -> None:
        if end < self._size:
            raise malformed("tree", f"a place from {self._size} on", str(end))
        for place in merkle.cover(self._size, end):
            if self._used == len(self._hashes):
                raise malformed("tree", "a hash for every subtree between", f"{self._used} hashes")
            self.nodes.put(*place, self._hashes[self._used])
            self._used += 1
        self._size = end


def _whole(
    stream: str, side: _Side, earlier: _Side | None, ends: Sequence[_Item], tree: _Tree
) -> Plain:
    """The side with its seal, the seal's path, the head and the head's whole path in the map."""
    head = _head(ends) if "index" in side.map else None
    if earlier is not None and _same_place(side, earlier):
        side.map["proof"] = joined(_path(side, earlier))
    index = side.size - 1
    tree.go_on(index)
    seal = {**side.seal, "covers": index, "kind": "seal", "v": 1}
    seal |= {"root": tree.nodes.root(index).hex(), "heads": _heads(stream, side, head).hex()}
    raw = canonical.encode(seal)
    tree.add(merkle.leaf_hash(raw))
    whole: Plain = {"checkpoint": side.checkpoint, "map": side.map, "seal": raw.decode()}
    whole["seal_proof"] = joined(tree.nodes.inclusion(index, side.size))
    if head is not None:
        whole["head"] = msgspec.to_builtins(head)
    return whole


def _head(ends: Sequence[_Item]) -> Head:
    """The head that this entry is."""
    if not ends:
        raise malformed("chain", "the entry that the heads map has", "none")
    raw, index = ends[0].raw, ends[0].index
    try:
        entry = parse(index, raw)
    except NotAnEntry as error:
        raise _no_entry(index, str(error)) from None
    if not isinstance(entry, Entry):
        raise _no_entry(index, "a seal")
    return Head(i=index, leaf=merkle.leaf_hash(raw).hex(), n=entry.n, state=entry.state)


def _same_place(side: _Side, earlier: _Side) -> bool:
    """True when both show a head, at the same place of a map of the same size."""
    places = [(each.map.get("index"), each.seal["streams"]) for each in (side, earlier)]
    return "index" in side.map and places[0] == places[1]


def _path(side: _Side, earlier: _Side) -> tuple[bytes, ...]:
    """The later path, before which stands what it has in common with the earlier one."""
    mine, first = (hashes_of(each.map.get("proof"), "map proof") for each in (side, earlier))
    common = len(first) - len(mine)
    if common < 0 or (mine and mine[0] == first[common]):
        raise malformed("map proof", "the hashes from the first that differs on", "others")
    return first[:common] + mine


def _heads(stream: str, side: _Side, head: Head | None) -> bytes:
    """The root of the heads map to which the path of the head, or of a neighbour, leads."""
    streams = number_of(side.seal["streams"], "seal")
    beside = side.map.get("below", side.map.get("above"))
    if head is None and beside is None:
        return merkle.EMPTY_ROOT
    place = object_of(side.map if head else beside, "map")
    leaf = leaf_of(stream, head) if head else decoded(place.get("leaf"), "neighbour")
    index = number_of(place.get("index"), "map")
    proof = hashes_of(place.get("proof"), "map proof")
    root = merkle.root_by(merkle.leaf_hash(leaf), index, streams, proof)
    if root is None:
        raise NotProved("proof.map.differs", "heads map", f"a place of {streams}", "another path")
    return root


def _side(value: object, subject: str) -> _Side:
    fields = _taken(value, subject, "checkpoint", "seal", "map")
    checkpoint = text_of(fields["checkpoint"], "checkpoint", 64 * 1024)
    try:
        size = parse_checkpoint(split_note(checkpoint)[0]).size
    except NotANote as error:
        raise NotProved("proof.checkpoint.signature", subject, "a note", str(error)) from None
    if not 1 <= size < 2**53:
        raise malformed(subject, "the size of a tree with a seal", str(size))
    seal = _taken(fields["seal"], "seal", "clamped_ms", "streams", "time")
    place = dict(object_of(fields["map"], "map"))
    return _Side(size=size, checkpoint=checkpoint, seal=seal, map=place)


def _item(value: object, subject: str, *names: str) -> _Item:
    fields = _taken(value, subject, *names)
    raw = text_of(fields["raw"], subject, 16 * 1024).encode()
    return _Item(index=number_of(fields["i"], subject), raw=raw, fields=fields)


def _taken(value: object, subject: str, *names: str) -> Plain:
    """A copy of the object, which has these members and no other."""
    fields = object_of(value, subject)
    check_members(fields, subject, frozenset(names))
    return dict(fields)


def _no_entry(index: int, found: str) -> NotProved:
    return NotProved("proof.chain.broken", f"entry {index} of the chain", "an entry", found)
