"""Commands on gates that run again and again."""

from __future__ import annotations

from surefoot.doors.cli.commands_words import AT, command, question
from surefoot.doors.cli.tree import Word

WATCHES = (
    question(
        "watch list",
        "what gates that run again and again last said, and what is an alarm",
        "/watches",
        Word("--environment", "of this environment alone", shown_as="NAME"),
        AT,
        view="watches",
    ),
    command(
        "watch run",
        "look now, before the next look is due",
        "/environments/{name}/watch/{gate}",
        Word("name", "name of the environment"),
        Word("gate", "name of the gate"),
        view="watches",
    ),
)
