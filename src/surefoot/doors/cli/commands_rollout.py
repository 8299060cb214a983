"""Commands on rollouts."""

from __future__ import annotations

from surefoot.doors.cli.commands_words import LIMIT, command, question
from surefoot.doors.cli.tree import Word

_NAME = Word("name", "name of the environment")

ROLLOUTS = (
    command(
        "rollout plan",
        "which devices would move, which cannot and why, and when; records nothing",
        "/rollouts/plans",
        Word("environment", "name of the environment"),
        Word("release", "version of the release"),
        Word(
            "--query", "instead of the definition's target; see: device queries", shown_as="QUERY"
        ),
        Word("--tag", "and only devices with this tag"),
        Word("--bandwidth", "what the line carries, in bits a second", shown_as="100M"),
        Word("--limit", "at most so many names", int, 100),
        Word("--after", "names after this one"),
        view="rollout-plan",
    ),
    question(
        "rollout list",
        "rollouts of an environment, newest first",
        "/environments/{name}/rollouts",
        _NAME,
        LIMIT,
        view="rollouts",
    ),
    question(
        "rollout show",
        "one rollout: its devices by wave and state",
        "/environments/{name}/rollouts/{number}",
        _NAME,
        Word("number", "number of its deployment", int),
        view="rollout",
    ),
)
