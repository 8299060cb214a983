"""SQLite: one file in WAL mode, written by the service and, during a migration, by this driver.

Rules: a migration runs between BEGIN IMMEDIATE and COMMIT with its ledger row, under an
authorizer that denies what would end the transaction or touch Surefoot's tables; nothing is ever
run through `executescript`, which commits by itself. A writer waits for the migration for as long
as its own busy timeout. A restore goes page by page into the same file inside one transaction
under an exclusive lock: a crash leaves the old or the new content, and no program keeps writing to
a file that was moved away.
Does not: support databases attached to one another. Sources: sqlite.org, "Online Backup API",
"Write-Ahead Logging", "Result and Error Codes".
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from surefoot.core.errors import Failed, Refused
from surefoot.targets.database import sqlite_content as content
from surefoot.targets.database.driver import (
    CREATE_LEDGER,
    LEDGER,
    Content,
    Limits,
    Look,
    Scalar,
    StatementFailed,
    writers_alive,
)
from surefoot.targets.database.migration import Applied, Migration, statements
from surefoot.targets.database.sql import Engine, Statement
from surefoot.targets.database.sqlite_scratch import SqliteScratch, copy_schema

_OUTSIDE = {
    sqlite3.SQLITE_BUSY: "the database is locked by another program",
    sqlite3.SQLITE_LOCKED: "a table is locked",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk does not answer",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
    sqlite3.SQLITE_READONLY: "the file may not be written",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database",
}
_PRAGMAS_INSIDE = {"quick_check", "integrity_check", "table_info", "table_xinfo", "table_list"}
_DENIED = {
    sqlite3.SQLITE_TRANSACTION,
    sqlite3.SQLITE_SAVEPOINT,
    sqlite3.SQLITE_ATTACH,
    sqlite3.SQLITE_DETACH,
}
_WRITES = {
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_UPDATE,
    sqlite3.SQLITE_DELETE,
    sqlite3.SQLITE_DROP_TABLE,
    sqlite3.SQLITE_CREATE_INDEX,
    sqlite3.SQLITE_CREATE_TRIGGER,
}
_READS = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}
_PAUSE_SECONDS = 0.002


class SqliteDriver:
    """A SQLite file. Limits: one migration at a time, as SQLite has one writer."""

    engine: Engine = "sqlite"

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self._path = path
        self._limits = limits or Limits()

    def address(self) -> str:
        """The file's path."""
        return str(self._path)

    def exists(self) -> bool:
        """Whether the file is there."""
        return self._path.exists()

    def create(self) -> None:
        """Make the file, readable by its owner alone, in WAL mode and with a ledger."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # A crash after this leaves an empty file, which is an empty database: the repeat finishes.
        os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600))
        with self._open() as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(CREATE_LEDGER)
        content.sync(self._path)

    def destroy(self) -> None:
        """Remove the file. Raises `Refused("database.writers.alive")` while it is in use."""
        if not self.exists():
            return
        with self.fenced():
            content.remove(self._path)

    def look(self) -> Look:
        """Look, through a connection that cannot write."""
        with self._open(mode="ro") as db:
            return content.look(db)

    def check(self, sql: str) -> Scalar:
        """The one value of a query. Raises `Refused("database.check.input")` for all else."""
        with self._open(mode="ro") as db:
            db.execute("PRAGMA query_only=1")
            self._deadline(db, self._limits.check_timeout_ms)
            db.set_authorizer(_only_reads)
            try:
                rows = db.execute(sql).fetchmany(2)
            except (sqlite3.Error, sqlite3.Warning) as error:
                if _code(error) in _OUTSIDE:
                    raise
                raise _check_refused(sql, str(error)) from None
        if len(rows) != 1 or len(rows[0]) != 1:
            raise _check_refused(sql, f"{len(rows)} rows of {len(rows[0]) if rows else 0} columns")
        value = rows[0][0]
        return value if isinstance(value, str | int | None) else str(value)

    def migrate(self, migration: Migration, entry: Applied) -> int:
        """Apply one migration and its ledger row; the number of rows changed."""
        todo = statements(migration, self.engine)
        with self._open() as db:
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA foreign_keys=OFF")  # tables may be rebuilt; checked at the end
            db.execute(CREATE_LEDGER)
            if not migration.batches_max:
                return self._transaction(db, todo, entry, batch=False)
            return self._batches(db, todo, entry, migration.batches_max)

    def _batches(
        self, db: sqlite3.Connection, todo: tuple[Statement, ...], entry: Applied, most: int
    ) -> int:
        total = 0
        for _ in range(most):
            changed = self._transaction(db, todo, entry, batch=True)
            total += changed
            if not changed:
                return total
            time.sleep(_PAUSE_SECONDS)  # the service's writers get their turn
        raise StatementFailed(f"rows still changed after {most} batches", statement=1)

    def _transaction(
        self, db: sqlite3.Connection, todo: tuple[Statement, ...], entry: Applied, *, batch: bool
    ) -> int:
        """One transaction; of a batched migration the last, which changes nothing, is recorded."""
        db.execute("BEGIN IMMEDIATE")
        try:
            if content.is_applied(db, entry):
                return 0
            broken = content.broken_keys(db)
            changed = self._run(db, todo)
            if content.broken_keys(db) > broken:
                raise StatementFailed("rows would refer to rows that are not there")
            if not (batch and changed):
                values = [getattr(entry, name) for name in entry.__struct_fields__]
                db.execute(f"INSERT INTO {LEDGER} VALUES (?,?,?,?,?,?)", values)  # noqa: S608
            # A crash before this line loses the whole migration, after it none of it.
            db.execute("COMMIT")
            return changed
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")

    def _run(self, db: sqlite3.Connection, todo: tuple[Statement, ...]) -> int:
        changed = 0
        db.set_authorizer(_stay_inside)
        try:
            for number, statement in enumerate(todo, 1):
                self._deadline(db, self._limits.statement_timeout_ms)
                try:
                    changed += max(db.execute(statement.text).rowcount, 0)
                except (sqlite3.Error, sqlite3.Warning) as error:
                    if _code(error) in _OUTSIDE:
                        raise
                    raise StatementFailed(
                        str(error), statement=number, line=statement.line
                    ) from None
        finally:
            db.set_authorizer(None)
            db.set_progress_handler(None, 0)
        return changed

    def dump(self, into: Path) -> Content:
        """Copy the pages of one read transaction; writers go on beside it."""
        content.remove(into)
        with self._open() as db, closing(sqlite3.connect(into, isolation_level=None)) as copy:
            db.execute("BEGIN")
            found = content.content(db)  # the first read fixes the snapshot the copy is made of
            db.backup(copy)
            db.execute("ROLLBACK")
            copy.execute("PRAGMA journal_mode=DELETE")  # the copy is one file, complete in itself
        content.sync(into)
        return found

    @contextmanager
    def restored(
        self, dump: Path, mark: str, *, schema_only: bool = False
    ) -> Iterator[SqliteScratch]:
        """Restore into a file beside the live one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(f".{self._path.name}.{mark}.scratch")
        content.remove(beside)
        try:
            with self._mapped():
                if schema_only:
                    copy_schema(dump, beside)
                else:
                    content.copy_file(dump, beside)
                yield SqliteScratch(beside, self)
        finally:
            content.remove(beside)

    def take(self, scratch: Path) -> None:
        """Make a scratch file's content the database's; see the module for what a crash means."""
        if self.exists() and not self._is_database():
            # Nobody can be writing to it. Kept, because someone may want to know what happened.
            os.replace(self._path, self._path.with_name(self._path.name + ".damaged"))
            content.remove(self._path)
        if not self.exists():
            content.sync(scratch)
            os.replace(scratch, self._path)
            content.sync(self._path)
            return
        with self.fenced() as db, closing(sqlite3.connect(scratch)) as source:
            source.backup(db)
        with self._open() as db:
            db.execute("PRAGMA journal_mode=WAL")

    def _is_database(self) -> bool:
        """Whether the file can be opened as a SQLite database at all."""
        with closing(sqlite3.connect(self._path, isolation_level=None)) as db:
            try:
                db.execute("PRAGMA schema_version")
            except sqlite3.DatabaseError as error:
                return _code(error) != sqlite3.SQLITE_NOTADB
        return True

    @contextmanager
    def fenced(self) -> Iterator[sqlite3.Connection]:
        """A connection that is the only one. Raises `Refused("database.writers.alive")`."""
        with self._open() as db:
            try:
                # In WAL mode every connection holds a shared lock for as long as it is open, and
                # leaving WAL needs them all gone: this finds idle connections, too.
                db.execute("PRAGMA journal_mode=DELETE")
                db.execute("PRAGMA locking_mode=EXCLUSIVE")
                db.execute("BEGIN EXCLUSIVE")
                db.execute("COMMIT")
            except sqlite3.OperationalError as error:
                if _code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    raise
                raise writers_alive(str(self._path), str(error)) from None
            try:
                yield db
            finally:
                with suppress(sqlite3.Error):  # best effort: `create` and `take` set it as well
                    db.execute("PRAGMA locking_mode=NORMAL")
                    if self.exists():
                        db.execute("PRAGMA journal_mode=WAL")

    @contextmanager
    def _open(self, mode: str = "rw") -> Iterator[sqlite3.Connection]:
        seconds = self._limits.lock_timeout_ms / 1000
        address = f"{self._path.absolute().as_uri()}?mode={mode}"
        with (
            self._mapped(),
            closing(
                sqlite3.connect(address, uri=True, isolation_level=None, timeout=seconds)
            ) as db,
        ):
            db.text_factory = content.text
            yield db

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        """Errors of the outside world as `Failed`."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise Failed(
                "database.sqlite.failed",
                str(self._path),
                expected="an answer",
                found=_OUTSIDE.get(_code(error), str(error)),
                remedy="check the file, its disk and who uses it, then try again",
            ) from error

    def _deadline(self, db: sqlite3.Connection, milliseconds: int) -> None:
        end = time.monotonic() + milliseconds / 1000
        db.set_progress_handler(lambda: time.monotonic() > end, 10_000)


def _code(error: BaseException) -> int:
    """The primary result code: extended codes keep it in their low byte."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def _stay_inside(
    action: int, first: str | None, second: str | None, _database: str | None, _by: str | None
) -> int:
    """Authorizer of a migration's statements."""
    denied = (
        action in _DENIED
        or (action == sqlite3.SQLITE_PRAGMA and (first or "") not in _PRAGMAS_INSIDE)
        or (action in _WRITES and content.is_own(first or ""))
        or (action == sqlite3.SQLITE_ALTER_TABLE and content.is_own(second or ""))
    )
    return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK


def _only_reads(
    action: int, _first: str | None, second: str | None, _database: str | None, _by: str | None
) -> int:
    """Authorizer of a check."""
    if action == sqlite3.SQLITE_FUNCTION and second == "load_extension":
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _READS else sqlite3.SQLITE_DENY


def _check_refused(sql: str, found: str) -> Refused:
    return Refused(
        "database.check.input",
        f"check {sql[:80]!r}",
        expected="a query that only reads and answers with one value",
        found=found,
        remedy='write it like "select count(*) from telemetry"',
    )
