"""What a configuration says, in one form for all: scopes with keys, each value with its line."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from surefoot.gates.hardening.look import Look, Unseen, text_of


class Value(msgspec.Struct, frozen=True):
    """A value as written, and where."""

    text: str
    file: str
    line: int = 0

    def place(self) -> str:
        """`file:line`, or the file."""
        return f"{self.file}:{self.line}" if self.line else self.file


class Scope(msgspec.Struct, frozen=True):
    """One part of a configuration that is judged by itself: a server, a block, an account.

    `whole` is False where what is not set is inherited from a scope that is judged itself.
    """

    name: str
    file: str
    values: dict[str, tuple[Value, ...]]
    whole: bool = True


def one(text: str, file: str, line: int = 0) -> tuple[Value, ...]:
    """A single value."""
    return (Value(text, file, line),)


def unparsed(file: str, line: int, why: str) -> Unseen:
    """The error for a line that is not understood: nothing is guessed."""
    return Unseen(f"{file}:{line}", f"cannot be parsed, {why}")


def joined_lines(look: Look, path: str, comment: str = "#") -> Iterator[tuple[int, str]]:
    """Lines without comment lines and empty ones; a backslash at the end joins the next.

    Raises `Unseen`.
    """
    held, first = "", 0
    for number, line in enumerate((text_of(look, path) or "").splitlines(), 1):
        if not held and (not line.strip() or line.lstrip().startswith(tuple(comment))):
            continue
        first = first or number
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        yield first, held + line
        held, first = "", 0
    if held.strip():
        yield first, held


def words(text: str, file: str, line: int, comment: str = "#") -> list[str]:
    """Words split at blanks; quotes hold blanks, a comment ends the line. Raises `Unseen`."""
    found: list[str] = []
    held: list[str] = []
    quote, started = "", False
    for letter in text:
        if quote:
            if letter == quote:
                quote = ""
            else:
                held.append(letter)
        elif letter in "\"'":
            quote, started = letter, True
        elif letter in " \t\f":
            if held or started:
                found.append("".join(held))
            held, started = [], False
        elif letter == comment and not held and not started:
            break
        else:
            held.append(letter)
    if quote:
        raise unparsed(file, line, "a quote that does not end")
    if held or started:
        found.append("".join(held))
    return found
