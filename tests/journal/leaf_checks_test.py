"""A verification by two processes finds what one process finds."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from surefoot.journal import leaf_checks
from surefoot.journal.leaf_checks import check_leaves
from surefoot.journal.source import ExportSource
from surefoot.journal.tiles import export
from surefoot.journal.verify import verify_export, verify_live
from surefoot.store.sqlite import SqliteDatabase
from surefoot.testing.journal import ANN, KEY, SameProcess, draft, journal_in, open_log
from surefoot.trust.entry import Draft

VKEY = KEY.verifier.text()


def execute(database: SqliteDatabase, sql: str) -> None:
    database._writer.execute(sql)


def one(number: int, world: object) -> list[Draft]:
    return [draft(f"env/{number % 2}", x=number)]


def fill(database: SqliteDatabase, checkpoint: Path) -> None:
    """Leaves 0 to 11: entries at even places, seals at odd ones."""
    log = open_log(database, checkpoint)
    for number in range(6):
        log.transact(partial(one, number), ANN, "r")


@pytest.fixture
def in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaf_checks, "WORTH_LEAVES", 1)
    monkeypatch.setattr(SameProcess, "asked", 0)


ALONE: dict[str, str] = {
    "another form of the bytes": "UPDATE entries SET raw = CAST(raw || ' ' AS BLOB) WHERE idx = 4",
    "a text in the place of bytes": "UPDATE entries SET raw = raw || ' ' WHERE idx = 4",
    "a column": "UPDATE entries SET kind = 'Other' WHERE idx = 2",
    "a state": "UPDATE entry_states SET content = x'78' WHERE idx = 2",
    "no state": "DELETE FROM entry_states WHERE idx = 2",
}


@pytest.mark.parametrize("damage", ALONE)
@pytest.mark.usefixtures("in_two")
def test_what_is_wrong_with_a_leaf_alone_is_named_as_by_one(
    tmp_path: Path, checkpoint: Path, damage: str
) -> None:
    database = SqliteDatabase(tmp_path / "store")
    fill(database, checkpoint)
    execute(database, ALONE[damage])
    one = verify_live(database, VKEY, checkpoint)
    assert not one.ok
    again = partial(journal_in, tmp_path / "store")
    assert verify_live(database, VKEY, checkpoint, begin=partial(SameProcess, again)) == one
    assert check_leaves(again) is None
    database.close()


@pytest.mark.usefixtures("in_two")
def test_leaves_that_were_others_for_the_other_process_do_not_count(
    tmp_path: Path, checkpoint: Path
) -> None:
    """Both must have looked at the same bytes: somebody may change them in between."""
    for name in ("one", "other"):
        database = SqliteDatabase(tmp_path / name)
        fill(database, checkpoint)
        export(database, VKEY, tmp_path / f"{name}-export")
        database.close()
        checkpoint.unlink()
    database = SqliteDatabase(tmp_path / "one")
    execute(database, "UPDATE entry_states SET content = x'78' WHERE idx = 2")
    again = partial(journal_in, tmp_path / "other")
    report = verify_live(database, VKEY, None, begin=partial(SameProcess, again))
    assert SameProcess.asked == 1
    same = verify_live(database, VKEY, None)
    assert report == same and not report.ok
    database.close()


@pytest.mark.usefixtures("in_two")
def test_an_export_is_verified_the_same(tmp_path: Path, checkpoint: Path) -> None:
    database = SqliteDatabase(tmp_path / "store")
    fill(database, checkpoint)
    export(database, VKEY, tmp_path / "export")
    database.close()
    begin = partial(SameProcess, partial(ExportSource, tmp_path / "export"))
    report = verify_export(tmp_path / "export", VKEY, begin=begin)
    assert (report.ok, report.states, SameProcess.asked) == (True, 6, 1)
    state = next(path for path in (tmp_path / "export/states").rglob("*") if path.is_file())
    state.write_bytes(b"x")
    report = verify_export(tmp_path / "export", VKEY, begin=begin)
    assert [problem.code for problem in report.problems] == ["journal.state.differs"]
    assert check_leaves(partial(ExportSource, tmp_path / "export")) is None
