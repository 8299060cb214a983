"""The database on one machine: SQLite with write-ahead log and synchronous=FULL.

Keeps: one process has a data directory open for writing, held by a file lock that ends with the
process; one connection writes, each thread reads through its own. Does not: share with others.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from surefoot.core.errors import Corrupt, Failed, SurefootError
from surefoot.store.database import Row, Value, schema, statement
from surefoot.store.durable import lock_folder

FILE_NAME = "surefoot.db"
_LOG_PAGES = 8_192
_BUSY_MS = 10_000
_SCRUBS_MAX = 20
_CACHE_KIB = 65_536
_PAGE_FULL = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC")


class SqliteSession:
    """A transaction on one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, name: str, /, **parameters: Value) -> int:
        """Execute; the number of rows changed."""
        return self._connection.execute(statement(name, "sqlite"), parameters).rowcount

    def run_many(self, name: str, rows: Sequence[Mapping[str, Value]]) -> None:
        """Execute once for each row of parameters."""
        self._connection.executemany(statement(name, "sqlite"), rows)

    def rows(self, name: str, /, **parameters: Value) -> list[Row]:
        """All rows of the answer."""
        return self._connection.execute(statement(name, "sqlite"), parameters).fetchall()

    def row_many(self, name: str, rows: Sequence[Mapping[str, Value]]) -> list[Row | None]:
        """The first row for each row of parameters, or None."""
        sql, execute = statement(name, "sqlite"), self._connection.execute
        return [execute(sql, parameters).fetchone() for parameters in rows]

    def each(self, name: str, /, **parameters: Value) -> Iterator[Row]:
        """The rows one by one."""
        return self._connection.execute(statement(name, "sqlite"), parameters)

    def row(self, name: str, /, **parameters: Value) -> Row | None:
        """The first row, or None."""
        found = self._connection.execute(statement(name, "sqlite"), parameters).fetchone()
        return None if found is None else tuple(found)


class SqliteDatabase:
    """A data directory with one database file. See the contract in `database`."""

    kind = "sqlite"

    def __init__(
        self, directory: Path, *, read_only: bool = False, scripts: Sequence[str] = ()
    ) -> None:
        """Open, creating what is missing; `read_only` takes no lock and changes nothing.

        `scripts` make the tables, those of an installation by default.
        Raises `Refused("store.directory.locked")` when another process has it open.
        """
        self._directory = directory
        self._read_only = read_only
        self._scripts = scripts or schema(self.kind)
        self._lock: int | None = None
        self._mutex = threading.RLock()
        self._names: dict[str, threading.RLock] = {}
        self._own = threading.local()
        self._readers: list[tuple[threading.Thread, sqlite3.Connection]] = []
        if not read_only:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = lock_folder(directory)
        try:
            self._writer = self._open()
        except BaseException:
            self._unlock()
            raise

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[SqliteSession]:
        """A transaction that may change rows."""
        with self._mutex, _translated(self._directory):
            self._writer.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield SqliteSession(self._writer)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Iterator[SqliteSession]:
        """A transaction that only looks."""
        with _translated(self._directory):
            connection = self._reader()
            connection.execute("BEGIN")
            try:
                yield SqliteSession(connection)
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Hold a name against every other thread; the file lock holds off other processes."""
        with self._mutex:
            lock = self._names.setdefault(name, threading.RLock())
        with lock:
            yield

    def watch(self, channel: str, told: Callable[[str], None]) -> Callable[[], None]:
        """Nothing to hear: whoever writes here is in this process, and looks by itself."""
        return lambda: None

    def scrub(self, table: str) -> None:
        """Empty the write-ahead log; deleted rows were overwritten with zeros when they went."""
        with self._mutex, _translated(self._directory):
            for attempt in range(1, _SCRUBS_MAX + 1):
                (busy, _, _) = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if not busy:
                    return
                time.sleep(0.05 * attempt)
        raise Failed(
            "store.scrub.busy",
            f"database in {self._directory}",
            expected="no reader of old pages",
            found="one that lasts",
            remedy="try again; the rows are deleted, their old pages still in the write-ahead log",
        )

    def free_bytes(self) -> int | None:
        """Free space on the file system of the data directory."""
        return shutil.disk_usage(self._directory).free

    def close(self) -> None:
        """Close all connections and give up the lock."""
        with self._mutex:
            for _, connection in self._readers:
                connection.close()
            self._readers.clear()
            self._own = threading.local()
            self._writer.close()
            self._unlock()

    def _open(self) -> sqlite3.Connection:
        with _translated(self._directory):
            connection = self._connect()
            try:
                if not self._read_only:
                    connection.execute("PRAGMA journal_mode=WAL")
                    # The part of a large table that a wave touches, and the inner nodes of a large
                    # index, stay in memory; pages changed again and again are copied into the
                    # database once. The log may grow to that many pages (32 MiB).
                    connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
                    connection.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
                    for script in self._scripts:
                        connection.executescript(script)
            except BaseException:
                connection.close()
                raise
            return connection

    def _connect(self) -> sqlite3.Connection:
        path = self._directory / FILE_NAME
        mode = "ro" if self._read_only else "rwc"
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=_BUSY_MS / 1000,
            cached_statements=256,
        )
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        # What is deleted is overwritten with zeros, so that erased words are in no page.
        connection.execute("PRAGMA secure_delete=ON")
        return connection

    def _reader(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if found is None:
            found = self._connect()
            found.execute("PRAGMA query_only=ON")
            self._own.connection = found
            with self._mutex:
                self._drop_dead_readers()
                self._readers.append((threading.current_thread(), found))
        return found

    def _drop_dead_readers(self) -> None:
        for thread, connection in self._readers:
            if not thread.is_alive():
                connection.close()
        self._readers = [reader for reader in self._readers if reader[0].is_alive()]

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


@contextmanager
def _translated(directory: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _error(directory, error) from error


def _error(directory: Path, error: sqlite3.DatabaseError) -> SurefootError | sqlite3.Error:
    """A full disk and a damaged file are the world's; any other mistake in SQL is ours."""
    name = getattr(error, "sqlite_errorname", "")
    subject = f"database in {directory}"
    if name in _PAGE_FULL:
        return Failed(
            "store.disk.full",
            subject,
            expected="room to write",
            found=str(error),
            remedy="free some space; nothing was changed",
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return Corrupt(
            "store.database.damaged",
            subject,
            expected="a readable database",
            found=str(error),
            remedy="stop, keep a copy of the files, and restore a verified backup",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_IOERR")):
        return Failed(
            "store.database.unreachable",
            subject,
            expected="a database that answers",
            found=str(error),
            remedy="check the directory's owner, mode and disk, then try again",
        )
    return error
