"""The service's database: a SQLite file that the migrations made.

Rules: the service never creates or changes a table, and refuses to start when one is missing.
A write is committed and on disk (`synchronous=FULL`) before it is answered. One connection
writes and another reads, each in a thread of its own, so that a migration that holds the write
lock delays writes and nothing else.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from thermostat.configuration import Unusable
from thermostat.problem import Problem

Answer = TypeVar("Answer")
Work = Callable[[sqlite3.Connection], Answer]

BUSY_MILLISECONDS = 10_000


class Database:
    """Runs functions on the reading or the writing connection."""

    def __init__(self, path: Path, needed: Mapping[str, tuple[str, ...]]) -> None:
        """Open and check the tables. Raises `Unusable`."""
        self._path = path
        self._threads = {name: ThreadPoolExecutor(1, name) for name in ("read", "write")}
        self._connections = {
            name: thread.submit(self._connect).result() for name, thread in self._threads.items()
        }
        self._threads["read"].submit(self._check, needed).result()

    async def read(self, work: Work[Answer]) -> Answer:
        """Run `work` on the reading connection. Raises `Problem` 503."""
        return await self._run("read", work)

    async def write(self, work: Work[Answer]) -> Answer:
        """Run `work` in one transaction that is durable on return. Raises `Problem` 503."""
        return await self._run("write", lambda connection: _committed(connection, work))

    def close(self) -> None:
        """Finish what runs and close."""
        for name, thread in self._threads.items():
            thread.submit(self._connections[name].close).result()
            thread.shutdown()

    async def _run(self, name: str, work: Work[Answer]) -> Answer:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads[name], work, self._connections[name])
        except sqlite3.OperationalError as error:
            raise Problem(
                503,
                "database.unavailable",
                f"the database to {name} within {BUSY_MILLISECONDS // 1000} seconds",
                str(error),
                "send the same request again: it is stored once",
            ) from None

    def _connect(self) -> sqlite3.Connection:
        # mode=rw: a wrong path must be an error, not a new empty database.
        address = self._path.absolute().as_uri() + "?mode=rw"
        try:
            connection = sqlite3.connect(address, uri=True, isolation_level=None)
            connection.row_factory = sqlite3.Row
            connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as error:
            raise Unusable(f"database {self._path}: {error}; run the migrations first") from None
        return connection

    def _check(self, needed: Mapping[str, tuple[str, ...]]) -> None:
        for table, columns in needed.items():
            found = columns_of(self._connections["read"], table)
            missing = [column for column in columns if column not in found]
            if missing:
                raise Unusable(
                    f"database {self._path}: table {table}: expected {', '.join(columns)}, "
                    f"missing {', '.join(missing)}; run this release's migrations first"
                )


def columns_of(connection: sqlite3.Connection, table: str) -> set[str]:
    """The columns a table has now; empty when there is no such table."""
    return {
        row["name"] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    }


def _committed(connection: sqlite3.Connection, work: Work[Answer]) -> Answer:
    # IMMEDIATE: a lock taken later, after a read, fails at once instead of waiting its turn.
    connection.execute("BEGIN IMMEDIATE")
    try:
        answer = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return answer
