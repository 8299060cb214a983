"""DSSE envelopes: a payload, its type, and the signatures over both; and in-toto statements.

Keeps: a signature binds type and payload together (pre-authentication encoding); a key identifier
is the signer's SSH fingerprint; a threshold counts distinct keys; a signature by a known key that
does not hold refuses the whole envelope; unknown members, duplicates and oversize are refused.
A signature is 64 bytes of Ed25519, or a raw SSHSIG in namespace `surefoot`, so that a person can
sign with `ssh-keygen -Y sign -n surefoot`.
Does not: decide which keys count, or look at times.
Source: DSSE v1.0 (protocol and envelope), in-toto attestation framework, Statement v1.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from surefoot.trust import canonical, keys, sshsig
from surefoot.trust.digest import Digest, parse_digest

NAMESPACE = "surefoot"
IN_TOTO_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
SIZE_BYTES_MAX = 4 * 1024 * 1024

_SIGNATURES_MAX = 64
_SUBJECTS_MAX = 10_000
_TYPE_FORM = re.compile(r"[\x21-\x7e]{1,200}")


class BadEnvelope(ValueError):
    """The envelope is damaged, its signatures do not hold, or too few do."""


class Signer(Protocol):
    """Whatever signs as one key: a private key, an agent, a person's own machine."""

    @property
    def keyid(self) -> str:
        """The key's fingerprint."""

    def sign(self, message: bytes) -> bytes:
        """64 bytes of Ed25519 over the message, or a raw SSHSIG in namespace `surefoot`."""


class Signature(msgspec.Struct, frozen=True):
    """One signature as it stands in the envelope."""

    keyid: str
    signature: bytes


class Envelope(msgspec.Struct, frozen=True):
    """A parsed envelope. Nothing in it is verified."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]


class Statement(msgspec.Struct, frozen=True):
    """An in-toto statement: artifacts by name and digest, and what is said about them."""

    subjects: tuple[tuple[str, Digest], ...]
    predicate_type: str
    predicate: dict[str, canonical.JSON]


def pae(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed: type and payload, each with its length."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(payload_type: str, payload: bytes, signers: Sequence[Signer]) -> bytes:
    """The envelope as canonical JSON, signed by each signer.

    Raises `BadEnvelope` for no signer, a bad type or an oversized payload.
    """
    message = pae(payload_type, payload)
    made = tuple(Signature(signer.keyid, signer.sign(message)) for signer in signers)
    return serialise(Envelope(payload_type, payload, made))


def serialise(envelope: Envelope) -> bytes:
    """Canonical bytes of an envelope. Raises `BadEnvelope` when `parse` would refuse them."""
    content = canonical.encode(
        {
            "payload": base64.b64encode(envelope.payload).decode(),
            "payloadType": envelope.payload_type,
            "signatures": [
                {"keyid": s.keyid, "sig": base64.b64encode(s.signature).decode()}
                for s in envelope.signatures
            ],
        }
    )
    parse(content)
    return content


def attach(content: bytes, signature: bytes) -> bytes:
    """The envelope with one more signature: an SSHSIG, armored or raw, made elsewhere.

    Raises `BadEnvelope` when it does not hold for this envelope, or its key has signed already.
    """
    envelope = parse(content)
    try:
        key = sshsig.verify(signature, pae(envelope.payload_type, envelope.payload), NAMESPACE)
    except sshsig.BadSignature as error:
        raise BadEnvelope(str(error)) from None
    raw = signature if signature.startswith(sshsig.MAGIC) else sshsig.dearmored(signature)
    added = (*envelope.signatures, Signature(key.fingerprint, raw))
    return serialise(Envelope(envelope.payload_type, envelope.payload, added))


def parse(content: bytes) -> Envelope:
    """The envelope's parts, unverified. Raises `BadEnvelope` for any other form."""
    if len(content) > SIZE_BYTES_MAX:
        raise BadEnvelope(f"envelope of {len(content)} bytes, at most {SIZE_BYTES_MAX}")
    try:
        members = json.loads(content.decode(), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise BadEnvelope(f"envelope is not JSON: {error}") from None
    _members(members, {"payload", "payloadType", "signatures"}, "envelope")
    kind, listed = members["payloadType"], members["signatures"]
    if not isinstance(kind, str) or not _TYPE_FORM.fullmatch(kind):
        raise BadEnvelope("payload type is not 1 to 200 printable characters")
    if not isinstance(listed, list) or not 1 <= len(listed) <= _SIGNATURES_MAX:
        raise BadEnvelope(f"expected 1 to {_SIGNATURES_MAX} signatures")
    signatures = tuple(_signature(entry) for entry in listed)
    if len({s.keyid for s in signatures}) != len(signatures):
        raise BadEnvelope("one key signed twice")
    return Envelope(kind, _unbase64(members["payload"], "payload"), signatures)


def open(
    content: bytes, known: Iterable[keys.PublicKey], threshold: int, payload_type: str = ""
) -> tuple[bytes, frozenset[str]]:
    """The payload and the fingerprints of the distinct known keys that signed it.

    Raises `BadEnvelope` when fewer than `threshold` known keys signed, when a known key's
    signature does not hold, or when the type is another than the one asked for.
    """
    if threshold < 1:
        raise ValueError("a threshold below one would open unsigned envelopes")
    envelope = parse(content)
    if payload_type and envelope.payload_type != payload_type:
        raise BadEnvelope(f"payload type {envelope.payload_type!r}, expected {payload_type!r}")
    by_keyid = {key.fingerprint: key for key in known}
    message = pae(envelope.payload_type, envelope.payload)
    signed = set()
    for entry in envelope.signatures:
        key = by_keyid.get(entry.keyid)
        if key is None:
            continue
        if not _holds(key, entry.signature, message):
            raise BadEnvelope(f"the signature of {entry.keyid} does not hold")
        signed.add(entry.keyid)
    if len(signed) < threshold:
        raise BadEnvelope(f"signed by {len(signed)} known keys, expected {threshold}")
    return envelope.payload, frozenset(signed)


def embedded_key(content: bytes, keyid: str) -> keys.PublicKey | None:
    """The key of this fingerprint inside its own SSH signature; None: a bare signature holds none.

    Raises `BadEnvelope` when the signature does not hold.
    """
    envelope = parse(content)
    for entry in envelope.signatures:
        if entry.keyid == keyid and entry.signature.startswith(sshsig.MAGIC):
            message = pae(envelope.payload_type, envelope.payload)
            try:
                return sshsig.verify(entry.signature, message, NAMESPACE)
            except sshsig.BadSignature as error:
                raise BadEnvelope(str(error)) from None
    return None


def statement(
    subjects: Sequence[tuple[str, Digest]],
    predicate_type: str,
    predicate: dict[str, canonical.JSON],
) -> bytes:
    """An in-toto statement as canonical JSON, for a payload of type `IN_TOTO_TYPE`."""
    return canonical.encode(
        {
            "_type": STATEMENT_TYPE,
            "predicate": predicate,
            "predicateType": predicate_type,
            "subject": [
                {"digest": {"sha256": digest.removeprefix("sha256:")}, "name": name}
                for name, digest in subjects
            ],
        }
    )


def parse_statement(payload: bytes) -> Statement:
    """The statement in an opened payload, canonical or not. Raises `BadEnvelope`."""
    try:
        members = json.loads(payload.decode(), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise BadEnvelope(f"statement is not JSON: {error}") from None
    _members(members, {"_type", "predicate", "predicateType", "subject"}, "statement")
    listed, predicate = members["subject"], members["predicate"]
    if members["_type"] != STATEMENT_TYPE or not isinstance(members["predicateType"], str):
        raise BadEnvelope(f"not an in-toto statement of type {STATEMENT_TYPE}")
    if not isinstance(listed, list) or not 1 <= len(listed) <= _SUBJECTS_MAX:
        raise BadEnvelope(f"expected 1 to {_SUBJECTS_MAX} subjects")
    if not isinstance(predicate, dict):
        raise BadEnvelope("predicate is not an object")
    subjects = tuple(_subject(entry) for entry in listed)
    return Statement(subjects, members["predicateType"], predicate)


def _holds(key: keys.PublicKey, signature: bytes, message: bytes) -> bool:
    if not signature.startswith(sshsig.MAGIC):
        return key.verify(signature, message)
    try:
        return sshsig.verify(signature, message, NAMESPACE) == key
    except sshsig.BadSignature:
        return False


def _signature(entry: object) -> Signature:
    members = _members(entry, {"keyid", "sig"}, "signature")
    keyid = members["keyid"]
    if not isinstance(keyid, str) or not keys.is_fingerprint(keyid):
        raise BadEnvelope("key identifier is not an SSH fingerprint")
    return Signature(keyid, _unbase64(members["sig"], "signature"))


def _subject(entry: object) -> tuple[str, Digest]:
    members = _members(entry, {"name", "digest"}, "subject")
    digests, name = members["digest"], members["name"]
    try:
        if not isinstance(digests, dict) or not isinstance(name, str):
            raise ValueError("not a name and an object of digests")
        return name, parse_digest(f"sha256:{digests.get('sha256', '')}")
    except ValueError as error:
        raise BadEnvelope(f"subject of a statement: {error}") from None


def _members(value: object, names: set[str], what: str) -> dict[str, object]:
    if not isinstance(value, dict) or set(value) != names:
        raise BadEnvelope(f"{what}: expected an object with {', '.join(sorted(names))}")
    return value


def _unbase64(value: object, what: str) -> bytes:
    if not isinstance(value, str):
        raise BadEnvelope(f"{what} is not text")
    try:
        # DSSE, envelope, "signatures": standard and URL-safe base64 are both accepted.
        return base64.b64decode(value.translate(_URL_SAFE), validate=True)
    except ValueError:  # damaged, or with characters beyond ASCII
        raise BadEnvelope(f"the base64 of the {what} is damaged") from None


_URL_SAFE = str.maketrans("-_", "+/")


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadEnvelope("duplicate member name")
    return found
