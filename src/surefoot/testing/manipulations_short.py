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
    edited,
    flipped,
    newest_edited,
    other,
    replaced,
    rewritten,
    tail_dropped,
)
from surefoot.testing.manipulations_trust import pinned
from surefoot.testing.proof_scene import RELEASES, Scene
from surefoot.testing.root_scene import FIRST
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


# -- what is shown ---------------------------------------------------------------------------------


@short("edit an entry", "moved", edited)
def _edit_entry(scene: Scene, b: Bundle) -> Bundle:
    b["chain"][1]["raw"] = b["chain"][1]["raw"].replace('"drift":1', '"drift":7')
    return b


@short("edit the entry that answers", "quiet", rewritten)
def _edit_answer(scene: Scene, b: Bundle) -> Bundle:
    b["chain"][0]["raw"] = b["chain"][0]["raw"].replace("1.0.0", "9.0.0")
    return b


@short("drop an entry, with what lies around it", "moved", tail_dropped)
def _drop_entry(scene: Scene, b: Bundle) -> Bundle:
    gone = b["chain"].pop(2)
    node = merkle.leaf_hash(gone["raw"].encode())
    return with_tree(b, lambda hashes: [*hashes[:-1], node, *hashes[-1:]])


@short("drop the newest entry, its hash in its place", "moved", newest_edited)
def _drop_newest(scene: Scene, b: Bundle) -> Bundle:
    node = merkle.leaf_hash(b["chain"].pop()["raw"].encode())
    return with_tree(b, lambda hashes: [*hashes, node])


@short("show the old head in the newer map", "moved", tail_dropped)
def _stale_head(scene: Scene, b: Bundle) -> Bundle:
    b["chain"] = b["chain"][:1]
    size = roots.tree_of(b["after"]["checkpoint"]).size
    first = roots.tree_of(b["before"]["checkpoint"]).size
    tree = merkle.Tree(merkle.leaf_hash(leaf) for leaf in leaves_of(scene, size))
    return b | {"tree": joined([*tree.between(0, first - 1), *tree.between(first, size - 1)])}


def leaves_of(scene: Scene, size: int) -> list[bytes]:
    """The first leaves of the true journal."""
    with scene.true.database.read() as session:
        return [bytes(row[1]) for row in session.rows("journal.leaves_from", first=0, limit=size)]


@short("say that an environment did not exist", "quiet")
def _deny(scene: Scene, b: Bundle) -> Bundle:
    strange = other(scene, "short absent")
    for side in ("before", "after"):
        b[side]["map"] = strange[side]["map"]
    del b["state"]
    return b | {"chain": []}


@short("say another environment's name", "quiet", replaced)
def _other_name(scene: Scene, b: Bundle) -> Bundle:
    return b | {"stream": "env/staging"}


@short("edit the state", "quiet", edited)
def _edit_state(scene: Scene, b: Bundle) -> Bundle:
    return b | {"state": b["state"].replace("1.0.0", "9.0.0")}


@short("say that a release was never there that was", "never", tail_dropped)
def _false_never(scene: Scene, b: Bundle) -> Bundle:
    return b | {"release": RELEASES[2]}


@short("edit a text of the evidence", "evidence")
def _edit_evidence(scene: Scene, b: Bundle) -> Bundle:
    b["evidence"][1]["texts"][0] = b["evidence"][1]["texts"][0].replace("a", "b", 1)
    return b


# -- seals and checkpoints -------------------------------------------------------------------------


@short("edit a seal's time", "moved")
def _edit_time(scene: Scene, b: Bundle) -> Bundle:
    b["after"]["seal"]["time"] = "2026-11-17T11:00:30.000Z"
    return b


@short("say that the clock of a seal was right", "moved")
def _edit_clamp(scene: Scene, b: Bundle) -> Bundle:
    b["after"]["seal"]["clamped_ms"] += 1
    return b


@short("say another number of streams", "quiet")
def _edit_streams(scene: Scene, b: Bundle) -> Bundle:
    for side in ("before", "after"):
        b[side]["seal"]["streams"] += 1
    return b


@short("show one tree on both sides, under a later seal", "moved", tail_dropped)
def _one_tree(scene: Scene, b: Bundle) -> Bundle:
    first = roots.tree_of(b["before"]["checkpoint"]).size
    tree = merkle.Tree(merkle.leaf_hash(leaf) for leaf in leaves_of(scene, first))
    later = {**b["before"]["seal"], "time": b["after"]["seal"]["time"]}
    b["after"] = {**b["before"], "seal": later}
    b["after"]["map"] = {**b["before"]["map"], "proof": ""}
    return b | {"chain": b["chain"][:1], "tree": joined(tree.between(0, first - 1))}


@short("swap the two checkpoints", "quiet")
def _swap_sides(scene: Scene, b: Bundle) -> Bundle:
    return b | {"before": b["after"], "after": b["before"]}


@short("fork: a second tree, signed by the same key", "moved since", rewritten)
def _fork(scene: Scene, b: Bundle) -> Bundle:
    strange = other(scene, "short fork later")
    return b | {name: strange[name] for name in ("after", "chain", "tree")}


@short("fork, with the fork's own hashes between", "moved since", rewritten)
def _fork_with_hashes(scene: Scene, b: Bundle) -> Bundle:
    strange = other(scene, "short fork later")
    return strange | {"before": b["before"], "at": b["at"]}


@short("cut off everything after the time", "quiet", tail_dropped)
def _cut_after(scene: Scene, b: Bundle) -> Bundle:
    first = roots.tree_of(b["before"]["checkpoint"]).size
    tree = merkle.Tree(merkle.leaf_hash(leaf) for leaf in leaves_of(scene, first))
    del b["after"]
    return b | {"tree": joined(tree.between(0, first - 1))}


@short("another log's whole bundle under this log's key", "moved", replaced)
def _strange_log(scene: Scene, b: Bundle) -> Bundle:
    return other(scene, "short stranger") | {"keys": b["keys"]}


@case("short form: take the cosignatures away", "short witnessed", None, pinned(FIRST))
def _no_witness(scene: Scene, b: Bundle) -> Bundle:
    return roots.bare(b)
