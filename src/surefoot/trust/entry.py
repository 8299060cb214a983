"""The journal's two kinds of leaf, entries and seals, as exact bytes.

Keeps: bytes are restricted canonical JSON of at most 16 KiB; every field is present and typed, no
field is unknown; `prev` is absent in the first entry of a stream only; parsing accepts exactly
what building makes. Does not: store, hash into a tree, or know what a body means.
Source: docs/formats/entry.md.
The structs are left to reference counting (`gc=False`): what is read from JSON holds no cycle.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal

import msgspec

from surefoot.trust import canonical
from surefoot.trust.digest import Digest, is_digest
from surefoot.trust.payload import Payload

Plain = dict[str, canonical.JSON]

VERSION = 1
SIZE_BYTES_MAX = 16 * 1024
EVIDENCE_MAX = 100
REASON_MAX = 4000
NO_STATE = Digest("")
SEAL = "seal"

_INTEGER_MAX = 2**53 - 1
_TIME_MS_MAX = 253402300799999
_STREAM = re.compile(r"[a-z][a-z0-9-]*(/[A-Za-z0-9][A-Za-z0-9._:@+-]*)*")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_HASH = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T(?!24)\d{2}:\d{2}:\d{2}\.\d{3}Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ACTOR_TYPES = ("person", "machine", "device")


class NotAnEntry(ValueError):
    """The bytes or the fields are outside the format."""


class Actor(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who acted. `auth` says how that was established, such as a key's fingerprint."""

    type: Literal["person", "machine", "device"]
    id: str
    auth: str


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule wants written: an entry without its place, time and actor.

    `payloads` are the words behind commitments in it, kept beside the journal with the entry;
    `erases` are commitments whose words are forgotten with it.
    """

    stream: str
    kind: str
    body: Plain
    evidence: tuple[Digest, ...] = ()
    reason: str = ""
    payloads: tuple[Payload, ...] = ()
    erases: tuple[str, ...] = ()


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One entry. `prev` is the leaf hash (64 hex digits) of the stream's entry before.

    `state` is the digest of the stream's complete state after this entry; it is empty only while
    the entry is being built. `raw` is the bytes that are stored and hashed.
    """

    index: int
    v: int = VERSION
    kind: str
    stream: str
    n: int
    prev: str | None = None
    time_ms: int
    actor: Actor
    request: str
    body: Plain
    state: Digest = NO_STATE
    state_schema: int = 1
    evidence: tuple[Digest, ...] = ()
    reason: str = ""
    raw: bytes = b""


class Seal(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The leaf that ends a batch: root of the `covers` leaves before it and of the heads map.

    `clamped_ms` says by how much the clock was behind the entry before, whose time was then used.
    """

    index: int
    v: int = VERSION
    covers: int
    root: str
    heads: str
    streams: int
    time_ms: int
    clamped_ms: int = 0
    raw: bytes = b""


class _StoredEntry(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    gc=False,
):
    v: int
    kind: str
    stream: str
    n: int
    time: str
    actor: Actor
    request: str
    body: Plain
    state: Digest
    state_schema: int
    evidence: tuple[Digest, ...]
    reason: str
    prev: str | None = None


class _StoredSeal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    v: int
    kind: str
    covers: int
    root: str
    heads: str
    streams: int
    time: str
    clamped_ms: int


_ENTRIES = msgspec.json.Decoder(_StoredEntry)
_SEALS = msgspec.json.Decoder(_StoredSeal)
_ENCODER = msgspec.json.Encoder(order="sorted")
_SEAL_START = b'{"clamped_ms":'


def build(entry: Entry) -> bytes:
    """The exact bytes of an entry; `index` and `raw` are not part of them.

    Raises `NotAnEntry` naming the field that is outside the format.
    """
    _check_entry(entry)
    stored = _StoredEntry(
        v=entry.v,
        kind=entry.kind,
        stream=entry.stream,
        n=entry.n,
        time=text_of_time(entry.time_ms),
        actor=entry.actor,
        request=entry.request,
        body=entry.body,
        state=entry.state,
        state_schema=entry.state_schema,
        evidence=entry.evidence,
        reason=entry.reason,
        prev=entry.prev,
    )
    try:
        raw = _ENCODER.encode(stored)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotAnEntry(str(error)) from None
    _check_size(raw)
    _check_texts(entry, raw)
    return raw


def build_seal(seal: Seal) -> bytes:
    """The exact bytes of a seal. Raises `NotAnEntry`."""
    _check_seal(seal)
    return _ENCODER.encode(
        _StoredSeal(
            v=seal.v,
            kind=SEAL,
            covers=seal.covers,
            root=seal.root,
            heads=seal.heads,
            streams=seal.streams,
            time=text_of_time(seal.time_ms),
            clamped_ms=seal.clamped_ms,
        )
    )


def parse(index: int, raw: bytes) -> Entry | Seal:
    """The leaf in these bytes, at this position of the tree. Raises `NotAnEntry`.

    The typed fields are written again and compared byte for byte: that refuses an unknown order,
    name, escape or number form, and a name that stands twice.
    """
    _check_size(raw)
    found = _decoded(raw)
    if _ENCODER.encode(found) != raw:
        raise NotAnEntry("the bytes differ from their canonical form")
    if isinstance(found, _StoredSeal):
        seal = _stored_seal(index, raw, found)
        _need(found.kind == SEAL, "kind")
        _check_seal(seal)
        return seal
    entry = _stored_entry(index, raw, found)
    _check_entry(entry)
    _check_texts(entry, raw)
    return entry


def read_stored(index: int, raw: bytes) -> Entry | Seal:
    """As `parse`, twice as fast, checking types but not that the bytes are canonical.

    For bytes whose tree is compared with a signed root afterwards: those were built here.
    Raises `NotAnEntry`.
    """
    found = _decoded(raw)
    if isinstance(found, _StoredSeal):
        return _stored_seal(index, raw, found)
    return _stored_entry(index, raw, found)


def check_draft(draft: Draft) -> None:
    """Refuse a draft that could not become an entry. Raises `NotAnEntry`."""
    _check_names(draft.stream, draft.kind)
    _need(isinstance(draft.body, dict), "body")
    _need(len(draft.evidence) <= EVIDENCE_MAX, "evidence")
    _need(isinstance(draft.reason, str) and len(draft.reason) <= REASON_MAX, "reason")


@lru_cache(maxsize=4096)
def text_of_time(time_ms: int) -> str:
    """RFC 3339 in UTC with whole milliseconds, like 2026-11-21T10:00:00.000Z."""
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1000:03d}Z"


@lru_cache(maxsize=4096)
def time_of_text(text: str) -> int:
    """UTC milliseconds since 1970 of such a text. Raises `NotAnEntry`."""
    if not _TIME.fullmatch(text):
        raise NotAnEntry(f"time is not RFC 3339 in UTC with milliseconds: {text[:40]!r}")
    try:
        moment = datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)
    except ValueError:
        raise NotAnEntry(f"time does not exist: {text!r}") from None
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _stored_entry(index: int, raw: bytes, found: _StoredEntry) -> Entry:
    return Entry(
        index=index,
        v=found.v,
        kind=found.kind,
        stream=found.stream,
        n=found.n,
        prev=found.prev,
        time_ms=time_of_text(found.time),
        actor=found.actor,
        request=found.request,
        body=found.body,
        state=found.state,
        state_schema=found.state_schema,
        evidence=found.evidence,
        reason=found.reason,
        raw=raw,
    )


def _stored_seal(index: int, raw: bytes, found: _StoredSeal) -> Seal:
    return Seal(
        index=index,
        v=found.v,
        covers=found.covers,
        root=found.root,
        heads=found.heads,
        streams=found.streams,
        time_ms=time_of_text(found.time),
        clamped_ms=found.clamped_ms,
        raw=raw,
    )


def _check_size(raw: bytes) -> None:
    if len(raw) > SIZE_BYTES_MAX:
        raise NotAnEntry(f"entry has {len(raw)} bytes, more than {SIZE_BYTES_MAX}")


def _decoded(raw: bytes) -> _StoredEntry | _StoredSeal:
    try:
        return _SEALS.decode(raw) if raw.startswith(_SEAL_START) else _ENTRIES.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise NotAnEntry(str(error)) from None


@lru_cache(maxsize=4096)
def _check_names(stream: str, kind: str) -> None:
    _need(bool(_STREAM.fullmatch(stream)) and len(stream) <= 200, "stream")
    _need(bool(_KIND.fullmatch(kind)) and len(kind) <= 100, "kind")
    _need(kind != SEAL, "kind")


def _check_texts(entry: Entry, raw: bytes) -> None:
    """The profile of canonical JSON, for what is not held to a narrower form already.

    In ASCII bytes every text is in the profile: any other escape is not how it is written.
    """
    try:
        canonical.check(entry.body, 1)
        if not raw.isascii():
            canonical.check([entry.reason, entry.request, entry.actor.id, entry.actor.auth])
    except canonical.NotCanonical as error:
        raise NotAnEntry(str(error)) from None


def _check_entry(entry: Entry) -> None:
    """Field by field, written out: this is half of the time that reading an entry takes."""
    _check_names(entry.stream, entry.kind)
    n, prev, actor = entry.n, entry.prev, entry.actor
    if not isinstance(entry.body, dict):
        raise _outside("body")
    if len(entry.evidence) > EVIDENCE_MAX:
        raise _outside("evidence")
    if not isinstance(entry.reason, str) or len(entry.reason) > REASON_MAX:
        raise _outside("reason")
    if type(entry.v) is not int or entry.v != VERSION:
        raise _outside("v")
    if type(n) is not int or not 0 <= n <= _INTEGER_MAX:
        raise _outside("n")
    if prev is None:
        if n != 0:
            raise _outside("prev")
    elif n == 0 or not _HASH.fullmatch(prev):
        raise _outside("prev")
    if not 0 <= entry.time_ms <= _TIME_MS_MAX:
        raise _outside("time")
    if actor.type not in _ACTOR_TYPES or not 0 < len(actor.id) <= 200 or len(actor.auth) > 400:
        raise _outside("actor")
    if len(entry.request) > 200:
        raise _outside("request")
    if type(entry.state_schema) is not int or not 1 <= entry.state_schema <= _INTEGER_MAX:
        raise _outside("state_schema")
    for digest in (entry.state, *entry.evidence) if entry.evidence else (entry.state,):
        if not is_digest(digest):
            raise NotAnEntry(f"not a digest: {digest[:80]!r}")


def _check_seal(seal: Seal) -> None:
    _need(seal.v == VERSION, "v")
    _need(0 <= seal.covers <= _INTEGER_MAX, "covers")
    _need(bool(_HASH.fullmatch(seal.root)), "root")
    _need(bool(_HASH.fullmatch(seal.heads)), "heads")
    _need(0 <= seal.streams <= seal.covers, "streams")
    _need(0 <= seal.time_ms <= _TIME_MS_MAX, "time")
    _need(0 <= seal.clamped_ms <= _INTEGER_MAX, "clamped_ms")


def _need(holds: bool, field: str) -> None:
    if not holds:
        raise _outside(field)


def _outside(field: str) -> NotAnEntry:
    return NotAnEntry(f"field {field} is outside the format")
