"""More of what an adversary does to a bundle in the short form: entries, states, seals, forks.

Keeps and does not: as `manipulations`, whose list these join when this module is imported.
"""

from __future__ import annotations

from surefoot.testing import root_scene as roots
from surefoot.testing.manipulations import (
    CASES,
    Bundle,
    case,
    edited,
    newest_edited,
    other,
    replaced,
    rewritten,
    tail_dropped,
)
from surefoot.testing.manipulations_short import leaves_of, short, with_tree
from surefoot.testing.manipulations_trust import pinned
from surefoot.testing.proof_scene import RELEASES, Scene
from surefoot.testing.root_scene import FIRST
from surefoot.trust import merkle
from surefoot.trust.form import joined

__all__ = ["CASES"]

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
