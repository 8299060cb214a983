"""Commands on gates: those that run again and again, and waivers of inconclusive verdicts."""

from __future__ import annotations

from surefoot.doors.cli.commands_words import AT, REASON, command, question
from surefoot.doors.cli.tree import Word

_PLACE = Word("place", "name of the environment, or: @releases")
_GATE = Word("gate", "name of the gate")

GATES = (
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
        _GATE,
        view="watches",
    ),
    question("waiver list", "who waived which gate, until when", "/waivers", AT, view="waivers"),
    command(
        "waiver grant",
        "take a gate's inconclusive verdicts upon yourself for some days",
        "/waivers/{place}/{gate}",
        _PLACE,
        _GATE,
        Word("--days", "for so many days, at most 90", int, required=True),
        Word("--reason", "why, in your words", shown_as="TEXT", required=True),
        view="waivers",
    ),
    command(
        "waiver end",
        "end a waiver before its time",
        "/waivers/{place}/{gate}",
        _PLACE,
        _GATE,
        REASON,
        method="DELETE",
        view="waivers",
    ),
)
