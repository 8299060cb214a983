"""What an adversary does to a proof bundle, one function each, beside the same on a naive chain.

Keeps: the adversary has the bundle, the database and other honest bundles, but not the log's key,
except where a fork is said to be signed by it. Each manipulation changes what the bundle says, or
how; a verifier must reject all of them. Does not: verify.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from surefoot.testing.naive_chain import Row, chained
from surefoot.testing.proof_scene import OTHER, RELEASES, Scene
from surefoot.trust import canonical, merkle
from surefoot.trust.digest import digest_of
from surefoot.trust.note import Checkpoint

Bundle = dict[str, Any]
Naive = Callable[[list[Row]], list[Row]]
Change = Callable[[Scene, Bundle], Bundle | bytes]
Roots = Callable[[Scene], list[bytes]]

CASES: list[Case] = []


class Case(NamedTuple):
    """One manipulation of a bundle of the scene, and what it comes to on a naive chain.

    Without `naive` such a table has nothing that could be checked. With `roots` the verifier has
    pinned the first of them, and the others are given to it as newer ones; else it has the key.
    """

    title: str
    of: str
    change: Change
    naive: Naive | None
    roots: Roots | None = None

    def made(self, scene: Scene) -> bytes:
        """The manipulated bundle."""
        bundle = self.change(scene, copy.deepcopy(json.loads(scene.bundles[self.of])))
        return bundle if isinstance(bundle, bytes) else canonical.encode(bundle)


def case(
    title: str, of: str, naive: Naive | None = None, roots: Roots | None = None
) -> Callable[[Change], Change]:
    """Register a manipulation."""

    def register(change: Change) -> Change:
        CASES.append(Case(title, of, change, naive, roots))
        return change

    return register


def other(scene: Scene, name: str) -> Bundle:
    """Another honest bundle."""
    found: Bundle = json.loads(scene.bundles[name])
    return found


# -- on a naive chain ------------------------------------------------------------------------------


def edited(rows: list[Row]) -> list[Row]:
    """A row is changed, and nothing else."""
    return [(rows[0][0].replace("production", "elsewhere"), rows[0][1]), *rows[1:]]


def newest_edited(rows: list[Row]) -> list[Row]:
    """The newest row is changed: no row holds its hash yet."""
    return [*rows[:-1], (rows[-1][0].replace('"runner"', '"nobody"'), rows[-1][1])]


def rewritten(rows: list[Row]) -> list[Row]:
    """A row is changed, and all links are computed again."""
    return chained([content for content, _ in edited(rows)])


def first_dropped(rows: list[Row]) -> list[Row]:
    """The oldest row is gone."""
    return rows[1:]


def middle_dropped(rows: list[Row]) -> list[Row]:
    """A row in the middle is gone."""
    return [*rows[:2], *rows[3:]]


def tail_dropped(rows: list[Row]) -> list[Row]:
    """The newest rows are gone, as after a restored backup."""
    return rows[:-2]


def swapped(rows: list[Row]) -> list[Row]:
    """Two rows change places."""
    return [rows[0], rows[2], rows[1], *rows[3:]]


def repeated(rows: list[Row]) -> list[Row]:
    """A row is written once more, at the end."""
    return chained([*(content for content, _ in rows), rows[1][0]])


def replaced(rows: list[Row]) -> list[Row]:
    """Another table, whole in itself, takes its place."""
    return chained([content.replace("production", "staging") for content, _ in rows])


def respaced(rows: list[Row]) -> list[Row]:
    """A row is written with other spaces."""
    return [(rows[0][0].replace(",", ", "), rows[0][1]), *rows[1:]]


# -- entries ---------------------------------------------------------------------------------------


@case("edit an entry", "moved", edited)
def _edit_entry(scene: Scene, b: Bundle) -> Bundle:
    b["chain"][1]["raw"] = b["chain"][1]["raw"].replace('"drift":1', '"drift":7')
    return b


@case("edit the newest entry", "moved", newest_edited)
def _edit_newest(scene: Scene, b: Bundle) -> Bundle:
    b["chain"][-1]["raw"] = b["chain"][-1]["raw"].replace('"id":"runner"', '"id":"nobody"')
    return b


@case("edit the entry that answers", "quiet", rewritten)
def _edit_answer(scene: Scene, b: Bundle) -> Bundle:
    b["chain"][0]["raw"] = b["chain"][0]["raw"].replace("1.0.0", "9.0.0")
    return b


@case("edit an entry, and compute all hashes again", "quiet", rewritten)
def _edit_and_rehash(scene: Scene, b: Bundle) -> Bundle:
    _edit_answer(scene, b)
    leaf = merkle.leaf_hash(b["chain"][0]["raw"].encode()).hex()
    for side in ("before", "after"):
        b[side]["head"]["leaf"] = leaf
    return b


@case("say that an entry was written earlier", "moved", rewritten)
def _backdate(scene: Scene, b: Bundle) -> Bundle:
    for link in b["chain"][1:]:
        link["raw"] = link["raw"].replace("T10:00:30", "T09:55:30")
    return b


@case("drop the first entry of the chain", "moved", first_dropped)
def _drop_first(scene: Scene, b: Bundle) -> Bundle:
    b["chain"] = b["chain"][1:]
    return b


@case("drop an entry in the middle", "moved", middle_dropped)
def _drop_middle(scene: Scene, b: Bundle) -> Bundle:
    del b["chain"][2]
    return b


@case("drop the newest entry", "moved", tail_dropped)
def _drop_last(scene: Scene, b: Bundle) -> Bundle:
    b["chain"].pop()
    return b


@case("drop the whole chain", "moved", tail_dropped)
def _drop_chain(scene: Scene, b: Bundle) -> Bundle:
    b["chain"] = []
    return b


@case("drop an entry and renumber the rest", "moved", rewritten)
def _drop_and_renumber(scene: Scene, b: Bundle) -> Bundle:
    del b["chain"][2]
    for n, link in enumerate(b["chain"][2:], 4):
        entry = json.loads(link["raw"]) | {"n": n}
        link["raw"] = canonical.encode(entry).decode()
    return b


@case("swap two entries", "moved", swapped)
def _reorder(scene: Scene, b: Bundle) -> Bundle:
    b["chain"][1], b["chain"][2] = b["chain"][2], b["chain"][1]
    return b


@case("repeat an entry", "moved", repeated)
def _repeat(scene: Scene, b: Bundle) -> Bundle:
    b["chain"].insert(2, b["chain"][1])
    return b


@case("give two entries one position", "moved")
def _duplicate_position(scene: Scene, b: Bundle) -> Bundle:
    b["chain"][2]["i"] = b["chain"][1]["i"]
    return b


@case("move an entry to another position", "moved")
def _move_position(scene: Scene, b: Bundle) -> Bundle:
    b["chain"][-1]["i"] += 1
    return b


@case("put a seal in the place of an entry", "moved")
def _seal_as_entry(scene: Scene, b: Bundle) -> Bundle:
    b["chain"][1]["raw"] = b["before"]["seal"]
    return b


@case("replay an old approval as a new entry", "deployment", repeated)
def _replay_approval(scene: Scene, b: Bundle) -> Bundle:
    old = b["chain"][-1]
    entry = json.loads(old["raw"])
    entry |= {"n": entry["n"] + 1, "prev": merkle.leaf_hash(old["raw"].encode()).hex()}
    again = {**old, "i": old["i"] + 1, "raw": canonical.encode(entry).decode()}
    b["chain"].append(again)
    return b


@case("replay an approval in another deployment's stream", "deployment", replaced)
def _replay_elsewhere(scene: Scene, b: Bundle) -> Bundle:
    return json_replaced(b, "deployment/1", "deployment/2")


@case("add an entry that was never written", "quiet", repeated)
def _add_entry(scene: Scene, b: Bundle) -> Bundle:
    b["chain"] += other(scene, "moved")["chain"][1:2]
    return b


@case("put another environment's entry into the chain", "moved", newest_edited)
def _foreign_entry(scene: Scene, b: Bundle) -> Bundle:
    b["chain"][1]["raw"] = other(scene, "staging")["chain"][0]["raw"]
    return b


# -- states ----------------------------------------------------------------------------------------


@case("edit the state", "quiet", edited)
def _edit_state(scene: Scene, b: Bundle) -> Bundle:
    b["state"] = b["state"].replace("1.0.0", "9.0.0")
    return b


@case("swap in a state of another time", "moved")
def _state_of_another_time(scene: Scene, b: Bundle) -> Bundle:
    b["state"] = other(scene, "newest")["state"]
    return b


@case("swap in another environment's state", "quiet", replaced)
def _state_of_another(scene: Scene, b: Bundle) -> Bundle:
    b["state"] = other(scene, "staging")["state"]
    return b


@case("edit the state and its digest in the head", "quiet", rewritten)
def _edit_state_and_head(scene: Scene, b: Bundle) -> Bundle:
    b = _edit_state(scene, b)  # type: ignore[assignment]
    for side in ("before", "after"):
        b[side]["head"]["state"] = digest_of(b["state"].encode())
    return b


@case("leave the state out", "quiet")
def _no_state(scene: Scene, b: Bundle) -> Bundle:
    del b["state"]
    return b


@case("write the state in letters that look the same", "quiet", newest_edited)
def _look_alike_state(scene: Scene, b: Bundle) -> Bundle:
    b["state"] = b["state"].replace("production", "pr\u043eduction")
    return b


def json_replaced(b: Bundle, old: str, new: str) -> Bundle:
    """The bundle with a text replaced wherever it stands."""
    found: Bundle = json.loads(json.dumps(b, ensure_ascii=False).replace(old, new))
    return found


def flipped(encoded: str, place: int = 0) -> str:
    """Base64 with one bit of its content turned over."""
    content = bytearray(base64.b64decode(encoded))
    content[place] ^= 1
    return base64.b64encode(bytes(content)).decode()


def signed_by_other(note: str) -> str:
    """The same checkpoint under another key of the same name."""
    origin, size, root = note.splitlines()[:3]
    tree = Checkpoint(origin=origin, size=int(size), root=base64.b64decode(root))
    return OTHER.sign(tree.text())


def release(place: int) -> str:
    """One of the scene's releases."""
    return RELEASES[place]
