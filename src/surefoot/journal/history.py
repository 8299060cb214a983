"""Questions about what is in the journal, answered from the tables by index.

Keeps: an entry is parsed from its stored bytes, a state compared with its digest. Does not: write,
prove, or need the world in memory.
"""

from __future__ import annotations

from collections.abc import Iterable

from surefoot.core.errors import Corrupt, Failed
from surefoot.store.cosignature import CosignatureRows
from surefoot.store.database import Database, Row, Session
from surefoot.trust import canonical
from surefoot.trust.cosignature import with_lines
from surefoot.trust.digest import digest_of
from surefoot.trust.entry import Entry, NotAnEntry, Plain, parse
from surefoot.trust.payload import Payload

LIMIT_MAX = 10_000


class History:
    """Reads of the journal's tables; any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries(self, first: int, limit: int) -> list[Entry]:
        """Entries (no seals) from tree position `first` on, at most `limit` (10,000)."""
        limit = max(0, min(limit, LIMIT_MAX))
        with self._database.read() as session:
            return _parsed(session.rows("journal.entries_from", first=first, limit=limit))

    def entries_before(self, before: int, limit: int) -> list[Entry]:
        """Entries (no seals) below tree position `before`, newest first, for pages."""
        limit = max(0, min(limit, LIMIT_MAX))
        with self._database.read() as session:
            return _parsed(session.rows("journal.entries_before", before=before, limit=limit))

    def stream_entries(
        self, stream: str, first_n: int, limit: int, newest: bool = False
    ) -> list[Entry]:
        """Entries of one stream from `first_n` up; with `newest` the last ones, newest first."""
        limit = max(0, min(limit, LIMIT_MAX))
        name = "journal.stream_newest" if newest else "journal.stream_oldest"
        with self._database.read() as session:
            return _parsed(session.rows(name, stream=stream, first=first_n, limit=limit))

    def entry_at(self, stream: str, time_ms: int) -> Entry | None:
        """The stream's last entry at or before this time."""
        with self._database.read() as session:
            found = _parsed(session.rows("journal.entry_at", stream=stream, time_ms=time_ms))
        return found[0] if found else None

    def state_at(self, stream: str, time_ms: int) -> tuple[Entry, Plain] | None:
        """That entry and the state it proves."""
        entry = self.entry_at(stream, time_ms)
        return None if entry is None else (entry, self.state(entry))

    def state(self, entry: Entry) -> Plain:
        """The stream's state after this entry. Raises `Failed` when missing, `Corrupt` when it
        differs from what the entry says."""
        with self._database.read() as session:
            row = session.row("journal.state", idx=entry.index)
        subject = f"state of {entry.stream} after entry {entry.index}"
        if row is None:
            raise Failed(
                "journal.state.unknown",
                subject,
                expected="the state that the entry names",
                found="none",
                remedy="run journal verify, then journal fsck --repair",
            )
        content = bytes(row[0])
        if digest_of(content) != entry.state:
            raise Corrupt(
                "journal.state.differs",
                subject,
                expected=entry.state,
                found=digest_of(content),
                remedy="run journal verify, keep a copy, and restore the newest backup",
            )
        state = canonical.parse(content)
        assert isinstance(state, dict)
        return state

    def cosigned(self, size: int) -> str:
        """The checkpoint of this size with all cosignature lines kept for it, a C2SP note.

        Empty when no checkpoint of this size is kept.
        """
        with self._database.read() as session:
            row = session.row("journal.checkpoint_upto", size=size)
        if row is None or row[0] != size:
            return ""
        return with_lines(str(row[1]), CosignatureRows(self._database).lines(size))

    def first_cosigned_s(self, key: str) -> int | None:
        """When the cosigner of this key first signed a checkpoint kept here, in POSIX seconds."""
        return CosignatureRows(self._database).first_s(key)

    def size_at(self, time_ms: int, size: int) -> int:
        """How many of the first `size` leaves are not later than this time, seals included."""
        with self._database.read() as session:
            return first_after(session, time_ms, size)

    def checkpoint_at(self, size: int) -> str:
        """The newest signed checkpoint of a tree of at most this size; empty when none was."""
        with self._database.read() as session:
            row = session.row("journal.checkpoint_upto", size=size)
        return "" if row is None else str(row[1])

    def payload(self, commitment: str) -> Payload | None:
        """The words behind a commitment; None when they were erased, or never kept here.

        Raises `Corrupt` when what is kept is not what the commitment says.
        """
        with self._database.read() as session:
            row = session.row("journal.payload", commitment=commitment)
        if row is None:
            return None
        found = Payload(salt=bytes(row[0]), text=str(row[1]))
        if not found.opens(commitment):
            raise Corrupt(
                "journal.payload.differs",
                f"words behind {commitment}",
                expected="the words that were committed to",
                found="others",
                remedy="restore the newest backup's row, or erase it; the entry itself is intact",
            )
        return found

    def scrub(self) -> None:
        """Make erased words unreadable in the database's own files. Raises `Failed`."""
        self._database.scrub("payloads")

    def streams(self) -> list[str]:
        """Names of all streams, sorted."""
        with self._database.read() as session:
            return sorted(str(row[0]) for row in session.rows("journal.streams"))


def first_after(session: Session, time_ms: int, size: int) -> int:
    """Position of the first of `size` leaves later than the time; times never decrease."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        row = session.row("journal.leaf_time", idx=middle)
        if row is None:
            raise _malformed(middle, "none", "a leaf")
        low, high = (middle + 1, high) if row[0] <= time_ms else (low, middle)
    return low


def _parsed(rows: Iterable[Row]) -> list[Entry]:
    return [_entry(int(index), bytes(raw)) for index, raw in rows]


def _entry(index: int, raw: bytes) -> Entry:
    try:
        leaf = parse(index, raw)
    except NotAnEntry as error:
        raise _malformed(index, str(error)) from error
    if not isinstance(leaf, Entry):
        raise _malformed(index, "a seal")
    return leaf


def _malformed(index: int, found: str, expected: str = "an entry as it was written") -> Corrupt:
    return Corrupt(
        "journal.entry.malformed",
        f"leaf {index} of the journal",
        expected=expected,
        found=found,
        remedy="run journal verify, keep a copy, and restore the newest backup",
    )
