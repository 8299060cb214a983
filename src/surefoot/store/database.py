"""The contract of a database, and the named statements that are all of its SQL.

Durability: when `write` ends without an exception, its changes survive a crash of the machine.
Atomicity: a `write` that ends with an exception changed nothing; an exception at its very end
(commit) may have changed everything, so the caller must look again.
Concurrency: `write` is exclusive within a process and serialised against other processes;
`exclusive` holds the name against all threads and processes, over several writes. Both may be
nested in the same thread in the order exclusive, write. `read` sees one moment.
Errors: `Failed("store.disk.full")`, `Failed("store.database.unreachable")`,
`Refused("store.directory.locked")`; `Corrupt("store.database.damaged")`. Retries: nobody here.
Does not: know what the tables mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from importlib import resources
from typing import Any, Protocol, TypeAlias

Value: TypeAlias = str | int | bytes | None
Row: TypeAlias = tuple[Any, ...]

_NAME = re.compile(r"^-- (name|part): ([a-z][a-z0-9_]*)[ \t]*$", re.MULTILINE)
_PART = re.compile(r"\{\{([a-z][a-z0-9_]*)\}\}")
_PARAMETER = re.compile(r"(?<![:\w]):([a-z][a-z0-9_]*)")
_ROOM = resources.files(__package__)


class Session(Protocol):
    """One transaction. A statement is named `file.name`, as in `journal.head`."""

    def run(self, statement: str, /, **parameters: Value) -> int:
        """Execute; the number of rows changed."""

    def run_many(self, statement: str, rows: Sequence[Mapping[str, Value]]) -> None:
        """Execute once for each row of parameters; no two rows are about the same."""

    def rows(self, statement: str, /, **parameters: Value) -> list[Row]:
        """All rows of the answer."""

    def row_many(self, statement: str, rows: Sequence[Mapping[str, Value]]) -> list[Row | None]:
        """`row` for each row of parameters."""

    def each(self, statement: str, /, **parameters: Value) -> Iterator[Row]:
        """The rows one by one, never all in memory; read them before the session does more."""

    def row(self, statement: str, /, **parameters: Value) -> Row | None:
        """The first row, or None."""


class Database(Protocol):
    """See the module."""

    @property
    def kind(self) -> str:
        """`sqlite` or `postgres`."""

    def write(self, *, durable: bool = True) -> AbstractContextManager[Session]:
        """A transaction that may change rows. Not durable: may be lost by a power cut."""

    def read(self) -> AbstractContextManager[Session]:
        """A transaction that only looks."""

    def exclusive(self, name: str) -> AbstractContextManager[None]:
        """Hold a name against every other thread and process."""

    def watch(self, channel: str, told: Callable[[str], None]) -> Callable[[], None]:
        """Call `told`, from another thread, soon after a process committed something announced.

        With the announcement's text, or "" for "look at everything", as after a lost connection.
        What is returned ends that. A notice may come twice or be lost: look now and then anyway.
        """

    def scrub(self, table: str) -> None:
        """Make deleted rows of a table unreadable in the files; backups and copies are not ours.

        Raises `Failed("store.scrub.busy")` when readers hold old pages; ask again.
        """

    def free_bytes(self) -> int | None:
        """Free space where the database lives; None when that is another machine."""

    def close(self) -> None:
        """Close all connections and give up the lock."""


@cache
def statement(name: str, kind: str) -> str:
    """The SQL of `file.name` in the parameter style of this kind of database.

    Where the kinds need words of their own, each has a file: `file_KIND`.

    Raises `KeyError` when there is no such statement.
    """
    file, _, own = name.partition(".")
    special = f"{file}_{kind}"
    sql = _statements(special if _has(special) else file)[own]
    if kind == "sqlite":
        return sql
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))


@cache
def statement_of_many(name: str, kind: str) -> str | None:
    """The SQL that does `file.name` for all rows of a JSON text `rows` at once, where there is one.

    Bytes are base64 in it. A question's answer begins with the row's `place`.
    """
    file, _, own = name.partition(".")
    if not _has(f"{file}_many_{kind}"):
        return None
    if own not in _statements(f"{file}_many_{kind}"):
        return None
    return statement(f"{file}_many_{kind}.{own}", kind)


def schema(kind: str) -> tuple[str, ...]:
    """The schema scripts of this kind, `schema_KIND.sql` first, then other rooms' by name."""
    names = [file.name for file in _ROOM.iterdir() if file.name.endswith(f"schema_{kind}.sql")]
    names.sort(key=lambda name: (name != f"schema_{kind}.sql", name))
    return tuple(_ROOM.joinpath(name).read_text("utf-8") for name in names)


def script(name: str) -> str:
    """A schema script of the store by its file's name, for a database that holds only that."""
    return _ROOM.joinpath(name).read_text("utf-8")


@cache
def _has(file: str) -> bool:
    return _ROOM.joinpath("queries", f"{file}.sql").is_file()


@cache
def _statements(file: str) -> dict[str, str]:
    """Statements by name; `{{part}}` stands for a text of the file that several of them share."""
    text = _ROOM.joinpath("queries", f"{file}.sql").read_text("utf-8")
    pieces = _NAME.split(text)
    kinds, names, bodies = pieces[1::3], pieces[2::3], pieces[3::3]
    if len(set(names)) != len(names):
        raise ValueError(f"queries/{file}.sql has a name twice")
    parts: dict[str, str] = {}
    found: dict[str, str] = {}
    for kind, name, body in zip(kinds, names, bodies, strict=True):
        # A part stands above those that use it, so that none can hold itself.
        whole = _PART.sub(lambda used: parts[used[1]], body.strip())
        (parts if kind == "part" else found)[name] = whole
    return found
