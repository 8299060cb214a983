"""Heads map: vectors, membership, absence, and equality with a plain rebuild."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from surefoot.trust import merkle
from surefoot.trust.heads import (
    Answer,
    Head,
    HeadsMap,
    key_of,
    leaf_of,
    verify_absent,
    verify_present,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "heads.json").read_text())


def head(i: int) -> Head:
    return Head(i=i, leaf=f"{i:064x}", n=i, state=f"sha256:{i:064x}")


def filled(names: list[str]) -> HeadsMap:
    heads = HeadsMap()
    for i, name in enumerate(names):
        heads.set(name, head(i))
    return heads


def test_roots_are_the_kept_ones() -> None:
    heads = HeadsMap()
    assert heads.root().hex() == VECTORS["empty"]
    for step in VECTORS["steps"]:
        heads.set(step["stream"], Head(**step["head"]))
        leaf = leaf_of(step["stream"], Head(**step["head"]))
        assert leaf[32:].decode() == step["content"]
        assert heads.root().hex() == step["root"]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 1000)), max_size=60))
def test_changed_paths_give_the_root_of_a_rebuild(changes: list[tuple[int, int]]) -> None:
    heads, last = HeadsMap(), {}
    for stream, i in changes:
        heads.set(f"env/{stream}", head(i))
        heads.root()
        last[f"env/{stream}"] = head(i)
    ordered = sorted(last, key=key_of)
    leaves = [merkle.leaf_hash(leaf_of(name, last[name])) for name in ordered]
    assert heads.root() == merkle.root_of(leaves)


@given(st.integers(0, 40))
def test_every_stream_is_shown_and_every_other_is_absent(count: int) -> None:
    names = [f"env/{i}" for i in range(count)]
    heads = filled(names)
    root = heads.root()
    for i, name in enumerate(names):
        answer = heads.answer(name)
        assert verify_present(name, head(i), answer, root)
        assert not verify_present(name, head(i + 1), answer, root)
        assert not verify_absent(name, answer, root)
    for i in range(20):
        answer = heads.answer(f"other/{i}")
        assert verify_absent(f"other/{i}", answer, root)
        assert not verify_present(f"other/{i}", head(0), answer, root)


def test_a_present_stream_cannot_be_shown_absent_by_wrong_neighbours() -> None:
    heads = filled([f"env/{i}" for i in range(12)])
    root = heads.root()
    ordered = sorted(heads.heads, key=key_of)
    for hidden in range(1, 11):
        below = heads.answer(ordered[hidden - 1]).present
        above = heads.answer(ordered[hidden + 1]).present
        for answer in (
            Answer(streams=12, below=below, above=above),
            Answer(streams=12, below=below),
            Answer(streams=12, above=above),
            Answer(streams=12),
            Answer(streams=0),
        ):
            assert not verify_absent(ordered[hidden], answer, root)
