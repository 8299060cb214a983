"""What is drawn on a terminal: tables, headings, bars. Imported only there, because rich is slow.

Does not: decide what is shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

_CONSOLE = Console()
_WORD_CHARACTERS_MAX = 32


def heading(title: str) -> None:
    """A bold line."""
    _CONSOLE.print(Text(title, style="bold"))


def table(headers: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """A table of texts."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for index, header in enumerate(headers):
        # A column never gets too narrow for its longest word, as long as there is room at all.
        said = " ".join([header, *(row[index] for row in cells)]).split()
        longest = min(max((len(word) for word in said), default=1), _WORD_CHARACTERS_MAX)
        shown.add_column(header, overflow="fold", min_width=longest)
    for row in cells:
        shown.add_row(*(Text(cell) for cell in row))
    _CONSOLE.print(shown)


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
