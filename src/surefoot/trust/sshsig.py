"""SSH signatures (SSHSIG): what `ssh-keygen -Y sign` writes and `ssh-keygen -Y verify` accepts.

Keeps: Ed25519 only, sha256 or sha512, version 1, and a signature made for one namespace never
counts for another. A verified signature says *which key* signed; whether that key counts is the
caller's question.
Does not: use a chain of trust, an allowed-signers file, or validity times.
Source: OpenSSH's PROTOCOL.sshsig.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from surefoot.trust import keys, wire

MAGIC = b"SSHSIG"
BEGIN = "-----BEGIN SSH SIGNATURE-----"
END = "-----END SSH SIGNATURE-----"

_VERSION = 1
_SIZE_MAX = 8 * 1024
_NAMESPACE_MAX = 100
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}


class BadSignature(ValueError):
    """The signature is damaged, of another namespace, or does not hold for the message."""


def sign(key: keys.PrivateKey, message: bytes, namespace: str, hash_name: str = "sha512") -> bytes:
    """The armored signature, ending with a newline. Raises `ValueError` for a bad namespace."""
    return armored(sign_raw(key, message, namespace, hash_name))


def sign_raw(
    key: keys.PrivateKey, message: bytes, namespace: str, hash_name: str = "sha512"
) -> bytes:
    """The signature without armor. Raises `ValueError` for a bad namespace or hash."""
    space = _namespace_bytes(namespace)
    hashed = hash_name.encode()
    signature = key.sign(_signed_bytes(message, space, hashed))
    blob = wire.string(keys.KEY_TYPE) + wire.string(signature)
    fields = (key.public.blob, space, b"", hashed, blob)
    return MAGIC + _VERSION.to_bytes(4, "big") + b"".join(wire.string(f) for f in fields)


def verify(signature: bytes, message: bytes, namespace: str) -> keys.PublicKey:
    """The key that signed the message in this namespace, from an armored or raw signature.

    Raises `BadSignature` in every other case; an unknown signer is the caller's to refuse.
    """
    raw = signature if signature.startswith(MAGIC) else dearmored(signature)
    try:
        return _verify_raw(raw, message, namespace)
    except (wire.BadWire, keys.BadKey) as error:
        raise BadSignature(f"not an acceptable SSH signature: {error}") from None


def armored(raw: bytes) -> bytes:
    """The text form of a raw signature."""
    return keys.armor(raw, BEGIN, END)


def dearmored(text: bytes) -> bytes:
    """The raw signature inside the text form. Raises `BadSignature` when it is damaged."""
    if len(text) > _SIZE_MAX:
        raise BadSignature(f"SSH signature of {len(text)} bytes, at most {_SIZE_MAX}")
    try:
        lines = [line.strip() for line in text.decode("ascii").strip().splitlines()]
        if len(lines) < 3 or lines[0] != BEGIN or lines[-1] != END:
            raise BadSignature(f"expected a text that begins with {BEGIN} and ends with {END}")
        return base64.b64decode("".join(lines[1:-1]), validate=True)
    except (UnicodeDecodeError, binascii.Error):
        raise BadSignature("the SSH signature's base64 is damaged") from None


def _verify_raw(raw: bytes, message: bytes, namespace: str) -> keys.PublicKey:
    if len(raw) > _SIZE_MAX:
        raise BadSignature(f"SSH signature of {len(raw)} bytes, at most {_SIZE_MAX}")
    reader = wire.Reader(raw)
    if reader.take(len(MAGIC)) != MAGIC or reader.number() != _VERSION:
        raise BadSignature("not an SSH signature of version 1")
    blob, space, _, hashed, signature = (reader.string() for _ in range(5))
    reader.end()
    if space != _namespace_bytes(namespace):
        raise BadSignature(
            f"signature made for namespace {space[:_NAMESPACE_MAX]!r}, expected {namespace!r}"
        )
    key = keys.public_key_of_blob(blob)
    if not key.verify_blob(signature, _signed_bytes(message, space, hashed)):
        raise BadSignature(f"the signature of {key.fingerprint} does not hold for this content")
    return key


def _namespace_bytes(namespace: str) -> bytes:
    if not namespace or not namespace.isascii() or len(namespace) > _NAMESPACE_MAX:
        raise ValueError(f"namespace must be 1 to {_NAMESPACE_MAX} ASCII characters")
    return namespace.encode()


def _signed_bytes(message: bytes, namespace: bytes, hash_name: bytes) -> bytes:
    if hash_name not in _HASHES:
        raise BadSignature(f"hash {hash_name[:20]!r}: expected sha256 or sha512")
    fields = (namespace, b"", hash_name, _HASHES[hash_name](message).digest())
    return MAGIC + b"".join(wire.string(field) for field in fields)
