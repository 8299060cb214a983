"""What the tables of commands have in common."""

from __future__ import annotations

from surefoot.doors.cli.tree import Command, Word

AT = Word("--at", "as it was then, like 2026-11-17T10:00Z", shown_as="TIME")
LIMIT = Word("--limit", "at most so many rows", int, 50)
BEFORE = Word("--before", "rows before this number", int, None)
REASON = Word("--reason", "why, in your words; kept where they can be erased", shown_as="TEXT")
PROVE = Word(
    "--prove",
    "write a proof for a stranger to this new file; `--prove -o FILE` is the same",
    shown_as="FILE",
    optional=True,
)
NUMBER = Word("number", "number of the deployment", int)


def question(words: str, help: str, path: str, *takes: Word, view: str = "plain") -> Command:
    return Command(words, help, takes, "asking:ask", "GET", path, view)


def command(
    words: str, help: str, path: str, *takes: Word, method: str = "POST", view: str = "plain"
) -> Command:
    return Command(words, help, takes, "asking:ask", method, path, view)
