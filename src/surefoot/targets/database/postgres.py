"""PostgreSQL: one database on a server, migrated beside the services that use it.

Rules: a migration and its ledger row commit together, under an advisory lock that also waits for
a dead worker's last statement; statements go one by one through the extended protocol, which takes
no second statement in the same text; a lock is waited for only so long, so that the services
behind it are not held up. A backup and the content it is compared by are read in one exported
snapshot. A restored database is renamed into place in the transaction that renames the old one
away: the server itself refuses that while anyone is connected, and holds new connections meanwhile.
The password comes from a secret when a connection is made, and is in no argument list.
Does not: manage roles, privileges, settings of the database, or large objects.
Sources: PostgreSQL 15 documentation, "pg_dump", "ALTER DATABASE", "Explicit Locking".
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from surefoot.core.errors import Failed, Refused
from surefoot.targets.database import postgres_catalog as catalog
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
from surefoot.targets.database.postgres_catalog import Connection
from surefoot.targets.database.postgres_scratch import PostgresScratch
from surefoot.targets.database.sql import Engine, Statement, tokens

_LOCK_KEY = 0x5375726566  # the same for every worker; of no other meaning
_NAME_MAX = 63
_CONNECT_SECONDS = 30
_TOOL_WORDS_MAX = 500
_LEAVE_SECONDS = 5.0  # a session that was just closed may be listed for a moment
_SESSIONS = """
    SELECT application_name, count(*) FROM pg_stat_activity
    WHERE datname = %s AND backend_type = 'client backend' GROUP BY 1 ORDER BY 1 LIMIT 10
"""
_READING = {"SELECT", "WITH", "VALUES", "TABLE"}
_PASSING = ("08", "40", "53", "55", "57P", "58")  # classes of errors that may pass by themselves


class PostgresDriver:
    """A database named by a connection string without a password."""

    engine: Engine = "postgres"

    def __init__(
        self,
        dsn: str,
        *,
        password: Callable[[], bytes] | None = None,
        limits: Limits | None = None,
        maintenance: str = "postgres",
        binaries: Path | None = None,
    ) -> None:
        """`maintenance` is the database from which others are created and renamed.

        Raises `Refused("database.address.input")` for a string with a password, without a
        database's name, or with one longer than 40 characters.
        """
        self._dsn = dsn
        self._limits = limits or Limits()
        self._password = password
        self._maintenance = maintenance
        self._binaries = binaries
        self._parameters = _parsed(dsn)
        self._name = str(self._parameters["dbname"])

    def address(self) -> str:
        """The connection string, without a password."""
        return self._dsn

    def exists(self) -> bool:
        """Whether the server has the database."""
        with self.connect(self._maintenance) as db:
            return _has(db, self._name)

    def create(self) -> None:
        """Make the database with its ledger."""
        with self.connect(self._maintenance) as db:
            if not _has(db, self._name):
                db.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self._name)))
        with self.connect() as db:
            db.execute(_public(CREATE_LEDGER))

    def destroy(self) -> None:
        """Drop the database. Raises `Refused("database.writers.alive")` while it is in use."""
        self.drop(self._name)

    def drop(self, name: str, *, force: bool = False) -> None:
        """Drop a database if it is there."""
        forced = " WITH (FORCE)" if force else ""
        statement = sql.SQL("DROP DATABASE IF EXISTS {}" + forced).format(sql.Identifier(name))
        with self.connect(self._maintenance) as db, self._alone():
            if not force:
                self._require_nobody(db, name)
            db.execute(statement)

    def look(self) -> Look:
        """Look, in one transaction that cannot write."""
        with self.connect() as db:
            db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return catalog.look(db)

    def check(self, sql: str) -> Scalar:
        """The one value of a query. Raises `Refused("database.check.input")` for all else."""
        first = next((token.key for token in tokens(sql, self.engine) if token.text != "("), "")
        if first not in _READING:
            raise _check_refused(sql, first or sql[:40])
        with self.connect(timeout_ms=self._limits.check_timeout_ms) as db:
            db.execute("BEGIN READ ONLY")
            try:
                cursor = db.execute(sql.encode(), binary=True)
                rows = cursor.fetchmany(2)
            except psycopg.Error as error:
                if _passes(error):
                    raise
                raise _check_refused(sql, _words(error)) from None
        if len(rows) != 1 or len(rows[0]) != 1:
            raise _check_refused(sql, f"{len(rows)} rows of {len(rows[0]) if rows else 0} columns")
        value = rows[0][0]
        return value if isinstance(value, str | int | bool | None) else str(value)

    def migrate(self, migration: Migration, entry: Applied) -> int:
        """Apply one migration and its ledger row; the number of rows changed."""
        todo = statements(migration, self.engine)
        with self.connect() as db:
            db.execute(_public(CREATE_LEDGER))
            if not migration.batches_max:
                return self._transaction(db, todo, entry, batch=False)
            total = 0
            for _ in range(migration.batches_max):
                changed = self._transaction(db, todo, entry, batch=True)
                total += changed
                if not changed:
                    return total
        raise StatementFailed(
            f"rows still changed after {migration.batches_max} batches", statement=1
        )

    def _transaction(
        self, db: Connection, todo: tuple[Statement, ...], entry: Applied, *, batch: bool
    ) -> int:
        """One transaction; of a batched migration the last, which changes nothing, is recorded."""
        db.execute("BEGIN")
        try:
            db.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK_KEY,))
            if catalog.is_applied(db, entry):
                return 0
            changed = sum(_run(db, number, one) for number, one in enumerate(todo, 1))
            if not (batch and changed):
                values = [getattr(entry, name) for name in entry.__struct_fields__]
                query = f"INSERT INTO public.{LEDGER} VALUES (%s,%s,%s,%s,%s,%s)"  # noqa: S608
                db.execute(query.encode(), values)
            # A crash before this line loses the whole migration, after it none of it.
            _commit(db)
            return changed
        finally:
            if not db.broken and db.info.transaction_status != TransactionStatus.IDLE:
                db.execute("ROLLBACK")

    def dump(self, into: Path) -> Content:
        """pg_dump from an exported snapshot, and the content read in the same one."""
        into.unlink(missing_ok=True)
        with self.connect() as db:
            db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            row = db.execute("SELECT pg_export_snapshot()").fetchone()
            assert row is not None
            found = catalog.content(db)
            self.tool(
                "pg_dump", self._name, "--format=custom", f"--snapshot={row[0]}", f"--file={into}"
            )
        into.chmod(0o600)
        return found

    @contextmanager
    def restored(
        self, dump: Path, mark: str, *, schema_only: bool = False
    ) -> Iterator[PostgresScratch]:
        """Restore into a database of its own on the same server."""
        name = f"{self._name}_{mark}"
        self.drop(name, force=True)
        try:
            with self.connect(self._maintenance) as db:
                db.execute(_create_like(db, name, self._name))
            once = ("--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges")
            if schema_only:
                self.tool("pg_restore", name, *once, "--schema-only", str(dump))
                ledger = f"--table={LEDGER}"
                self.tool("pg_restore", name, *once, "--data-only", ledger, str(dump))
            else:
                self.tool("pg_restore", name, *once, str(dump))
            yield PostgresScratch(name, self)
        finally:
            self.drop(name, force=True)

    def take(self, scratch: str) -> None:
        """Rename a scratch into place, and drop the database that was there."""
        old = f"{scratch}_old"[:_NAME_MAX]
        self.drop(old)  # left by a crash after the renames below, which are done together or not
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
        live, new, aside = (sql.Identifier(name) for name in (self._name, scratch, old))
        with self.connect(self._maintenance) as db, self._alone(), db.transaction():
            self._require_nobody(db, self._name)
            if _has(db, self._name):
                db.execute(rename.format(live, aside))
            db.execute(rename.format(new, live))
        self.drop(old)

    @contextmanager
    def connect(self, name: str = "", *, timeout_ms: int = 0) -> Iterator[Connection]:
        """A connection in autocommit mode; what it does not commit is rolled back."""
        limits = self._limits
        options = (
            f"-c lock_timeout={limits.lock_timeout_ms}"
            f" -c statement_timeout={timeout_ms or limits.statement_timeout_ms}"
            " -c idle_in_transaction_session_timeout=0"
        )
        parameters: dict[str, Any] = {**self._parameters, "dbname": name or self._name}
        if self._password is not None:
            parameters["password"] = self._password().decode()
        with self._mapped():
            db = psycopg.connect(
                **parameters,
                options=options,
                autocommit=True,
                connect_timeout=_CONNECT_SECONDS,
                application_name="surefoot",
            )
            try:
                yield db
            finally:
                db.close()

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        """Errors of the outside world as `Failed`."""
        try:
            yield
        except (psycopg.Error, OSError) as error:
            raise self._failed(_words(error)) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The server's answer that a database is in use, as a refusal."""
        try:
            yield
        except psycopg.errors.ObjectInUse as error:
            detail = error.diag.message_detail or _words(error)
            raise writers_alive(f"database {self._name}", detail) from None

    def _require_nobody(self, db: Connection, name: str) -> None:
        """Refuse at once, with names, what the server would refuse after five seconds."""
        end = time.monotonic() + _LEAVE_SECONDS
        while sessions := db.execute(_SESSIONS, (name,)).fetchall():
            if time.monotonic() > end:
                found = ", ".join(f"{count} of {who or 'no name'}" for who, count in sessions)
                raise writers_alive(f"database {name}", f"sessions: {found}"[:300])
            time.sleep(0.05)

    def tool(self, program: str, database: str, *arguments: str) -> None:
        """Run pg_dump or pg_restore. Raises `Failed` with the end of its own words."""
        place = shutil.which(program, path=str(self._binaries) if self._binaries else None)
        if place is None:
            raise self._failed(f"{program} is not installed")
        environment = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME")}
        environment |= {"LC_ALL": "C", "PGCONNECT_TIMEOUT": str(_CONNECT_SECONDS)}
        if self._password is not None:
            environment["PGPASSWORD"] = self._password().decode()
        address = make_conninfo("", **{**self._parameters, "dbname": database})
        done = subprocess.run(
            [place, "--no-password", f"--dbname={address}", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=self._limits.statement_timeout_ms / 1000,
            check=False,
        )
        if done.returncode:
            words = done.stderr.decode("utf-8", "replace").strip()[-_TOOL_WORDS_MAX:]
            raise self._failed(f"{program} ended with {done.returncode}: {words}")

    def _failed(self, found: str) -> Failed:
        return Failed(
            "database.postgres.failed",
            f"database {self._name}",
            expected="an answer",
            found=found,
            remedy="check the server, its disk and who holds locks, then try again",
        )


def _parsed(dsn: str) -> dict[str, Any]:
    try:
        parameters = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        parameters = {}
    name = str(parameters.get("dbname") or "")
    if "password" in parameters or not 0 < len(name) <= 40:
        raise Refused(
            "database.address.input",
            "database address",
            expected="a connection string with a database of at most 40 characters, no password",
            found="another string",
            remedy="name the password as a secret reference",
        )
    return dict(parameters)


def _has(db: Connection, name: str) -> bool:
    row = db.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
    return row is not None


def _create_like(db: Connection, name: str, like: str) -> sql.Composed:
    """CREATE DATABASE with the encoding and order of another, if that is there."""
    row = db.execute(
        "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database"
        " WHERE datname = %s",
        (like,),
    ).fetchone()
    create = sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))
    if row is None:
        return create
    same = sql.SQL(" ENCODING {} LC_COLLATE {} LC_CTYPE {}")
    return create + same.format(*(sql.Literal(value) for value in row))


def _public(create: str) -> bytes:
    """A CREATE TABLE of ours in the schema public, whatever the role's search path."""
    return create.replace("IF NOT EXISTS ", "IF NOT EXISTS public.", 1).encode()


def _run(db: Connection, number: int, statement: Statement) -> int:
    """One statement, through the extended protocol; rows changed."""
    try:
        cursor = db.execute(statement.text.encode(), binary=True)
    except psycopg.Error as error:
        if _passes(error):
            raise
        raise StatementFailed(_words(error), statement=number, line=statement.line) from None
    if db.info.transaction_status != TransactionStatus.INTRANS:
        raise StatementFailed("it left the transaction", statement=number, line=statement.line)
    return 0 if cursor.description else max(cursor.rowcount, 0)


def _commit(db: Connection) -> None:
    """Commit; a constraint that waited for it may still fail."""
    try:
        db.execute("COMMIT")
    except psycopg.Error as error:
        if _passes(error):
            raise
        raise StatementFailed(_words(error)) from None


def _passes(error: psycopg.Error) -> bool:
    """Whether the same statement may succeed later: locks, connections, disks, deadlocks."""
    state = error.sqlstate
    return state is None or (state.startswith(_PASSING) and state != "55000")


def _words(error: BaseException) -> str:
    """The server's message without its detail, which may show values of rows."""
    if isinstance(error, psycopg.Error) and error.sqlstate:
        return f"{error.diag.message_primary} ({error.sqlstate})"
    return str(error).strip()[:_TOOL_WORDS_MAX]


def _check_refused(text: str, found: str) -> Refused:
    return Refused(
        "database.check.input",
        f"check {text[:80]!r}",
        expected="a query that only reads and answers with one value",
        found=found,
        remedy='write it like "select count(*) from telemetry"',
    )
