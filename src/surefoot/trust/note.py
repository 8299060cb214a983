"""C2SP signed notes, their keys, and checkpoints, with Ed25519 (type 0x01).

Keeps: a note is text ending in a newline, an empty line, and signature lines; a signature by an
unknown key is ignored, a wrong one by a known key refuses the note, and at least one must verify.
A checkpoint is exactly three lines: origin, size, root. Does not: make random keys (callers pass
a seed) or store any. Source: c2sp.org/signed-note, c2sp.org/tlog-checkpoint.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from functools import lru_cache

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from surefoot.trust import keys as people

ED25519 = 0x01
NOTE_BYTES_MAX = 256 * 1024
SIGNATURES_MAX = 100
KEY_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,255}")
LINE_START = "— "

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")


class NotANote(ValueError):
    """The bytes are not a note, a key or a checkpoint, or the signature does not verify."""


class VerifierKey:
    """A public key with the name it signs under: `name+hash+base64` on one line."""

    def __init__(self, name: str, public: bytes) -> None:
        if not KEY_NAME.fullmatch(name):
            raise NotANote(f"key name has a space, a plus or a bad length: {name[:80]!r}")
        if len(public) != 32:
            raise NotANote(f"public key has {len(public)} bytes, not 32")
        try:
            people.PublicKey(public)
        except people.BadKey as error:
            raise NotANote(str(error)) from None
        self.name = name
        self.public = public
        self.id = key_id(name, public)
        self._key = Ed25519PublicKey.from_public_bytes(public)
        content = base64.b64encode(bytes([ED25519]) + public).decode()
        self._text = f"{name}+{self.id.hex()}+{content}"

    @classmethod
    @lru_cache(maxsize=256)
    def parse(cls, text: str) -> VerifierKey:
        """Read the one-line form; those read last are kept. Raises `NotANote`."""
        parts = text.strip("\n").split("+", 2)
        if len(parts) != 3:
            raise NotANote("key is not of the form name+hash+base64")
        content = decoded(parts[2])
        if len(content) != 33 or content[0] != ED25519:
            raise NotANote("key is not of type 0x01 (Ed25519)")
        found = cls(parts[0], content[1:])
        if parts[1] != found.id.hex():
            raise NotANote(f"key hash differs: expected {found.id.hex()}, found {parts[1][:40]}")
        return found

    def text(self) -> str:
        """The one-line form."""
        return self._text

    def verify(self, message: bytes, signature: bytes) -> bool:
        """True when the signature is by this key."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class SignerKey:
    """A private key with the name it signs under; cannot be printed."""

    def __init__(self, name: str, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = VerifierKey(name, self._key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"SignerKey({self.verifier.name!r})"

    def sign(self, text: str) -> str:
        """A note with one signature line. Raises `NotANote` when the text cannot be a note."""
        return f"{text}\n{self.line(text)}"

    def line(self, text: str) -> str:
        """The signature line alone, to stand below others over the same text."""
        _check_text(text)
        content = base64.b64encode(self.verifier.id + self._key.sign(text.encode())).decode()
        return f"{LINE_START}{self.verifier.name} {content}\n"


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A tree's size and root under the log's name (origin)."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def key_id(name: str, public: bytes) -> bytes:
    """The four bytes that say which key made a signature line."""
    content = name.encode() + b"\n" + bytes([ED25519]) + public
    return hashlib.sha256(content).digest()[:4]


def open_note(note: str, *keys: VerifierKey) -> str:
    """The text of a note that at least one of the keys signed. Raises `NotANote`."""
    return signers_of(note, *keys)[0]


def signers_of(note: str, *keys: VerifierKey) -> tuple[str, tuple[VerifierKey, ...]]:
    """The text of a note, and those of the keys that signed it, at least one. Raises `NotANote`."""
    text, lines = split_note(note)
    verified = [_verified(line, text.encode(), keys) for line in lines]
    signers = tuple(key for key in verified if key is not None)
    if not signers:
        raise NotANote("no signature by a known key")
    return text, signers


@lru_cache(maxsize=8)
def split_note(note: str) -> tuple[str, tuple[str, ...]]:
    """Text and signature lines of a note, nothing verified; those split last are kept, as each
    kind of signer is looked for in turn. Raises `NotANote`."""
    if len(note) > NOTE_BYTES_MAX:
        raise NotANote("note is too long")
    text, found, block = note.rpartition("\n\n")
    text += "\n"
    if not found or not block.endswith("\n"):
        raise NotANote("note has no signature block")
    _check_text(text)
    lines = tuple(block[:-1].split("\n"))
    if len(lines) > SIGNATURES_MAX:
        raise NotANote("note has too many signatures")
    return text, lines


def split_line(line: str) -> tuple[str, bytes, bytes]:
    """Key name, key id (4 bytes) and signature of a signature line. Raises `NotANote`."""
    if not line.startswith(LINE_START):
        raise NotANote("signature line does not begin with a dash and a space")
    name, space, encoded = line[len(LINE_START) :].partition(" ")
    content = decoded(encoded)
    if not space or not KEY_NAME.fullmatch(name) or len(content) < 5:
        raise NotANote("signature line is not a name and a signature")
    return name, content[:4], content[4:]


def decoded(text: str) -> bytes:
    """The bytes of padded base64 in its only form. Raises `NotANote`."""
    try:
        content = base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise NotANote(f"not base64: {text[:40]!r}") from None
    if base64.b64encode(content).decode() != text:
        raise NotANote(f"base64 has bits that mean nothing: {text[:40]!r}")
    return content


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in a note's text. Raises `NotANote`."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0] or not _SIZE.fullmatch(lines[1]):
        raise NotANote("checkpoint is not three lines: origin, size, root")
    root = decoded(lines[2])
    if len(root) != 32:
        raise NotANote("checkpoint root has not 32 bytes")
    return Checkpoint(origin=lines[0], size=int(lines[1]), root=root)


def open_checkpoint(note: str, *keys: VerifierKey) -> Checkpoint:
    """The checkpoint in a note that one of these keys signed, for the log of that key's name.

    Raises `NotANote`.
    """
    text, signers = signers_of(note, *keys)
    found = parse_checkpoint(text)
    if found.origin not in (key.name for key in signers):
        names = ", ".join(key.name for key in signers)
        raise NotANote(f"checkpoint is of another log: expected {names}, found {found.origin}")
    return found


def verifiers(text: str) -> tuple[VerifierKey, ...]:
    """The keys of a log, one a line; the present one first. Raises `NotANote`."""
    found = tuple(VerifierKey.parse(line) for line in text.splitlines() if line.strip())
    if not found:
        raise NotANote("no key")
    return found


def _verified(line: str, message: bytes, keys: tuple[VerifierKey, ...]) -> VerifierKey | None:
    name, found, signature = split_line(line)
    for key in keys:
        if (key.name, key.id) == (name, found):
            if not key.verify(message, signature):
                raise NotANote(f"signature by {name} does not verify")
            return key
    return None


def _check_text(text: str) -> None:
    if not text.endswith("\n") or _CONTROL.search(text):
        raise NotANote("text does not end in a newline, or holds a control character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotANote("text is not valid UTF-8") from None
