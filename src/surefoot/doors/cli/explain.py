"""`explain`: what an error code means and what to do, the text of the reference page.

Keeps: every code that the source can raise is there; a test compares.
"""

from __future__ import annotations

import argparse
import difflib
import json
from pathlib import Path
from typing import Any

from surefoot.core.errors import Refused
from surefoot.doors.cli import show

_FILE = Path(__file__).with_name("error_codes.json")


def explain(options: argparse.Namespace) -> None:
    """One code, or the list of all."""
    codes = load()
    if not options.code:
        if options.output == "json":
            show.as_json(codes)
        else:
            show.table(("code", "meaning"), ((c, entry["meaning"]) for c, entry in codes.items()))
        return
    code = _known(options.code, codes)
    answer = {"code": options.code, **codes[code]}
    if options.output == "json":
        show.as_json(answer)
        return
    show.heading(f"{options.code} ({answer['kind']})")
    show.line(answer["meaning"])
    show.line(f"What to do: {answer['do']}")


def load() -> dict[str, dict[str, Any]]:
    """Every code with kind, meaning, and what to do."""
    codes: dict[str, dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8"))
    return codes


def _known(code: str, codes: dict[str, Any]) -> str:
    """The entry for a code; codes that carry a name, like a gate's, share one with a star."""
    if code in codes:
        return code
    words = code.split(".")
    for pattern in (f"{words[0]}.*.{words[-1]}", f"{words[0]}.*"):
        if pattern in codes:
            return pattern
    near = difflib.get_close_matches(code, codes, 1)
    raise Refused(
        "explain.code.unknown",
        f"code {code[:80]}",
        expected="a code as errors show it in brackets",
        found=code[:80],
        remedy=f"did you mean {near[0]}?" if near else "list all with: surefoot explain",
    )
