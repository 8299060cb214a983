"""Notices of a PostgreSQL server: another process's change is heard of within moments.

Keeps: a notice is only a reason to look; whoever hears of one reads what changed by its number.
A lost connection is made anew, and then everything is looked at, since notices in between are lost.
A connection that stands but says nothing is asked in between whether it lives.
Does not: read changes, or end before it is told to.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import psycopg

_log = logging.getLogger("surefoot.store")

APPLICATION = "surefoot-watch"
_ASK_SECONDS = 5.0
_WAITS = (0.05, 0.2, 0.5, 1.0, 2.0)


class Watch:
    """Listens in a thread of its own, on a connection of its own, until `stop`."""

    def __init__(
        self, connect: Callable[[], psycopg.Connection], channel: str, told: Callable[[str], None]
    ) -> None:
        self._connect = connect
        self._channel = channel
        self._told = told
        self._stopped = threading.Event()
        self._connection: psycopg.Connection | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch-{channel}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; `told` is not called any more when this returns."""
        self._stopped.set()
        self._thread.join(timeout=2 * _ASK_SECONDS)

    def _run(self) -> None:
        failed = 0
        while not self._stopped.is_set():
            try:
                with self._connect() as connection:
                    connection.execute(f"LISTEN {self._channel}".encode())
                    failed = 0
                    self._told("")
                    self._hear(connection)
            except psycopg.Error as error:
                _log.warning("watch of %s: %s; connecting again", self._channel, error)
                self._stopped.wait(_WAITS[min(failed, len(_WAITS) - 1)])
                failed += 1

    def _hear(self, connection: psycopg.Connection) -> None:
        quiet = 0.0
        while not self._stopped.is_set():
            # Short waits, so that `stop` does not have to wait long.
            notices = list(connection.notifies(timeout=0.2, stop_after=1))
            if notices:
                quiet = 0.0
                self._told(notices[-1].payload)
                continue
            quiet += 0.2
            if quiet >= _ASK_SECONDS:
                connection.execute(b"SELECT 1")
                quiet = 0.0
