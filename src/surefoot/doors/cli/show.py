"""How answers look: aligned text in a pipe, tables on a terminal, JSON on demand.

Keeps: what comes from outside cannot steer the terminal; rich is imported on a terminal alone.
Does not: know what an answer means.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

_CELL_CHARACTERS_MAX = 120
_ROOM_MIN = 20


def as_json(answer: Any) -> None:
    """Indented JSON with sorted members."""
    print(json.dumps(answer, indent=2, sort_keys=True, ensure_ascii=False))


def clean(value: Any) -> str:
    """A value as one safe line of text."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(clean(item) for item in value) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{clean(k)}: {clean(v)}" for k, v in value.items()) or "-"
    one_line = " / ".join(part for part in str(value).splitlines() if part)
    return "".join(c if c.isprintable() else "\ufffd" for c in one_line)


def line(text: str = "") -> None:
    """One line of text."""
    print("".join(c if c.isprintable() else "\ufffd" for c in text))


def paragraph(content: str, indent: str = "  ") -> None:
    """A line of prose; on a terminal its further lines are indented alike."""
    for part in wrapped(content, indent):
        line(indent + part)


def wrapped(content: str, indent: str) -> list[str]:
    """The text in as many lines as a terminal needs after an indent; elsewhere it is one."""
    if not sys.stdout.isatty():
        return [content]
    room = max(shutil.get_terminal_size().columns - len(indent), _ROOM_MIN)
    return textwrap.wrap(content, room, break_on_hyphens=False) or [""]


def moment(value: Any) -> str:
    """A time to the second: what a table has room for."""
    whole, point, _ = str(value or "").partition(".")
    return f"{whole}Z" if point else whole


def text(content: str) -> None:
    """Several lines, like a document."""
    for part in content.splitlines():
        line(part)


def heading(title: str) -> None:
    """A title above what follows; one that begins with a newline has an empty line before it."""
    drawn = terminal()
    if title.startswith("\n"):
        print()
        title = title[1:]
    if drawn:
        drawn.heading(title)
    else:
        line(title)


def fields(pairs: Iterable[tuple[str, Any]], indent: str = "") -> None:
    """Names and values in two columns; empty values are left out."""
    rows = [(name, clean(value)) for name, value in pairs if value not in ("", None, [], {})]
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        first, *more = wrapped(value, f"{indent}{'':{width}}  ")
        print(f"{indent}{name:<{width}}  {first}")
        for part in more:
            print(f"{indent}{'':{width}}  {part}")


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]], empty: str = "none") -> None:
    """A table; `empty` is said when there is no row."""
    cells = [[clean(cell) for cell in row] for row in rows]
    drawn = terminal()
    if not cells:
        print(empty)
    elif drawn:
        drawn.table(headers, cells)
    else:
        _plain_table(headers, cells)


def _plain_table(headers: Sequence[str], cells: list[list[str]]) -> None:
    widths = [
        min(max(len(row[i]) for row in [list(headers), *cells]), _CELL_CHARACTERS_MAX)
        for i in range(len(headers))
    ]
    for row in [list(headers), *cells]:
        padded = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join(padded).rstrip())


def terminal() -> Any:
    """The module that draws on a terminal; None in a pipe, or where rich is not installed."""
    if not sys.stdout.isatty():
        return None
    try:
        return importlib.import_module("surefoot.doors.cli.terminal")
    except ImportError:
        return None


def flush() -> None:
    """Let a reader in a pipe see what was said."""
    sys.stdout.flush()
