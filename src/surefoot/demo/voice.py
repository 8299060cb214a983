"""How the demonstration speaks: coloured, with a moving line of what is going on, on a terminal;
plain lines elsewhere.

Does not: know what an act does, or decide anything.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Sequence
from typing import Any

Row = tuple[str, str, float]


class Voice:
    """Plain lines: what a file or a pipe gets, each as it comes."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._begun

    def act(self, number: int, title: str) -> None:
        """The title of an act."""
        self._line(f"\n{number}. {title}  [{self.elapsed():.0f} s]")

    def say(self, text: str) -> None:
        """Something worth knowing."""
        self._line(f"  {text}")

    def note(self, text: str) -> None:
        """What belongs to the line before it."""
        self._line(f"      {text}")

    def good(self, text: str) -> None:
        """Something came out as it should."""
        self._line(f"  ok  {text}")

    def caught(self, text: str) -> None:
        """Something bad was refused, stopped or found, as it should be."""
        self._line(f"  !   {text}")

    def bad(self, text: str) -> None:
        """Something did not come out as promised."""
        self._line(f"  BAD {text}")

    def step(self, mark: str, name: str, cause: str) -> None:
        """A step of a deployment: done, failed or undone."""
        self._line(f"      {mark:7} {name:34} {cause}".rstrip())

    def passing(self, text: str) -> None:
        """What is going on just now; nobody needs it afterwards."""

    def quiet(self) -> None:
        """Nothing is going on any more."""

    def table(self, title: str, rows: Sequence[Row]) -> None:
        """What each act came to."""
        self._line(f"\n{title}")
        width = max(len(act) for act, _, _ in rows)
        for number, (act, came, seconds) in enumerate(rows, 1):
            self._line(f"{number:2}. {act:{width}} {seconds:5.1f} s  {came}")

    def link(self, address: str) -> None:
        """An address to open, alone in its line so that it can be copied."""
        self._line(f"\n  {address}\n")

    def _line(self, text: str) -> None:
        print(text, flush=True)


def voice() -> Voice:
    """The way to speak to where standard output goes."""
    if not sys.stdout.isatty():
        return Voice()
    drawn: Any = importlib.import_module("surefoot.demo.terminal")
    spoken: Voice = drawn.TerminalVoice()
    return spoken
