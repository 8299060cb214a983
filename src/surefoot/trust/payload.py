"""Salted commitments: what stands in a leaf for words that may have to be erased.

Keeps: the commitment is SHA-256 of 32 random bytes and the words in UTF-8; without the salt nothing
can be guessed from it, and with salt and words anybody can check it. The leaf never changes: when
salt and words are gone, what is left says that there were words, and which.
Does not: store or make salts. Source: docs/formats/entry.md, section "Words that can be erased".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

import msgspec

from surefoot.trust import canonical

SALT_BYTES = 32
TEXT_BYTES_MAX = 4_000
FORMAT = "surefoot-words/1"
OPENING_BYTES_MAX = 64 * 1024

_PREFIX = "committed:sha256:"
_FORM = re.compile(r"committed:sha256:[0-9a-f]{64}")


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """Words with their salt, to be kept beside the journal under their commitment."""

    salt: bytes
    text: str

    def commitment(self) -> str:
        """What stands in the leaf. Raises `ValueError` for a bad salt or too long words."""
        content = self.text.encode()
        if len(self.salt) != SALT_BYTES or not 0 < len(content) <= TEXT_BYTES_MAX:
            raise ValueError(f"not a salt of {SALT_BYTES} bytes with 1 to {TEXT_BYTES_MAX} bytes")
        return _PREFIX + hashlib.sha256(self.salt + content).hexdigest()

    def opens(self, commitment: str) -> bool:
        """Whether these are the words that the commitment stands for."""
        try:
            return hmac.compare_digest(self.commitment().encode(), commitment.encode())
        except ValueError:
            return False


def is_commitment(text: str) -> bool:
    """Whether this text stands for words that are kept elsewhere."""
    return _FORM.fullmatch(text) is not None


def opening(words: Sequence[Payload]) -> bytes:
    """A file that opens commitments to a stranger, for `read_opening`."""
    opened: list[canonical.JSON] = [{"salt": w.salt.hex(), "text": w.text} for w in words]
    return canonical.encode({"format": FORMAT, "words": opened})


def read_opening(content: bytes) -> tuple[Payload, ...]:
    """The words in such a file, each to be compared with a commitment. Raises `ValueError`."""
    if len(content) > OPENING_BYTES_MAX:
        raise ValueError(f"more than {OPENING_BYTES_MAX} bytes")
    try:
        file = msgspec.convert(canonical.parse(content), _File, strict=True)
        found = tuple(Payload(salt=bytes.fromhex(w.salt), text=w.text) for w in file.words)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    if file.format != FORMAT:
        raise ValueError(f"format {file.format[:40]}")
    for words in found:
        words.commitment()
    return found


class _Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    salt: str
    text: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    words: tuple[_Words, ...]
