"""A command that is one operation: send the words, show the answer."""

from __future__ import annotations

import argparse
from typing import Any

from surefoot.doors.cli import (
    show,
    views,
    views_advisory,
    views_deployment,
    views_evidence,
    views_finding,
    views_fleet,
    views_gate,
    views_map,
    views_rollout,
)
from surefoot.doors.cli.client import client_for
from surefoot.doors.cli.tree import Command

_VIEWS = views.VIEWS | views_deployment.VIEWS | views_map.VIEWS | views_finding.VIEWS
_VIEWS |= views_fleet.VIEWS | views_advisory.VIEWS
_VIEWS |= views_gate.VIEWS | views_evidence.VIEWS
_VIEWS |= views_fleet.VIEWS
_VIEWS |= views_rollout.VIEWS
_PUBLIC = ("installation show", "journal checkpoint")


def ask(options: argparse.Namespace) -> None:
    """Ask the command's operation with the words that were given."""
    command: Command = options.command
    answer = client_for(options).ask(
        command.method, command.path, given(options), public=command.words in _PUBLIC
    )
    emit(options, answer)


def given(options: argparse.Namespace) -> dict[str, Any]:
    """The words that were typed, by the operation's argument names."""
    typed = {word.key: getattr(options, word.key) for word in options.command.takes}
    return {name: value for name, value in typed.items() if value not in ("", None)}


def emit(options: argparse.Namespace, answer: dict[str, Any], view: str = "") -> None:
    """The answer on standard output: as JSON, or by the command's view."""
    if options.output == "json":
        show.as_json(answer)
    elif answer.get("exists") is False and options.command.view != "environment":
        named = given(options)
        at = answer.get("at") or named.get("at", "that time")
        words = (options.command.noun, *(v for name, v in named.items() if name != "at"))
        show.line(f"{' '.join(str(word) for word in words)} did not exist at {at}")
    else:
        _VIEWS[view or options.command.view](answer)
