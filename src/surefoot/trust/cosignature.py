"""Cosignatures of checkpoints, with a time: C2SP types 0x04 (Ed25519) and 0x06 (ML-DSA-44).

Keeps: a line counts only when its key is known and its signature verifies over this very
checkpoint and time; a wrong one by a known key refuses the note; unknown ones are ignored. A time
of 0 says nothing of when, and such a line is not counted. Does not: make random keys (callers pass
a seed), judge whether a time is in the future, or check the log's own signature.
Source: c2sp.org/tlog-cosignature.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import lru_cache

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from surefoot.trust import keys as people
from surefoot.trust.note import (
    KEY_NAME,
    LINE_START,
    NotANote,
    decoded,
    parse_checkpoint,
    split_line,
    split_note,
)

ED25519 = 0x04
ML_DSA_44 = 0x06
SEED_BYTES = 32
TIME_MAX_S = 2**63 - 1
VKEY_LENGTH_MAX = 2_100

_PUBLIC_BYTES = {ED25519: 32, ML_DSA_44: 1312}
_SIGNATURE_BYTES = {ED25519: 64, ML_DSA_44: 2420}
_TIME_BYTES = 8
_LABEL = b"subtree/v1\n\x00"
_NAME_BYTES_MAX = 255


class CosignerKey:
    """A cosigner's public key with its name: `name+hash+base64` on one line."""

    def __init__(self, name: str, kind: int, public: bytes) -> None:
        if not KEY_NAME.fullmatch(name) or len(_utf8(name)) > _NAME_BYTES_MAX:
            raise NotANote(f"key name has a space, a plus or a bad length: {name[:80]!r}")
        if len(public) != _PUBLIC_BYTES.get(kind):
            raise NotANote(f"key of type {kind:#04x} with {len(public)} bytes is no cosigner's")
        self.name = name
        self.kind = kind
        self.public = public
        content = name.encode() + b"\n" + bytes([kind]) + public
        self.id = hashlib.sha256(content).digest()[:4]
        self._key = _public(kind, public)
        encoded = base64.b64encode(bytes([kind]) + public).decode()
        self._text = f"{name}+{self.id.hex()}+{encoded}"

    def __repr__(self) -> str:
        return f"CosignerKey({self.name!r}, {self.id.hex()})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CosignerKey) and self.text() == other.text()

    def __hash__(self) -> int:
        return hash(self.text())

    @classmethod
    @lru_cache(maxsize=256)
    def parse(cls, text: str) -> CosignerKey:
        """Read the one-line form; those read last are kept. Raises `NotANote`."""
        parts = text.strip("\n").split("+", 2) if len(text) <= VKEY_LENGTH_MAX else []
        if len(parts) != 3:
            raise NotANote("key is not of the form name+hash+base64")
        content = decoded(parts[2])
        if not content or content[0] not in _PUBLIC_BYTES:
            raise NotANote("key is not of type 0x04 (Ed25519) or 0x06 (ML-DSA-44) of cosigners")
        found = cls(parts[0], content[0], content[1:])
        if parts[1] != found.id.hex():
            raise NotANote(f"key hash differs: expected {found.id.hex()}, found {parts[1][:40]}")
        return found

    def text(self) -> str:
        """The one-line form."""
        return self._text

    def verify(self, message: bytes, signature: bytes) -> bool:
        """True when the signature, without its time, is by this key over `message(...)`."""
        if len(signature) != _SIGNATURE_BYTES[self.kind]:
            return False
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class CosignerSigner:
    """A cosigner's private key with its name; cannot be printed."""

    def __init__(self, name: str, seed: bytes, kind: int) -> None:
        if len(seed) != SEED_BYTES:
            raise NotANote(f"seed has {len(seed)} bytes, not {SEED_BYTES}")
        self._key = _private(kind, seed)
        self.key = CosignerKey(name, kind, self._key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"CosignerSigner({self.key.name!r})"

    def cosign(self, note_text: str, time_s: int) -> str:
        """A signature line, newline included, over a checkpoint's three lines.

        Raises `NotANote` for a text that is no checkpoint, or a time outside 1 to 2^63-1.
        """
        if not 0 < time_s <= TIME_MAX_S:
            raise NotANote(f"time of a cosignature is {time_s}, not 1 to 2^63-1")
        signature = self._key.sign(message(self.key, note_text, time_s))
        content = self.key.id + time_s.to_bytes(_TIME_BYTES, "big") + signature
        return f"{LINE_START}{self.key.name} {base64.b64encode(content).decode()}\n"


class Cosignature(msgspec.Struct, frozen=True, kw_only=True):
    """A verified cosignature: who, with which key (its one-line form) and type, when."""

    name: str
    key: str
    kind: int
    time_s: int


def message(key: CosignerKey, note_text: str, time_s: int) -> bytes:
    """The bytes that this key signs for a checkpoint's text at this time.

    Raises `NotANote` for a text that is no checkpoint.
    """
    checkpoint = parse_checkpoint(note_text)
    if key.kind == ED25519:
        return f"cosignature/v1\ntime {time_s}\n{note_text}".encode()
    return b"".join(
        (
            _LABEL,
            _short(key.name),
            time_s.to_bytes(8, "big"),
            _short(checkpoint.origin),
            (0).to_bytes(8, "big"),
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root,
        )
    )


def cosignatures(note: str, keys: Iterable[CosignerKey]) -> tuple[Cosignature, ...]:
    """The valid cosignatures of these keys in a checkpoint's note, in its order.

    Raises `NotANote` for a text that is no such note, or a wrong cosignature by a known key.
    """
    text, lines = split_note(note)
    parse_checkpoint(text)
    known = {(key.name, key.id): key for key in keys}
    found = []
    for line in lines:
        name, key_id, content = split_line(line)
        key = known.get((name, key_id))
        if key is None:
            continue
        time_s = int.from_bytes(content[:_TIME_BYTES], "big")
        signed = message(key, text, min(time_s, TIME_MAX_S))
        if time_s > TIME_MAX_S or not key.verify(signed, content[_TIME_BYTES:]):
            raise NotANote(f"cosignature by {name} does not verify")
        if time_s:
            entry = Cosignature(name=name, key=key.text(), kind=key.kind, time_s=time_s)
            found.append(entry)
    return tuple(found)


def with_lines(note: str, lines: Iterable[str]) -> str:
    """The note with those signature lines added that it does not have yet. Raises `NotANote`."""
    _, present = split_note(note)
    seen = set(present)
    for line in lines:
        bare = line.removesuffix("\n")
        split_line(bare)
        if bare not in seen:
            seen.add(bare)
            note += f"{bare}\n"
    split_note(note)
    return note


def _public(kind: int, public: bytes) -> Ed25519PublicKey | MLDSA44PublicKey:
    if kind == ML_DSA_44:
        return MLDSA44PublicKey.from_public_bytes(public)
    try:
        people.PublicKey(public)
    except people.BadKey as error:
        raise NotANote(str(error)) from None
    return Ed25519PublicKey.from_public_bytes(public)


def _private(kind: int, seed: bytes) -> Ed25519PrivateKey | MLDSA44PrivateKey:
    if kind == ED25519:
        return Ed25519PrivateKey.from_private_bytes(seed)
    if kind == ML_DSA_44:
        return MLDSA44PrivateKey.from_seed_bytes(seed)
    raise NotANote(f"no cosigner's key has type {kind:#04x}")


def _short(text: str) -> bytes:
    content = _utf8(text)
    if not 0 < len(content) <= _NAME_BYTES_MAX:
        raise NotANote(f"name or origin of {len(content)} bytes, at most {_NAME_BYTES_MAX}")
    return bytes([len(content)]) + content


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise NotANote("name is not valid UTF-8") from None
