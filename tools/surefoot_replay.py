#!/usr/bin/env python3
"""Read a whole export of a Surefoot journal and compute everything again, trusting nobody.

    python surefoot_replay.py DIR --root root.json          (newer roots after it)
    python surefoot_replay.py DIR --log-key VKEY            or a file with it

It needs surefoot_verify.py beside it, and nothing else of Surefoot. Every leaf of the export (C2SP
tlog-tiles; of them the entries and states) is read; the tree, the heads map at each seal, every
chain and every state's digest are computed anew and compared with the signed checkpoint. With a
root, a key of the log counts for its time, and the last trusted tree of a stolen one is there. Exit
status: 0 all is as it should be, 5 not, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from surefoot_verify import (
    EMPTY_ROOT,
    FAULTS,
    Key,
    Leaf,
    Note,
    NotShown,
    Root,
    leaf_hash,
    map_leaf,
    need,
    node_hash,
    parse_leaf,
    shown_time,
    trust_of,
)

TILE = 256


class Tree:
    """A growing tree: one hash for each complete subtree on its right edge."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.size = 0
        self.edge: list[bytes] = []
        for leaf in leaves:
            self.add(leaf)

    def add(self, leaf: bytes) -> None:
        """Add a leaf hash; equal subtrees beside each other become one."""
        self.edge.append(leaf)
        self.size += 1
        for _ in range((self.size & -self.size).bit_length() - 1):
            right, left = self.edge.pop(), self.edge.pop()
            self.edge.append(node_hash(left, right))

    def root(self) -> bytes:
        found = self.edge[-1] if self.edge else EMPTY_ROOT
        for left in reversed(self.edge[:-1]):
            found = node_hash(left, found)
        return found


def verify_export(folder: Path, pinned: Root | str) -> dict[str, Any]:
    """Read a whole export and compute everything again. Raises `NotShown`."""
    note = Note(read_file(folder / "checkpoint", 64 * 1024).decode("utf-8", "replace"))
    keys = [log["vkey"] for log in pinned.logs] if isinstance(pinned, Root) else [pinned]
    need(any(Key(key).times(note) for key in keys), "no key of the log signed")
    trees = trusted_trees(pinned, note.size)
    tree, states, clock, last = Tree(), set[str](), 0, ""
    heads: dict[str, dict[str, Any]] = {}
    for index, raw in enumerate(leaves_of(folder, note.size)):
        try:
            leaf = parse_leaf(raw)
            need(leaf["time"] >= clock, "the time went back")
            if leaf["kind"] == "seal":
                check_cover(leaf, index, tree, heads)
            else:
                add_entry(leaf, index, heads)
                check_state(folder, leaf["state"], states)
        except FAULTS as error:
            raise NotShown(f"leaf {index}: {error}") from None
        clock, last = leaf["time"], leaf["kind"]
        tree.add(leaf["hash"])
        last_root = trees.get(tree.size, "")
        need(
            last_root in ("", tree.root().hex()), "the last trusted tree of a stolen key is another"
        )
    need(tree.root() == note.root, "the leaves have another root than the signed checkpoint")
    need(last == "seal", "the last leaf is no seal")
    key = pinned.log_key(note, clock)["log_key"] if isinstance(pinned, Root) else pinned
    counts = {"size": note.size, "streams": len(heads), "states": len(states), "key": key}
    return {"origin": note.origin, "root": note.root.hex(), "until": shown_time(clock), **counts}


def trusted_trees(pinned: Root | str, size: int) -> dict[int, str]:
    """The root of each last trusted tree of a stolen key, by its size; none is larger than this."""
    logs = pinned.logs if isinstance(pinned, Root) else []
    stolen = [log for log in logs if log["ended"] == "compromised"]
    need(all(log["last_size"] <= size for log in stolen), "a last trusted tree is larger")
    return {log["last_size"]: log["last_root"] for log in stolen}


def add_entry(leaf: Leaf, index: int, heads: dict[str, dict[str, Any]]) -> None:
    """The entry goes on where its stream's head is, and is the head from now on."""
    head = heads.get(leaf["stream"])
    n, prev = (head["n"] + 1, head["leaf"]) if head else (0, None)
    need((leaf["n"], leaf.get("prev")) == (n, prev), f"{leaf['stream']} has a gap")
    heads[leaf["stream"]] = {"i": index, **leaf["head"]}


def check_state(folder: Path, digest: str, states: set[str]) -> None:
    """The state's content is there, and has its digest."""
    digits = digest.removeprefix("sha256:")
    if digest not in states:
        content = read_file(folder / "states" / digits[:2] / digits[2:], 64 * 1024 * 1024)
        need(hashlib.sha256(content).hexdigest() == digits, "a changed state")
        states.add(digest)


def check_cover(seal: Leaf, index: int, tree: Tree, heads: dict[str, Any]) -> None:
    """The seal against the tree and the heads map of all leaves before it."""
    rows = sorted(map_leaf(stream, head) for stream, head in heads.items())
    found = (index, len(heads), tree.root().hex(), Tree(map(leaf_hash, rows)).root().hex())
    said = (seal["covers"], seal["streams"], seal["root"], seal["heads"])
    need(said == found, "the seal is not that of the leaves before it")


def leaves_of(folder: Path, size: int) -> list[bytes]:
    """All leaves, out of bundles of 256, each after its length in two bytes."""
    leaves: list[bytes] = []
    for start in range(0, size, TILE):
        width = min(TILE, size - start)
        digits = str(start // TILE).zfill((len(str(start // TILE)) + 2) // 3 * 3)
        path = "tile/entries/" + re.sub("(...)(?=...)", r"x\1/", digits)
        path += "" if width == TILE else f".p/{width}"
        content, place, found = read_file(folder / path, TILE * 65538), 0, 0
        while place < len(content):
            end = place + 2 + int.from_bytes(content[place : place + 2], "big")
            need(end <= len(content) and place + 2 <= len(content), f"{path} ends too early")
            leaves.append(content[place + 2 : end])
            place, found = end, found + 1
        need(found == width, f"{path} has {found} leaves, not {width}")
    return leaves


def read_file(path: Path, size_max: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(size_max + 1)
    except OSError as error:
        raise NotShown(f"{path}: {error.strerror}") from None
    need(len(content) <= size_max, f"{path} is too long")
    return content


def main() -> int:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description="Read a whole export of a Surefoot journal.")
    parser.add_argument("folder", type=Path, metavar="DIR")
    pinned = parser.add_mutually_exclusive_group(required=True)
    pinned.add_argument("--log-key", metavar="VKEY", help="the key you pinned, or its file")
    pinned.add_argument("--root", action="append", type=Path, metavar="FILE", help="a root.json")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    try:
        trust = trust_of(options.log_key, options.root)
        assert trust is not None
        shown = verify_export(options.folder, trust)
    except FAULTS as error:
        shown = {"error": str(error) or "a signature does not hold"}
    lines = [f"{name:<10} {value!r}" for name, value in shown.items()]
    print(json.dumps(shown) if options.json else "\n".join(lines))
    return 5 if "error" in shown else 0


if __name__ == "__main__":
    sys.exit(main())
