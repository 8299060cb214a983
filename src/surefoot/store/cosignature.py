"""Cosignatures of checkpoints: lines that others (or the log's own anchor key) put under them.

Durability: a line that was added survives a crash. Repeatability: the first line of a key for a
size stays. Does not: verify; whoever adds has verified.
"""

from __future__ import annotations

from surefoot.store.database import Database


class CosignatureRows:
    """Cosignature rows in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, size: int, key: str, time_s: int, line: str) -> bool:
        """Keep a line for a checkpoint's size; False when this key has one there already."""
        with self._database.write() as session:
            added = session.run("cosignature.add", size=size, key=key, time_s=time_s, line=line)
        return added == 1

    def lines(self, size: int) -> list[str]:
        """The lines of a size, oldest first, each with its newline."""
        with self._database.read() as session:
            return [str(row[0]) for row in session.rows("cosignature.lines", size=size)]

    def newest(self, key: str) -> tuple[int, int] | None:
        """Size and time (seconds) of the newest line of a key, None before its first."""
        with self._database.read() as session:
            row = session.row("cosignature.newest", key=key)
        return None if row is None else (int(row[0]), int(row[1]))

    def first_s(self, key: str) -> int | None:
        """The earliest time (seconds) of a line of a key, None before its first."""
        with self._database.read() as session:
            row = session.row("cosignature.first", key=key)
        return None if row is None or row[0] is None else int(row[0])
