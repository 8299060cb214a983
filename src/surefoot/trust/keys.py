"""Ed25519 keys of people, builders and installations, in the forms that OpenSSH uses.

Keeps: only Ed25519, and Ed25519 on a security key (`sk-ssh-ed25519@openssh.com`, to verify only);
a fingerprint is the one `ssh-keygen -l` prints; a private key never shows in a `repr`; public
keys of small order, whose signatures bind nothing, are refused.
Does not: make randomness (the caller passes 32 bytes), read files, or ask for passphrases. Writing
a key under a passphrase is the exception: there the library draws the salt.
Source: RFC 8032, RFC 8709, OpenSSH's PROTOCOL.key and PROTOCOL.u2f.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from surefoot.trust import wire

KEY_TYPE = b"ssh-ed25519"
SECURITY_KEY_TYPE = b"sk-ssh-ed25519@openssh.com"
SIGNATURE_SIZE_BYTES = 64

_KEY_SIZE_BYTES = 32
_LINE_MAX = 1024
_PRIVATE_TEXT_MAX = 16 * 1024
_USER_PRESENT = 0x01
_COMMENT = re.compile(r"[\x20-\x7e]{0,200}")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_BEGIN = "-----BEGIN OPENSSH PRIVATE KEY-----"
_END = "-----END OPENSSH PRIVATE KEY-----"
_MAGIC = b"openssh-key-v1\0"
_CIPHER_BLOCK_BYTES = 8

# The eight torsion points of the curve, without the sign bit, and what wraps around to them: one
# signature by such a key verifies for many messages.
_SMALL_ORDER = frozenset(
    bytes.fromhex(text)
    for text in (
        "00" * 32,
        "01" + "00" * 31,
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    )
)


class BadKey(ValueError):
    """The text or bytes are no key that is accepted here."""


class PublicKey(msgspec.Struct, frozen=True):
    """An Ed25519 public key: 32 bytes, and the application when it lives on a security key."""

    raw: bytes
    application: str = ""

    def __post_init__(self) -> None:
        if len(self.raw) != _KEY_SIZE_BYTES:
            raise BadKey(f"public key of {len(self.raw)} bytes, expected {_KEY_SIZE_BYTES}")
        if self.raw[:31] + bytes([self.raw[31] & 0x7F]) in _SMALL_ORDER:
            raise BadKey("public key of small order: its signatures bind nothing")

    @property
    def blob(self) -> bytes:
        """The key in SSH's wire encoding."""
        if self.application:
            parts = (SECURITY_KEY_TYPE, self.raw, self.application.encode())
            return b"".join(wire.string(part) for part in parts)
        return wire.string(KEY_TYPE) + wire.string(self.raw)

    @property
    def fingerprint(self) -> str:
        """`SHA256:` and 43 base64 characters, as `ssh-keygen -l` prints it."""
        summed = hashlib.sha256(self.blob).digest()
        return "SHA256:" + base64.b64encode(summed).decode().rstrip("=")

    def line(self, comment: str = "") -> str:
        """One line of an authorized_keys file. Raises `BadKey` for a comment that is not plain."""
        kind = SECURITY_KEY_TYPE if self.application else KEY_TYPE
        text = f"{kind.decode()} {base64.b64encode(self.blob).decode()}"
        if not _COMMENT.fullmatch(comment):
            raise BadKey("comment is longer than 200 characters or not printable ASCII")
        return f"{text} {comment}" if comment else text

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether this 64-byte signature over the message was made by this key.

        Always False for a key on a security key: it never signs a message as it is.
        """
        return not self.application and _holds(self.raw, signature, message)

    def verify_blob(self, signature_blob: bytes, message: bytes) -> bool:
        """Whether a signature in SSH's wire encoding over the message was made by this key.

        A security key must also have seen its user touch it. Raises `wire.BadWire` when cut.
        """
        reader = wire.Reader(signature_blob)
        kind, signature = reader.string(), reader.string()
        if not self.application:
            reader.end()
            return kind == KEY_TYPE and _holds(self.raw, signature, message)
        flags, counter = reader.take(1), reader.take(4)
        reader.end()
        signed = (
            hashlib.sha256(self.application.encode()).digest()
            + flags
            + counter
            + hashlib.sha256(message).digest()
        )
        touched = bool(flags[0] & _USER_PRESENT)
        return kind == SECURITY_KEY_TYPE and touched and _holds(self.raw, signature, signed)


class PrivateKey:
    """An Ed25519 private key. Shows nothing of itself."""

    __slots__ = ("_key", "_seed", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != _KEY_SIZE_BYTES:
            raise BadKey(f"seed of {len(seed)} bytes, expected {_KEY_SIZE_BYTES}")
        self._seed = bytes(seed)
        self._key = Ed25519PrivateKey.from_private_bytes(self._seed)
        self.public = PublicKey(self._key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.fingerprint})"

    @property
    def keyid(self) -> str:
        """The public key's fingerprint."""
        return self.public.fingerprint

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature over the message."""
        return self._key.sign(message)

    def seed(self) -> bytes:
        """The 32 secret bytes, for the one who stores the key."""
        return self._seed


def private_key(seed: bytes) -> PrivateKey:
    """The key made from 32 unpredictable bytes. Raises `BadKey` for any other length."""
    return PrivateKey(seed)


def public_key_of_blob(blob: bytes) -> PublicKey:
    """The key in SSH's wire encoding. Raises `BadKey` for any other kind of key."""
    try:
        reader = wire.Reader(blob)
        kind = reader.string()
        if kind not in (KEY_TYPE, SECURITY_KEY_TYPE):
            raise BadKey(f"type {kind[:40]!r}: only Ed25519 keys are accepted")
        raw = reader.string()
        application = reader.string().decode("ascii") if kind == SECURITY_KEY_TYPE else ""
        reader.end()
    except ValueError as error:
        raise BadKey(f"not an acceptable SSH public key: {error}") from None
    if kind == SECURITY_KEY_TYPE and not application:
        raise BadKey("security key without an application")
    return PublicKey(raw, application)


def parse_public_line(line: str) -> tuple[PublicKey, str]:
    """Key and comment of a line like `ssh-ed25519 AAAA... ann`. Raises `BadKey`."""
    if len(line) > _LINE_MAX:
        raise BadKey(f"public key line of {len(line)} characters, at most {_LINE_MAX}")
    words = line.strip().split(" ", 2)
    if len(words) < 2:
        raise BadKey("expected `ssh-ed25519 AAAA... comment`")
    try:
        key = public_key_of_blob(base64.b64decode(words[1], validate=True))
    except binascii.Error:
        raise BadKey("the key's base64 is damaged") from None
    comment = words[2].strip() if len(words) == 3 else ""
    if key.line().split(" ")[0] != words[0]:
        raise BadKey(f"the line says {words[0][:40]!r}, the key inside is of another type")
    if not _COMMENT.fullmatch(comment):
        raise BadKey("comment is longer than 200 characters or not printable ASCII")
    return key, comment


def is_fingerprint(text: str) -> bool:
    """Whether the text has the form of a fingerprint."""
    return bool(_FINGERPRINT.fullmatch(text))


def load_private(text: bytes, passphrase: bytes | None = None) -> PrivateKey:
    """The key in OpenSSH's private key text.

    Raises `BadKey` when it is damaged, of another type, or its passphrase is missing or wrong.
    """
    if len(text) > _PRIVATE_TEXT_MAX:
        raise BadKey(f"private key text of {len(text)} bytes, at most {_PRIVATE_TEXT_MAX}")
    try:
        loaded = serialization.load_ssh_private_key(text, passphrase)
    except UnsupportedAlgorithm as error:
        raise BadKey(f"this private key cannot be read here: {error}") from None
    except (ValueError, TypeError) as error:
        raise BadKey(f"private key damaged, or its passphrase missing or wrong: {error}") from None
    if not isinstance(loaded, Ed25519PrivateKey):
        raise BadKey("only Ed25519 private keys are accepted")
    return PrivateKey(loaded.private_bytes_raw())


def private_text(key: PrivateKey, comment: str = "", passphrase: bytes | None = None) -> bytes:
    """The key as OpenSSH's private key text, the same bytes each time when no passphrase is given.

    Raises `BadKey` when a passphrase is given and the library cannot encrypt with it.
    """
    if passphrase is not None:
        return _encrypted_text(key, passphrase)
    public = key.public
    # Equal check numbers tell a reader that decryption worked; without encryption any value does.
    check = hashlib.sha256(public.raw).digest()[:4]
    inner = check + check + public.blob + wire.string(key.seed() + public.raw)
    inner += wire.string(comment.encode())
    inner += bytes(range(1, 1 + -len(inner) % _CIPHER_BLOCK_BYTES))
    none = wire.string(b"none")
    outer = _MAGIC + none + none + wire.string(b"") + (1).to_bytes(4, "big")
    outer += wire.string(public.blob) + wire.string(inner)
    return armor(outer, _BEGIN, _END)


def armor(content: bytes, begin: str, end: str) -> bytes:
    """Base64 in lines of 70 characters between a first and a last line."""
    text = base64.b64encode(content).decode()
    lines = [text[at : at + 70] for at in range(0, len(text), 70)]
    return "\n".join([begin, *lines, end, ""]).encode()


def _encrypted_text(key: PrivateKey, passphrase: bytes) -> bytes:
    try:
        return Ed25519PrivateKey.from_private_bytes(key.seed()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.BestAvailableEncryption(passphrase),
        )
    except (UnsupportedAlgorithm, ValueError) as error:
        raise BadKey(f"cannot encrypt the private key: {error}") from None


def _holds(raw: bytes, signature: bytes, message: bytes) -> bool:
    if len(signature) != SIGNATURE_SIZE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
