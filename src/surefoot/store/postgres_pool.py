"""Connections to PostgreSQL: a bounded number, lent to one thread at a time.

Keeps: a thread that holds a connection gets the same one again, so what nests shares a transaction
and a lock; a connection that broke while it lay idle is not lent; every wait has an end. When the
process or its machine dies, the server notices within half a minute and frees what it held.
Does not: open a new connection for somebody whose connection broke under them.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from surefoot.core.errors import Failed

CONNECTIONS_MAX = 12
_TIMEOUT_SECONDS = 30
_OPTIONS = (
    "-c lock_timeout=20000 -c idle_in_transaction_session_timeout=60000"
    " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
)
_Greet = Callable[[psycopg.Connection], None]


class Pool:
    """See the module. All methods may be called from any thread."""

    def __init__(self, dsn: str, *, read_only: bool = False, greet: _Greet | None = None) -> None:
        """Opens nothing yet; `greet` is called with each new connection, and may refuse it.

        Raises `psycopg.ProgrammingError` for an address that is none.
        """
        self._greet = greet
        self._parameters = conninfo_to_dict(dsn)
        given = str(self._parameters.pop("options", "") or "")
        also = " -c default_transaction_read_only=on" if read_only else ""
        self._options = f"{given} {_OPTIONS}{also}".strip()
        self._free = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._guard = threading.Lock()
        self._idle: list[psycopg.Connection] = []
        self._all: set[psycopg.Connection] = set()
        self._own = threading.local()

    @contextmanager
    def lend(self) -> Iterator[psycopg.Connection]:
        """This thread's connection, or one that is its own until the end of the block."""
        own: psycopg.Connection | None = getattr(self._own, "connection", None)
        if own is not None:
            yield own
            return
        if not self._free.acquire(timeout=_TIMEOUT_SECONDS):
            raise _overloaded()
        try:
            connection = self._take()
            self._own.connection = connection
            try:
                yield connection
            finally:
                self._own.connection = None
                self._give_back(connection)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close all connections, those lent as well; their locks end with them."""
        with self._guard:
            for connection in self._all:
                connection.close()
            self._all.clear()
            self._idle.clear()

    def _take(self) -> psycopg.Connection:
        while True:
            with self._guard:
                found = self._idle.pop() if self._idle else None
            if found is None:
                break
            if _is_quiet(found):
                return found
            self._drop(found)
        return self.keep(self._greet)

    def keep(self, greet: _Greet | None) -> psycopg.Connection:
        """A new connection that is there until `close`, and is lent to nobody."""
        made = self.connect()
        try:
            if greet is not None:
                greet(made)
        except BaseException:
            made.close()
            raise
        with self._guard:
            self._all.add(made)
        return made

    def connect(self, **also: Any) -> psycopg.Connection:
        """A connection that is not lent: its caller closes it."""
        given: dict[str, Any] = {**self._parameters, **also}
        return psycopg.connect(
            **given,
            options=self._options,
            autocommit=True,
            connect_timeout=_TIMEOUT_SECONDS,
            prepare_threshold=3,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
        )

    def _give_back(self, connection: psycopg.Connection) -> None:
        if connection.info.transaction_status != pq.TransactionStatus.IDLE:
            self._drop(connection)
            return
        with self._guard:
            if connection in self._all:
                self._idle.append(connection)

    def _drop(self, connection: psycopg.Connection) -> None:
        connection.close()
        with self._guard:
            self._all.discard(connection)


def _is_quiet(connection: psycopg.Connection) -> bool:
    """Whether it still stands: to an idle client a server only speaks to say that it ends."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    return not poll.poll(0)


def _overloaded() -> Failed:
    return Failed(
        "store.database.unreachable",
        "PostgreSQL database",
        expected=f"one of {CONNECTIONS_MAX} connections within {_TIMEOUT_SECONDS} s",
        found="all of them at work",
        remedy="try again; look for slow statements and locks on the database server",
    )
