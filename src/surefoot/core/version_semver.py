"""The order of semantic versions, as npm and Go use them.

Keeps: what is built from a version does not count; a version that is not one has no place. A Go
pseudo-version is a pre-release, so it stands where its module's history puts it.
Source: Semantic Versioning 2.0.0, items 2, 9, 10 and 11; Go modules reference, "Pseudo-versions".
"""

from __future__ import annotations

import re
from typing import TypeAlias

Key: TypeAlias = "tuple[tuple[int, int, int], int, tuple[tuple[int, int | str], ...]]"

LENGTH_MAX = 256
_NUMBER = r"(?:0|[1-9][0-9]*)"
_FORM = re.compile(
    rf"v?({_NUMBER})\.({_NUMBER})\.({_NUMBER})"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
_SHORT = re.compile(rf"v?({_NUMBER})(?:\.({_NUMBER}))?", re.ASCII)


def key_of(text: str) -> Key | None:
    """What a version is ordered by; None for what is no version."""
    text = text.strip()
    match = _FORM.fullmatch(text) if len(text) <= LENGTH_MAX else None
    if match is None:
        return None
    release = (int(match[1]), int(match[2]), int(match[3]))
    if match[4] is None:
        return (release, 1, ())
    parts = match[4].split(".")
    if any(p.isdecimal() and len(p) > 1 and p[0] == "0" for p in parts):
        return None  # Item 9: no leading zeros.
    return (release, 0, tuple((0, int(p)) if p.isdecimal() else (1, p) for p in parts))


def lenient_key_of(text: str) -> Key | None:
    """As `key_of`; one or two numbers alone are filled up with zeros: advisories' bounds do so."""
    match = _SHORT.fullmatch(text.strip()) if len(text) <= LENGTH_MAX else None
    if match is None:
        return key_of(text)
    return ((int(match[1]), int(match[2] or 0), 0), 1, ())
