"""Leases: a worker holds a name until a time, under a fence that only grows.

Durability: as the database's. Repeatability: acquiring again as the same worker gives a new fence,
so a restarted worker never shares one with its former self. Concurrency: of several that acquire
one gets it; others get None. Times are the caller's UTC milliseconds. Does not: stop a worker
whose lease ended; the fence does, at the target.
"""

from __future__ import annotations

from surefoot.store.database import Database


class Leases:
    """Lease rows in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(self, name: str, worker: str, now_ms: int, ttl_ms: int) -> int | None:
        """Take the lease when it is free, expired or already this worker's: its fence, or None."""
        with self._database.write() as session:
            row = session.row(
                "lease.acquire",
                name=name,
                worker=worker,
                now_ms=now_ms,
                expires_ms=now_ms + ttl_ms,
            )
        return None if row is None else int(row[0])

    def renew(self, name: str, worker: str, fence: int, now_ms: int, ttl_ms: int) -> bool:
        """Hold it longer. False when it has ended or gone to another: stop working."""
        with self._database.write() as session:
            changed = session.run(
                "lease.renew",
                name=name,
                worker=worker,
                fence=fence,
                now_ms=now_ms,
                expires_ms=now_ms + ttl_ms,
            )
        return changed == 1

    def release(self, name: str, worker: str, fence: int) -> bool:
        """Give it up. False when it was no longer held."""
        with self._database.write() as session:
            return session.run("lease.release", name=name, worker=worker, fence=fence) == 1

    def clear(self) -> None:
        """End all leases, fences stay: only for a process that alone may have the store open."""
        with self._database.write() as session:
            session.run("lease.clear")

    def holder(self, name: str, now_ms: int) -> str | None:
        """The worker that holds it now, or None."""
        with self._database.read() as session:
            row = session.row("lease.holder", name=name)
        return None if row is None or int(row[2]) <= now_ms else str(row[0])
