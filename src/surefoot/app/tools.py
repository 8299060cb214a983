"""Tools that made a release: found versions, held to what the product definition declares."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping

from surefoot import __version__
from surefoot.core.errors import Refused

_NUMBER = re.compile(r"\d+(?:\.\d+)*")
_ORDER = {">=": operator.ge, "==": operator.eq, "<": operator.lt}


def tools_of(declared: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """The versions a release records: Surefoot's own and those of every tool that built it.

    `declared` maps a tool to a range like ">=3.11,<4"; `found` maps it to what it says of itself.
    Raises `Refused("build.tool.version")` for a version outside its range.
    """
    for name, wanted in declared.items():
        if name in found:
            _check(name, wanted, found[name])
    return {"surefoot": __version__, **dict(sorted(found.items()))}


def _check(name: str, wanted: str, said: str) -> None:
    number = _NUMBER.search(said)
    version = _parts(number.group()) if number else ()
    for part in wanted.split(","):
        sign, bound = _split(part.strip())
        # A bound compares as many parts as it names: 3.11 covers 3.11.7.
        if not version or not _ORDER[sign](version[: len(bound)], bound):
            raise Refused(
                "build.tool.version",
                f"tool {name}",
                expected=wanted,
                found=said[:100],
                remedy="build with that version, or change `tools` in surefoot.yaml",
            )


def _split(part: str) -> tuple[str, tuple[int, ...]]:
    sign = part[:2] if part[:2] in _ORDER else part[:1]
    return sign, _parts(part[len(sign) :])


def _parts(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.strip().split("."))
