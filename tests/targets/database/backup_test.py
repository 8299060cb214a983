"""Backups that are verified, restores that are fenced."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from surefoot.core.errors import Corrupt, Failed, Refused
from surefoot.targets.database.backup import Manifest, load


class Losing:
    """A driver whose restored copies miss one row, as a broken backup would."""

    def __init__(self, stand: Any) -> None:
        self._stand = stand

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stand.driver, name)

    @contextmanager
    def restored(self, dump: Path, mark: str, **more: Any) -> Any:
        with self._stand.driver.restored(dump, mark, **more) as scratch:
            delete = "DELETE FROM telemetry WHERE id = 7"
            if self._stand.engine == "sqlite":
                with closing(sqlite3.connect(scratch._path)) as db, db:
                    db.execute(delete)
            else:
                with self._stand.driver.connect(scratch._name) as db:
                    db.execute(delete)
            yield scratch


def leftovers(stand: Any) -> list[str]:
    if stand.engine == "sqlite":
        return [
            p.name for p in Path(stand.driver.address()).parent.iterdir() if "scratch" in p.name
        ]
    name = psycopg.conninfo.conninfo_to_dict(stand.driver.address())["dbname"]
    found = stand.sql("SELECT datname FROM pg_database WHERE datname LIKE ?", f"{name}\\_%")
    return [row[0] for row in found]


def test_a_backup_is_restored_elsewhere_and_counted(filled: Any) -> None:
    done = filled.act("backup")
    assert done.status == "done"
    figures = done.figures
    assert (figures["tables"], figures["rows"], figures["migrations"]) == (3, 29, 2)
    assert figures["bytes"] == len(filled.blobs.get(figures["dump"]))
    assert done.evidence == (figures["backup"], figures["dump"])
    manifest = load(filled.blobs, figures["backup"], filled.engine)
    assert isinstance(manifest, Manifest)
    assert {t.name: t.rows for t in manifest.tables}["telemetry"] == 25
    assert leftovers(filled) == []


def test_a_backup_that_loses_a_row_is_no_backup(filled: Any) -> None:
    filled.target = filled.target_with(Losing(filled))
    failed = filled.act("backup")
    assert failed.status == "failed"
    assert "table telemetry: expected 25 rows" in failed.reason
    assert "found 24 rows" in failed.reason


def test_a_restore_that_loses_a_row_is_not_put_into_place(filled: Any) -> None:
    backup = filled.act("backup").figures["backup"]
    filled.sql("INSERT INTO telemetry (id) VALUES (99)")
    filled.target = filled.target_with(Losing(filled))
    failed = filled.act("restore", backup=backup, writers_stopped=True)
    assert failed.status == "failed"
    assert filled.count("telemetry") == 26


def test_a_tampered_backup_is_corrupt_and_changes_nothing(filled: Any) -> None:
    figures = filled.act("backup").figures
    path = filled.blobs.path(figures["dump"])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    before = filled.target.observe()
    with pytest.raises(Corrupt):
        filled.act("restore", backup=figures["backup"], writers_stopped=True)
    assert filled.target.observe() == before


def test_a_restore_brings_schema_rows_and_ledger_back(filled: Any, files: Any) -> None:
    before = filled.target.observe()
    backup = filled.act("backup").figures["backup"]
    assert filled.migrate(dict(list(files.items())[:3])).status == "done"
    assert filled.migrate(files, "contract").status == "done"
    filled.sql("DELETE FROM telemetry WHERE id < 10")
    done = filled.act("restore", backup=backup, writers_stopped=True)
    assert done.status == "done", done.reason
    after = filled.target.observe()
    assert after.digest() == before.digest()
    assert after.volatile["rows/telemetry"] == 25
    assert filled.migrate(dict(list(files.items())[:3])).status == "done"
    assert leftovers(filled) == []


def test_a_destroyed_database_is_restored(filled: Any) -> None:
    before = filled.target.observe()
    backup = filled.act("backup").figures["backup"]
    filled.act("destroy")
    assert filled.act("restore", backup=backup, writers_stopped=True).status == "done"
    assert filled.target.observe().digest() == before.digest()


def test_writers_that_are_said_to_run_stop_a_restore(filled: Any) -> None:
    backup = filled.act("backup").figures["backup"]
    with pytest.raises(Refused) as refused:
        filled.act("restore", backup=backup)
    assert refused.value.code == "database.restore.writers"


@contextmanager
def connected(stand: Any) -> Any:
    """A service that is idle, but connected."""
    if stand.engine == "sqlite":
        with closing(sqlite3.connect(stand.driver.address())) as db:
            db.execute("SELECT count(*) FROM telemetry").fetchone()
            yield
    else:
        with psycopg.connect(stand.driver.address(), autocommit=True):
            yield


@pytest.mark.parametrize("action", ["restore", "destroy"])
def test_writers_alive_are_found_and_stop_it(filled: Any, action: str) -> None:
    backup = filled.act("backup").figures["backup"]
    filled.sql("INSERT INTO telemetry (id) VALUES (99)")
    arguments = {"backup": backup, "writers_stopped": True} if action == "restore" else {}
    with connected(filled), pytest.raises(Refused) as refused:
        filled.act(action, **arguments)
    assert refused.value.code == "database.writers.alive"
    assert filled.count("telemetry") == 26
    assert filled.act(action, **arguments).status == "done"


def test_a_backup_is_consistent_while_rows_come(filled: Any) -> None:
    import threading

    stop = threading.Event()
    written = []

    def write() -> None:
        for number in range(1000, 100_000):
            if stop.is_set():
                return
            filled.sql("INSERT INTO telemetry (id, room) VALUES (?, 'x')", number)
            written.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        outcomes = [filled.act("backup") for _ in range(3)]
    finally:
        stop.set()
        writer.join()
    assert [outcome.status for outcome in outcomes] == ["done"] * 3
    assert len(written) > 3
    assert filled.count("telemetry") == 25 + len(written)


def test_what_is_no_manifest_is_corrupt(filled: Any) -> None:
    with pytest.raises(Corrupt):
        filled.act("restore", backup=filled.blobs.put(b"{}"), writers_stopped=True)
    with pytest.raises(Failed):
        filled.act("restore", backup="sha256:" + "a" * 64, writers_stopped=True)
