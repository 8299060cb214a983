"""The demonstration's voice on a terminal; imported only there, because rich is slow.

Keeps: lines that are worth reading stay, what is going on moves in one line below them and is gone
afterwards; nothing is wider than the terminal.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.rule import Rule
from rich.table import Column, Table
from rich.text import Text

from surefoot.demo.voice import Row, Voice

_WIDTH_MAX = 110
_MARKS = {"done": ("✓", "green"), "undone": ("↩", "yellow"), "failed": ("✗", "red")}
_PLAIN_MARKS = {"✓": "+", "↩": "<", "✗": "x", "·": "-", "!": "!"}


class TerminalVoice(Voice):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._console = Console(highlight=False)
        self._console.width = min(self._console.width, _WIDTH_MAX)
        self._moving: Progress | None = None

    def act(self, number: int, title: str) -> None:
        """A rule with the title."""
        self.quiet()
        self._console.print()
        self._console.print(
            Rule(
                Text.assemble(
                    (f"{number}", "bold cyan"),
                    "  ",
                    (title, "bold"),
                    (f"  {self.elapsed():.0f} s", "dim"),
                ),
                align="left",
                style="cyan dim",
            )
        )

    def say(self, text: str) -> None:
        """A line after a dot."""
        self._marked("·", "cyan", Text(text))

    def note(self, text: str) -> None:
        """A dim line, indented."""
        self._console.print(Padding(Text(text, style="dim"), (0, 0, 0, 6)))

    def good(self, text: str) -> None:
        """A line after a green tick."""
        self._marked("✓", "bold green", Text(text))

    def caught(self, text: str) -> None:
        """A line after a yellow mark: nothing is wrong with the demonstration."""
        self._marked("!", "bold yellow", Text(text))

    def bad(self, text: str) -> None:
        """A line after a red cross."""
        self._marked("✗", "bold red", Text(text))

    def step(self, mark: str, name: str, cause: str) -> None:
        """A step with its mark; the cause is dim."""
        sign, style = _MARKS.get(mark, ("·", "dim"))
        self._marked(sign, style, Text.assemble(f"{name:<30} ", (cause, "dim")), 6, 31)

    def passing(self, text: str) -> None:
        """Shown beside a spinner, with the seconds since the last silence."""
        if self._moving is None:
            self._moving = Progress(
                TextColumn(" "),
                SpinnerColumn(style="cyan"),
                TextColumn(
                    "{task.description}",
                    style="dim",
                    markup=False,
                    table_column=Column(no_wrap=True, overflow="ellipsis"),
                ),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
                refresh_per_second=8,
            )
            self._moving.add_task(text, total=None)
            self._moving.start()
        self._moving.update(self._moving.task_ids[0], description=text)

    def quiet(self) -> None:
        """Take the moving line away."""
        if self._moving is not None:
            self._moving.stop()
            self._moving = None

    def table(self, title: str, rows: Sequence[Row]) -> None:
        """A table of the acts."""
        shown = Table(
            title=title,
            title_style="bold",
            title_justify="left",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            width=self._console.width,
        )
        shown.add_column("", justify="right", style="cyan")
        shown.add_column("act", ratio=5)
        shown.add_column("came to", ratio=6, style="dim")
        shown.add_column("s", justify="right", no_wrap=True)
        for number, (act, came, seconds) in enumerate(rows, 1):
            shown.add_row(f"{number}", Text(act), Text(came), f"{seconds:.1f}")
        self.quiet()
        self._console.print()
        self._console.print(shown)

    def link(self, address: str) -> None:
        """Bright, and never broken into lines: the terminal itself wraps it."""
        self.quiet()
        self._console.print()
        self._console.print(f"  [bold cyan]{address}[/]", soft_wrap=True)
        self._console.print()

    def _line(self, text: str) -> None:
        self._console.print(Text(text))

    def _marked(self, sign: str, style: str, text: Text, indent: int = 2, hanging: int = 0) -> None:
        """A sign and a text whose further lines begin where its first does."""
        if not (self._console.encoding or "").startswith("utf"):
            sign = _PLAIN_MARKS[sign]
        room = Table.grid(padding=(0, 1, 0, 0))
        room.add_column(width=1)
        room.add_column(overflow="fold")
        if hanging and len(text) > hanging:
            room.add_column(overflow="fold")
            name, cause = text.divide([hanging])
            name.rstrip()
            room.columns[1].width = hanging
            room.add_row(Text(sign, style=style), name, cause)
        else:
            room.add_row(Text(sign, style=style), text)
        self._console.print(Padding(room, (0, 0, 0, indent)))
