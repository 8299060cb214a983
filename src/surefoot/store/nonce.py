"""Nonces of signed commands: each is taken once, by whichever process asks first.

Durability: a nonce that was taken stays taken after a crash, so that no command can be repeated.
Concurrency: of several that take the same one, one gets it. Does not: read a clock.
"""

from __future__ import annotations

from surefoot.store.database import Database


class NonceRows:
    """Nonce rows in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, nonce: str, time_ms: int, forget_before_ms: int) -> bool:
        """Take it; False when it was taken before. Those older than the last argument are gone."""
        with self._database.write() as session:
            session.run("nonce.forget", before_ms=forget_before_ms)
            return session.run("nonce.take", nonce=nonce, time_ms=time_ms) == 1
