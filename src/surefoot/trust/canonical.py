"""Restricted canonical JSON: the exact bytes that are stored, hashed and signed.

RFC 8785 (JCS) with a narrower profile, so that a fast sorted encoder gives the canonical bytes:
ASCII member names, NFC strings without lone surrogates, integers below 2^53 in size, booleans,
arrays and objects; no floats, no nulls, no duplicate names. Verifiers hash stored bytes and never
re-serialise; `parse` refuses bytes that are not already canonical.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | bool"
else:
    JSON = Any  # decoders read annotations at run time and cannot resolve a recursive alias

_INTEGER_MAX = 2**53 - 1
_DEPTH_MAX = 32
_ENCODER = msgspec.json.Encoder(order="sorted")
_DECODER = msgspec.json.Decoder()


class NotCanonical(ValueError):
    """The value or the bytes are outside the profile."""


def encode(value: object) -> bytes:
    """Canonical bytes of a value made of dict, list, tuple, str, int and bool.

    Raises `NotCanonical` for anything the profile leaves out.
    """
    check(value)
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError) as error:
        raise NotCanonical(f"not canonical JSON: {error}") from None


def parse(content: bytes) -> JSON:
    """The value of canonical bytes. Raises `NotCanonical` when they are not canonical.

    A name that stands twice, white space, another order, another escape or another form of a
    number are all seen in one comparison: with what the value is written as.
    """
    try:
        value: JSON = _DECODER.decode(content)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise NotCanonical(f"not canonical JSON: {error}") from None
    if encode(value) != content:
        raise NotCanonical("not canonical JSON: the bytes differ from their canonical form")
    return value


def check(value: object, depth: int = 0) -> None:
    """Refuse a value that is outside the profile; `depth` is how deep it stands.

    Raises `NotCanonical`.
    """
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, bool):
        return
    elif isinstance(value, int):
        if not -_INTEGER_MAX <= value <= _INTEGER_MAX:
            raise NotCanonical("integer of 2^53 or more")
    elif isinstance(value, dict):
        for name in value:
            if not isinstance(name, str) or not name.isascii():
                raise NotCanonical(f"member name is not ASCII: {name!r}")
        _check_members(value.values(), depth + 1)
    elif isinstance(value, list | tuple):
        _check_members(value, depth + 1)
    else:
        raise NotCanonical(f"{type(value).__name__} is outside the profile")


def _check_members(members: Collection[object], depth: int) -> None:
    """Most members are short ASCII texts, which are done with here."""
    if depth > _DEPTH_MAX and members:
        raise NotCanonical(f"nested deeper than {_DEPTH_MAX}")
    for member in members:
        if type(member) is not str or not member.isascii():
            check(member, depth)


def _check_text(text: str) -> None:
    if text.isascii():
        return
    if not unicodedata.is_normalized("NFC", text):
        raise NotCanonical("text is not in NFC")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotCanonical("text holds a lone surrogate") from None
