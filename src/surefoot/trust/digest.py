"""Content addresses: `sha256:` and 64 lower-case hex digits, nothing else.

Does not: read files; callers pass bytes or an iterable of chunks.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import NewType

Digest = NewType("Digest", str)

_FORM = re.compile(r"sha256:[0-9a-f]{64}")


def digest_of(content: bytes) -> Digest:
    """SHA-256 of the bytes as a `Digest`."""
    return Digest("sha256:" + hashlib.sha256(content).hexdigest())


def digest_of_chunks(chunks: Iterable[bytes]) -> Digest:
    """SHA-256 of the joined chunks, without holding them."""
    running = hashlib.sha256()
    for chunk in chunks:
        running.update(chunk)
    return Digest("sha256:" + running.hexdigest())


def is_digest(text: str) -> bool:
    """True when the text has the form of a `Digest`."""
    return _FORM.fullmatch(text) is not None


def parse_digest(text: str) -> Digest:
    """A `Digest` from outside text. Raises `ValueError` when it has any other form."""
    if not is_digest(text):
        raise ValueError(f"not a digest: {text[:80]!r}")
    return Digest(text)
