"""A SQLite backup restored into a file of its own: compared, masked, and put into place.

Rules: a clone without data is built from the definitions alone, so that no row ever touches the
new file; after masking the file is rewritten (VACUUM), so that no old value stays in free pages;
triggers are away while values change, so that none copies an old value elsewhere.
Does not: open the stored backup for writing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

from surefoot.core.errors import Failed
from surefoot.targets.database import sqlite_content as stored
from surefoot.targets.database.driver import (
    CREATE_LEDGER,
    CREATE_ORIGIN,
    LEDGER,
    ORIGIN,
    Column,
    Content,
    Origin,
    Pseudonym,
)
from surefoot.targets.database.mask import (
    refused,
    require_both_sides,
    require_known,
    value_maker,
)


class Place(Protocol):
    """Where a scratch goes."""

    def take(self, scratch: Path) -> None:
        """Make the scratch file's content the database's."""


class SqliteScratch:
    """A restored file beside the live one."""

    def __init__(self, path: Path, place: Place) -> None:
        self._path = path
        self._place = place

    def content(self) -> Content:
        """What was restored."""
        with _open(self._path) as db:
            return stored.content(db)

    def mark(self, origin: Origin) -> None:
        """Write where this database came from."""
        with _open(self._path) as db, _transaction(db):
            db.execute(CREATE_ORIGIN)
            db.execute(f"DELETE FROM {ORIGIN}")  # noqa: S608
            db.execute(
                f"INSERT INTO {ORIGIN} VALUES (?,?,?)",  # noqa: S608
                (origin.operation, origin.backup, origin.policy),
            )

    def place(self) -> None:
        """Put the content into place."""
        with _open(self._path) as db:
            db.execute("PRAGMA journal_mode=WAL")
        self._place.take(self._path)

    def mask(self, columns: tuple[Column, ...], pseudonym: Pseudonym) -> None:
        """Replace the columns' values."""
        with _open(self._path) as db:
            _require_maskable(db, columns)
            broken = stored.broken_keys(db)
            db.create_function("surefoot_pseudonym", 1, value_maker(pseudonym), deterministic=True)
            try:
                with _transaction(db), _without_triggers(db):
                    for column in columns:
                        name = stored.quoted(column.name)
                        db.execute(
                            f"UPDATE {stored.quoted(column.table)}"  # noqa: S608
                            f" SET {name} = surefoot_pseudonym({name}) WHERE {name} IS NOT NULL"
                        )
            except sqlite3.IntegrityError as error:
                raise refused("masked columns", "pseudonyms that fit", str(error)) from None
            if stored.broken_keys(db) > broken:
                raise refused("masked columns", "keys that still join", "broken foreign keys")
            db.execute("VACUUM")


def copy_schema(dump: Path, into: Path) -> None:
    """A new database with the dump's definitions and ledger, and not one other row."""
    source = f"{dump.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(source, uri=True)) as old, _open(into) as new, _transaction(new):
        shadows = {
            name
            for (name,) in old.execute("SELECT name FROM pragma_table_list WHERE type='shadow'")
        }
        rows = old.execute(
            "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
            " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
            " AND name NOT LIKE 'surefoot\\_%' ESCAPE '\\'"
            " ORDER BY instr('tableindexview trigger', type), rowid"
        )
        for name, sql in rows:
            if name not in shadows:
                new.execute(sql)
        new.execute(CREATE_LEDGER)
        for entry in stored.applied(old):
            values = [getattr(entry, name) for name in entry.__struct_fields__]
            new.execute(f"INSERT INTO {LEDGER} VALUES (?,?,?,?,?,?)", values)  # noqa: S608


def _require_maskable(db: sqlite3.Connection, columns: tuple[Column, ...]) -> None:
    rows = db.execute(
        "SELECT t.name, c.name, c.hidden, t.type FROM pragma_table_list t,"
        " pragma_table_xinfo(t.name) c WHERE t.schema='main'"
    ).fetchall()
    known = {
        Column(table=table, name=name)
        for table, name, hidden, kind in rows
        if kind == "table" and not hidden and not stored.is_own(table)
    }
    require_known(columns, known)
    virtual = sorted({table for table, _, _, kind in rows if kind == "virtual"})
    if virtual:
        raise refused(f"table {virtual[0]}", "no virtual table", "it may hold copies of values")
    pairs = db.execute(
        'SELECT t.name, f."from", f."table", f."to" FROM pragma_table_list t,'
        " pragma_foreign_key_list(t.name) f WHERE t.schema='main'"
    ).fetchall()
    joined = [
        (Column(table=child, name=name), Column(table=parent, name=to or _key(db, parent)))
        for child, name, parent, to in pairs
    ]
    require_both_sides(columns, joined)


def _key(db: sqlite3.Connection, table: str) -> str:
    """The primary key's column, which a foreign key without a column means."""
    row = db.execute("SELECT name FROM pragma_table_xinfo(?) WHERE pk=1", (table,)).fetchone()
    return str(row[0]) if row else ""


@contextmanager
def _without_triggers(db: sqlite3.Connection) -> Iterator[None]:
    """Triggers away, and back again in the same transaction."""
    triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE type='trigger'").fetchall()
    for name, _ in triggers:
        db.execute(f"DROP TRIGGER {stored.quoted(name)}")
    yield
    for _, sql in triggers:
        db.execute(sql)


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    """A scratch file, in which foreign keys wait until all is done."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.text_factory = stored.text
            db.execute("PRAGMA foreign_keys=OFF")
            yield db
    except sqlite3.Error as error:
        raise Failed(
            "database.sqlite.failed",
            f"scratch {path.name}",
            expected="an answer",
            found=str(error),
            remedy="check the disk's free space, then try again",
        ) from error
