"""The outside verifier sees what it is there for: a check that cannot fail would be none."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from surefoot.testing.outside import problems_of
from surefoot.testing.simulator import Faults, run_to_the_end

Change = Callable[[Path], None]


def world(name: str, change: Callable[[dict[str, Any]], None]) -> Change:
    def apply(folder: Path) -> None:
        path = folder / "targets" / f"{name}.json"
        content = json.loads(path.read_bytes())
        change(content)
        path.write_text(json.dumps(content))

    return apply


def rows(statement: str, *values: object) -> Change:
    def apply(folder: Path) -> None:
        connection = sqlite3.connect(folder / "store" / "surefoot.db")
        assert connection.execute(statement, values).rowcount == 1
        connection.commit()
        connection.close()

    return apply


def last(kind: str) -> str:
    return f"(SELECT MAX(idx) FROM entries WHERE kind = '{kind}')"


def unsigned(folder: Path) -> None:
    path = folder / "outside" / "last-checkpoint"
    lines = path.read_text().split("\n")
    path.write_text("\n".join([lines[0], "60", *lines[2:]]))


def forge(effects: dict[str, Any]) -> None:
    effects["effects"][-1][3] = 3


CASES: dict[str, tuple[Change, str]] = {
    "twice": (world("fleet", lambda w: w["effects"].append(w["effects"][-1])), "done 2 times"),
    "never": (world("database", lambda w: w["effects"].pop()), "recorded as done and was not"),
    "unclaimed": (world("fleet", forge), "has no claim at entry 3"),
    "unsigned": (unsigned, "before its claim"),
    "claim gone": (rows(f"DELETE FROM entries WHERE idx = {last('StepClaimed')}"), "has no claim"),
    "result gone": (rows(f"DELETE FROM entries WHERE idx = {last('StepFinished')}"), "open"),
    "approval gone": (rows(f"DELETE FROM entries WHERE idx = {last('ApprovalGiven')}"), "is lost"),
    "another service": (
        world("process", lambda w: w["components"]["api"].update(live="")),
        "recorded is",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_seen(fresh: Callable[[str], Path], case: str) -> None:
    change, words = CASES[case]
    folder = fresh("run")
    run_to_the_end(folder, "good", Faults(lambda count, place: ""))
    assert problems_of(folder) == []
    change(folder)
    assert any(words in problem for problem in problems_of(folder)), problems_of(folder)
