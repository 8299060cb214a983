"""The order of Python package versions.

Keeps: equal versions have equal keys, however they are spelt. Does not: read specifiers.
Source: PEP 440, "Normalization" and "Summary of permitted suffixes and relative ordering".
"""

from __future__ import annotations

import re
from typing import TypeAlias

Part: TypeAlias = "tuple[int, int | str]"
Pair: TypeAlias = "tuple[int, int]"
Local: TypeAlias = "tuple[int, tuple[Part, ...]]"
Key: TypeAlias = "tuple[int, tuple[int, ...], Pair, int, Pair, Local]"

LENGTH_MAX = 200
_FORM = re.compile(
    r"v?(?:(?P<epoch>[0-9]+)!)?(?P<release>[0-9]+(?:\.[0-9]+)*)"
    r"(?:[-_.]?(?P<pre>alpha|beta|preview|pre|rc|a|b|c)[-_.]?(?P<pre_number>[0-9]*))?"
    r"(?P<post>-(?P<post_bare>[0-9]+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_number>[0-9]*))?"
    r"(?P<dev>[-_.]?dev[-_.]?(?P<dev_number>[0-9]*))?"
    r"(?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?",
    re.ASCII,
)
_PRE = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
_BEFORE, _AFTER = -1, 3


def key_of(text: str) -> Key | None:
    """What a version is ordered by; None for what is no version."""
    text = text.strip().lower()
    match = _FORM.fullmatch(text) if len(text) <= LENGTH_MAX else None
    if match is None:
        return None
    release = tuple(int(part) for part in match["release"].split("."))
    while release and release[-1] == 0:
        release = release[:-1]
    post = _number(match["post_bare"] or match["post_number"]) if match["post"] else -1
    if match["pre"]:
        pre = (_PRE[match["pre"]], _number(match["pre_number"]))
    else:
        # A development release of nothing but the release comes before its first alpha.
        pre = (_BEFORE, 0) if match["dev"] and post < 0 else (_AFTER, 0)
    dev = (0, _number(match["dev_number"])) if match["dev"] else (1, 0)
    return (_number(match["epoch"]), release, pre, post, dev, _local(match["local"]))


def _number(text: str | None) -> int:
    return int(text) if text else 0


def _local(text: str | None) -> Local:
    """None first; of the segments a number is above every word, and more are above fewer."""
    if text is None:
        return (0, ())
    parts = re.split(r"[-_.]", text)
    return (1, tuple((1, int(p)) if p.isdecimal() else (0, p) for p in parts))
