"""The form of a proof bundle: bytes in, a checked record out.

Keeps: a bundle is canonical JSON of at most 16 MiB; every member is known, present where it must be
and bounded; hashes of one proof are joined and in base64. A bundle makes one claim: the state of a
stream at a time, or that a release was never in an environment between two times.
Does not: verify what the members say. Source: docs/formats/proof.md.
"""

from __future__ import annotations

import base64
import binascii
import re

import msgspec

from surefoot.trust import canonical
from surefoot.trust.entry import NotAnEntry, Plain, text_of_time, time_of_text
from surefoot.trust.heads import Answer, Head, Place

FORMAT = "surefoot-proof/1"
BYTES_MAX = 16 * 1024 * 1024
CHAIN_MAX = 10_000
EXHIBITS_MAX = 100

_HASHES_MAX = 64
_LEAF_BYTES_MAX = 512
_STREAM = re.compile(r"[a-z][a-z0-9-]*(/[A-Za-z0-9][A-Za-z0-9._:@+-]*)*")
_HASH = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_INTEGER_MAX = 2**53 - 1

_NEIGHBOURS = ("below", "above")
_ALWAYS = frozenset(["format", "tool", "stream", "keys", "chain"])
_SIDES = frozenset(["before", "after", "consistency", "evidence"])
_STATE = frozenset(["at"])
_NEVER = frozenset(["from", "until", "release", "states"])


class NotProved(ValueError):
    """The bundle does not show what it claims: which rule, of what, expected and found."""

    def __init__(self, code: str, subject: str, expected: str, found: str) -> None:
        super().__init__(f"{subject}: expected {expected}, found {found} [{code}]")
        self.code = code
        self.subject = subject
        self.expected = expected
        self.found = found


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
    fields = _object(value, "bundle")
    never = "release" in fields
    required = _ALWAYS | (_NEVER if never else _STATE)
    _members(fields, "bundle", required, _SIDES | (frozenset() if never else {"state"}))
    if fields["format"] != FORMAT:
        raise malformed("format", FORMAT, str(fields["format"])[:40])
    return _bundle(fields, never=never)


def joined(hashes: list[bytes]) -> str:
    """The hashes of a proof as a bundle holds them."""
    return base64.b64encode(b"".join(hashes)).decode()


def malformed(subject: str, expected: str, found: str) -> NotProved:
    """A bundle of another form."""
    return NotProved("proof.form.malformed", subject, expected, found)


def _bundle(fields: Plain, *, never: bool) -> Bundle:
    keys = _object(fields["keys"], "keys")
    _members(keys, "keys", frozenset(["log"]))
    chain = _list(fields["chain"], "chain")
    states = _list(fields["states"], "states") if never else _listed(fields.get("state"))
    consistency = fields.get("consistency")
    return Bundle(
        tool=_text(fields["tool"], "tool", 100),
        stream=_matching(fields["stream"], "stream", _STREAM, 200),
        from_ms=_time(fields["from" if never else "at"]),
        until_ms=_time(fields["until" if never else "at"]),
        release=_matching(fields["release"], "release", _DIGEST, 71) if never else "",
        key=_text(keys["log"], "key", 400),
        before=_side(fields["before"], "before") if "before" in fields else None,
        after=_side(fields["after"], "after") if "after" in fields else None,
        consistency=None if consistency is None else _hashes(consistency, "consistency"),
        chain=tuple(_link(link) for link in chain),
        states=tuple(_text(state, "state", BYTES_MAX).encode() for state in states),
        evidence=tuple(
            _exhibit(e) for e in _list(fields.get("evidence", []), "evidence", EXHIBITS_MAX)
        ),
    )


def _side(value: object, subject: str) -> Side:
    fields = _object(value, subject)
    required = frozenset(["checkpoint", "seal", "seal_proof", "map"])
    _members(fields, subject, required, frozenset(["head"]))
    head = _head(fields["head"]) if "head" in fields else None
    return Side(
        checkpoint=_text(fields["checkpoint"], "checkpoint", 64 * 1024),
        seal=_text(fields["seal"], "seal", 16 * 1024).encode(),
        seal_proof=_hashes(fields["seal_proof"], "seal proof"),
        head=head,
        answer=_absence(fields["map"]) if head is None else _presence(fields["map"]),
    )


def _head(value: object) -> Head:
    fields = _object(value, "head")
    _members(fields, "head", frozenset(["i", "leaf", "n", "state"]))
    return Head(
        i=_number(fields["i"], "head"),
        leaf=_matching(fields["leaf"], "head", _HASH, 64),
        n=_number(fields["n"], "head"),
        state=_matching(fields["state"], "head", _DIGEST, 71),
    )


def _presence(value: object) -> Answer:
    """Where the head stands; its leaf is made from stream and head by the verifier."""
    fields = _object(value, "map")
    _members(fields, "map", frozenset(["index", "proof"]))
    index, proof = _number(fields["index"], "map"), _hashes(fields["proof"], "map proof")
    return Answer(streams=0, present=Place(leaf=b"", index=index, proof=proof))


def _absence(value: object) -> Answer:
    fields = _object(value, "map")
    _members(fields, "map", frozenset(), frozenset(["below", "above"]))
    below, above = (_neighbour(fields[name]) if name in fields else None for name in _NEIGHBOURS)
    return Answer(streams=0, below=below, above=above)


def _neighbour(value: object) -> Place:
    fields = _object(value, "neighbour")
    _members(fields, "neighbour", frozenset(["index", "leaf", "proof"]))
    leaf = _decoded(fields["leaf"], "neighbour")
    if not 32 < len(leaf) <= _LEAF_BYTES_MAX:
        raise malformed("neighbour", "a leaf of the heads map", f"{len(leaf)} bytes")
    index = _number(fields["index"], "neighbour")
    return Place(leaf=leaf, index=index, proof=_hashes(fields["proof"], "map proof"))


def _link(value: object) -> Link:
    fields = _object(value, "chain")
    _members(fields, "chain", frozenset(["i", "raw"]), frozenset(["proof"]))
    return Link(
        i=_number(fields["i"], "chain"),
        raw=_text(fields["raw"], "chain", 16 * 1024).encode(),
        proof=_hashes(fields["proof"], "chain proof") if "proof" in fields else None,
    )


def _exhibit(value: object) -> Exhibit:
    fields = _object(value, "evidence")
    _members(fields, "evidence", frozenset(["i", "raw", "proof", "texts"]))
    texts = _list(fields["texts"], "evidence", EXHIBITS_MAX)
    return Exhibit(
        i=_number(fields["i"], "evidence"),
        raw=_text(fields["raw"], "evidence", 16 * 1024).encode(),
        proof=_hashes(fields["proof"], "evidence proof"),
        texts=tuple(_text(text, "evidence", BYTES_MAX).encode() for text in texts),
    )


def _listed(value: object) -> list[object]:
    return [] if value is None else [value]


def _object(value: object, subject: str) -> Plain:
    if not isinstance(value, dict):
        raise malformed(subject, "an object", type(value).__name__)
    return value


def _list(value: object, subject: str, count_max: int = CHAIN_MAX) -> list[object]:
    if not isinstance(value, list) or len(value) > count_max:
        raise malformed(subject, f"a list of at most {count_max}", "something else")
    return list(value)


def _members(
    fields: Plain,
    subject: str,
    required: frozenset[str],
    optional: frozenset[str] | set[str] = frozenset(),
) -> None:
    missing, unknown = required - fields.keys(), fields.keys() - required - optional
    if missing or unknown:
        found = f"missing {sorted(missing)}, unknown {sorted(unknown)[:5]}"
        raise malformed(subject, "the members of the format", found[:200])


def _text(value: object, subject: str, size_max: int) -> str:
    if not isinstance(value, str) or len(value) > size_max:
        raise malformed(subject, f"text of at most {size_max}", "something else")
    return value


def _matching(value: object, subject: str, form: re.Pattern[str], size_max: int) -> str:
    text = _text(value, subject, size_max)
    if not form.fullmatch(text):
        raise malformed(subject, "a text of its form", text[:80])
    return text


def _number(value: object, subject: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _INTEGER_MAX:
        raise malformed(subject, "a number from 0", str(value)[:40])
    return value


def _time(value: object) -> int:
    text = _text(value, "time", 30)
    try:
        time_ms = time_of_text(text)
        same = time_ms >= 0 and text_of_time(time_ms) == text
    except NotAnEntry:
        same = False
    if not same:
        raise malformed("time", "a time like 2026-11-17T10:00:00.000Z", text)
    return time_ms


def _hashes(value: object, subject: str) -> tuple[bytes, ...]:
    content = _decoded(value, subject)
    if len(content) % 32 or len(content) > 32 * _HASHES_MAX:
        raise malformed(subject, f"at most {_HASHES_MAX} hashes", f"{len(content)} bytes")
    return tuple(content[place : place + 32] for place in range(0, len(content), 32))


def _decoded(value: object, subject: str) -> bytes:
    text = _text(value, subject, 4 * 1024)
    try:
        content = base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, ValueError):
        raise malformed(subject, "base64", text[:40]) from None
    if base64.b64encode(content).decode() != text:
        raise malformed(subject, "base64 without bits that mean nothing", text[:40])
    return content
