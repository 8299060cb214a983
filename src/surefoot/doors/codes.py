"""Every error code with what it means and what to do: the text behind all doors' explanations.

Keeps: every code that the source can raise is there; a test compares.
Does not: render.
"""

from __future__ import annotations

import difflib
import functools
import json
from pathlib import Path
from typing import NamedTuple

from surefoot.core.errors import Refused

_FILE = Path(__file__).with_name("error_codes.json")


class Code(NamedTuple):
    """One entry. `name` may hold a star for a name inside a code, as in `gate.*.fail`."""

    name: str
    kind: str
    meaning: str
    do: str


@functools.cache
def every() -> dict[str, Code]:
    """All entries by name, sorted."""
    entries = json.loads(_FILE.read_text(encoding="utf-8"))
    return {name: Code(name, **entries[name]) for name in sorted(entries)}


def complete(record: dict[str, str]) -> dict[str, str]:
    """The record of an error; one without a remedy of its own gets what its code's page says."""
    if record.get("remedy"):
        return record
    try:
        return {**record, "remedy": find(record.get("code", "")).do}
    except Refused:
        return record


def find(code: str) -> Code:
    """The entry of a code. Raises `Refused("explain.code.unknown")` with the nearest one."""
    codes = every()
    words = code.split(".")
    for name in (code, f"{words[0]}.*.{words[-1]}"):
        if name in codes:
            return codes[name]
    near = difflib.get_close_matches(code, codes, 1)
    raise Refused(
        "explain.code.unknown",
        f"code {code[:80]}",
        expected="a code as errors show it in brackets",
        found=code[:80],
        remedy=f"did you mean {near[0]}?" if near else "list all with: surefoot explain",
    )
