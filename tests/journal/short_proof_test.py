"""The short form of a proof: one spelling, and nothing in it that could be otherwise.

Every hash and every number of every honest bundle is changed in turn; both verifiers refuse.
"""

from __future__ import annotations

import base64
import copy
import importlib.util
import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from surefoot.testing.proof_scene import VKEY
from surefoot.testing.root_scene import FIRST, NOW_MS, RootScene, sealed
from surefoot.trust import canonical
from surefoot.trust.form import NotProved, joined
from surefoot.trust.proof import verify
from surefoot.trust.root import read_root
from surefoot.trust.short_bundle import expanded

ROOT = Path(__file__).resolve().parents[2]
ZERO = bytes(32)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RootScene]:
    """The journals and honest bundles."""
    made = RootScene(tmp_path_factory.mktemp("scene"))
    yield made
    made.close()


def loaded(name: str) -> ModuleType:
    """A program of `tools` as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SINGLE = loaded("surefoot_verify")
FORMAT_1 = loaded("surefoot_verify_1")
PINNED = read_root(sealed(FIRST))
PINNED_ALONE = SINGLE.Root(sealed(FIRST))


def shown_by_one(bundle: dict[str, Any], *, rooted: bool) -> bool:
    """True when the package or the single file believes the bundle."""
    content = canonical.encode(bundle)
    try:
        verify(content, PINNED if rooted else VKEY, NOW_MS)
    except NotProved:
        pass
    else:
        return True
    try:
        SINGLE.verify_bundle(content, PINNED_ALONE if rooted else VKEY, NOW_MS // 1000)
    except SINGLE.FAULTS:
        return False
    return True


def honest(scene: RootScene) -> Iterator[tuple[str, dict[str, Any]]]:
    """All honest bundles in the short form."""
    for name, content in scene.bundles.items():
        if name.startswith("short ") and name != "short stranger":
            yield name, json.loads(content)


def holders(bundle: dict[str, Any]) -> Iterator[tuple[Any, str]]:
    """Where hashes stand joined: the object and the member."""
    yield bundle, "tree"
    for side in ("before", "after"):
        at = bundle.get(side, {}).get("map", {})
        for holder in (at, at.get("below", {}), at.get("above", {})):
            if "proof" in holder:
                yield holder, "proof"


def numbers(value: Any) -> Iterator[tuple[Any, Any]]:
    """Where numbers stand: the object or list, and the place in it."""
    for place, member in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(member, int):
            yield value, place
        elif isinstance(member, dict | list):
            yield from numbers(member)


def other_hashes(hashes: list[bytes], other: bytes) -> Iterator[list[bytes]]:
    """All lists that differ in one hash, in the order of two, or by one too many or too few."""
    for place, each in enumerate(hashes):
        before, behind = hashes[:place], hashes[place + 1 :]
        yield [*before, *behind]
        yield [*before, each, each, *behind]
        yield [*before, other, each, *behind]
        for bit in (0, 255):
            turned = int.from_bytes(each, "big") ^ (1 << bit)
            yield [*before, turned.to_bytes(32, "big"), *behind]
        for strange in {ZERO, other, hashes[0], hashes[-1]} - {each}:
            yield [*before, strange, *behind]
    for place, (one, two) in enumerate(pairwise(hashes)):
        if one != two:
            yield [*hashes[:place], two, one, *hashes[place + 2 :]]
    yield [*hashes, other]
    yield [*hashes, ZERO]


def test_no_hash_can_be_another_one(scene: RootScene) -> None:
    tried = 0
    for name, bundle in honest(scene):
        rooted = "witnessed" in name
        assert shown_by_one(bundle, rooted=rooted)
        for holder, member in holders(bundle):
            kept = holder[member]
            content = base64.b64decode(kept)
            hashes = [content[at : at + 32] for at in range(0, len(content), 32)]
            for changed in other_hashes(hashes, base64.b64decode(bundle["tree"])[:32] or ZERO):
                holder[member] = joined(changed)
                assert holder[member] == kept or not shown_by_one(bundle, rooted=rooted), name
                tried += 1
            holder[member] = kept
    assert tried > 1_000


def test_no_number_can_be_another_one(scene: RootScene) -> None:
    for name, bundle in honest(scene):
        for holder, place in numbers(bundle):
            kept = holder[place]
            for strange in {kept - 1, kept + 1, kept ^ 1, 0, -1, 2**31, 2**53 - 1} - {kept}:
                holder[place] = strange
                assert not shown_by_one(bundle, rooted="witnessed" in name), (name, place, strange)
            holder[place] = kept


def test_no_member_can_be_left_out_or_added(scene: RootScene) -> None:
    for name, bundle in honest(scene):
        if "evidence" in bundle:
            continue
        for path in ((), ("before",), ("after",), ("before", "seal"), ("after", "map"), ("keys",)):
            changed = copy.deepcopy(bundle)
            inside: Any = changed
            for step in path:
                inside = inside.get(step, {})
            for member in list(inside):
                kept = inside.pop(member)
                assert not shown_by_one(changed, rooted=False), (name, path, member)
                inside[member] = kept
            if inside:
                inside["more"] = 0
                assert not shown_by_one(changed, rooted=False), (name, path)


def test_a_bundle_has_one_spelling_in_each_form(scene: RootScene) -> None:
    for name, bundle in honest(scene):
        whole: Any = expanded(bundle)
        assert verify(canonical.encode(whole), PINNED if "witnessed" in name else VKEY)
        sides = [whole[each] for each in FORMAT_1.names_of(whole)]
        bound = int("before" in whole and "head" in sides[0])
        shown = whole.get("evidence", [])
        items = [whole["chain"][:bound], whole["chain"][bound:], shown]
        told = FORMAT_1.told(sides, items[1] + shown, whole)
        assert FORMAT_1.shortened(whole, sides, items, told) == bundle
