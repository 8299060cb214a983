"""The forms of which a proof bundle is made, and the error when something is of another form.

Keeps: whatever JSON is given, the answer is of the type and within the bounds that are named, or
`NotProved` is raised. Does not: know bundles. Source: docs/formats/proof.md.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

from surefoot.trust.entry import NotAnEntry, Plain, text_of_time, time_of_text

CHAIN_MAX = 10_000
HASHES_MAX = 64

_INTEGER_MAX = 2**53 - 1


class NotProved(ValueError):
    """The bundle does not show what it claims: which rule, of what, expected and found."""

    def __init__(self, code: str, subject: str, expected: str, found: str) -> None:
        super().__init__(f"{subject}: expected {expected}, found {found} [{code}]")
        self.code = code
        self.subject = subject
        self.expected = expected
        self.found = found


def malformed(subject: str, expected: str, found: str) -> NotProved:
    """A bundle of another form."""
    return NotProved("proof.form.malformed", subject, expected, found)


def object_of(value: object, subject: str) -> Plain:
    """The value, an object."""
    if not isinstance(value, dict):
        raise malformed(subject, "an object", type(value).__name__)
    return value


def list_of(value: object, subject: str, count_max: int = CHAIN_MAX) -> list[object]:
    """The value, a list of at most so many."""
    if not isinstance(value, list) or len(value) > count_max:
        raise malformed(subject, f"a list of at most {count_max}", "something else")
    return list(value)


def check_members(
    fields: Plain,
    subject: str,
    required: frozenset[str],
    optional: frozenset[str] | set[str] = frozenset(),
) -> None:
    """All members that must be there are, and no other than may be."""
    missing, unknown = required - fields.keys(), fields.keys() - required - optional
    if missing or unknown:
        found = f"missing {sorted(missing)}, unknown {sorted(unknown)[:5]}"
        raise malformed(subject, "the members of the format", found[:200])


def text_of(value: object, subject: str, size_max: int) -> str:
    """The value, a text of at most so many characters."""
    if not isinstance(value, str) or len(value) > size_max:
        raise malformed(subject, f"text of at most {size_max}", "something else")
    return value


def matching(value: object, subject: str, form: re.Pattern[str], size_max: int) -> str:
    """The value, a text of this form."""
    text = text_of(value, subject, size_max)
    if not form.fullmatch(text):
        raise malformed(subject, "a text of its form", text[:80])
    return text


def number_of(value: object, subject: str) -> int:
    """The value, a whole number from 0 that every JSON reader can hold."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _INTEGER_MAX:
        raise malformed(subject, "a number from 0", str(value)[:40])
    return value


def time_of(value: object) -> int:
    """Milliseconds of the value, a time that is written in the one way that there is."""
    text = text_of(value, "time", 30)
    try:
        time_ms = time_of_text(text)
        same = time_ms >= 0 and text_of_time(time_ms) == text
    except NotAnEntry:
        same = False
    if not same:
        raise malformed("time", "a time like 2026-11-17T10:00:00.000Z", text)
    return time_ms


def hashes_of(value: object, subject: str, count_max: int = HASHES_MAX) -> tuple[bytes, ...]:
    """Hashes of 32 bytes, joined and in base64."""
    content = decoded(value, subject, count_max * 44)
    if len(content) % 32 or len(content) > 32 * count_max:
        raise malformed(subject, f"at most {count_max} hashes", f"{len(content)} bytes")
    return tuple(content[place : place + 32] for place in range(0, len(content), 32))


def decoded(value: object, subject: str, size_max: int = 4 * 1024) -> bytes:
    """Bytes of the value, base64 in the one spelling that they have."""
    text = text_of(value, subject, size_max)
    try:
        content = base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, ValueError):
        raise malformed(subject, "base64", text[:40]) from None
    if base64.b64encode(content).decode() != text:
        raise malformed(subject, "base64 without bits that mean nothing", text[:40])
    return content


def joined(hashes: Iterable[bytes]) -> str:
    """The hashes of a proof as a bundle holds them."""
    return base64.b64encode(b"".join(hashes)).decode()
