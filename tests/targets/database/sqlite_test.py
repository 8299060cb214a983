"""What is special to SQLite: the authorizer, foreign keys, the exclusive lock, damaged files."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from surefoot.core.errors import Corrupt, Failed
from surefoot.targets.database.driver import Limits, StatementFailed
from surefoot.targets.database.migration import Applied, Migration
from surefoot.targets.database.sqlite import SqliteDriver
from surefoot.trust.digest import digest_of


@pytest.fixture
def engine() -> str:
    return "sqlite"


def apply(driver: SqliteDriver, number: int, sql: str, kind: str = "contract") -> int:
    sha256 = digest_of(sql.encode())
    migration = Migration(number=number, kind=kind, words="w", sha256=sha256, sql=sql)  # type: ignore[arg-type]
    entry = Applied(
        number=number, kind=kind, words="w", sha256=sha256, applied_at="", operation="o"
    )
    return driver.migrate(migration, entry)


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE telemetry ADD COLUMN checked INTEGER NOT NULL DEFAULT 1 CHECK (checked > 0);",
        "ALTER TABLE telemetry RENAME COLUMN room TO place;",
        "ALTER TABLE telemetry RENAME TO measured;",
        "ALTER TABLE telemetry DROP COLUMN value;",
        "CREATE UNIQUE INDEX i ON telemetry (id, room); DROP INDEX i;",
        "CREATE VIEW v AS SELECT room FROM telemetry;",
        "CREATE TRIGGER t AFTER INSERT ON telemetry BEGIN DELETE FROM device; SELECT 1; END;",
        "CREATE TABLE n AS SELECT * FROM telemetry; DROP TABLE telemetry;"
        " ALTER TABLE n RENAME TO telemetry;",
        "CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO counted"
        " DEFAULT VALUES;",
        "INSERT INTO telemetry (id) SELECT 1000 + id FROM telemetry;",
        "REINDEX; ANALYZE;",
    ],
)
def test_usual_statements_pass_the_authorizer(filled: Any, sql: str) -> None:
    apply(filled.driver, 3, sql)
    assert filled.count("surefoot_migration") == 3
    assert filled.act("backup").status == "done"


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TRIGGER t AFTER INSERT ON device BEGIN DELETE FROM telemetry; END;"
        " INSERT OR ROLLBACK INTO device VALUES (1, 'again');",
        "DELETE FROM device WHERE id = 1;",
        "CREATE TABLE extra (id INTEGER); SELECT nothing;",
        "DELETE FROM telemetry; SELECT load_extension('x');",
    ],
)
def test_what_fails_leaves_nothing(filled: Any, sql: str) -> None:
    before = filled.target.observe()
    with pytest.raises(StatementFailed):
        apply(filled.driver, 3, sql)
    assert filled.target.observe() == before


def test_broken_references_from_before_do_not_stop_a_migration(filled: Any) -> None:
    filled.sql("INSERT INTO telemetry (id, device) VALUES (500, 'not there')")
    apply(filled.driver, 3, "ALTER TABLE telemetry ADD COLUMN more TEXT;")
    assert filled.target.observe().stable["schema/version"] == 3


def test_a_busy_database_is_failed_and_has_no_receipt(filled: Any, files: Any) -> None:
    impatient = SqliteDriver(Path(filled.driver.address()), Limits(lock_timeout_ms=50))
    filled.target = filled.target_with(impatient)
    three = dict(list(files.items())[:3])
    with closing(sqlite3.connect(filled.driver.address(), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Failed) as failed:
            filled.migrate(three, operation="5/1")
        other.execute("ROLLBACK")
    assert "locked" in failed.value.found
    assert filled.migrate(three, operation="5/1").status == "done"


def test_a_statement_that_takes_too_long_is_rolled_back(filled: Any) -> None:
    hasty = SqliteDriver(Path(filled.driver.address()), Limits(statement_timeout_ms=50))
    endless = (
        "INSERT INTO telemetry (id) WITH RECURSIVE c (n) AS"
        " (SELECT 1000 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c;"
    )
    with pytest.raises(StatementFailed) as failed:
        apply(hasty, 3, endless)
    assert "interrupted" in failed.value.reason
    assert filled.count("telemetry") == 25


def test_a_damaged_file_is_no_backup_and_is_restored_from_one(filled: Any) -> None:
    backup = filled.act("backup").figures["backup"]
    path = Path(filled.driver.address())
    filled.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    page = int.from_bytes(content[16:18], "big")
    content[page * 3 : page * 4] = b"\x55" * page
    path.write_bytes(bytes(content))
    with pytest.raises((Corrupt, Failed)):
        filled.act("backup")
    assert filled.act("restore", backup=backup, writers_stopped=True).status == "done"
    assert filled.count("telemetry") == 25


def test_what_is_no_database_at_all_is_set_aside_by_a_restore(filled: Any) -> None:
    backup = filled.act("backup").figures["backup"]
    path = Path(filled.driver.address())
    path.write_bytes(b"not a database " * 1000)
    with pytest.raises(Failed):
        filled.target.observe()
    assert filled.act("restore", backup=backup, writers_stopped=True).status == "done"
    assert filled.count("telemetry") == 25
    assert path.with_name("main.db.damaged").read_bytes().startswith(b"not a database")


def test_a_table_with_every_kind_of_key_and_value_is_backed_up(filled: Any) -> None:
    filled.sql("CREATE TABLE strange (rowid TEXT, _rowid_ BLOB, oid REAL)")
    filled.sql("INSERT INTO strange VALUES (CAST(x'ff41' AS TEXT), x'00', 1e300), (NULL, 1, -0.0)")
    filled.sql("CREATE TABLE keyed (a TEXT, b INT, PRIMARY KEY (b, a)) WITHOUT ROWID")
    filled.sql("INSERT INTO keyed VALUES ('x', 2), ('y', 1)")
    filled.sql('CREATE TABLE "na me""é" (a)')
    filled.sql("CREATE VIRTUAL TABLE words USING fts5 (body)")
    filled.sql("INSERT INTO words VALUES ('found again')")
    before = filled.target.observe()
    done = filled.act("backup")
    assert done.status == "done", done.reason
    restored = filled.act("restore", backup=done.figures["backup"], writers_stopped=True)
    assert restored.status == "done", restored.reason
    assert filled.target.observe().digest() == before.digest()


def test_a_virtual_table_cannot_be_masked(filled: Any, make: Any) -> None:
    from surefoot.core.errors import Refused

    filled.sql("CREATE VIRTUAL TABLE words USING fts5 (body)")
    backup = filled.act("backup").figures["backup"]
    with pytest.raises(Refused):
        make("copy").act("clone_from", backup=backup, policy="masked", masked=["telemetry.room"])
    assert make("bare").act("clone_from", backup=backup, policy="none").status == "done"


def test_the_file_is_its_owners_alone(stand: Any) -> None:
    assert Path(stand.driver.address()).stat().st_mode & 0o077 == 0


def test_comments_and_spaces_are_no_drift(filled: Any) -> None:
    before = filled.target.observe().stable["schema/object/table device"]
    filled.sql("PRAGMA writable_schema=ON")
    with closing(sqlite3.connect(filled.driver.address(), isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema=ON")
        db.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, '(id', '( -- said\n id')"
            " WHERE name = 'device'"
        )
    assert filled.target.observe().stable["schema/object/table device"] == before
