"""The map of an environment: what is there, and who is behind it, never guessed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest
from house import LAMP, AppHouse

from surefoot.doors.cli import views_map

House = Callable[[str], AppHouse]

LIT = LAMP.replace(
    "  dev:\n    targets:",
    "  dev:\n    values:\n      brightness: 3\n      colour: red\n    secrets: [token]\n"
    "    targets:",
)


def deployed(home: AppHouse, version: str) -> None:
    home.release(version)
    assert home.carry(home.request("dev", release=version)) == "succeeded"


def head(home: AppHouse) -> str:
    return home.installation.app.builder.history().resolve("HEAD")  # type: ignore[attr-defined,no-any-return]


@pytest.fixture
def lit(house: House) -> AppHouse:
    home = house(LIT)
    home.set_up()
    home.call("secret set", "ann", name="dev", secret="token", value="aGlkZGVu")
    return home


def row(answer: Any, part: str, name: str) -> Any:
    (found,) = [r for r in answer[part] if r.get("name", r.get("file")) == name]
    return found


def test_each_value_has_the_commit_and_person_that_set_its_line(lit: AppHouse) -> None:
    first = head(lit)
    deployed(lit, "1.0.0")
    lit.commit(LIT.replace("colour: red", "colour: blue"))
    second = head(lit)
    deployed(lit, "1.1.0")
    found = lit.call("environment map", "bob", name="dev")
    assert found["origins"]["from"] == "repository"
    brightness, colour = (row(found, "values", n) for n in ("brightness", "colour"))
    assert (brightness["value"], brightness["origin"]["commit"]) == ("3", first)
    assert (colour["value"], colour["origin"]["commit"]) == ("blue", second)
    assert colour["origin"]["author"] == "ann"
    assert LIT.splitlines()[colour["origin"]["line"] - 1].strip().startswith("colour:")
    engine = row(found, "infrastructure", "database main")
    assert engine["origin"]["commit"] == first
    assert row(found, "components", "schema")["origin"]["commit"] == first
    assert row(found, "components", "schema")["provenance"].startswith("sha256:")
    migration = row(found, "migrations", "0001_expand_lamp.sql")
    assert (migration["origin"]["commit"], migration["origin"]["author"]) == (first, "ann")
    (secret,) = found["secrets"]
    assert (secret["name"], secret["version"], secret["set_by"]) == ("token", 1, "ann")
    assert "hidden" not in str(found)


def test_the_map_is_readable_on_a_terminal(
    lit: AppHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed(lit, "1.0.0")
    views_map.environment_map(lit.call("environment map", "bob", name="dev"))
    shown = capsys.readouterr().out
    for part in ("components", "migrations", "values", "infrastructure", "tools", "secrets"):
        assert f"\n{part}\n" in shown
    (colour,) = [line for line in shown.splitlines() if line.strip().startswith("colour")]
    assert colour.split()[1:] == ["red", head(lit)[:12], "ann"]
    assert "unknown" in shown, "a tool without a line of its own"


def test_the_map_of_then_shows_then(lit: AppHouse) -> None:
    deployed(lit, "1.0.0")
    before = lit.call("environment map", "bob", name="dev")
    lit.commit(LIT.replace("colour: red", "colour: blue"))
    deployed(lit, "1.1.0")
    then = lit.call("environment map", "bob", name="dev", at=before["at"])
    for answer in (before, then):
        answer.pop("journal_size")
    assert then == before


def test_what_cannot_be_told_is_unknown(lit: AppHouse) -> None:
    """A tool has no line of its own; an address that nobody enrolled is nobody."""
    deployed(lit, "1.0.0")
    found = lit.call("environment map", "bob", name="dev")
    tool = row(found, "tools", "surefoot")
    assert tool["origin"]["commit"] == "unknown" and "default" in tool["origin"]["why"]
    shutil.rmtree(lit.product)
    found = lit.call("environment map", "bob", name="dev")
    assert found["origins"]["from"] == "nothing"
    colour = row(found, "values", "colour")
    assert colour["value"] == "red", "what is recorded stays known"
    assert colour["origin"]["commit"] == colour["origin"]["author"] == "unknown"


def test_an_environment_without_a_release_has_an_empty_map(lit: AppHouse) -> None:
    found = lit.call("environment map", "bob", name="production")
    assert (found["release"], found["components"], found["values"]) == ({}, [], [])
    found = lit.call("environment map", "bob", name="production", at="2001-01-01T00:00Z")
    assert found["exists"] is False
