"""What a SQLite database holds: its objects, its rows, its ledger, as digests and counts.

Rules: definitions are compared by their words, not their spaces and comments; rows are read in
the order of their key, which a page copy keeps; internal statistics do not count.
Does not: write to a database.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

from surefoot.core.errors import Corrupt
from surefoot.store.durable import sync_folder
from surefoot.targets.database.driver import (
    LEDGER,
    ORIGIN,
    Content,
    Look,
    Origin,
    RowDigest,
    TableContent,
    ascii_name,
    same_migration,
)
from surefoot.targets.database.migration import Applied
from surefoot.targets.database.sql import tokens
from surefoot.trust.digest import Digest, digest_of

_ROWID_NAMES = ("rowid", "_rowid_", "oid")
_FETCH = 1_000


def text(content: bytes) -> str:
    """A stored text, also one that is not UTF-8."""
    return content.decode("utf-8", "surrogateescape")


def quoted(name: str) -> str:
    """A name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def is_own(name: str) -> bool:
    """Whether a table is Surefoot's."""
    return name.lower().startswith("surefoot_")


def look(db: sqlite3.Connection) -> Look:
    """The database as it is now, read in one transaction."""
    db.execute("BEGIN")
    pages, size = (db.execute(f"PRAGMA {n}").fetchone()[0] for n in ("page_count", "page_size"))
    counts = {
        ascii_name(name): int(db.execute(f"SELECT count(*) FROM {quoted(name)}").fetchone()[0])  # noqa: S608
        for name in tables(db)
        if not is_own(name) and not name.startswith("sqlite_")
    }
    found = Look(
        applied=applied(db),
        objects=objects(db),
        counts=counts,
        size_bytes=pages * size,
        version=sqlite3.sqlite_version,
        origin=_origin(db),
    )
    db.execute("ROLLBACK")
    return found


def tables(db: sqlite3.Connection) -> list[str]:
    """The tables that hold rows, Surefoot's and the sequence table among them."""
    rows = db.execute(
        "SELECT name FROM pragma_table_list WHERE schema='main' AND type IN ('table','shadow')"
        " AND (name NOT LIKE 'sqlite\\_%' ESCAPE '\\' OR name='sqlite_sequence') ORDER BY name"
    )
    return [name for (name,) in rows]


def objects(db: sqlite3.Connection) -> dict[str, Digest]:
    """Every object of the schema, like "table telemetry", and its definition's digest."""
    rows = db.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema"
        " WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    )
    return {
        f"{kind} {ascii_name(name)}": digest_of(normal(sql).encode("utf-8", "surrogateescape"))
        for kind, name, table, sql in rows
        if not is_own(table)
    }


def normal(sql: str) -> str:
    """A definition without its comments and with single spaces."""
    return " ".join(token.text for token in tokens(sql, "sqlite"))


def content(db: sqlite3.Connection) -> Content:
    """Everything a backup is compared by. Raises `Corrupt` when pages disagree."""
    trouble = [row[0] for row in db.execute("PRAGMA integrity_check(5)")]
    if trouble != ["ok"]:
        raise Corrupt(
            "database.sqlite.damaged",
            "database",
            expected="an intact file",
            found="; ".join(trouble)[:300],
            remedy="restore the last verified backup",
        )
    return Content(
        objects=objects(db),
        tables={_label(db, name): _rows(db, name) for name in tables(db)},
    )


def _label(db: sqlite3.Connection, table: str) -> str:
    """A table's name; "shadow" before one that a virtual table fills by itself."""
    query = "SELECT type FROM pragma_table_list WHERE schema='main' AND name=?"
    (kind,) = db.execute(query, (table,)).fetchone()
    return ("shadow " if kind == "shadow" else "") + ascii_name(table)


def _rows(db: sqlite3.Connection, table: str) -> TableContent:
    running = RowDigest()
    cursor = db.execute(f"SELECT * FROM {quoted(table)} ORDER BY {_order(db, table)}")  # noqa: S608
    while rows := cursor.fetchmany(_FETCH):
        for row in rows:
            running.add(row)
    return running.result()


def _order(db: sqlite3.Connection, table: str) -> str:
    """The key to read a table by: its row number, else its primary key."""
    columns = db.execute("SELECT name, pk FROM pragma_table_xinfo(?)", (table,)).fetchall()
    (without,) = db.execute(
        "SELECT wr FROM pragma_table_list WHERE schema='main' AND name=?", (table,)
    ).fetchone()
    names = {name.lower() for name, _ in columns}
    free = [name for name in _ROWID_NAMES if name not in names]
    if not without and free:
        return free[0]
    keys = sorted((pk, name) for name, pk in columns if pk)
    return ", ".join(quoted(name) for _, name in keys) or "1"


def applied(db: sqlite3.Connection) -> tuple[Applied, ...]:
    """The ledger, empty when the table is not there."""
    if not _has(db, LEDGER):
        return ()
    rows = db.execute(
        f"SELECT number, class, words, sha256, applied_at, operation FROM {LEDGER}"  # noqa: S608
        " ORDER BY number"
    )
    return tuple(
        Applied(number=n, kind=kind, words=words, sha256=sha, applied_at=at, operation=operation)
        for n, kind, words, sha, at, operation in rows
    )


def is_applied(db: sqlite3.Connection, entry: Applied) -> bool:
    """Whether the ledger has the migration; with other content it is `Corrupt`."""
    return any(same_migration(found, entry) for found in applied(db))


def broken_keys(db: sqlite3.Connection) -> int:
    """Rows that refer to rows that are not there."""
    return sum(1 for _ in db.execute("PRAGMA foreign_key_check"))


def _has(db: sqlite3.Connection, table: str) -> bool:
    return bool(db.execute("SELECT 1 FROM sqlite_schema WHERE name=?", (table,)).fetchone())


def _origin(db: sqlite3.Connection) -> Origin | None:
    if not _has(db, ORIGIN):
        return None
    row = db.execute(f"SELECT operation, backup, policy FROM {ORIGIN}").fetchone()  # noqa: S608
    return Origin(operation=row[0], backup=row[1], policy=row[2]) if row else None


def sync(path: Path) -> None:
    """Make a closed file and its name durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def copy_file(source: Path, into: Path) -> None:
    """Copy to a new file that only its owner may read."""
    with (
        open(source, "rb") as old,
        os.fdopen(os.open(into, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as new,
    ):
        shutil.copyfileobj(old, new, 1024 * 1024)


def remove(path: Path) -> None:
    """Remove a database file and what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
