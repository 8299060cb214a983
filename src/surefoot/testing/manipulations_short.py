"""What an adversary does to a bundle in the short form, where hashes stand once and much follows.

Keeps and does not: as `manipulations`, whose list these join when this module is imported.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

from surefoot.testing import root_scene as roots
from surefoot.testing.manipulations import (
    CASES,
    Bundle,
    Change,
    Naive,
    case,
    flipped,
    other,
    repeated,
)
from surefoot.testing.proof_scene import Scene
from surefoot.trust import canonical, merkle
from surefoot.trust.form import joined

__all__ = ["CASES"]

Hashes = list[bytes]


def short(title: str, of: str, naive: Naive | None = None) -> Callable[[Change], Change]:
    """Register a manipulation of a bundle in the short form."""
    return case(f"short form: {title}", f"short {of}", naive)


def hashes_in(encoded: str) -> Hashes:
    """The hashes that stand joined in base64."""
    content = base64.b64decode(encoded)
    return [content[at : at + 32] for at in range(0, len(content), 32)]


def with_tree(b: Bundle, change: Callable[[Hashes], Hashes]) -> Bundle:
    """The bundle with other hashes between the leaves."""
    return b | {"tree": joined(change(hashes_in(b["tree"])))}


def leaves_of(scene: Scene, size: int) -> list[bytes]:
    """The first leaves of the true journal."""
    with scene.true.database.read() as session:
        return [bytes(row[1]) for row in session.rows("journal.leaves_from", first=0, limit=size)]


# -- the hashes between the leaves -----------------------------------------------------------------


@short("leave a hash of the tree out", "quiet")
def _missing_hash(scene: Scene, b: Bundle) -> Bundle:
    return with_tree(b, lambda hashes: hashes[1:])


@short("leave the last hash of the tree out", "moved")
def _missing_last(scene: Scene, b: Bundle) -> Bundle:
    return with_tree(b, lambda hashes: hashes[:-1])


@short("add a hash that nothing needs", "quiet")
def _unused_hash(scene: Scene, b: Bundle) -> Bundle:
    return with_tree(b, lambda hashes: [*hashes, merkle.EMPTY_ROOT])


@short("add a hash in front", "quiet")
def _hash_in_front(scene: Scene, b: Bundle) -> Bundle:
    return with_tree(b, lambda hashes: [merkle.EMPTY_ROOT, *hashes])


@short("write a hash twice", "quiet")
def _hash_twice(scene: Scene, b: Bundle) -> Bundle:
    return with_tree(b, lambda hashes: [hashes[0], *hashes])


@short("put a hash in the place of the one before", "moved")
def _repeated_hash(scene: Scene, b: Bundle) -> Bundle:
    return with_tree(b, lambda hashes: [hashes[0], hashes[0], *hashes[2:]])


@short("swap two hashes", "moved")
def _swapped_hashes(scene: Scene, b: Bundle) -> Bundle:
    return with_tree(b, lambda hashes: [hashes[1], hashes[0], *hashes[2:]])


@short("turn one bit of a hash", "moved")
def _flipped_hash(scene: Scene, b: Bundle) -> Bundle:
    return b | {"tree": flipped(b["tree"], 40)}


@short("give two subtrees where their one parent belongs", "quiet")
def _split_subtree(scene: Scene, b: Bundle) -> Bundle:
    width = 1 << (roots.tree_of(b["before"]["checkpoint"]).size - 1).bit_length() - 1
    left, right = (
        merkle.root_of(map(merkle.leaf_hash, half))
        for half in (leaves_of(scene, width)[: width // 2], leaves_of(scene, width)[width // 2 :])
    )
    assert merkle.node_hash(left, right) == hashes_in(b["tree"])[0]
    return with_tree(b, lambda hashes: [left, right, *hashes[1:]])


@short("give half a hash", "quiet")
def _half_hash(scene: Scene, b: Bundle) -> Bundle:
    return b | {"tree": base64.b64encode(base64.b64decode(b["tree"])[:-16]).decode()}


@short("give no hash at all", "moved")
def _no_hashes(scene: Scene, b: Bundle) -> Bundle:
    return b | {"tree": ""}


@short("leave the tree out", "quiet")
def _no_tree(scene: Scene, b: Bundle) -> Bundle:
    del b["tree"]
    return b


@short("write the tree's hashes as a list", "quiet")
def _listed_hashes(scene: Scene, b: Bundle) -> Bundle:
    return b | {"tree": [joined([each]) for each in hashes_in(b["tree"])]}


# -- what is not given, because it follows ---------------------------------------------------------


@short("say the consistency proof as well", "moved")
def _consistency_too(scene: Scene, b: Bundle) -> Bundle:
    return b | {"consistency": other(scene, "moved")["consistency"]}


@short("say a head as well", "quiet")
def _head_too(scene: Scene, b: Bundle) -> Bundle:
    b["after"]["head"] = other(scene, "quiet")["after"]["head"]
    return b


@short("say a seal's path as well", "quiet")
def _path_too(scene: Scene, b: Bundle) -> Bundle:
    b["after"]["seal_proof"] = other(scene, "quiet")["after"]["seal_proof"]
    return b


@short("say an entry's path as well", "moved")
def _entry_path_too(scene: Scene, b: Bundle) -> Bundle:
    return b | {"chain": other(scene, "moved")["chain"]}


@short("say a seal's root as well", "quiet")
def _root_too(scene: Scene, b: Bundle) -> Bundle:
    b["after"]["seal"]["root"] = json.loads(other(scene, "quiet")["after"]["seal"])["root"]
    return b


@short("write a seal as a text", "quiet")
def _seal_as_text(scene: Scene, b: Bundle) -> Bundle:
    b["after"]["seal"] = other(scene, "quiet")["after"]["seal"]
    return b


@short("repeat in the later map what the earlier one says", "quiet")
def _whole_path(scene: Scene, b: Bundle) -> Bundle:
    b["after"]["map"] = other(scene, "quiet")["after"]["map"]
    return b


@short("cut the later path in the map", "moved since")
def _shorter_path(scene: Scene, b: Bundle) -> Bundle:
    b["after"]["map"]["proof"] = joined(hashes_in(b["after"]["map"]["proof"])[1:])
    return b


@short("put the whole form under the short one's name", "quiet")
def _whole_as_short(scene: Scene, b: Bundle) -> Bundle:
    return other(scene, "quiet") | {"format": b["format"]}


@short("put the short form under the whole one's name", "quiet")
def _short_as_whole(scene: Scene, b: Bundle) -> Bundle:
    return b | {"format": other(scene, "quiet")["format"]}


# -- places ----------------------------------------------------------------------------------------


@short("let an entry stand below nought", "moved")
def _negative_place(scene: Scene, b: Bundle) -> Bundle:
    b["chain"][1]["i"] = -1
    return b


@short("let an entry stand behind the tree", "moved")
def _place_behind(scene: Scene, b: Bundle) -> Bundle:
    b["chain"][-1]["i"] = 10**9
    return b


@short("let an entry stand beyond all numbers", "moved")
def _place_beyond(scene: Scene, b: Bundle) -> bytes:
    place = f'"i":{b["chain"][-1]["i"]},'.encode()
    return canonical.encode(b).replace(place, b'"i":%d,' % 2**53)


@short("let an entry stand in the place of the earlier seal", "moved")
def _place_of_seal(scene: Scene, b: Bundle) -> Bundle:
    b["chain"][1]["i"] = roots.tree_of(b["before"]["checkpoint"]).size - 1
    return b


@short("let an entry stand in the place of the later seal", "moved")
def _place_of_last_seal(scene: Scene, b: Bundle) -> Bundle:
    b["chain"][-1]["i"] = roots.tree_of(b["after"]["checkpoint"]).size - 1
    return b


@short("swap the places of two entries", "moved")
def _swapped_places(scene: Scene, b: Bundle) -> Bundle:
    one, two = b["chain"][1], b["chain"][2]
    one["i"], two["i"] = two["i"], one["i"]
    return b


@short("give two entries one place", "moved")
def _one_place(scene: Scene, b: Bundle) -> Bundle:
    b["chain"][2]["i"] = b["chain"][1]["i"]
    return b


@short("move the head in the heads map", "quiet")
def _moved_head(scene: Scene, b: Bundle) -> Bundle:
    for side in ("before", "after"):
        b[side]["map"]["index"] ^= 1
    return b


@short("show evidence at another place", "evidence")
def _moved_evidence(scene: Scene, b: Bundle) -> Bundle:
    b["evidence"][0]["i"] += 1
    return b


@short("show evidence in the place of another entry", "evidence")
def _evidence_over_entry(scene: Scene, b: Bundle) -> Bundle:
    b["evidence"][0]["i"] = b["evidence"][1]["i"]
    return b


def _forged(b: Bundle, place: int) -> Bundle:
    """An exhibit that was never written, at a place."""
    return {"i": place, "raw": b["evidence"][1]["raw"].replace('"bob"', '"eve"'), "texts": []}


@short("show an entry that was never written before the one at its place", "evidence", repeated)
def _forged_before(scene: Scene, b: Bundle) -> Bundle:
    b["evidence"].insert(0, _forged(b, b["evidence"][1]["i"]))
    return b


@short("show an entry that was never written behind the one at its place", "evidence", repeated)
def _forged_behind(scene: Scene, b: Bundle) -> Bundle:
    b["evidence"].append(_forged(b, b["evidence"][1]["i"]))
    return b


@short("show an entry that was never written in the place of a seal", "evidence", repeated)
def _forged_at_seal(scene: Scene, b: Bundle) -> Bundle:
    b["evidence"].append(_forged(b, roots.tree_of(b["before"]["checkpoint"]).size - 1))
    return b


@short("show an entry that was never written in the place of the last seal", "evidence", repeated)
def _forged_at_last_seal(scene: Scene, b: Bundle) -> Bundle:
    b["evidence"].append(_forged(b, roots.tree_of(b["after"]["checkpoint"]).size - 1))
    return b


@short("show an entry that was never written behind the tree", "evidence", repeated)
def _forged_outside(scene: Scene, b: Bundle) -> Bundle:
    b["evidence"].append(_forged(b, roots.tree_of(b["after"]["checkpoint"]).size))
    return b
