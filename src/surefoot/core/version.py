"""The order of versions as devices tell them.

Keeps: fields are numbers and compare as numbers (1.10 after 1.9), missing fields are zero, a
pre-release comes before its release, build marks after `+` do not count. What has no such form has
no order: nobody guesses one. Source: Semantic Versioning 2.0.0, section 11, for any number of
fields.
"""

from __future__ import annotations

import re
from typing import TypeAlias

LENGTH_MAX = 128
_FIELDS_MAX = 8
_FORM = re.compile(
    r"[vV]?([0-9]{1,18}(?:\.[0-9]{1,18})*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
    r"(?:\+[0-9A-Za-z.-]+)?",
    re.ASCII,
)

# A number sorts before a word; a release, which has no pre-release fields, after all of them.
_Mark: TypeAlias = tuple[int, int, str]
Key: TypeAlias = tuple[tuple[int, ...], int, tuple[_Mark, ...]]


def key_of(version: str) -> Key | None:
    """What a version is sorted by; None when it has no order."""
    found = _FORM.fullmatch(version) if len(version) <= LENGTH_MAX else None
    if found is None:
        return None
    fields = [int(field) for field in found[1].split(".")]
    if len(fields) > _FIELDS_MAX:
        return None
    while len(fields) > 1 and fields[-1] == 0:
        fields.pop()
    if found[2] is None:
        return tuple(fields), 1, ()
    return tuple(fields), 0, tuple(_mark(mark) for mark in found[2].split("."))


def _mark(mark: str) -> _Mark:
    if mark.isdigit():
        return 0, int(mark[:18]) if len(mark) <= 18 else 10**18, ""
    return 1, 0, mark


def compare(one: str, other: str) -> int | None:
    """-1, 0 or 1: `one` comes before, with or after `other`; None when they have no order."""
    if one == other:
        return 0
    first, second = key_of(one), key_of(other)
    if first is None or second is None:
        return None
    return (first > second) - (first < second)
