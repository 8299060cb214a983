"""The form of a proof bundle: bytes in, a checked record out.

Keeps: a bundle is canonical JSON of at most 16 MiB; every member is known, present where it must be
and bounded; hashes of one proof are joined and in base64. A bundle makes one claim: the state of a
stream at a time, or that a release was never in an environment between two times.
Does not: verify what the members say. Source: docs/formats/proof.md.
"""

from __future__ import annotations

import re

import msgspec

from surefoot.trust import canonical, short_bundle
from surefoot.trust.entry import Plain
from surefoot.trust.form import (
    CHAIN_MAX,
    NotProved,
    check_members,
    decoded,
    hashes_of,
    list_of,
    malformed,
    matching,
    number_of,
    object_of,
    text_of,
    time_of,
)
from surefoot.trust.heads import Answer, Head, Place

__all__ = ["CHAIN_MAX", "Bundle", "Exhibit", "Link", "NotProved", "Side", "malformed", "read"]

BYTES_MAX = 16 * 1024 * 1024
EXHIBITS_MAX = 100

_LEAF_BYTES_MAX = 512
_STREAM = re.compile(r"[a-z][a-z0-9-]*(/[A-Za-z0-9][A-Za-z0-9._:@+-]*)*")
_HASH = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NEIGHBOURS = ("below", "above")
_ALWAYS = frozenset(["format", "tool", "stream", "keys", "chain"])
_SIDES = frozenset(["before", "after", "consistency", "evidence"])
_STATE = frozenset(["at"])
_NEVER = frozenset(["from", "until", "release", "states"])


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One end of the bracket: a checkpoint, its seal, and the stream's head or its absence.

    `answer` has no number of streams yet: the seal says it.
    """

    checkpoint: str
    seal: bytes
    seal_proof: tuple[bytes, ...]
    head: Head | None
    answer: Answer


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the chain at a tree position; `proof` is None where a head already binds it."""

    i: int
    raw: bytes
    proof: tuple[bytes, ...] | None


class Exhibit(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of any stream, proved in the last tree, with texts whose digests it names."""

    i: int
    raw: bytes
    proof: tuple[bytes, ...]
    texts: tuple[bytes, ...]


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle whose form is right. `release` is empty for a claim about a state.

    For that claim `from_ms` and `until_ms` are both the time asked for.
    """

    tool: str
    stream: str
    from_ms: int
    until_ms: int
    release: str
    key: str
    before: Side | None
    after: Side | None
    consistency: tuple[bytes, ...] | None
    chain: tuple[Link, ...]
    states: tuple[bytes, ...]
    evidence: tuple[Exhibit, ...]


def read(content: bytes) -> Bundle:
    """The bundle in these bytes. Raises `NotProved("proof.form.malformed")`."""
    if len(content) > BYTES_MAX:
        raise malformed("bundle", f"at most {BYTES_MAX} bytes", str(len(content)))
    try:
        value = canonical.parse(content)
    except canonical.NotCanonical as error:
        raise malformed("bundle", "canonical JSON", str(error)[:200]) from None
    fields = object_of(value, "bundle")
    if fields.get("format") == short_bundle.FORMAT:
        fields = short_bundle.expanded(fields)
    never = "release" in fields
    required = _ALWAYS | (_NEVER if never else _STATE)
    check_members(fields, "bundle", required, _SIDES | (frozenset() if never else {"state"}))
    if fields["format"] != short_bundle.WHOLE:
        raise malformed("format", short_bundle.FORMAT, str(fields["format"])[:40])
    return _bundle(fields, never=never)


def _bundle(fields: Plain, *, never: bool) -> Bundle:
    keys = object_of(fields["keys"], "keys")
    check_members(keys, "keys", frozenset(["log"]))
    chain = list_of(fields["chain"], "chain")
    states = list_of(fields["states"], "states") if never else _listed(fields.get("state"))
    consistency = fields.get("consistency")
    return Bundle(
        tool=text_of(fields["tool"], "tool", 100),
        stream=matching(fields["stream"], "stream", _STREAM, 200),
        from_ms=time_of(fields["from" if never else "at"]),
        until_ms=time_of(fields["until" if never else "at"]),
        release=matching(fields["release"], "release", _DIGEST, 71) if never else "",
        key=text_of(keys["log"], "key", 400),
        before=_side(fields["before"], "before") if "before" in fields else None,
        after=_side(fields["after"], "after") if "after" in fields else None,
        consistency=None if consistency is None else hashes_of(consistency, "consistency"),
        chain=tuple(_link(link) for link in chain),
        states=tuple(text_of(state, "state", BYTES_MAX).encode() for state in states),
        evidence=tuple(
            _exhibit(e) for e in list_of(fields.get("evidence", []), "evidence", EXHIBITS_MAX)
        ),
    )


def _side(value: object, subject: str) -> Side:
    fields = object_of(value, subject)
    required = frozenset(["checkpoint", "seal", "seal_proof", "map"])
    check_members(fields, subject, required, frozenset(["head"]))
    head = _head(fields["head"]) if "head" in fields else None
    return Side(
        checkpoint=text_of(fields["checkpoint"], "checkpoint", 64 * 1024),
        seal=text_of(fields["seal"], "seal", 16 * 1024).encode(),
        seal_proof=hashes_of(fields["seal_proof"], "seal proof"),
        head=head,
        answer=_absence(fields["map"]) if head is None else _presence(fields["map"]),
    )


def _head(value: object) -> Head:
    fields = object_of(value, "head")
    check_members(fields, "head", frozenset(["i", "leaf", "n", "state"]))
    return Head(
        i=number_of(fields["i"], "head"),
        leaf=matching(fields["leaf"], "head", _HASH, 64),
        n=number_of(fields["n"], "head"),
        state=matching(fields["state"], "head", _DIGEST, 71),
    )


def _presence(value: object) -> Answer:
    """Where the head stands; its leaf is made from stream and head by the verifier."""
    fields = object_of(value, "map")
    check_members(fields, "map", frozenset(["index", "proof"]))
    index, proof = number_of(fields["index"], "map"), hashes_of(fields["proof"], "map proof")
    return Answer(streams=0, present=Place(leaf=b"", index=index, proof=proof))


def _absence(value: object) -> Answer:
    fields = object_of(value, "map")
    check_members(fields, "map", frozenset(), frozenset(["below", "above"]))
    below, above = (_neighbour(fields[name]) if name in fields else None for name in _NEIGHBOURS)
    return Answer(streams=0, below=below, above=above)


def _neighbour(value: object) -> Place:
    fields = object_of(value, "neighbour")
    check_members(fields, "neighbour", frozenset(["index", "leaf", "proof"]))
    leaf = decoded(fields["leaf"], "neighbour")
    if not 32 < len(leaf) <= _LEAF_BYTES_MAX:
        raise malformed("neighbour", "a leaf of the heads map", f"{len(leaf)} bytes")
    index = number_of(fields["index"], "neighbour")
    return Place(leaf=leaf, index=index, proof=hashes_of(fields["proof"], "map proof"))


def _link(value: object) -> Link:
    fields = object_of(value, "chain")
    check_members(fields, "chain", frozenset(["i", "raw"]), frozenset(["proof"]))
    return Link(
        i=number_of(fields["i"], "chain"),
        raw=text_of(fields["raw"], "chain", 16 * 1024).encode(),
        proof=hashes_of(fields["proof"], "chain proof") if "proof" in fields else None,
    )


def _exhibit(value: object) -> Exhibit:
    fields = object_of(value, "evidence")
    check_members(fields, "evidence", frozenset(["i", "raw", "proof", "texts"]))
    texts = list_of(fields["texts"], "evidence", EXHIBITS_MAX)
    return Exhibit(
        i=number_of(fields["i"], "evidence"),
        raw=text_of(fields["raw"], "evidence", 16 * 1024).encode(),
        proof=hashes_of(fields["proof"], "evidence proof"),
        texts=tuple(text_of(text, "evidence", BYTES_MAX).encode() for text in texts),
    )


def _listed(value: object) -> list[object]:
    return [] if value is None else [value]
