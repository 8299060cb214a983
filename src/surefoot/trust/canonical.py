"""Restricted canonical JSON: the exact bytes that are stored, hashed and signed.

RFC 8785 (JCS) with a narrower profile, so that a fast sorted encoder gives the canonical bytes:
ASCII member names, NFC strings without lone surrogates, integers below 2^53 in size, booleans,
arrays and objects; no floats, no nulls, no duplicate names. Verifiers hash stored bytes and never
re-serialise; `parse` refuses bytes that are not already canonical.
"""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

if TYPE_CHECKING:
    JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | bool"
else:
    JSON = Any  # decoders read annotations at run time and cannot resolve a recursive alias

_INTEGER_MAX = 2**53 - 1
_DEPTH_MAX = 32
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False
)


class NotCanonical(ValueError):
    """The value or the bytes are outside the profile."""


def encode(value: object) -> bytes:
    """Canonical bytes of a value made of dict, list, tuple, str, int and bool.

    Raises `NotCanonical` for anything the profile leaves out.
    """
    _check(value, 0)
    return _ENCODER.encode(value).encode()


def parse(content: bytes) -> JSON:
    """The value of canonical bytes. Raises `NotCanonical` when they are not canonical."""
    try:
        value: JSON = json.loads(
            content.decode(),
            object_pairs_hook=_no_duplicates,
            parse_float=_refuse,
            parse_constant=_refuse,
        )
    except (ValueError, RecursionError) as error:
        raise NotCanonical(f"not canonical JSON: {error}") from None
    if encode(value) != content:
        raise NotCanonical("not canonical JSON: the bytes differ from their canonical form")
    return value


def _no_duplicates(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotCanonical("duplicate member name")
    return found


def _refuse(text: str) -> NoReturn:
    raise NotCanonical(f"number outside the profile: {text[:40]}")


def _check(value: object, depth: int) -> None:
    if depth > _DEPTH_MAX:
        raise NotCanonical(f"nested deeper than {_DEPTH_MAX}")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, bool):
        return
    elif isinstance(value, int):
        if abs(value) > _INTEGER_MAX:
            raise NotCanonical("integer of 2^53 or more")
    elif isinstance(value, dict):
        for name, member in value.items():
            if not isinstance(name, str) or not name.isascii():
                raise NotCanonical(f"member name is not ASCII: {name!r}")
            _check(member, depth + 1)
    elif isinstance(value, list | tuple):
        for member in value:
            _check(member, depth + 1)
    else:
        raise NotCanonical(f"{type(value).__name__} is outside the profile")


def _check_text(text: str) -> None:
    if text.isascii():
        return
    if not unicodedata.is_normalized("NFC", text):
        raise NotCanonical("text is not in NFC")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotCanonical("text holds a lone surrogate") from None
