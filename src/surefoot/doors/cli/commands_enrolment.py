"""Commands on how devices come to speak: one-time codes."""

from __future__ import annotations

from surefoot.doors.cli.commands_words import LIMIT, command, question
from surefoot.doors.cli.tree import Word

_NAME = Word("name", "name of the environment")

ENROLMENT = (
    command(
        "device code",
        "make one-time codes, shown once, each for one new device",
        "/environments/{name}/codes",
        _NAME,
        Word("--count", "how many", int, 1),
        Word("--hours", "how long they let a device in", int, 24),
        Word("--hardware", "for devices of this hardware alone"),
        Word("--device", "for this device alone; one that exists gets a new token"),
    ),
    question(
        "device codes",
        "one-time codes by name, and what became of each",
        "/environments/{name}/codes",
        _NAME,
        Word("--after", "codes after this name"),
        LIMIT,
    ),
    command(
        "device withdraw-codes",
        "refuse codes that nobody used yet",
        "/environments/{name}/codes/withdraw",
        _NAME,
        Word("--code", "this one alone, by its name"),
    ),
)
