"""The database for many processes: PostgreSQL through psycopg 3.

Keeps: a thread's nested blocks share one connection; `exclusive` is a session advisory lock, so it
outlives the transactions under it and ends with the connection. A connection that broke is left
behind with the block that used it. Does not: retry a transaction. `synchronous_commit` is on for
durable writes.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import msgspec
import psycopg
from psycopg import errors

from surefoot.core.errors import Corrupt, Failed, Refused, SurefootError
from surefoot.store.database import Row, Value, schema, statement, statement_of_many
from surefoot.store.postgres_pool import Pool
from surefoot.store.postgres_watch import APPLICATION, Watch

_RIGHTS = (errors.UndefinedTable, errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction)
_SCHEMA_LOCK = 0x5AFEF007
_DOOR_LOCK = 0x5AFEF008
_ROWS_AT_ONCE = 5_000


class PostgresSession:
    """A transaction on one connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def run(self, name: str, /, **parameters: Value) -> int:
        """Execute; the number of rows changed."""
        return self._execute(name, parameters).rowcount

    def run_many(self, name: str, rows: Sequence[Mapping[str, Value]]) -> None:
        """Execute once for each row of parameters."""
        at_once = statement_of_many(name, "postgres")
        if at_once is not None:
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                text = _text(rows[start : start + _ROWS_AT_ONCE])
                self._connection.execute(at_once.encode(), {"rows": text})
            return
        with self._connection.cursor() as cursor:
            cursor.executemany(statement(name, "postgres").encode(), rows)

    def row_many(self, name: str, rows: Sequence[Mapping[str, Value]]) -> list[Row | None]:
        """The first row for each row of parameters, or None: one question for all."""
        at_once = statement_of_many(name, "postgres")
        if at_once is None:
            raise KeyError(name)
        text = _text([{"place": place, **row} for place, row in enumerate(rows)])
        found: list[Row | None] = [None] * len(rows)
        for place, *row in self._connection.execute(at_once.encode(), {"rows": text}):
            found[place] = tuple(row)
        return found

    def rows(self, name: str, /, **parameters: Value) -> list[Row]:
        """All rows of the answer."""
        return self._execute(name, parameters).fetchall()

    def each(self, name: str, /, **parameters: Value) -> Iterator[Row]:
        """The rows one by one, from a cursor of the server."""
        with self._connection.cursor(name="each") as cursor:
            cursor.execute(statement(name, "postgres").encode(), parameters)
            yield from _ahead(cursor)

    def row(self, name: str, /, **parameters: Value) -> Row | None:
        """The first row, or None."""
        return self._execute(name, parameters).fetchone()

    def _execute(self, name: str, parameters: dict[str, Value]) -> psycopg.Cursor:
        return self._connection.execute(statement(name, "postgres").encode(), parameters)


def _ahead(cursor: psycopg.ServerCursor[Row]) -> Iterator[Row]:
    """All rows: the server makes the next portion while this one is looked at."""
    rows = cursor.fetchmany(_ROWS_AT_ONCE)
    if len(rows) == _ROWS_AT_ONCE:
        with ThreadPoolExecutor(1) as other:
            while len(rows) == _ROWS_AT_ONCE:
                coming = other.submit(cursor.fetchmany, _ROWS_AT_ONCE)
                yield from rows
                rows = coming.result()
    yield from rows


def _text(rows: Sequence[Mapping[str, Value]]) -> str:
    """Rows as one JSON text: far less work for both sides than a statement for each."""
    return msgspec.json.encode(rows).decode()


def _make_tables(connection: psycopg.Connection, scripts: tuple[str, ...]) -> None:
    """Run the scripts once; running them again would lock tables that others are writing to."""
    made = hashlib.sha256("".join(scripts).encode()).hexdigest()
    look = "SELECT obj_description(to_regclass('journal_head'), 'pg_class')"
    if connection.execute(look).fetchone() == (made,):
        return
    for script in scripts:
        connection.execute(script.encode())
    connection.execute(f"COMMENT ON TABLE journal_head IS '{made}'".encode())


class PostgresDatabase:
    """A PostgreSQL database shared by many processes. See the contract in `database`."""

    kind = "postgres"

    def __init__(self, dsn: str, *, read_only: bool = False, alone: bool = False) -> None:
        """Connect and create what is missing; read-only creates and changes nothing.

        `alone`: no other process may have it open but to read, from here until `close`.
        Raises `Refused("store.address.input")` for no address, `Failed` when nothing answers,
        `Refused("store.directory.locked")` beside one that is alone, or when this one is not.
        """
        greet = None if read_only or alone else partial(_enter, shared=True)
        try:
            self._pool = Pool(dsn, read_only=read_only, greet=greet)
        except psycopg.ProgrammingError:
            raise _no_address() from None
        self._mutex = threading.RLock()
        self._write = threading.RLock()
        self._names: dict[str, threading.RLock] = {}
        if alone:
            with _translated():
                self._pool.keep(partial(_enter, shared=False))
        with _translated(), self._pool.lend() as connection, connection.transaction():
            if not read_only:
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
                _make_tables(connection, schema(self.kind))

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[PostgresSession]:
        """A transaction that may change rows."""
        with (
            self._write,
            _translated(),
            self._pool.lend() as connection,
            connection.transaction(),
        ):
            if not durable:
                connection.execute("SET LOCAL synchronous_commit TO off")
            yield PostgresSession(connection)

    @contextmanager
    def read(self) -> Iterator[PostgresSession]:
        """A transaction that only looks, at one moment."""
        with _translated(), self._pool.lend() as connection:
            if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                yield PostgresSession(connection)
                return
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                yield PostgresSession(connection)

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Hold a name against every other thread and process."""
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        with self._mutex:
            lock = self._names.setdefault(name, threading.RLock())
        with lock, _translated(), self._pool.lend() as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (number,))
            try:
                yield
            finally:
                _give_up(connection, number)

    def watch(self, channel: str, told: Callable[[str], None]) -> Callable[[], None]:
        """Call `told` for what any process committed; what is returned ends that."""
        connect = partial(self._pool.connect, application_name=APPLICATION)
        return Watch(connect, channel, told).stop

    def scrub(self, table: str) -> None:
        """Rewrite the table, so that dead rows leave its file; the server's own log is its owner's.

        `table` is one of ours: letters and underscores.
        """
        if not table.isidentifier():
            raise ValueError(table)
        with self._write, _translated(), self._pool.lend() as connection:
            connection.execute(f"VACUUM (FULL) {table}".encode())

    def free_bytes(self) -> int | None:
        """None: the disk is the database server's."""
        return None

    def close(self) -> None:
        """Close all connections; their locks end with them."""
        self._pool.close()


def _enter(connection: psycopg.Connection, *, shared: bool) -> None:
    """Hold the door that all writers hold together, or one alone; it ends with the connection."""
    name = "pg_try_advisory_lock_shared" if shared else "pg_try_advisory_lock"
    row = connection.execute(f"SELECT {name}(%s)".encode(), (_DOOR_LOCK,)).fetchone()
    if row != (True,):
        raise Refused(
            "store.directory.locked",
            "PostgreSQL database",
            expected="no key of the log at work on it" if shared else "no other server on it",
            found="another process has it open",
            remedy="wait until the other command has ended" if shared else "stop all servers first",
        )


def _give_up(connection: psycopg.Connection, number: int) -> None:
    """A broken connection has already lost its lock; closing it makes sure."""
    try:
        connection.execute("SELECT pg_advisory_unlock(%s)", (number,))
    except psycopg.Error:
        connection.close()


def _no_address() -> Refused:
    return Refused(
        "store.address.input",
        "address of the store",
        expected="a connection string like postgresql://user@host/database",
        found="another string",
        remedy="correct --store, or store in settings.json",
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise _error(error) from error


def _error(error: psycopg.Error) -> SurefootError | psycopg.Error:
    """What the server's state causes is the world's; any other mistake in SQL is ours."""
    found = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, errors.DiskFull):
        return Failed(
            "store.disk.full",
            "PostgreSQL database",
            expected="room to write",
            found=found,
            remedy="free some space on the database server; nothing was changed",
        )
    if isinstance(error, errors.DataCorrupted | errors.IndexCorrupted):
        return Corrupt(
            "store.database.damaged",
            "PostgreSQL database",
            expected="a readable database",
            found=found,
            remedy="stop, keep a copy of the files, and restore a verified backup",
        )
    if isinstance(error, _RIGHTS):
        return Failed(
            "store.database.rights",
            "PostgreSQL database",
            expected="the tables of an installation, and the right to use them",
            found=found,
            remedy="check the address and the user; surefoot init makes the tables",
        )
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return Failed(
            "store.database.unreachable",
            "PostgreSQL database",
            expected="a server that answers",
            found=found,
            remedy="check the server and the address, then try again",
        )
    return error
