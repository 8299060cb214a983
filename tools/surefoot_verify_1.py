#!/usr/bin/env python3
"""Verify proofs of a Surefoot journal in format 1, in which they were written at first.

    python surefoot_verify_1.py BUNDLE... --root root.json          (or --log-key KEY)

It needs surefoot_verify.py beside it, whose words and exit status it has. A bundle of format 1 also
says what follows from the rest: heads, whole seals, each proof's own hashes. They are taken away,
what remains is verified as format 2, and what was taken must be just what follows from it.
"""

from __future__ import annotations

import base64
import sys
from typing import Any

from surefoot_verify import (
    BUNDLE_BYTES_MAX,
    CHAIN_MAX,
    SIDES,
    Note,
    Root,
    ends_of,
    entry_of,
    leaf_hash,
    listed,
    main,
    members,
    need,
    number,
    parse_json,
    proof_of,
    to_json,
    verify_bundle,
)

Range = tuple[int, int]


def verify_whole(content: bytes, trust: Root | str | None, now: int) -> dict[str, Any]:
    """What a bundle of format 1 shows. Raises `NotShown`."""
    need(len(content) <= BUNDLE_BYTES_MAX, "the bundle is too long")
    bundle = parse_json(content)
    need(bundle["format"] == "surefoot-proof/1", "a bundle of another format")
    need("tree" not in bundle, "a bundle of format 1 with a tree")
    sides = [members(bundle[n], "checkpoint seal seal_proof map", "head") for n in names_of(bundle)]
    bound = "before" in bundle and "head" in sides[0]
    need(isinstance(bundle["chain"], list), "no chain")
    first = listed(bundle["chain"][:bound], 1, "i raw")
    proved = listed(bundle["chain"][bound:], CHAIN_MAX, "i raw proof")
    exhibits = listed(bundle.get("evidence", []), 100, "i raw proof texts")
    ranges = told(sides, proved + exhibits, bundle)
    short = shortened(bundle, sides, [first, proved, exhibits], ranges)
    shown = verify_bundle(to_json(short), trust, now)
    # It is shown; now the rest must be as it follows.
    entries = [[entry_of(item) for item in items] for items in (first + proved, exhibits)]
    ends = ends_of(short, *entries)
    tree = next(iter(ends.values()))["tree"]
    for side, end in zip(sides, ends.values(), strict=True):
        same = tree.over(end["size"] - 1, end["size"]) == leaf_hash(side["seal"].encode())
        need(same, "the seal is another one")
        need(to_json(side.get("head", "")) == to_json(end["head"] or ""), "another head")
        need(("head" in side) == ("index" in side["map"]), "a head too many, or none")
    for places, hashes in ranges:
        need([tree.over(*place) for place in places] == hashes, "a hash is another one")
    return shown


def names_of(bundle: dict[str, Any]) -> list[str]:
    return [name for name in SIDES if name in bundle]


def told(
    sides: list[dict[str, Any]], items: list[dict[str, Any]], bundle: dict[str, Any]
) -> list[tuple[list[Range], list[bytes]]]:
    """For each proof in the bundle what its hashes are over, and the hashes."""
    sizes = [Note(side["checkpoint"]).size for side in sides]
    pairs = [
        (path(size - 1, size), proof_of(side["seal_proof"]))
        for side, size in zip(sides, sizes, strict=True)
    ]
    for item in items:
        need(number(item["i"]) < sizes[-1], "an entry behind the tree")
        pairs.append((path(item["i"], sizes[-1]), proof_of(item["proof"])))
    need(("consistency" in bundle) == (len(sizes) == 2), "a consistency proof too many, or none")
    if len(sizes) == 2:
        need(sizes[0] < sizes[1], "the later tree is not larger")
        grown = path(sizes[0] - 1, sizes[1], grown=True)
        pairs.append((grown, proof_of(bundle["consistency"])))
    return pairs


def shortened(
    bundle: dict[str, Any],
    sides: list[dict[str, Any]],
    items: list[list[dict[str, Any]]],
    ranges: list[tuple[list[Range], list[bytes]]],
) -> dict[str, Any]:
    """The same in format 2. `items` are the first of the chain, the others, and the exhibits."""
    seals = [parse_json(side["seal"].encode()) for side in sides]
    places = {place: node for pair in ranges for place, node in zip(*pair, strict=True)}
    leaves = {seal["covers"] for seal in seals} | {item["i"] for item in items[1] + items[2]}
    gaps = zip([0, *(leaf + 1 for leaf in sorted(leaves))], sorted(leaves), strict=False)
    hashes = [places[place] for gap in gaps for place in cover(*gap)]
    maps = [side["map"] for side in sides]
    if len(sides) == 2 and all("index" in each for each in maps):
        spots = [(each["index"], seal["streams"]) for each, seal in zip(maps, seals, strict=True)]
        if spots[0] == spots[1]:
            paths = [proof_of(each["proof"]) for each in maps]
            need(len(paths[0]) == len(paths[1]), "a path of another length")
            both = enumerate(zip(*paths, strict=True))
            common = next((at for at, (one, other) in both if one != other), len(paths[1]))
            maps[1] = {**maps[1], "proof": joined(paths[1][common:])}
    short = {name: value for name, value in bundle.items() if name != "consistency"}
    for name, side, seal, at in zip(names_of(bundle), sides, seals, maps, strict=True):
        kept = {member: seal[member] for member in ("clamped_ms", "streams", "time")}
        short[name] = {"checkpoint": side["checkpoint"], "seal": kept, "map": at}
    first, proved, exhibits = ([without_proof(item) for item in each] for each in items)
    short |= {"format": "surefoot-proof/2", "chain": first + proved, "tree": joined(hashes)}
    return short | ({"evidence": exhibits} if "evidence" in bundle else {})


def without_proof(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "proof"}


def joined(hashes: list[bytes]) -> str:
    return base64.b64encode(b"".join(hashes)).decode()


def path(index: int, end: int, *, grown: bool = False, start: int = 0) -> list[Range]:
    """What the hashes of an inclusion proof are over, from the leaf up; when `grown`, those of the
    proof that the tree is consistent with the older one of which this leaf is the last."""
    if end - start == 1 or (grown and end == index + 1):
        return [(start, end)] if grown and start else []
    middle = start + (1 << ((end - start - 1).bit_length() - 1))
    if index < middle:
        return [*path(index, middle, grown=grown, start=start), (middle, end)]
    return [*path(index, end, grown=grown, start=middle), (start, middle)]


def cover(start: int, end: int) -> list[Range]:
    """The largest whole subtrees between two places, from the left."""
    found = []
    while start < end:
        width = 1 << ((end - start).bit_length() - 1)
        stop = start + (min(width, start & -start) or width)
        found.append((start, stop))
        start = stop
    return found


if __name__ == "__main__":
    sys.exit(main(verify_whole))
