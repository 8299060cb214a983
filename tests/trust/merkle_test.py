"""Merkle tree: known roots, and proofs for all small sizes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.trust import merkle

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "merkle.json").read_text())
SIZE_MAX = 100
TREE = merkle.Tree(merkle.leaf_hash(bytes([i])) for i in range(SIZE_MAX))


def textbook_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + textbook_root(leaves[:k]) + textbook_root(leaves[k:])).digest()


@pytest.mark.parametrize("size", range(len(VECTORS["leaves"]) + 1))
def test_root_is_the_published_one(size: int) -> None:
    leaves = [bytes.fromhex(leaf) for leaf in VECTORS["leaves"][:size]]
    root = merkle.root_of(merkle.leaf_hash(leaf) for leaf in leaves)
    assert root.hex() == VECTORS["roots"][size]
    assert root == textbook_root(leaves)


@pytest.mark.parametrize("size", range(1, SIZE_MAX + 1))
def test_every_inclusion_and_consistency_proof_verifies(size: int) -> None:
    root = TREE.root(size)
    assert root == textbook_root([bytes([i]) for i in range(size)])
    for index in range(size):
        proof = TREE.inclusion(index, size)
        assert merkle.verify_inclusion(TREE.leaf(index), index, size, proof, root)
        other = TREE.leaf((index + 1) % SIZE_MAX)
        assert not merkle.verify_inclusion(other, index, size, proof, root)
    for old in range(1, size + 1):
        proof = TREE.consistency(old, size)
        assert merkle.verify_consistency(old, TREE.root(old), size, root, proof)
        if old < size:
            assert not merkle.verify_consistency(old, TREE.root(old - 1), size, root, proof)


SIZES = st.integers(1, SIZE_MAX)


@given(st.data())
def test_a_changed_proof_never_verifies(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, SIZE_MAX))
    index = data.draw(st.integers(0, size - 1))
    proof = TREE.inclusion(index, size)
    place = data.draw(st.integers(0, len(proof) - 1))
    change = data.draw(st.sampled_from(["flip", "drop", "twice", "swap"]))
    changed = list(proof)
    if change == "flip":
        changed[place] = bytes([proof[place][0] ^ 1]) + proof[place][1:]
    elif change == "drop":
        del changed[place]
    elif change == "twice":
        changed.insert(place, proof[place])
    else:
        changed.reverse()
    if changed != proof:
        root = TREE.root(size)
        assert not merkle.verify_inclusion(TREE.leaf(index), index, size, changed, root)


@given(st.integers(-3, 300), st.integers(-3, 300), st.lists(st.binary(max_size=33), max_size=10))
def test_verifiers_answer_nonsense_with_false(a: int, b: int, proof: list[bytes]) -> None:
    root = TREE.root()
    assert merkle.verify_inclusion(b"x" * 32, a, b, proof, root) is False
    if not (a == 0 and not proof):
        assert merkle.verify_consistency(a, b"x" * 32, b, root, proof) is False


def test_bounds() -> None:
    with pytest.raises(IndexError):
        TREE.inclusion(5, 5)
    with pytest.raises(IndexError):
        TREE.consistency(0, 5)
    with pytest.raises(IndexError):
        TREE.root(SIZE_MAX + 1)
    assert merkle.verify_consistency(0, merkle.EMPTY_ROOT, 7, TREE.root(7), [])


@given(st.data())
def test_leaves_and_the_subtrees_between_them_are_the_tree(data: st.DataObject) -> None:
    last = data.draw(st.integers(0, SIZE_MAX - 1))
    shown = {last, *data.draw(st.lists(st.integers(0, last), max_size=6))}
    partial, place = merkle.Partial(), 0
    for index in sorted(shown):
        hashes = TREE.between(place, index)
        for span, node in zip(merkle.cover(place, index), hashes, strict=True):
            partial.put(*span, node)
        partial.put(index, index + 1, TREE.leaf(index))
        place = index + 1
        assert partial.root(place) == TREE.root(place)
    for index in shown:
        assert partial.inclusion(index, place) == TREE.inclusion(index, place)
        assert partial.consistency(index + 1, place) == TREE.consistency(index + 1, place)


def test_a_partial_tree_does_not_know_what_was_not_put() -> None:
    partial = merkle.Partial()
    partial.put(0, 2, merkle.EMPTY_ROOT)
    for size in (1, 3):
        with pytest.raises(IndexError):
            partial.root(size)
    for index, size in ((-1, 2), (2, 2)):
        with pytest.raises(IndexError):
            partial.inclusion(index, size)
    for old, size in ((0, 2), (3, 2)):
        with pytest.raises(IndexError):
            partial.consistency(old, size)
