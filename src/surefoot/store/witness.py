"""What a witness remembers: of each log, the newest tree that it cosigned.

Durability: a step that returned survives a power cut. Atomicity: looking, deciding and writing are
one transaction, so two requests at once never both start from the same size.
Does not: verify anything; the decision is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from surefoot.store.database import script
from surefoot.store.sqlite import SqliteDatabase
from surefoot.trust.merkle import EMPTY_ROOT


class Seen(msgspec.Struct, frozen=True):
    """A tree that was cosigned: its size and root, and when (POSIX seconds)."""

    size: int = 0
    root: bytes = EMPTY_ROOT
    time_s: int = 0


class WitnessRows:
    """The witness's file, in a folder of its own that one process has open."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        """Raises `Refused("store.directory.locked")` when another process has it open."""
        self._database = SqliteDatabase(
            folder, read_only=read_only, scripts=(script("witness_tables.sql"),)
        )

    def step(self, origin: str, decide: Callable[[Seen], Seen]) -> Seen:
        """Replace what was seen by what `decide` makes of it; an exception from it changes nothing.

        What it returned is on disk when this returns.
        """
        with self._database.write() as session:
            row = session.row("witness.newest", origin=origin)
            before = (
                Seen() if row is None else Seen(int(row[0]), bytes.fromhex(row[1]), int(row[2]))
            )
            after = decide(before)
            session.run(
                "witness.put",
                origin=origin,
                size=after.size,
                root=after.root.hex(),
                time_s=after.time_s,
            )
        return after

    def every(self) -> dict[str, Seen]:
        """All logs that were cosigned, by origin."""
        with self._database.read() as session:
            rows = session.rows("witness.every")
        return {str(r[0]): Seen(int(r[1]), bytes.fromhex(r[2]), int(r[3])) for r in rows}

    def close(self) -> None:
        """Give up the folder."""
        self._database.close()
