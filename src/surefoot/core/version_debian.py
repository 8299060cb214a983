"""The order of Debian package versions: epoch, upstream version, revision.

Keeps: `~` comes before everything, even the end; letters come before all other signs.
Source: Debian Policy, section 5.6.12, "Version".
"""

from __future__ import annotations

import re
from typing import TypeAlias

Piece: TypeAlias = "tuple[tuple[int, ...], int]"
Key: TypeAlias = "tuple[int, tuple[Piece, ...], tuple[Piece, ...]]"

LENGTH_MAX = 256
_FORM = re.compile(
    r"(?:(?P<epoch>[0-9]{1,9}):)?(?P<upstream>[0-9A-Za-z.+:~-]+?)(?:-(?P<revision>[0-9A-Za-z.+~]+))?",
    re.ASCII,
)
_PIECE = re.compile(r"([^0-9]*)([0-9]*)")
_END = 0


def key_of(text: str) -> Key | None:
    """What a version is ordered by; None for what is no version."""
    text = text.strip()
    match = _FORM.fullmatch(text) if len(text) <= LENGTH_MAX else None
    if match is None or not match["upstream"][0].isdecimal():
        return None
    if text.endswith("-") or (":" in match["upstream"] and match["epoch"] is None):
        return None
    return (int(match["epoch"] or 0), _pieces(match["upstream"]), _pieces(match["revision"] or ""))


def _pieces(text: str) -> tuple[Piece, ...]:
    """Signs and number by turns; an end of signs stands between `~` and the first letter.

    The last piece is always an empty one, so that a longer text meets the end of a shorter one.
    """
    found = [
        ((*(_rank(sign) for sign in signs), _END), int(number or 0))
        for signs, number in _PIECE.findall(text)
        if signs or number
    ]
    return (*_trimmed(found), ((_END,), 0))


def _trimmed(found: list[Piece]) -> list[Piece]:
    """Without zeros at the end: they are equal to nothing."""
    while found and found[-1] == ((_END,), 0):
        found.pop()
    return found


def _rank(sign: str) -> int:
    if sign == "~":
        return -1
    return ord(sign) if sign.isalpha() else ord(sign) + 256
