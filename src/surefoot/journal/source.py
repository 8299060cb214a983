"""Where a verifier reads a journal from: a live database, or the directory of an export.

Keeps: nothing read is believed here; every read is bounded. Does not: verify, write.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from surefoot.core.errors import Corrupt
from surefoot.store.database import Database
from surefoot.trust import tiles
from surefoot.trust.digest import Digest, digest_of, parse_digest
from surefoot.trust.entry import Entry
from surefoot.trust.note import NOTE_BYTES_MAX, NotANote, parse_checkpoint

STATE_BYTES_MAX = 64 * 1024 * 1024
BLOB_BYTES_MAX = 16 * 1024 * 1024
_PAGE = 2_000
_SMALL_BYTES_MAX = 16 * 1024
_SMALL_PAGE = 1_000


class Row(msgspec.Struct, frozen=True, gc=False):
    """A stored leaf; `columns` is what the database says of it beside its bytes.

    `state` is its entry's state, None when it is large, missing, or was not asked for.
    """

    index: int
    raw: bytes
    columns: tuple[str | None, int | None, str, int] | None = None
    state: bytes | None = None


class Source(Protocol):
    """A journal to verify."""

    def rows(self, first: int = 0) -> Iterator[Row]:
        """Stored leaves in order of position from `first` on, as they are."""

    def bare_rows(self) -> Iterator[Row]:
        """All of them without columns."""

    def rows_with_states(self) -> Iterator[Row]:
        """All of them with those states that are cheaper to read along than one by one."""

    def head(self) -> tuple[int, str] | None:
        """Size and root (hex) that the store claims, None when it makes no such claim."""

    def checkpoint(self) -> str | None:
        """The newest checkpoint, a note."""

    def checkpoints(self) -> Iterator[str]:
        """All kept checkpoints, oldest first."""

    def state(self, entry: Entry) -> bytes | None:
        """The state of the entry's stream after it, None when missing."""

    def tile(self, path: str) -> bytes | None:
        """A tile of hashes, None when this source keeps none."""


class DatabaseSource:
    """The journal's tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(self, first: int = 0) -> Iterator[Row]:
        """Leaves in order."""
        while True:
            with self._database.read() as session:
                page = session.rows("journal.leaves_from", first=first, limit=_PAGE)
            for index, raw, stream, n, kind, time_ms in page:
                yield Row(index, _bytes(raw), (stream, n, kind, time_ms))
            if len(page) < _PAGE:
                return
            first = page[-1][0] + 1

    def bare_rows(self) -> Iterator[Row]:
        """Leaves in order, their bytes alone."""
        first = 0
        while True:
            with self._database.read() as session:
                page = session.rows("journal.bytes_from", first=first, limit=_PAGE)
            for index, raw in page:
                yield Row(index, _bytes(raw))
            if len(page) < _PAGE:
                return
            first = page[-1][0] + 1

    def rows_with_states(self) -> Iterator[Row]:
        """Leaves in order, with states of up to 16 KiB."""
        first, page = 0, {"size_bytes_max": _SMALL_BYTES_MAX, "limit": _SMALL_PAGE}
        while True:
            with self._database.read() as session:
                rows = session.rows("journal.leaves_and_states_from", first=first, **page)
            for index, raw, stream, n, kind, time_ms, state in rows:
                columns = (stream, n, kind, time_ms)
                yield Row(index, _bytes(raw), columns, None if state is None else _bytes(state))
            if len(rows) < _SMALL_PAGE:
                return
            first = rows[-1][0] + 1

    def head(self) -> tuple[int, str] | None:
        """The head row."""
        with self._database.read() as session:
            row = session.row("journal.head")
        return None if row is None else (int(row[0]), str(row[1]))

    def checkpoint(self) -> str | None:
        """The newest stored checkpoint."""
        with self._database.read() as session:
            row = session.row("journal.newest_checkpoint")
        return None if row is None else str(row[1])

    def checkpoint_of(self, size: int) -> str | None:
        """The stored checkpoint of exactly this size."""
        with self._database.read() as session:
            row = session.row("journal.checkpoint_upto", size=size)
        return None if row is None or int(row[0]) != size else str(row[1])

    def checkpoints(self) -> Iterator[str]:
        """All stored checkpoints."""
        size = -1
        while True:
            with self._database.read() as session:
                page = session.rows("journal.checkpoints_after", size=size, limit=_PAGE)
            yield from (str(note) for _, note in page)
            if len(page) < _PAGE:
                return
            size = page[-1][0]

    def state(self, entry: Entry) -> bytes | None:
        """The row of the entry's position."""
        with self._database.read() as session:
            row = session.row("journal.state", idx=entry.index)
        return None if row is None else _bytes(row[0])

    def tile(self, path: str) -> bytes | None:
        """None: a database keeps no tiles."""
        return None


class ExportSource:
    """The directory that `export` made."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def rows(self, first: int = 0) -> Iterator[Row]:
        """Leaves out of the entry bundles, as many as the checkpoint says."""
        size = self._size()
        for number in range(first // tiles.WIDTH, (size + tiles.WIDTH - 1) // tiles.WIDTH):
            start = number * tiles.WIDTH
            width = min(tiles.WIDTH, size - start)
            path = tiles.bundle_path(number, width)
            content = self._read(path, tiles.bundle_bytes_max(width))
            try:
                leaves = tiles.leaves_of(content or b"")
            except ValueError as error:
                raise _differs(path, "a bundle of entries", str(error)) from None
            if len(leaves) != width:
                raise _differs(path, f"{width} entries", str(len(leaves)))
            for place, leaf in enumerate(leaves):
                if start + place >= first:
                    yield Row(start + place, leaf)

    def head(self) -> tuple[int, str] | None:
        """None: an export claims no more than its checkpoint."""
        return None

    def checkpoint(self) -> str | None:
        """The export's checkpoint."""
        content = self._read("checkpoint", NOTE_BYTES_MAX)
        return None if content is None else content.decode("utf-8", "replace")

    def checkpoints(self) -> Iterator[str]:
        """The one checkpoint."""
        note = self.checkpoint()
        return iter([] if note is None else [note])

    def bare_rows(self) -> Iterator[Row]:
        """The same as `rows`."""
        return self.rows()

    def rows_with_states(self) -> Iterator[Row]:
        """Leaves without states: each of them is a file."""
        return self.rows()

    def state(self, entry: Entry) -> bytes | None:
        """A state blob below `states/`."""
        return self._read(state_path(entry.state), STATE_BYTES_MAX)

    def blob(self, digest: Digest) -> bytes | None:
        """A blob of evidence below `blobs/`, None when it is missing or differs."""
        content = self._read(blob_path(digest), BLOB_BYTES_MAX)
        return None if content is None or digest_of(content) != digest else content

    def tile(self, path: str) -> bytes | None:
        """A tile of hashes; empty bytes when it is missing."""
        return self._read(path, tiles.tile_bytes(tiles.WIDTH)) or b""

    def _size(self) -> int:
        note = self.checkpoint() or ""
        try:
            return parse_checkpoint(note.partition("\n\n")[0] + "\n").size
        except NotANote as error:
            raise _differs("checkpoint", "a checkpoint", str(error)) from None

    def _read(self, path: str, size_bytes_max: int) -> bytes | None:
        try:
            with (self._directory / path).open("rb") as file:
                content = file.read(size_bytes_max + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if len(content) > size_bytes_max:
            raise _differs(path, f"at most {size_bytes_max} bytes", "more")
        return content


def _bytes(value: object) -> bytes:
    """A column's bytes; in SQLite whoever edits a row may leave a value of another type there."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def state_path(digest: Digest) -> str:
    """Where an export keeps a state."""
    return _content_path("states", digest)


def blob_path(digest: Digest) -> str:
    """Where an export keeps a blob of evidence."""
    return _content_path("blobs", digest)


def _content_path(folder: str, digest: Digest) -> str:
    digits = parse_digest(digest).removeprefix("sha256:")
    return f"{folder}/{digits[:2]}/{digits[2:]}"


def _differs(path: str, expected: str, found: str) -> Corrupt:
    return Corrupt(
        "journal.export.differs",
        f"export file {path}",
        expected=expected,
        found=found,
        remedy="export again and compare",
    )
