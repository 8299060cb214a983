#!/usr/bin/env python3
"""Verify proofs of a Surefoot journal, with nothing of Surefoot: one file, to be read.

    python surefoot_verify.py BUNDLE... --root root.json
    python surefoot_verify.py BUNDLE... --log-key KEY     (text or file) no witnesses, no auditors

Needs Python 3.11 and `cryptography`; opens no connection, writes no file. Exit status: 0 shown, 5
not shown, 3 shown under a key that you did not pin (the bundle's own), 2 wrong usage. Of several
roots you pinned the first, and each other one follows the one before. Formats: docs/formats/. With
this file beside them, surefoot_replay.py reads an export, surefoot_verify_1.py bundles of format 1.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
import time
import unicodedata
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

LEAF_BYTES_MAX, BUNDLE_BYTES_MAX, CHAIN_MAX = 16 * 1024, 16 * 1024 * 1024, 10_000
INTEGER_MAX, FUTURE_S_MAX, EMPTY_ROOT = 2**53 - 1, 300, hashlib.sha256(b"").digest()
HASH, DIGEST = re.compile(r"[0-9a-f]{64}"), re.compile(r"sha256:[0-9a-f]{64}")
STREAM = re.compile(r"[a-z][a-z0-9-]*(/[A-Za-z0-9][A-Za-z0-9._:@+-]*)*")
KEY_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,255}")
LOG_DEFAULTS = {"until_ms": 0, "anchor": "", "ended": "", "last_size": 0, "last_root": ""}
P, ORDER_8 = 2**255 - 19, 0x5FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
SMALL = {0, 1, ORDER_8, P - ORDER_8, P - 1, P, P + 1}  # y of points whose signatures bind nothing
ROOT_TYPE, SIDES = "application/vnd.surefoot.root+json", ("before", "after")
Leaf = dict[str, Any]
ENTRY = "v kind stream n time actor request body state state_schema evidence reason"
ROOT, EPOCH = "installation logs signers threshold v version", datetime(1970, 1, 1, tzinfo=UTC)
FAULTS = InvalidSignature, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError


class NotShown(ValueError):
    """What was given does not show what it claims. Malformed input ends in one of FAULTS, too."""


def need(holds: bool, what: str) -> None:
    """Everything that must hold goes through here."""
    if not holds:
        raise NotShown(what)


# -- 1. Canonical JSON: only the canonical bytes of a value are taken ------------------------------
def parse_json(content: bytes) -> Any:
    """The value, if these are its canonical bytes (RFC 8785)."""
    value = json.loads(content.decode())
    # What JSON can write in two ways (spaces, order, members) does not come out the same.
    canonical = to_json(value) == content and unicodedata.is_normalized("NFC", content.decode())
    need(canonical, "JSON is not in its canonical form, or text not in NFC")
    return value


def to_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def members(value: Any, required: str, optional: str = "") -> dict[str, Any]:
    """An object with all of the required members, and none that is not named."""
    need(isinstance(value, dict), f"not an object with {required}")
    wanted, allowed = set(required.split()), set(optional.split())
    need(wanted <= set(value) <= wanted | allowed, f"members {sorted(value)}, not {required}")
    return dict(value)


def listed(value: Any, count_max: int, required: str) -> list[dict[str, Any]]:
    """A list of at most so many objects with these members."""
    need(isinstance(value, list) and len(value) <= count_max, "no list, or too long a one")
    return [members(item, required) for item in value]


def text(value: Any, form: re.Pattern[str] | None, size_max: int) -> str:
    need(isinstance(value, str) and len(value) <= size_max, "not a text, or too long a one")
    need(form is None or form.fullmatch(value) is not None, f"text of another form: {value[:60]}")
    return str(value)


def number(value: Any) -> int:
    need(type(value) is int and 0 <= value <= INTEGER_MAX, f"not a number from 0: {value!r:.40}")
    return int(value)


def time_ms(value: Any) -> int:
    """Milliseconds since 1970 of a time like 2026-11-21T10:00:00.000Z, written just so."""
    found = (datetime.fromisoformat(text(value, None, 30)) - EPOCH) // timedelta(milliseconds=1)
    need(found >= 0 and shown_time(found) == value, f"time in another form: {value}")
    return found


def shown_time(ms: int) -> str:
    return (EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")[:-6] + "Z"


def from_base64(value: Any, size_max: int = 64 * 1024) -> bytes:
    encoded = text(value, None, size_max)
    content = base64.b64decode(encoded.encode(), validate=True)
    need(base64.b64encode(content).decode() == encoded, "base64 with bits that mean nothing")
    return content


def digest_of(value: Any) -> str:
    return "sha256:" + hashlib.sha256(text(value, None, BUNDLE_BYTES_MAX).encode()).hexdigest()


# -- 2. Merkle trees (RFC 6962, verification as in RFC 9162 section 2.1) ---------------------------
def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def proof_of(value: Any, count_max: int = 64) -> list[bytes]:
    """The hashes of a proof: joined, in base64, at most so many."""
    content = from_base64(value, 44 * count_max)
    need(len(content) % 32 == 0 and len(content) <= 32 * count_max, "a proof of another length")
    return [content[place : place + 32] for place in range(0, len(content), 32)]


class Tree:
    """Of which the hashes over some ranges of leaves are known; others follow from them."""

    def __init__(self) -> None:
        self.known = {(0, 0): EMPTY_ROOT}

    def over(self, start: int, end: int) -> bytes:
        """The hash over the leaves from start up to end."""
        if (start, end) not in self.known:
            need(end - start > 1, "a hash is missing")
            middle = start + (1 << ((end - start - 1).bit_length() - 1))
            self.known[start, end] = node_hash(self.over(start, middle), self.over(middle, end))
        return self.known[start, end]

    def fill(self, start: int, end: int, hashes: list[bytes]) -> None:
        """Take from the list's end the hashes over the largest whole subtrees between the two."""
        while start < end:
            width = 1 << ((end - start).bit_length() - 1)
            stop = start + (min(width, start & -start) or width)
            self.known[start, stop], start = hashes.pop(), stop


def climbed(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    """The root that leaf and proof make; the proof's last hash is the other half of the tree."""
    need(index < size and bool(proof) == (size > 1), "a proof of another length, or another place")
    if size == 1:
        return leaf
    split = 1 << ((size - 1).bit_length() - 1)
    if index < split:
        return node_hash(climbed(leaf, index, split, proof[:-1]), proof[-1])
    return node_hash(proof[-1], climbed(leaf, index - split, size - split, proof[:-1]))


# -- 3. Checkpoints: C2SP signed notes, and cosignatures with a time ------------------------------
class Note:
    """A checkpoint: what its text says, and signatures (name, id, content), not looked at yet."""

    def __init__(self, value: Any) -> None:
        body, found, block = text(value, None, 64 * 1024).rpartition("\n\n")
        need(bool(found) and block.endswith("\n"), "the checkpoint has no signatures")
        need(block.count("\n") <= 100, "the checkpoint has too many signatures")
        self.signatures: list[tuple[str, bytes, bytes]] = []
        for line in block[:-1].split("\n"):
            dash, name, encoded = [*line.split(" ", 2), "", ""][:3]
            content = from_base64(encoded)
            need(dash == "—" and bool(KEY_NAME.fullmatch(name)) and len(content) > 4, "unsigned")
            self.signatures.append((name, content[:4], content[4:]))
        tree = re.fullmatch(r"([^\x00-\x1f]+)\n([1-9][0-9]{0,15})\n([A-Za-z0-9+/]+=)", body)
        self.origin, size, root = tree.groups() if tree else ("", "0", "")
        self.body, self.size, self.root = (body + "\n").encode(), int(size), from_base64(root)
        need(0 < self.size <= INTEGER_MAX and len(self.root) == 32, "no name, size and root")


class Key:
    """A public key, written name+hash+base64: a log's (1) or a cosigner's (4; 6: ML-DSA-44)."""

    def __init__(self, written: str, kinds: tuple[int, ...] = (1,)) -> None:
        self.name, hashed, encoded = written.split("+", 2)
        content = from_base64(encoded)
        self.kind = content[0] if content else 0
        need(KEY_NAME.fullmatch(self.name) is not None, "the key's name is of another form")
        length, make = (1313, MLDSA44PublicKey) if self.kind == 6 else (33, Ed25519PublicKey)
        need(self.kind in kinds and len(content) == length, "the key is of another type")
        self.id = hashlib.sha256(self.name.encode() + b"\n" + content).digest()[:4]
        need(hashed == self.id.hex(), "the key's hash differs from the key")
        need(int.from_bytes(content[1:], "little") % 2**255 not in SMALL, "a key of small order")
        self.written, self.raw = written, content[1:]
        self.public = make.from_public_bytes(self.raw)

    def times(self, note: Note) -> list[int]:
        """The second of each signature by this key (of a log: 0); a bad one ends all."""
        found = []
        for name, key_id, signature in note.signatures:
            if (name, key_id) != (self.name, self.id):
                continue
            stamp, message = signature[:8], note.body
            second = 0 if self.kind == 1 else int.from_bytes(stamp, "big")
            if self.kind == 4:
                message = f"cosignature/v1\ntime {second}\n".encode() + message
            elif self.kind == 6:
                cosigner, log = (bytes([len(n)]) + n for n in (name.encode(), note.origin.encode()))
                whole_tree = bytes(8) + note.size.to_bytes(8, "big") + note.root
                message = b"subtree/v1\n\0" + cosigner + stamp + log + whole_tree
            self.public.verify(signature if self.kind == 1 else signature[8:], message)
            need(second < 2**63, f"a cosignature of {name} is of no time")
            need(self.kind != 1 or name == note.origin, "the checkpoint is of another log")
            found.append(second)
        return found

    def backing(self, note: Note, seal_ms: int, now: int) -> dict[str, Any]:
        """Of a log's key alone: it stands behind what it signed, at any time."""
        need(bool(self.times(note)), "the log's key did not sign")
        backing = {"log_key": self.written, "whole": True, "witnessed_s": 0, "anchored": False}
        return {**backing, "witnesses": [], "auditors": []}


# -- 4. root.json: whose signatures count, and for when -------------------------------------------
def check_person(blob: bytes, signature: bytes, message: bytes) -> None:
    """An Ed25519 signature by a person's key, bare or of `ssh-keygen -Y sign -n surefoot`."""
    public, bare, kind, space = blob[-32:], signature[-64:], b"ssh-ed25519", b"surefoot"
    need(blob == packed(kind, public), "a person's key of another type")
    for name in (b"sha256", b"sha512"):
        head = b"SSHSIG\0\0\0\1" + packed(blob, space, b"", name)
        if signature == head + packed(packed(kind, bare)):
            summed = hashlib.new(name.decode(), message).digest()
            message, signature = b"SSHSIG" + packed(space, b"", name, summed), bare
    need(signature == bare, "a person's signature of another form")
    Ed25519PublicKey.from_public_bytes(public).verify(signature, message)


def packed(*parts: bytes) -> bytes:
    """As SSH writes texts: each after its length in four bytes."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


class Root:
    """A root in its DSSE envelope, signed by a threshold of the people that it names."""

    def __init__(self, content: bytes) -> None:
        sealed = members(parse_json(content), "payload payloadType signatures")
        need(sealed["payloadType"] == ROOT_TYPE, "this is no root.json")
        payload = from_base64(sealed["payload"])
        said = members(parse_json(payload), ROOT, "witnesses auditors quorum release_keys")
        head = f"DSSEv1 {len(ROOT_TYPE)} {ROOT_TYPE} {len(payload)} ".encode()
        self.message, self.signatures = head + payload, sealed["signatures"]
        self.version, self.installation = number(said["version"]), said["installation"]
        self.threshold, self.signers = number(said["threshold"]), list(said["signers"].values())
        self.logs: list[dict[str, Any]] = [LOG_DEFAULTS | log for log in said["logs"]]
        self.witnesses, self.auditors = said.get("witnesses", []), said.get("auditors", [])
        cosigners = self.witnesses + self.auditors
        people = [from_base64(line.removeprefix("ssh-ed25519 "))[-32:] for line in self.signers]
        logs = [Key(log["vkey"]).raw for log in self.logs]
        anchors = {Key(log["anchor"], (4, 6)).raw for log in self.logs if log["anchor"]}
        keys = [*people, *logs, *anchors, *(Key(e["vkey"], (4, 6)).raw for e in cosigners)]
        for log in self.logs:
            need(bool(log["ended"]) == bool(log["until_ms"]), "an end without time or cause")
            tree = HASH.fullmatch(log["last_root"]) is not None
            need((log["ended"] == "compromised") == tree, "no last trusted tree, or one too many")
        for listed in (keys, [e["name"] for e in cosigners]):
            need(len(set(listed)) == len(listed), "the root says something twice")
        self.read_quorum(said.get("quorum", "") or "quorum none")
        self.check_signed(self)

    def check_signed(self, by: Root) -> None:
        """A threshold of that root's people have signed this one."""
        need(1 <= by.threshold <= len(by.signers), "a threshold that nobody can reach")
        signatures = {each["keyid"]: from_base64(each["sig"]) for each in self.signatures}
        signed = 0
        for blob in (from_base64(line.split(" ")[1]) for line in by.signers):
            summed = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
            if f"SHA256:{summed}" in signatures:
                check_person(blob, signatures[f"SHA256:{summed}"], self.message)
                signed += 1
        need(signed >= by.threshold, f"the root is signed by {signed}, not {by.threshold}")

    def follow(self, newer: Root) -> Root:
        """The next version, signed by a threshold of this one's people as well."""
        need(newer.version == self.version + 1, f"root {newer.version} after {self.version}")
        need(newer.installation == self.installation, "the root of another installation")
        newer.check_signed(self)
        kept = all(log in newer.logs for log in self.logs if log["ended"] == "compromised")
        need(kept, "a compromised key is told otherwise")
        return newer

    def read_quorum(self, written: str) -> None:
        """C2SP tlog-policy: groups of witnesses or of groups, each named before, none twice."""
        known, taken = {"none", *(each["name"] for each in self.witnesses)}, list[str]()
        self.groups, self.quorum = dict[str, tuple[int, list[str]]](), ""
        for word, name, *rest in (line.split() for line in written.splitlines() if line.strip()):
            need(not self.quorum and (name not in known) == (word == "group"), "a bad quorum")
            if word == "quorum" and not rest:
                self.quorum = name
                continue
            parts, taken = rest[1:], taken + rest[1:]
            counts = {"all": len(parts), "any": 1} | {str(n): n for n in range(1, len(parts) + 1)}
            need(set(parts) <= known - {"none"} and len(set(taken)) == len(taken), "a bad group")
            need(word == "group" and bool(rest) and rest[0] in counts, "a bad group")
            self.groups[name] = (counts[rest[0]], parts)
            known.add(name)
        need(bool(self.quorum), "the root says no quorum")

    def enough(self, name: str, seen: set[str]) -> bool:
        """True when those seen are the witness or the group of this name."""
        least, parts = self.groups.get(name, (1, [name]))
        return sum(p in seen if p == name else self.enough(p, seen) for p in parts) >= least

    def log_key(self, note: Note, seal_ms: int) -> dict[str, Any]:
        """The log's key that signed and counts: for its time, or a stolen one for trees before."""
        signed = [log for log in self.logs if Key(log["vkey"]).times(note)]
        need(bool(signed), "no signature of the checkpoint is by a key of the log")
        whole, part = [], []
        for log in signed:
            tree, last = (note.size, note.root.hex()), (log["last_size"], log["last_root"])
            stolen, ends = log["ended"] == "compromised", log["until_ms"] or INTEGER_MAX
            whole += [log] * (tree == last if stolen else log["from_ms"] <= seal_ms <= ends)
            part += [log] * (stolen and note.size < log["last_size"])
        need(bool(whole + part), "the log's key had ended, or was compromised by then")
        return {"log_key": (whole + part)[0]["vkey"], "whole": bool(whole)}

    def backing(self, note: Note, seal_ms: int, now: int) -> dict[str, Any]:
        """Who stands behind a checkpoint whose seal says this time."""
        backing, second, seen = self.log_key(note, seal_ms), 0, set[str]()
        for at, name in sorted(cosigned(self.witnesses, note, now)):
            seen.add(name)
            if not second and self.quorum != "none" and self.enough(self.quorum, seen):
                second = at
        need(second > 0 or self.quorum == "none", f"{sorted(seen)} make no quorum {self.quorum}")
        anchors = [log for log in self.logs if log["anchor"] and log["ended"] != "compromised"]
        entries = [{"name": "", "vkey": log["anchor"], "from_ms": 0} for log in anchors]
        auditors = {name for _, name in cosigned(self.auditors, note, now)}
        backing |= {"witnesses": sorted(seen), "auditors": sorted(auditors)}
        return backing | {"witnessed_s": second, "anchored": bool(cosigned(entries, note, now))}


def cosigned(entries: list[dict[str, Any]], note: Note, now: int) -> list[tuple[int, str]]:
    """When which of these cosigners signed, each in its own time and none in time to come."""
    found = []
    for entry in entries:
        start, end = entry["from_ms"] // 1000, entry.get("until_ms") or INTEGER_MAX
        for second in Key(entry["vkey"], (4, 6)).times(note):
            need(second <= now + FUTURE_S_MAX, f"{entry['name']} signed in the future")
            if second and start <= second and second * 1000 <= end:
                found.append((second, entry["name"]))
    return found


# -- 5. Leaves: entries and seals -----------------------------------------------------------------
def parse_leaf(raw: bytes) -> Leaf:
    """An entry or a seal with its `time` in milliseconds and `hash`, its leaf hash."""
    need(len(raw) <= LEAF_BYTES_MAX, "a leaf is too long")
    leaf = parse_json(raw)
    is_seal = isinstance(leaf, dict) and leaf.get("kind") == "seal"
    seal = "v kind covers root heads streams time clamped_ms"
    leaf = members(leaf, seal) if is_seal else members(leaf, ENTRY, "prev")
    need(type(leaf["v"]) is int and leaf["v"] == 1, "a leaf of another version")
    leaf |= {"time": time_ms(leaf["time"]), "hash": leaf_hash(raw)}
    if is_seal:
        need(number(leaf["streams"]) <= number(leaf["covers"]), "more streams than leaves")
    else:
        text(leaf["stream"], STREAM, 200), text(leaf["state"], DIGEST, 71)
        need((number(leaf["n"]) == 0) == ("prev" not in leaf), "`prev` of a first entry, or none")
        text(members(leaf["actor"], "type id auth")["id"], None, 200), number(leaf["state_schema"])
        leaf["head"] = {name: leaf[name] for name in ("n", "state")} | {"leaf": leaf["hash"].hex()}
    return leaf


# -- 6. The heads map: one leaf a stream, sorted by SHA-256 of its name ---------------------------
def map_leaf(stream: str, head: dict[str, Any]) -> bytes:
    return hashlib.sha256(stream.encode()).digest() + to_json(head)


def map_root(stream: str, head: Any, place: dict[str, Any], streams: int) -> bytes:
    """The root of the map in which the head has this place or, without a head, has none."""
    if head:
        leaf, place = leaf_hash(map_leaf(stream, head)), members(place, "index proof")
        return climbed(leaf, number(place["index"]), streams, place["proof"])
    key, roots, found = hashlib.sha256(stream.encode()).digest(), set[bytes](), dict[str, Any]()
    for name, value in members(place, "", "below above").items():
        beside = members(value, "index leaf proof")
        leaf, index = from_base64(beside["leaf"], 4 * 1024), number(beside["index"])
        need(32 < len(leaf) <= 512, "a neighbour of another length")
        roots.add(climbed(leaf_hash(leaf), index, streams, proof_of(beside["proof"])))
        found[name] = (index, leaf[:32])
    first, below = found.get("below", (-1, b""))
    last, above = found.get("above", (streams, b""))
    need(below < key and (not above or key < above), "the neighbours are not below and above")
    need(first + 1 == last and len(roots) < 2, "something stands in between")
    return roots.pop() if roots else EMPTY_ROOT


# -- 7. Bundles: the state of a stream at a time --------------------------------------------------
def verify_bundle(content: bytes, trust: Root | str | None, now: int) -> dict[str, Any]:
    """What the bundle shows, as a flat record. Raises `NotShown`."""
    need(len(content) <= BUNDLE_BYTES_MAX, "the bundle is too long")
    never = "release" in (bundle := parse_json(content))
    claim = ("from until release states", "") if never else ("at", " state")
    always, sides = "format tool stream keys chain tree ", "before after evidence"
    need(bundle["format"] == "surefoot-proof/2", "another format (1: see surefoot_verify_1.py)")
    bundle = members(bundle, always + claim[0], sides + claim[1])
    stream, _ = text(bundle["stream"], STREAM, 200), text(bundle["tool"], None, 100)
    written = text(members(bundle["keys"], "log")["log"], None, 400)
    logs = [log["vkey"] for log in trust.logs] if isinstance(trust, Root) else [trust]
    need(trust is None or written in logs, f"the bundle is signed by another key: {written}")
    chain = [entry_of(item) for item in listed(bundle["chain"], CHAIN_MAX, "i raw")]
    exhibits = listed(bundle.get("evidence", []), 100, "i raw texts")
    shown = [entry_of(item) for item in exhibits]
    ends = ends_of(bundle, chain, shown)
    by = trust if isinstance(trust, Root) else Key(written)
    for end in ends.values():
        end["backing"] = by.backing(end["note"], end["ms"], now)
    start, until = (time_ms(bundle[n]) for n in (("from", "until") if never else ("at", "at")))
    check_ends(start, until, ends, never)
    check_chain(chain, stream, ends)
    then = [entry for entry in chain if entry["time"] <= until]
    first = [entry for entry in then if entry["time"] <= start][-1:]
    inside = first + [entry for entry in then if entry["time"] > start]
    given = bundle["states"] if never else [bundle["state"]] if "state" in bundle else []
    states = opened(given, list(dict.fromkeys(entry["state"] for entry in inside)))
    release = text(bundle["release"], DIGEST, 71) if never else ""
    known = stream.startswith("env/") and all(entry["state_schema"] == 1 for entry in inside)
    need(not never or known, "a release is in environments alone, and in states of form 1")
    need(not never or release not in named_in(states), "the release was there")
    last: Any = then[-1] if then else {"index": -1, "time": 0, "actor": {"id": ""}, "state": ""}
    found: dict[str, Any] = {"stream": stream, "exists": bool(then), "entry": last["index"]}
    found |= {"from": shown_time(start), "until": shown_time(until), "release": release}
    found |= {"since": shown_time(last["time"]) if then else "", "actor": last["actor"]["id"]}
    found |= {"state": last["state"], "content": given[-1] if then else "", "key": written}
    found |= {name: shown_time(ends[name]["ms"]) if name in ends else "" for name in SIDES}
    found |= {name: [end[name] for end in ends.values()] for name in ("size", "backing")}
    found |= {"changes": len(chain) - ("before" in ends and ends["before"]["head"] is not None)}
    found |= {"evidence": sum(map(texts_of, exhibits, shown)), "pinned": trust is not None}
    return {**found, "root_version": trust.version if isinstance(trust, Root) else 0}


def entry_of(item: dict[str, Any]) -> Leaf:
    """An entry that is shown, with its place (`index`) and what the heads map says of it."""
    entry = parse_leaf(item["raw"].encode())
    need(entry["kind"] != "seal", "a seal in the place of an entry")
    entry["index"] = entry["head"]["i"] = number(item["i"])
    return entry


def ends_of(bundle: dict[str, Any], chain: list[Leaf], shown: list[Leaf]) -> dict[str, Any]:
    """The trees before and after, put together from the left: leaves that are shown, the seals, and
    hashes over what lies between. What a seal says of its tree and of the heads map follows."""
    sides = {name: members(bundle[name], "checkpoint seal map") for name in SIDES if name in bundle}
    # The heads map binds the head before: its entry needs no place in the tree.
    proved = chain["before" in sides and "index" in sides["before"]["map"] :] + shown
    places = sorted({entry["index"] for entry in proved})
    tree, place, ends, hashes = Tree(), 0, dict[str, Any](), proof_of(bundle["tree"], 380_000)[::-1]
    tree.known |= {(entry["index"], entry["index"] + 1): entry["hash"] for entry in proved}
    earlier: Any = (None, [])
    for name, side in sides.items():
        note, seal = Note(side["checkpoint"]), members(side["seal"], "clamped_ms streams time")
        head, at, last = None, side["map"], note.size - 1
        need(place <= last, "the later tree is not larger")
        for stop in [*(index for index in places if place <= index < last), last]:
            tree.fill(place, stop, hashes)
            place = stop + 1
        if "index" in at:
            head, proof = chain[0 if name == "before" else -1]["head"], proof_of(at["proof"])
            if (at["index"], seal["streams"]) == earlier[0]:  # here without what both begin with
                same = len(earlier[1]) - len(proof)
                need(same >= 0 and (not proof or proof[0] != earlier[1][same]), "a hash twice")
                proof = earlier[1][:same] + proof
            earlier, at = ((at["index"], seal["streams"]), proof), {**at, "proof": proof}
        seal |= {"v": 1, "kind": "seal", "covers": last, "root": tree.over(0, last).hex()}
        seal["heads"] = map_root(bundle["stream"], head, at, number(seal["streams"])).hex()
        leaf = parse_leaf(to_json(seal))
        tree.known[last, place] = leaf["hash"]
        need(tree.over(0, place) == note.root, "what is shown is not in the signed tree")
        need(head is None or head["i"] < last, "the head lies behind the seal")
        ends[name] = {"note": note, "size": place, "ms": leaf["time"], "head": head, "tree": tree}
    need(not hashes, "a hash too many")
    for index, found in ((entry["index"], entry["hash"]) for entry in proved):
        need(index < place and tree.over(index, index + 1) == found, "another leaf at that place")
    return ends


def check_ends(start: int, until: int, ends: dict[str, Any], never: bool) -> None:
    """The time lies inside the bracket, also by the witnesses' time."""
    before, after = ends.get("before", {}), ends.get("after", {})
    inside = (not before or before["ms"] <= start) and (not after or until < after["ms"])
    need(start <= until and inside, "the time does not lie between the two checkpoints")
    need(bool(after) or (not never and before["ms"] == until), "nothing later is shown")
    last = (after or before)["backing"]
    for backing in (end["backing"] for end in ends.values()):
        alone = not backing["whole"] and not backing["witnessed_s"]
        need(not alone or (backing is not last and last["whole"]), "a stolen key alone signed it")
    if after and last["witnessed_s"]:
        need(last["witnessed_s"] * 1000 > until, "the witnesses signed the later tree too early")
        late = bool(before) and before["backing"]["witnessed_s"] * 1000 > start
        need(not late, "the witnesses had not signed the earlier tree by then")


def check_chain(chain: list[Leaf], stream: str, ends: dict[str, Any]) -> None:
    """Every entry of the stream from the head before (itself included) to the head after."""
    before, after = ends.get("before", {}), ends.get("after", {})
    n, prev, place, clock = 0, None, before.get("size", 0), before.get("ms", 0)
    for entry in chain:
        need(entry["stream"] == stream, "an entry of another stream")
        if before.get("head") and entry is chain[0]:
            need(entry["time"] <= clock, "a first entry too late")
        else:
            need((entry["n"], entry.get("prev")) == (n, prev), "the chain has a gap")
            need(bool(after) and entry["index"] >= place, "an entry out of order")
            need(clock <= entry["time"] <= after["ms"], "an entry out of its time")
            place, clock = entry["index"] + 1, entry["time"]
        n, prev = entry["n"] + 1, entry["hash"].hex()
    need((chain[-1]["head"] if chain else None) == (after or before)["head"], "the chain is short")


def opened(given: list[str], digests: list[str]) -> list[dict[str, Any]]:
    """The states with these digests, in this order; each must be there, and no other."""
    same = isinstance(given, list) and list(map(digest_of, given)) == digests
    need(same, "a state is missing, is another one, or one too many")
    states = [parse_json(content.encode()) for content in given]
    need(all(isinstance(state, dict) for state in states), "a state is no object")
    return states


def texts_of(item: dict[str, Any], entry: Leaf) -> int:
    """How many texts are shown beside an entry; it points to each of them by its digest."""
    need(isinstance(item["texts"], list) and len(item["texts"]) <= 100, "too many texts")
    digests = {digest_of(content) for content in item["texts"]}
    need(digests <= set(entry["evidence"]), "evidence that the entry does not name")
    return len(item["texts"])


def named_in(states: list[Any]) -> set[str]:
    """The releases that environments' states name, as their own and as that of a component."""
    found = [state.get("release", "") for state in states]
    found += [part["release"] for state in states for part in state.get("components", {}).values()]
    return {text(release, None, 1000) for release in found}


# -- 8. What is printed ---------------------------------------------------------------------------
def page(path: Path, shown: dict[str, Any]) -> str:
    """One page for a person. What a bundle says cannot steer the terminal."""
    rows = {"NOT SHOWN": path}
    if "error" not in shown:
        about, then, last = shown["stream"], shown["until"], shown["backing"][-1]
        state = f"the state of {about} at {then} was {shown['state']}"
        never = f"{shown['release']} was never in {about} from {shown['from']} to {then}"
        what = state if shown["exists"] else f"there was no {about} at {then}"
        what = never if shown["release"] else what
        seconds = [backing["witnessed_s"] for backing in shown["backing"]]
        times = "between witnesses: " + " and ".join(shown_time(s * 1000) for s in seconds)
        pinned = "by a key you pinned" if shown["pinned"] else "NOT PINNED: by the bundle's own key"
        audited = "audited" if last["auditors"] else "unaudited: an export, read whole, shows more"
        rows = {"what": what, "signed": pinned, "heads map": audited} | last
        rows |= {"time": times if all(seconds) else "self-timestamped: no witness pinned"}
    lines = (f"{name:<18} {value}" for name, value in (rows | shown).items())
    return "\n".join("".join(c if c.isprintable() else "\ufffd" for c in line) for line in lines)


def trust_of(written: str | None, files: list[Path] | None) -> Root | str | None:
    """What was pinned: a key (its text, or a file with it), roots that follow, or nothing."""
    if written and Path(written).is_file():
        return (Path(written).read_text().split() or [""])[0]
    roots = [Root(file.read_bytes()) for file in files or []]
    for place, newer in enumerate(roots[1:]):
        roots[place].follow(newer)
    return roots[-1] if roots else written


def main(verify: Any = verify_bundle) -> int:
    parser = argparse.ArgumentParser(description="Verify proofs of a Surefoot journal.")
    parser.add_argument("files", nargs="+", type=Path, metavar="BUNDLE")
    pinned = parser.add_mutually_exclusive_group()
    pinned.add_argument("--log-key", metavar="VKEY", help="the log's key, or its file")
    pinned.add_argument("--root", action="append", type=Path, metavar="FILE", help="a root.json")
    parser.add_argument("--json", action="store_true", help="one line of JSON for each")
    options, status = parser.parse_args(), 0
    for path in options.files:
        try:
            trust = trust_of(options.log_key, options.root)
            shown = verify(path.read_bytes(), trust, int(time.time()))
            status = max(status, 0 if shown["pinned"] else 3)
        except FAULTS as error:
            shown, status = {"error": str(error) or "a signature does not hold"}, 5
        print(json.dumps(shown) if options.json else page(path, shown))
    return status


if __name__ == "__main__":
    sys.exit(main())
