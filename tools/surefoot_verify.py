#!/usr/bin/env python3
"""Verify what a Surefoot journal claims, with nothing of Surefoot: one file, to be read.

    python surefoot_verify.py BUNDLE... --log-key VKEY          a proof about one moment
    python surefoot_verify.py --full DIR --log-key VKEY         a whole export, trusting nobody

It needs Python 3.11 and the package `cryptography`, for Ed25519 alone. It opens no connection and
writes no file. Exit status: 0 shown, 5 not shown, 3 shown under a key that you did not pin (the
bundle's own), 2 wrong usage. Formats: docs/formats/ of Surefoot. In the order of this file:
1 canonical JSON, 2 Merkle trees (RFC 6962), 3 signed checkpoints (C2SP), 4 leaves, 5 the heads map,
6 bundles, 7 exports (C2SP tlog-tiles; of them the entries and states), 8 what is printed.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LEAF_BYTES_MAX, BUNDLE_BYTES_MAX, CHAIN_MAX = 16 * 1024, 16 * 1024 * 1024, 10_000
INTEGER_MAX, TILE = 2**53 - 1, 256
EMPTY_ROOT = hashlib.sha256(b"").digest()
HASH = re.compile(r"[0-9a-f]{64}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
STREAM = re.compile(r"[a-z][a-z0-9-]*(/[A-Za-z0-9][A-Za-z0-9._:@+-]*)*")
KIND = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
KEY_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,255}")
ENTRY = "v kind stream n time actor request body state state_schema evidence reason"
SEAL = "v kind covers root heads streams time clamped_ms"
ALWAYS = "format tool stream keys chain"
SIDES = ("before", "after")
Leaf = dict[str, Any]
Roots = tuple[bytes, bytes]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NotShown(Exception):
    """What was given does not show what it claims."""


def need(holds: bool, what: str) -> None:
    """Everything that must hold goes through here."""
    if not holds:
        raise NotShown(what)


# -- 1. Canonical JSON: only the canonical bytes of a value are taken ------------------------------
def parse_json(content: bytes) -> Any:
    """The value, if these are exactly its canonical bytes (RFC 8785; no fractions, no null)."""
    try:
        value = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise NotShown(f"not canonical JSON: {error}") from None
    check_value(value, 0)
    # What JSON can write in two ways (spaces, order, a member twice) does not come out the same.
    again = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    need(again.encode() == content, "JSON is not in its canonical form")
    return value


def check_value(value: Any, depth: int) -> None:
    need(depth <= 32, "JSON is nested too deeply")
    if isinstance(value, str):
        need(value.isascii() or unicodedata.is_normalized("NFC", value), "text is not in NFC")
        need(not any("\ud800" <= c <= "\udfff" for c in value), "text holds half a character")
    elif isinstance(value, dict):
        for name, member in value.items():
            need(name.isascii(), "a member name is not ASCII")
            check_value(member, depth + 1)
    elif isinstance(value, list):
        for member in value:
            check_value(member, depth + 1)
    elif not isinstance(value, bool):
        need(isinstance(value, int) and abs(value) <= INTEGER_MAX, "a value outside the profile")


def members(value: Any, required: str, optional: str = "") -> dict[str, Any]:
    """An object with all of the required members, and none that is not named."""
    need(isinstance(value, dict), f"not an object with {required}")
    wanted, allowed = set(required.split()), set(optional.split())
    need(wanted <= set(value) <= wanted | allowed, f"members {sorted(value)}, not {required}")
    return dict(value)


def text(value: Any, form: re.Pattern[str] | None, size_max: int) -> str:
    need(isinstance(value, str) and len(value) <= size_max, "not a text, or too long a one")
    need(form is None or form.fullmatch(value) is not None, f"text of another form: {value[:60]}")
    return str(value)


def number(value: Any) -> int:
    need(type(value) is int and 0 <= value <= INTEGER_MAX, f"not a number from 0: {value!r:.40}")
    return int(value)


def time_ms(value: Any) -> int:
    """Milliseconds since 1970 of a time like 2026-11-21T10:00:00.000Z, written just so."""
    written = text(value, TIME, 30)
    try:
        moment = datetime.fromisoformat(written[:-1]).replace(tzinfo=UTC)
    except ValueError:
        raise NotShown(f"time does not exist: {written}") from None
    found = (moment - EPOCH) // timedelta(milliseconds=1)
    need(found >= 0 and shown_time(found) == written, f"time in another form: {written}")
    return found


def shown_time(ms: int) -> str:
    moment = EPOCH + timedelta(milliseconds=ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def from_base64(value: Any) -> bytes:
    encoded = text(value, None, 64 * 1024)
    try:
        content = base64.b64decode(encoded.encode(), validate=True)
    except ValueError:
        raise NotShown(f"not base64: {encoded[:40]}") from None
    need(base64.b64encode(content).decode() == encoded, "base64 with bits that mean nothing")
    return content


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


# -- 2. Merkle trees (RFC 6962, verification as in RFC 9162 section 2.1) ---------------------------
def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def proof_of(value: Any) -> list[bytes]:
    """The hashes of a proof: joined, in base64, at most 64."""
    content = from_base64(text(value, None, 4 * 1024))
    need(len(content) % 32 == 0 and len(content) <= 64 * 32, "a proof of another length")
    return [content[place : place + 32] for place in range(0, len(content), 32)]


def included(leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> bool:
    """True when the proof leads from the leaf hash at `index` to the root."""
    return 0 <= index < size and climbed(leaf, index, size, proof) == root


def climbed(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes | None:
    """The root that leaf and proof make; the proof's last hash is the other half of the tree."""
    if size == 1 or not proof:
        return leaf if size == 1 and not proof else None
    split = 1 << ((size - 1).bit_length() - 1)
    if index < split:
        half = climbed(leaf, index, split, proof[:-1])
        return half and node_hash(half, proof[-1])
    half = climbed(leaf, index - split, size - split, proof[:-1])
    return half and node_hash(proof[-1], half)


def consistent(old: int, old_root: bytes, size: int, root: bytes, proof: list[bytes]) -> bool:
    """True when the tree of `size` begins with the tree of `old`."""
    return 0 < old < size and grown(old, old_root, size, proof) == (old_root, root)


def grown(old: int, known: bytes | None, size: int, proof: list[bytes]) -> Roots | None:
    """The old and the new root that the proof makes; `known` is the old one, while it is whole."""
    if old == size:
        given = ([known] if not proof else []) if known else proof
        return (given[0], given[0]) if len(given) == 1 else None
    if not proof:
        return None
    split, other = 1 << ((size - 1).bit_length() - 1), proof[-1]
    if old <= split:
        left = grown(old, known, split, proof[:-1])
        return left and (left[0], node_hash(left[1], other))
    right = grown(old - split, None, size - split, proof[:-1])
    return right and (node_hash(other, right[0]), node_hash(other, right[1]))


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


# -- 3. Checkpoints: C2SP signed notes with Ed25519 -----------------------------------------------
class Key:
    """A log's public key, written as name+hash+base64."""

    def __init__(self, written: str) -> None:
        parts = written.split("+", 2)
        need(len(parts) == 3, "the key is not of the form name+hash+base64")
        self.name, content = parts[0], from_base64(parts[2])
        need(KEY_NAME.fullmatch(self.name) is not None, "the key's name is of another form")
        need(len(content) == 33 and content[0] == 1, "the key is not of type Ed25519")
        self.id = hashlib.sha256(self.name.encode() + b"\n" + content).digest()[:4]
        need(parts[1] == self.id.hex(), "the key's hash differs from the key")
        self.public = Ed25519PublicKey.from_public_bytes(content[1:])

    def checkpoint(self, note: str) -> tuple[int, bytes]:
        """Size and root of a checkpoint of this log, if this key signed it."""
        need(len(note) <= 64 * 1024, "the checkpoint is too long")
        body, found, block = note.rpartition("\n\n")
        need(bool(found) and block.endswith("\n"), "the checkpoint has no signatures")
        body += "\n"
        need(not any(c < " " and c != "\n" for c in body), "the checkpoint has a control character")
        lines = block[:-1].split("\n")
        need(len(lines) <= 100, "the checkpoint has too many signatures")
        signed = [self.signed(line, body.encode()) for line in lines]
        need(any(signed), "no signature of the checkpoint is by the log's key")
        lines = body.split("\n")
        need(len(lines) == 4 and not lines[3], "the checkpoint has not three lines")
        need(lines[0] == self.name, f"the checkpoint is of another log: {lines[0][:80]}")
        need(re.fullmatch(r"[1-9][0-9]{0,15}", lines[1]) is not None, "the checkpoint has no size")
        size, root = int(lines[1]), from_base64(lines[2])
        need(size <= INTEGER_MAX and len(root) == 32, "the checkpoint has no size and root")
        return size, root

    def signed(self, line: str, message: bytes) -> bool:
        """True for a good signature by this key, False for one by another; a bad one ends all."""
        need(line.startswith("— "), "a signature line has another form")
        name, space, encoded = line[2:].partition(" ")
        content = from_base64(encoded)
        need(bool(space and KEY_NAME.fullmatch(name)) and len(content) >= 5, "bad signature line")
        if (name, content[:4]) != (self.name, self.id):
            return False
        try:
            self.public.verify(content[4:], message)
        except InvalidSignature:
            raise NotShown("the signature of the checkpoint does not hold") from None
        return True


# -- 4. Leaves: entries and seals -----------------------------------------------------------------
def parse_leaf(raw: bytes) -> Leaf:
    """An entry or a seal with its `time` in milliseconds and `hash`, its leaf hash."""
    need(len(raw) <= LEAF_BYTES_MAX, "a leaf is too long")
    leaf = parse_json(raw)
    is_seal = isinstance(leaf, dict) and leaf.get("kind") == "seal"
    leaf = members(leaf, SEAL) if is_seal else members(leaf, ENTRY, "prev")
    need(type(leaf["v"]) is int and leaf["v"] == 1, "a leaf of another version")
    leaf |= {"time": time_ms(leaf["time"]), "hash": leaf_hash(raw)}
    if is_seal:
        text(leaf["root"], HASH, 64), text(leaf["heads"], HASH, 64), number(leaf["clamped_ms"])
        need(number(leaf["streams"]) <= number(leaf["covers"]), "more streams than leaves")
    else:
        check_entry(leaf)
    return leaf


def check_entry(entry: Leaf) -> None:
    text(entry["kind"], KIND, 100)
    text(entry["stream"], STREAM, 200)
    need((number(entry["n"]) == 0) == ("prev" not in entry), "`prev` of a first entry, or none")
    text(entry.get("prev", "0" * 64), HASH, 64)
    actor = members(entry["actor"], "type id auth")
    need(actor["type"] in ("person", "machine", "device"), "an actor of another type")
    need(text(actor["id"], None, 200) != "", "an actor without a name")
    text(actor["auth"], None, 400)
    text(entry["request"], None, 200)
    need(isinstance(entry["body"], dict), "a body that is no object")
    text(entry["state"], DIGEST, 71)
    need(number(entry["state_schema"]) >= 1, "a state of no form")
    need(isinstance(entry["evidence"], list) and len(entry["evidence"]) <= 100, "too much evidence")
    for digest in entry["evidence"]:
        text(digest, DIGEST, 71)
    text(entry["reason"], None, 4000)


def head_of(index: int, entry: Leaf) -> dict[str, Any]:
    """What the heads map says of a stream whose newest entry this is."""
    return {"i": index, "leaf": entry["hash"].hex(), "n": entry["n"], "state": entry["state"]}


# -- 5. The heads map: one leaf a stream, sorted by SHA-256 of its name ---------------------------
def map_leaf(stream: str, head: dict[str, Any]) -> bytes:
    content = json.dumps(head, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(stream.encode()).digest() + content.encode()


def check_present(stream: str, head: Any, place: Any, seal: Leaf) -> dict[str, Any]:
    """The head, when the seal's map has it for this stream."""
    head, place = members(head, "i leaf n state"), members(place, "index proof")
    text(head["leaf"], HASH, 64), text(head["state"], DIGEST, 71), number(head["n"])
    need(number(head["i"]) < seal["covers"], "the head lies behind the seal")
    leaf, root = leaf_hash(map_leaf(stream, head)), bytes.fromhex(seal["heads"])
    index, proof = number(place["index"]), proof_of(place["proof"])
    need(included(leaf, index, seal["streams"], proof, root), "the heads map has another head")
    return dict(head)


def check_absent(stream: str, place: Any, seal: Leaf) -> None:
    """Two neighbours with nothing between, or one at an end, or an empty map."""
    place = members(place, "", "below above")
    key, size = hashlib.sha256(stream.encode()).digest(), seal["streams"]
    root, found = bytes.fromhex(seal["heads"]), dict[str, tuple[int, bytes]]()
    for name, value in place.items():
        beside = members(value, "index leaf proof")
        leaf, index = from_base64(text(beside["leaf"], None, 4 * 1024)), number(beside["index"])
        need(32 < len(leaf) <= 512, "a neighbour of another length")
        proof = proof_of(beside["proof"])
        need(included(leaf_hash(leaf), index, size, proof, root), "no such neighbour")
        found[name] = (index, leaf[:32])
    below, above = found.get("below"), found.get("above")
    need(below is None or below[1] < key, "the neighbour below is not below")
    need(above is None or key < above[1], "the neighbour above is not above")
    first, last = below[0] + 1 if below else 0, above[0] if above else size
    need(first == last and (bool(found) or root == EMPTY_ROOT), "something stands in between")


# -- 6. Bundles: the state of a stream at a time --------------------------------------------------
def verify_bundle(content: bytes, pinned: str | None) -> dict[str, Any]:
    """What the bundle shows, as a flat record. Raises `NotShown`."""
    need(len(content) <= BUNDLE_BYTES_MAX, "the bundle is too long")
    bundle = parse_json(content)
    never = isinstance(bundle, dict) and "release" in bundle
    claim = " from until release states" if never else " at"
    sides = "before after consistency" + ("" if never else " state")
    bundle = members(bundle, ALWAYS + claim, sides)
    need(bundle["format"] == "surefoot-proof/1", "a bundle of another format")
    text(bundle["tool"], None, 100)
    stream = text(bundle["stream"], STREAM, 200)
    written = text(members(bundle["keys"], "log")["log"], None, 400)
    need(pinned is None or pinned == written, f"the bundle is signed by another key: {written}")
    key = Key(written)
    ends = {name: end_of(bundle[name], stream, key) for name in SIDES if name in bundle}
    start = time_ms(bundle["from" if never else "at"])
    until = time_ms(bundle["until" if never else "at"])
    check_ends(start, until, ends, bundle)
    chain = chain_of(bundle["chain"], stream, ends)
    then = [entry for entry in chain if entry["time"] <= until]
    given = bundle["states"] if never else [bundle["state"]] if "state" in bundle else []
    need(isinstance(given, list) and len(given) <= CHAIN_MAX, "no list of states")
    states = [text(state, None, BUNDLE_BYTES_MAX) for state in given]
    release = text(bundle.get("release", ""), None, 71)
    if never:
        check_never(text(release, DIGEST, 71), stream, start, then, states)
    else:
        need(len(states) == min(len(then), 1), "a state too many, or none")
        need(not then or opened(states[0], then[-1]["state"]) is not None, "no state")
    last: Any = then[-1] if then else {"index": -1, "time": 0, "actor": {"id": ""}, "state": ""}
    shown: dict[str, Any] = {"stream": stream, "exists": bool(then), "entry": last["index"]}
    shown |= {"from": shown_time(start), "until": shown_time(until), "release": release}
    shown |= {"since": shown_time(last["time"]) if then else "", "actor": last["actor"]["id"]}
    shown |= {"state": last["state"], "content": states[-1] if then and states else ""}
    shown |= {name: shown_time(ends[name]["ms"]) if name in ends else "" for name in SIDES}
    shown |= {"sizes": [ends[name]["size"] for name in SIDES if name in ends]}
    shown |= {"changes": len(chain) - bool("before" in ends and ends["before"]["head"])}
    return {**shown, "key": written, "pinned": pinned is not None}


def end_of(value: Any, stream: str, key: Key) -> dict[str, Any]:
    """One end of the bracket: signed tree, its seal, the head in the seal's map (or None)."""
    side = members(value, "checkpoint seal seal_proof map", "head")
    size, root = key.checkpoint(text(side["checkpoint"], None, 64 * 1024))
    seal = parse_leaf(text(side["seal"], None, LEAF_BYTES_MAX).encode())
    proof = proof_of(side["seal_proof"])
    need(seal["kind"] == "seal" and seal["covers"] == size - 1, "the last leaf is no such seal")
    need(included(seal["hash"], size - 1, size, proof, root), "the seal is not the last leaf")
    before = proof[0] if proof else EMPTY_ROOT
    for sibling in proof[1:]:
        before = node_hash(sibling, before)
    need(before.hex() == seal["root"], "the seal has another root of the leaves before it")
    head = check_present(stream, side["head"], side["map"], seal) if "head" in side else None
    if head is None:
        check_absent(stream, side["map"], seal)
    return {"size": size, "root": root, "ms": seal["time"], "head": head}


def check_ends(start: int, until: int, ends: dict[str, Any], bundle: dict[str, Any]) -> None:
    """The time lies inside the bracket, and the second tree begins with the first."""
    before, after = ends.get("before"), ends.get("after")
    need(start <= until, "the time ends before it begins")
    need(before is None or before["ms"] <= start, "the time is before the checkpoint before")
    need(after is None or until < after["ms"], "the time is not before the checkpoint after")
    if after is None:
        need("release" not in bundle and before is not None, "nothing after the time is shown")
        need(ends["before"]["ms"] == until, "nothing after that seal is shown")
    need(("consistency" in bundle) == (len(ends) == 2), "a consistency proof too many, or none")
    if before is not None and after is not None:
        proof, old, new = proof_of(bundle["consistency"]), before["size"], after["size"]
        need(consistent(old, before["root"], new, after["root"], proof), "not the same log")


def chain_of(value: Any, stream: str, ends: dict[str, Any]) -> list[Leaf]:
    """Every entry of the stream from the head before (itself included) to the head after."""
    need(isinstance(value, list) and len(value) <= CHAIN_MAX, "no chain, or too long a one")
    before, after = ends.get("before", {}), ends.get("after", {})
    first = before.get("head")
    last = after["head"] if after else first
    chain: list[Leaf] = []
    place, clock = (before["size"], before["ms"]) if before else (0, 0)
    for link in (members(item, "i raw", "proof") for item in value):
        raw, index = text(link["raw"], None, LEAF_BYTES_MAX).encode(), number(link["i"])
        entry = {**parse_leaf(raw), "index": index}
        need(entry["kind"] != "seal" and entry["stream"] == stream, "an entry of another stream")
        if first and not chain:
            need(head_of(index, entry) == first, "the chain begins with another entry")
            need("proof" not in link and entry["time"] <= before["ms"], "a first entry too late")
        else:
            n, prev = (chain[-1]["n"] + 1, chain[-1]["hash"].hex()) if chain else (0, None)
            need((entry["n"], entry.get("prev")) == (n, prev), "the chain has a gap")
            need(bool(after) and "proof" in link, "an entry without a proof")
            need(index >= place and clock <= entry["time"] <= after["ms"], "an entry out of order")
            proof = proof_of(link["proof"])
            need(included(entry["hash"], index, after["size"], proof, after["root"]), "not in it")
            place, clock = index + 1, entry["time"]
        chain.append(entry)
    need((head_of(chain[-1]["index"], chain[-1]) if chain else None) == last, "the chain is short")
    return chain


def opened(content: str, digest: str) -> dict[str, Any]:
    need(digest_of(content.encode()) == digest, f"the state is not {digest}")
    state = parse_json(content.encode())
    need(isinstance(state, dict), "the state is no object")
    return dict(state)


def check_never(release: str, stream: str, start: int, then: list[Leaf], states: list[str]) -> None:
    """All states that were in force in the time are there, and none names the release."""
    need(stream.startswith("env/"), "a release is in environments alone")
    first = [entry for entry in then if entry["time"] <= start][-1:]
    inside = first + [entry for entry in then if entry["time"] > start]
    digests = list(dict.fromkeys(entry["state"] for entry in inside))
    need(len(digests) == len(states), "a state of that time is missing, or one too many")
    need(all(entry["state_schema"] == 1 for entry in inside), "a state of another form")
    for digest, content in zip(digests, states, strict=True):
        state = opened(content, digest)
        parts = state.get("components", {})
        need(isinstance(parts, dict), "components of another form")
        need(all(isinstance(part, dict) for part in parts.values()), "a component of another form")
        named = [state.get("release", ""), *(part.get("release") for part in parts.values())]
        need(all(isinstance(name, str) for name in named), "another form of releases")
        need(release not in named, f"the release was there: state {digest}")


# -- 7. Exports: every leaf is read, and all is computed again -------------------------------------
def verify_export(folder: Path, pinned: str) -> dict[str, Any]:
    """Read a whole export (C2SP tlog-tiles) and compute everything again. Raises `NotShown`."""
    key = Key(pinned)
    note = read_file(folder / "checkpoint", 64 * 1024)
    size, root = key.checkpoint(note.decode("utf-8", "replace"))
    tree, states, clock, last = Tree(), set[str](), 0, ""
    heads: dict[str, dict[str, Any]] = {}
    for index, raw in enumerate(leaves_of(folder, size)):
        try:
            leaf = parse_leaf(raw)
            need(leaf["time"] >= clock, "the time went back")
            if leaf["kind"] == "seal":
                check_cover(leaf, index, tree, heads)
            else:
                head = heads.get(leaf["stream"])
                n, prev = (head["n"] + 1, head["leaf"]) if head else (0, None)
                need((leaf["n"], leaf.get("prev")) == (n, prev), f"{leaf['stream']} has a gap")
                heads[leaf["stream"]] = head_of(index, leaf)
                digest, digits = leaf["state"], leaf["state"].removeprefix("sha256:")
                if digest not in states:
                    path = folder / "states" / digits[:2] / digits[2:]
                    need(digest_of(read_file(path, 64 * 1024 * 1024)) == digest, "a changed state")
                    states.add(digest)
        except NotShown as error:
            raise NotShown(f"leaf {index}: {error}") from None
        clock, last = leaf["time"], leaf["kind"]
        tree.add(leaf["hash"])
    need(tree.root() == root, "the leaves have another root than the signed checkpoint")
    need(last == "seal", "the last leaf is no seal")
    counts = {"size": size, "streams": len(heads), "states": len(states)}
    return {"origin": key.name, "root": root.hex(), "until": shown_time(clock), **counts}


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


# -- 8. What is printed ---------------------------------------------------------------------------
def page(shown: dict[str, Any]) -> str:
    """One page for a person."""
    about, then = shown["stream"], shown["until"]
    if shown["release"]:
        what = f"{shown['release']} was never in {about} from {shown['from']} to {then}"
    elif shown["exists"]:
        what = f"the state of {about} at {then} was {shown['state']}"
    else:
        what = f"there was no {about} at {then}"
    who = f"by {shown['actor']} at {shown['since']}, entry {shown['entry']} of the journal"
    after = shown["after"] or "nothing later in the journal"
    kept = "you pinned it" if shown["pinned"] else "NOT PINNED: the bundle's own, nobody vouches"
    rows = [
        ("what", what),
        ("written", who if shown["exists"] else "-"),
        ("bracket", f"{shown['before'] or 'the beginning'} to {after}, by the server's clock"),
        ("changes", f"{shown['changes']} between the two checkpoints"),
        ("trees", " and ".join(map(str, shown["sizes"])) + " leaves, signed and consistent"),
        ("key", f"log key {shown['key']} ({kept})"),
        ("not shown", "no witness: the times are the log's own word (self-timestamped);"),
        ("", "a log that signs a false heads map is found by --full alone"),
    ]
    rows += [("state", shown["content"])] if shown["content"] else []
    return "\n".join(f"{name:<10} {clean(value)}" for name, value in rows)


def clean(value: object) -> str:
    """What a bundle says cannot steer the terminal, nor look like a line of ours."""
    return "".join(c if c.isprintable() else "\ufffd" for c in str(value))


def main() -> int:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description="Verify proofs and exports of a Surefoot journal.")
    parser.add_argument("files", nargs="*", type=Path, metavar="BUNDLE")
    parser.add_argument("--log-key", metavar="VKEY", help="the log's key that you pinned")
    parser.add_argument("--full", type=Path, metavar="DIR", help="an export, as a whole")
    parser.add_argument("--json", action="store_true", help="one line of JSON for each")
    options = parser.parse_args()
    if bool(options.files) == bool(options.full) or (options.full and not options.log_key):
        parser.error("give bundles, or --full DIR with --log-key VKEY")
    return max(check(path, options) for path in options.files or [options.full])


def check(path: Path, options: argparse.Namespace) -> int:
    """Verify one thing, print, return the exit status."""
    try:
        if options.full:
            shown = verify_export(path, options.log_key)
            printed = "\n".join(f"{name:<10} {clean(value)}" for name, value in shown.items())
        else:
            shown = verify_bundle(read_file(path, BUNDLE_BYTES_MAX), options.log_key)
            printed = page(shown)
    except NotShown as error:
        shown, printed = {"error": str(error)}, clean(f"NOT SHOWN  {path}: {error}")
    print(json.dumps(shown) if options.json else printed)
    return 5 if "error" in shown else 0 if shown.get("pinned", True) else 3


if __name__ == "__main__":
    sys.exit(main())
