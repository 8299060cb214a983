"""Inclusion, consistency and map proofs: every one of all sizes up to 300, random ones up to a
million; each right one is the RFC's own and verifies, each changed one is rejected."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.trust import merkle
from surefoot.trust.heads import Answer, Head, HeadsMap, Place, verify_absent, verify_present

SIZE_MAX = 300
LARGE = 1_000_000
OTHER = hashlib.sha256(b"no node of any tree here").digest()
STEP = 50
CHUNKS = range(0, SIZE_MAX, STEP)
"""The sizes of one chunk are one test: small enough to name where it fails, and to share."""


def leaf(index: int) -> bytes:
    return hashlib.sha256(index.to_bytes(4, "big")).digest()


TREE = merkle.Tree(leaf(index) for index in range(SIZE_MAX))


# -- RFC 9162, section 2.1, as it is written there -------------------------------------------------


def split(start: int, end: int) -> int:
    k = 1
    while k * 2 < end - start:
        k *= 2
    return start + k


@cache
def mth(start: int, end: int) -> bytes:
    if start == end:
        return hashlib.sha256(b"").digest()
    if end == start + 1:
        return leaf(start)
    k = split(start, end)
    return hashlib.sha256(b"\x01" + mth(start, k) + mth(k, end)).digest()


@cache
def path(index: int, start: int, end: int) -> tuple[bytes, ...]:
    if end == start + 1:
        return ()
    k = split(start, end)
    if index < k:
        return (*path(index, start, k), mth(k, end))
    return (*path(index, k, end), mth(start, k))


@cache
def subproof(old: int, start: int, end: int, whole: bool) -> tuple[bytes, ...]:
    if old == end:
        return () if whole else (mth(start, end),)
    k = split(start, end)
    if old <= k:
        return (*subproof(old, start, k, whole), mth(k, end))
    return (*subproof(old, k, end, False), mth(start, k))


def spoilt(proof: Sequence[bytes], at: int) -> Iterator[list[bytes]]:
    """One hash changed, one dropped, one added, at a place that moves with `at`."""
    given = list(proof)
    place = at % (len(given) + 1)
    yield [*given[:place], OTHER, *given[place:]]
    if given:
        place = at % len(given)
        yield [*given[:place], OTHER, *given[place + 1 :]]
        yield [*given[:place], *given[place + 1 :]]


def others(value: int, low: int, high: int) -> Iterator[int]:
    """Neighbours of a number and its bounds, never the number."""
    yield from {value - 1, value + 1, low, high} - {value}


# -- all small sizes ------------------------------------------------------------------------------


@pytest.mark.parametrize("first", CHUNKS)
def test_inclusion_in_every_tree_up_to_300(first: int) -> None:
    for size in range(first + 1, first + STEP + 1):
        root = TREE.root(size)
        assert root == mth(0, size)
        for index in range(size):
            proof = TREE.inclusion(index, size)
            assert tuple(proof) == path(index, 0, size)
            check_inclusion(TREE, index, size)


def check_inclusion(tree: merkle.Tree, index: int, size: int) -> None:
    """The proof verifies; no spoilt one, none for another leaf, index, size or root does."""
    verify, root = merkle.verify_inclusion, tree.root(size)
    node, proof = tree.leaf(index), tree.inclusion(index, size)
    assert verify(node, index, size, proof, root)
    assert not verify(OTHER, index, size, proof, root)
    assert not verify(node, index, size, proof, OTHER)
    for wrong in spoilt(proof, index):
        assert not verify(node, index, size, wrong, root)
    for wrong_index in others(index, 0, size - 1):
        assert not verify(node, wrong_index, size, proof, root)
    # A size of the same shape along this path gives the same computation: the root, which is
    # signed together with its size, is what differs.
    for wrong_size in (size - 1, min(size + 1, tree.size)):
        assert wrong_size == size or not verify(
            node, index, wrong_size, proof, tree.root(wrong_size)
        )


@pytest.mark.parametrize("first", CHUNKS)
def test_consistency_of_every_pair_of_trees_up_to_300(first: int) -> None:
    for size in range(first + 1, first + STEP + 1):
        for old in range(1, size + 1):
            assert tuple(TREE.consistency(old, size)) == subproof(old, 0, size, True)
            check_consistency(TREE, old, size)


def check_consistency(tree: merkle.Tree, old: int, size: int) -> None:
    """The proof verifies; no spoilt one, none for another size or root does."""
    verify, root, old_root = merkle.verify_consistency, tree.root(size), tree.root(old)
    proof = tree.consistency(old, size)
    assert verify(old, old_root, size, root, proof)
    assert not verify(old, OTHER, size, root, proof)
    assert not verify(old, old_root, size, OTHER, proof)
    for wrong in spoilt(proof, old):
        assert not verify(old, old_root, size, root, wrong)
    for wrong_old in (max(1, old - 1), min(size, old + 1)):
        assert wrong_old == old or not verify(wrong_old, tree.root(wrong_old), size, root, proof)
    if size < tree.size:
        assert not verify(old, old_root, size + 1, tree.root(size + 1), proof)
    assert not verify(old, old_root, old - 1, root, proof)


def name(index: int) -> str:
    return f"env/{index}"


def head(index: int) -> Head:
    return Head(i=index, leaf=f"{index:064x}", n=index, state=f"sha256:{index:064x}")


HEADS = [head(index) for index in range(SIZE_MAX + 1)]
NAMES = [name(index) for index in range(SIZE_MAX + 1)]


def heads_of(streams: int) -> HeadsMap:
    heads = HeadsMap()
    for index in range(streams):
        heads.set(NAMES[index], HEADS[index])
    return heads


@pytest.mark.parametrize("first", CHUNKS)
def test_presence_and_absence_in_every_map_up_to_300(first: int) -> None:
    heads = heads_of(first)
    for streams in range(first, first + STEP + 1):
        root = heads.root()
        for index, stream in enumerate(NAMES):
            if index < streams:
                check_present(heads, stream, index, root)
            else:
                check_absent(heads, stream, index, root)
        heads.set(NAMES[streams], HEADS[streams])


def check_present(heads: HeadsMap, stream: str, index: int, root: bytes) -> None:
    answer, good = heads.answer(stream), HEADS[index]
    place = answer.present
    assert place is not None
    assert verify_present(stream, good, answer, root)
    assert not verify_absent(stream, answer, root)
    assert not verify_present(stream, HEADS[index - 1], answer, root)
    assert not verify_present(NAMES[index - 1], good, answer, root)
    wrong = changed_places(place, index)
    for number, spoilt_place in enumerate(wrong):
        found = Answer(streams=answer.streams, present=spoilt_place)
        assert not verify_present(stream, good, found, root), number
    assert not verify_present(stream, good, Answer(streams=0, present=place), root)
    hidden = Answer(streams=answer.streams, below=place, above=place)
    assert not verify_absent(stream, hidden, root)


def check_absent(heads: HeadsMap, stream: str, index: int, root: bytes) -> None:
    answer = heads.answer(stream)
    below, above = answer.below, answer.above
    assert verify_absent(stream, answer, root)
    assert not verify_present(stream, HEADS[index], answer, root)
    assert not verify_absent(stream, answer, OTHER)
    assert not verify_absent(stream, Answer(streams=answer.streams), OTHER)
    if below is not None and above is not None:
        assert not verify_absent(stream, Answer(streams=answer.streams, below=below), root)
        assert not verify_absent(stream, Answer(streams=answer.streams, above=above), root)
    for place in [] if below is None else changed_places(below, index):
        found = Answer(streams=answer.streams, below=place, above=above)
        assert not verify_absent(stream, found, root)
    for place in [] if above is None else changed_places(above, index):
        found = Answer(streams=answer.streams, below=below, above=place)
        assert not verify_absent(stream, found, root)


def changed_places(place: Place, at: int) -> Iterator[Place]:
    """The place with another proof, another index, another leaf."""
    for proof in spoilt(place.proof, at):
        yield Place(leaf=place.leaf, index=place.index, proof=tuple(proof))
    yield Place(leaf=place.leaf, index=place.index + 1, proof=place.proof)
    yield Place(leaf=place.leaf[:-1] + b"?", index=place.index, proof=place.proof)


def test_a_map_asked_now_and_then_is_the_map_asked_at_the_end() -> None:
    """Changed heads and new streams between questions: the nodes kept are never stale."""
    asked = HeadsMap()
    for step in range(3 * SIZE_MAX):
        index = (step * step + 7 * step) % (1 + step // 2)
        asked.set(NAMES[index % SIZE_MAX], HEADS[step % SIZE_MAX])
        if step % 3:
            asked.root()
    whole = HeadsMap()
    for stream, found in asked.heads.items():
        whole.set(stream, found)
    assert asked.root() == whole.root()
    assert all(asked.answer(stream) == whole.answer(stream) for stream in NAMES)


# -- random large ones ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large() -> merkle.Tree:
    """Grown by whoever needs more of it, so that no test pays for what it does not use."""
    return merkle.Tree()


def grown(tree: merkle.Tree, size: int) -> merkle.Tree:
    for index in range(tree.size, size):
        tree.append(leaf(index))
    return tree


SIZES = st.integers(SIZE_MAX, LARGE) | st.integers(8, 19).flatmap(
    lambda power: st.integers(2**power - 2, 2**power + 2)
)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_large_trees(large: merkle.Tree, data: st.DataObject) -> None:
    size = data.draw(SIZES)
    index = data.draw(st.integers(0, size - 1))
    tree = grown(large, size + 1)
    check_inclusion(tree, index, size)
    check_consistency(tree, index + 1, size)


def test_the_largest_tree(large: merkle.Tree) -> None:
    tree = grown(large, LARGE)
    packed = merkle.Tree.of_leaves(bytes(tree.levels[0]))
    assert packed.levels == tree.levels
    for index in (0, 1, 2**19 - 1, 2**19, LARGE - 2, LARGE - 1):
        check_inclusion(tree, index, LARGE)
        check_consistency(tree, index + 1, LARGE)


@given(size=st.integers(0, 3 * SIZE_MAX))
@settings(deadline=None)
def test_a_tree_made_of_leaves_at_once_goes_on_like_one_that_grew(size: int) -> None:
    leaves = [leaf(index) for index in range(size + 5)]
    at_once = merkle.Tree.of_leaves(b"".join(leaves[:size]))
    for node in leaves[size:]:
        at_once.append(node)
    assert at_once.levels == merkle.Tree(leaves).levels
