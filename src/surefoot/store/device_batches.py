"""Batches of device reports: durable rows become one sealed object with cumulative counters.

Keeps: a batch is fixed when it is prepared (first and last report, counters, root), so a crash
between the journal and the mark repeats the same batch and counts nothing twice.
Does not: append to the journal or store the object (`engine.fleet_books`).
"""

from __future__ import annotations

import msgspec

from surefoot.store.database import Database, Session
from surefoot.trust.digest import Digest

Counters = dict[str, dict[str, int]]


class Report(msgspec.Struct, frozen=True, array_like=True):
    """An unsealed report, in the order of the statement `unsealed`; `body` is canonical JSON."""

    report: int
    deployment: int
    wave: str
    from_state: str
    to_state: str
    ran: str
    runs: str
    body: bytes


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that is fixed for ever. Counters are cumulative up to `last_report`.

    `waves` maps a wave ("0", "1", ..., "return") of `deployment` to {state: count}; `firmware`
    maps a version to the number of devices whose newest attributes show it. `admitted` is how many
    came in by a code, in this batch alone. `others` is how many numbers since the batch before are
    reports of other environments.
    """

    environment: str
    deployment: int
    first_report: int
    last_report: int
    count: int
    root: Digest
    digest: Digest
    waves: Counters
    firmware: dict[str, int]
    by_device: str = ""
    admitted: int = 0
    others: int = -1


class DeviceBatches:
    """The batches of all environments. Several processes may prepare at once: the first wins."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(self, environment: str) -> tuple[Batch, int] | None:
        """The newest batch and its journal index, -1 while it is not marked."""
        with self._database.read() as session:
            return _batch(session, "device.newest_batch", environment=environment)

    def newest_of(self, environment: str, deployment: int) -> Batch | None:
        """The newest batch that counts this rollout."""
        with self._database.read() as session:
            found = _batch(
                session,
                "device.newest_batch_of",
                environment=environment,
                deployment=deployment,
            )
        return found[0] if found else None

    def unsealed(self, environment: str, after: int, limit: int) -> list[Report]:
        """Reports after this number, oldest first."""
        with self._database.read() as session:
            rows = session.rows(
                "device.unsealed", environment=environment, after=after, limit=limit
            )
        return [Report(*(*row[:7], bytes(row[7]))) for row in rows]

    def others(self, environment: str, after: int, last: int) -> int:
        """How many reports of other environments have a number above `after`, up to `last`."""
        with self._database.read() as session:
            row = session.row("device.others", environment=environment, after=after, last=last)
        return int(row[0]) if row else 0

    def prepare(self, environment: str, after: int, batch: Batch) -> bool:
        """Fix the next batch unless somebody else did since `after`; True when it is fixed."""
        with self._database.write() as session:
            session.run("device.lock")
            found = _batch(session, "device.newest_batch", environment=environment)
            if (found[0].last_report if found else 0) != after:
                return False
            session.run(
                "device.insert_batch",
                environment=environment,
                first_report=batch.first_report,
                last_report=batch.last_report,
                deployment=batch.deployment,
                record=msgspec.json.encode(batch).decode(),
            )
        return True

    def mark(self, batch: Batch, journal_index: int) -> None:
        """Note that the batch is in the journal; a repeat changes nothing."""
        with self._database.write() as session:
            session.run(
                "device.mark_batch",
                environment=batch.environment,
                first_report=batch.first_report,
                journal_index=journal_index,
            )


def _batch(session: Session, name: str, **parameters: str | int) -> tuple[Batch, int] | None:
    row = session.row(name, **parameters)
    return (msgspec.json.decode(row[0], type=Batch), row[1]) if row else None
