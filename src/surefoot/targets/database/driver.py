"""The contract between the database target and an engine.

Rules: `dump` and the content it returns are of one instant, while others write; a `Scratch` never
touches the live database until `place`; `place` and `destroy` refuse while anyone is connected;
`migrate` commits a migration and its ledger row together or neither. Errors: `Refused` and
`StatementFailed` changed nothing; `Failed` is the outside world and may be tried again.
Does not: keep receipts or decide what to do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import msgspec

from surefoot.core.errors import Corrupt, Refused
from surefoot.targets.database.migration import Applied, Migration
from surefoot.targets.database.sql import Engine
from surefoot.trust import canonical
from surefoot.trust.digest import Digest, digest_of

Scalar = str | int | bool | None
Pseudonym = Callable[[bytes], bytes]

LEDGER = "surefoot_migration"
ORIGIN = "surefoot_origin"
CREATE_LEDGER = (
    f"CREATE TABLE IF NOT EXISTS {LEDGER} (number INTEGER PRIMARY KEY, class TEXT NOT NULL,"
    " words TEXT NOT NULL, sha256 TEXT NOT NULL, applied_at TEXT NOT NULL,"
    " operation TEXT NOT NULL)"
)
CREATE_ORIGIN = (
    f"CREATE TABLE IF NOT EXISTS {ORIGIN} (operation TEXT NOT NULL, backup TEXT NOT NULL,"
    " policy TEXT NOT NULL)"
)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait and how much to take."""

    lock_timeout_ms: int = 5_000
    statement_timeout_ms: int = 600_000
    check_timeout_ms: int = 10_000
    backup_bytes_max: int = 4 * 1024**3


class StatementFailed(Exception):
    """A statement of a migration was answered with an error; everything was rolled back."""

    def __init__(self, reason: str, *, statement: int = 0, line: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.statement = statement
        self.line = line


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column that is declared as masked."""

    table: str
    name: str


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a cloned database came from; a row of `surefoot_origin`."""

    operation: str
    backup: str
    policy: str


class TableContent(msgspec.Struct, frozen=True, kw_only=True):
    """Rows and a digest over all of them."""

    rows: int
    digest: Digest


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a backup is compared by. `sequences` may run ahead in the copy, not behind."""

    objects: dict[str, Digest]
    tables: dict[str, TableContent]
    sequences: dict[str, int] = {}

    def schema_digest(self) -> Digest:
        """Digest over every object's definition."""
        return digest_of_objects(self.objects)

    def rows(self) -> int:
        """Rows in all tables."""
        return sum(table.rows for table in self.tables.values())

    def digest(self) -> Digest:
        """Digest over every table's rows."""
        return digest_of_objects({name: table.digest for name, table in self.tables.items()})


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """A database as it is now."""

    applied: tuple[Applied, ...] = ()
    objects: dict[str, Digest] = {}
    counts: dict[str, int] = {}
    size_bytes: int = 0
    version: str = ""
    origin: Origin | None = None

    def is_empty(self) -> bool:
        """Nothing but Surefoot's own tables."""
        return not self.objects and not self.applied


class Scratch(Protocol):
    """A backup restored elsewhere, dropped when its context ends unless it was placed."""

    def content(self) -> Content:
        """What was restored."""

    def mask(self, columns: tuple[Column, ...], pseudonym: Pseudonym) -> None:
        """Replace every value of the columns, keeping keys whole, and leave no old copy.

        Raises `Refused("database.mask.input")` for a column that is missing or cannot be masked.
        """

    def mark(self, origin: Origin) -> None:
        """Write where this database came from."""

    def place(self) -> None:
        """Put this database where the live one is or was, with all its former writers gone.

        Raises `Refused("database.writers.alive")` while someone is connected.
        """


class Driver(Protocol):
    """One database of one engine."""

    @property
    def engine(self) -> Engine:
        """The engine's name."""

    def address(self) -> str:
        """Where services find it, without any password."""

    def exists(self) -> bool:
        """Whether it is there."""

    def create(self) -> None:
        """Make it, empty; nothing when it is there."""

    def destroy(self) -> None:
        """Remove it with all its data; nothing when it is not there."""

    def look(self) -> Look:
        """Look, changing nothing."""

    def check(self, sql: str) -> Scalar:
        """The one value of a query, on a connection that cannot write."""

    def migrate(self, migration: Migration, entry: Applied) -> int:
        """Apply one migration and its ledger row; the number of rows changed.

        Nothing when the ledger already has the number with the same checksum.
        """

    def dump(self, into: Path) -> Content:
        """Write a consistent copy to a new file; the content of that same instant."""

    def restored(
        self, dump: Path, mark: str, *, schema_only: bool = False
    ) -> AbstractContextManager[Scratch]:
        """Restore a dump elsewhere. `mark` names the scratch; a dead one's leftover is removed."""


class RowDigest:
    """Running digest over a table's rows; order counts."""

    def __init__(self) -> None:
        self._running = hashlib.sha256()
        self._rows = 0

    def add(self, row: Iterable[object]) -> None:
        """Add one row of None, int, float, str and bytes."""
        for value in row:
            kind, content = _value(value)
            self._running.update(b"%s%d:" % (kind, len(content)))
            self._running.update(content)
        self._running.update(b";")
        self._rows += 1

    def result(self) -> TableContent:
        """The rows so far."""
        return TableContent(rows=self._rows, digest=Digest(f"sha256:{self._running.hexdigest()}"))


def _value(value: object) -> tuple[bytes, bytes]:
    if value is None:
        return b"n", b""
    if isinstance(value, bytes):
        return b"b", value
    if isinstance(value, str):
        return b"t", value.encode("utf-8", "surrogateescape")
    kind = b"f" if isinstance(value, float) else b"i"
    return kind, repr(value).encode()


def digest_of_objects(objects: Mapping[str, Digest]) -> Digest:
    """One digest over named digests."""
    return digest_of(canonical.encode(dict(objects)))


def ascii_name(name: str) -> str:
    """A name as ASCII, for canonical JSON: other characters as escapes."""
    return name.encode("unicode_escape").decode()


def same_migration(found: Applied, entry: Applied) -> bool:
    """Whether a ledger row is this migration. Raises `Corrupt` when its content was another."""
    if found.number != entry.number:
        return False
    if found.sha256 != entry.sha256:
        raise Corrupt(
            "database.ledger.differs",
            f"migration {entry.number:04d}",
            expected=entry.sha256,
            found=found.sha256,
            remedy="find out who applied other content under this number",
        )
    return True


def writers_alive(subject: str, found: str) -> Refused:
    """The refusal to touch a database that someone uses."""
    return Refused(
        "database.writers.alive",
        subject,
        expected="no other connection to the database",
        found=found,
        remedy="stop the services that use it, then try again",
    )
