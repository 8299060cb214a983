"""Progress of long work: a bar on a terminal, plain lines elsewhere, nothing under `-o json`.

Does not: wait or ask; the caller says what happened.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol

from surefoot.doors.cli import show


class Progress(Protocol):
    """Told what happens."""

    def step(self, text: str) -> None:
        """Something happened."""

    def at(self, done: int, total: int) -> None:
        """So many of so many are done; a total of 0 is unknown."""

    def end(self) -> None:
        """Nothing more will come."""


def progress_for(output: str, title: str) -> Progress:
    """The way to show progress in this output."""
    if output == "json":
        return _Silent()
    drawn: Any = show.terminal()
    if drawn:
        bar: Progress = drawn.Bar(title)
        return bar
    return _Lines()


class _Silent:
    def step(self, text: str) -> None:
        """Nothing is shown."""

    def at(self, done: int, total: int) -> None:
        """Nothing is shown."""

    def end(self) -> None:
        """Nothing is shown."""


class _Lines(_Silent):
    def step(self, text: str) -> None:
        show.line(text)
        sys.stdout.flush()
