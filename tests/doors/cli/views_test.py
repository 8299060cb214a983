"""How answers look as text: order of columns, why nothing is known, one wording for absence."""

from __future__ import annotations

import argparse

import pytest

from surefoot.doors.cli import asking, journal, views, views_map
from surefoot.doors.cli.commands import COMMANDS


def options_of(words: str, **given: object) -> argparse.Namespace:
    command = next(c for c in COMMANDS if c.words == words)
    asked = {word.key: "" for word in command.takes} | given
    return argparse.Namespace(command=command, output="text", **asked)


def test_a_witness_is_named_first_and_its_error_last(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"at": "then", "error": "", "name": "north", "size": 7}]
    views.plain({"witnesses": rows, "quorum": "north"})
    header = next(line for line in capsys.readouterr().out.splitlines() if "error" in line)
    assert header.split() == ["name", "size", "at", "error"]


def test_the_map_says_why_nobody_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    origin = {"commit": "unknown", "author": "unknown", "why": "the release does not name it"}
    views_map.environment_map({"tools": [{"name": "git", "value": "2", "origin": origin}]})
    assert "unknown: the release does not name it" in capsys.readouterr().out


def test_what_was_not_there_is_told_in_one_wording(capsys: pytest.CaptureFixture[str]) -> None:
    answer = {"exists": False, "at": "2026-11-17T10:00:00.000Z"}
    asking.emit(options_of("environment map", name="production", at="2026-11-17T10:00Z"), answer)
    asking.emit(options_of("environment show", name="production"), answer | {"name": "production"})
    said = "environment production did not exist at 2026-11-17T10:00:00.000Z"
    assert capsys.readouterr().out.splitlines() == [said, said]


def test_rules_that_were_not_compared_are_no_zero(capsys: pytest.CaptureFixture[str]) -> None:
    journal._tell(options_of("journal verify"), {"size": 3, "rules": 0, "problems": []})
    journal._tell(options_of("journal verify"), {"size": 3, "rules": 2, "problems": []})
    out = capsys.readouterr().out
    assert "not checked here" in out and "rules  2" in out
