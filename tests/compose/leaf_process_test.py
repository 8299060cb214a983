"""A verification with a real second process."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from surefoot.compose.leaf_process import LeafChecks
from surefoot.journal import leaf_checks
from surefoot.journal.leaf_checks import Sound
from surefoot.journal.verify import verify_live
from surefoot.store.sqlite import SqliteDatabase
from surefoot.testing.journal import ANN, KEY, draft, journal_in, open_log

VKEY = KEY.verifier.text()


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqliteDatabase:
    monkeypatch.setattr(leaf_checks, "WORTH_LEAVES", 1)
    found = SqliteDatabase(tmp_path / "store")
    log = open_log(found, tmp_path / "last")
    for _ in range(6):
        log.transact(lambda world: [draft()], ANN, "r")
    return found


def test_two_processes_say_what_one_says(
    tmp_path: Path, database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Sound | None] = []
    real = LeafChecks.sound

    def sound(checks: LeafChecks) -> Sound | None:
        asked.append(real(checks))
        return asked[-1]

    monkeypatch.setattr(LeafChecks, "sound", sound)
    begin = partial(LeafChecks, partial(journal_in, tmp_path / "store"))
    alone = verify_live(database, VKEY, tmp_path / "last")
    assert verify_live(database, VKEY, tmp_path / "last", begin=begin) == alone
    assert asked[0] is not None
    assert (alone.ok, alone.states, asked[0].states) == (True, 6, 6)
    database.close()


def test_a_process_that_cannot_read_leaves_all_to_one(
    tmp_path: Path, database: SqliteDatabase
) -> None:
    begin = partial(LeafChecks, partial(journal_in, tmp_path / "none"))
    report = verify_live(database, VKEY, tmp_path / "last", begin=begin)
    assert (report.ok, report.states) == (True, 6)
    database.close()
