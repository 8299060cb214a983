"""Chooses the two checkpoints between which a proof stands.

Keeps: without a quorum of witnesses, before is the newest checkpoint whose seal is at or before the
time, after the first whose seal is later. With one, the witnesses must also have made it: by the
time for the one before, later for the one after; when they have signed nothing yet, the choice is
made as without. Notes carry all cosignatures kept for them. Does not: look at entries.
Source: docs/formats/proof.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from surefoot.journal.history import first_after
from surefoot.journal.log import Log
from surefoot.store.database import Database
from surefoot.trust.cosignature import cosignatures
from surefoot.trust.quorum import TrustPolicy

_LOOKED_AT_MAX = 1000


class Noted(msgspec.Struct, frozen=True):
    """A checkpoint by its size, with all signature lines; `quorum_ms` is 0 without a quorum."""

    size: int
    note: str
    quorum_ms: int = 0


class Brackets:
    """The choice for one journal under one policy."""

    def __init__(self, log: Log[Any], database: Database, policy: TrustPolicy) -> None:
        self._log = log
        self._database = database
        self._policy = policy
        self._keys = [witness.key for witness in policy.witnesses.values()]

    def around(self, from_ms: int, until_ms: int) -> tuple[Noted | None, Noted | None]:
        """The checkpoints before and after; both None in a journal without any."""
        size = self._log.prove(lambda chain: chain.size)
        if self._newest(size) is None:
            return self._by_seals(from_ms, until_ms, size)
        with self._database.read() as session:
            first = first_after(session, from_ms, size)
            last = first_after(session, until_ms, size)
        later = self._witnessed("cosignature.sizes_after", last, size)
        after = next((noted for noted in later if noted.quorum_ms > until_ms), None)
        if after is None:
            return self._newest(size), None
        earlier = self._witnessed("cosignature.sizes_upto", first, size)
        return next((noted for noted in earlier if noted.quorum_ms <= from_ms), None), after

    def over(self, index: int) -> Noted | None:
        """The newest checkpoint whose tree has this leaf: a witnessed one, else any."""
        size = self._log.prove(lambda chain: chain.size)
        newest = self._newest(size)
        if newest is not None and newest.size > index:
            return newest
        with self._database.read() as session:
            row = session.row("journal.checkpoint_upto", size=size)
        return self._noted(int(row[0])) if row and row[0] > index else None

    def end_ms(self) -> int:
        """The first time of which nothing later can be shown."""
        size, time_ms = self._log.prove(lambda chain: (chain.size, chain.time_ms))
        newest = self._newest(size)
        if newest is None:
            return int(time_ms)
        return min(self._seal_ms(newest.size), newest.quorum_ms)

    def _by_seals(
        self, from_ms: int, until_ms: int, size: int
    ) -> tuple[Noted | None, Noted | None]:
        with self._database.read() as session:
            below = session.row("journal.checkpoint_upto", size=first_after(session, from_ms, size))
            place = first_after(session, until_ms, size)
            rows = session.rows("journal.checkpoints_after", size=place, limit=1)
        before = self._noted(int(below[0])) if below else None
        return before, self._noted(int(rows[0][0])) if rows and rows[0][0] <= size else None

    def _newest(self, size: int) -> Noted | None:
        """The newest checkpoint that the witnesses have made the quorum for."""
        return next(iter(self._witnessed("cosignature.sizes_upto", size, size)), None)

    def _witnessed(self, query: str, start: int, size: int) -> Iterable[Noted]:
        """Checkpoints that the quorum has signed, from a size on, in the query's order."""
        if not self._keys:
            return
        with self._database.read() as session:
            rows = session.rows(query, size=start, limit=_LOOKED_AT_MAX)
        for found in (int(row[0]) for row in rows):
            noted = self._noted(found) if found <= size else None
            if noted is not None and noted.quorum_ms:
                yield noted

    def _noted(self, size: int) -> Noted:
        note = self._log.cosigned(size)
        if not note or not self._keys:
            return Noted(size, note)
        second = self._policy.quorum_time(cosignatures(note, self._keys))
        return Noted(size, note, (second or 0) * 1000)

    def _seal_ms(self, size: int) -> int:
        with self._database.read() as session:
            row = session.row("journal.leaf_time", idx=size - 1)
        return int(row[0]) if row else 0
