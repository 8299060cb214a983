"""What is drawn on a terminal: tables, headings, bars. Imported only there, because rich is slow.

Does not: decide what is shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

_CONSOLE = Console()
_WORD_CHARACTERS_MAX = 50
_TIME = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\dZ)$")


def heading(title: str) -> None:
    """A bold line."""
    _CONSOLE.print(Text(title, style="bold"))


def table(headers: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """A table of texts."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    widths = _least_widths(headers, cells)
    if sum(widths) + 2 * len(widths) > _CONSOLE.width:
        # Times may stand in two lines: date and time of day.
        cells = [[_TIME.sub(r"\1 \2", cell) for cell in row] for row in cells]
        widths = _least_widths(headers, cells)
    room = sum(widths) + 2 * len(widths) <= _CONSOLE.width
    for header, width in zip(headers, widths, strict=True):
        shown.add_column(header, overflow="fold", min_width=width if room else None)
    for row in cells:
        shown.add_row(*(Text(cell) for cell in row))
    _CONSOLE.print(shown)


def _least_widths(headers: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    """For each column the longest word, within reason: narrower, a word would be broken."""
    columns = zip(headers, *cells, strict=True)
    words = (" ".join(column).split() for column in columns)
    return [min(max(map(len, said), default=1), _WORD_CHARACTERS_MAX) for said in words]


class Bar:
    """A progress bar with the present activity beside it; lines above it stay."""

    def __init__(self, title: str) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=_CONSOLE,
            transient=False,
        )
        self._task = self._progress.add_task(title, total=None)
        self._progress.start()

    def step(self, text: str) -> None:
        """A line above the bar."""
        self._progress.console.print(Text(text))

    def at(self, done: int, total: int) -> None:
        """How far it is."""
        self._progress.update(self._task, completed=done, total=total or None)

    def end(self) -> None:
        """Stop drawing."""
        self._progress.stop()
