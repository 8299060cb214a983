"""Rows of ciphertext: wrapped data keys and encrypted values.

Durability: as the database's. Repeatability: a row that exists is never overwritten; `add_*`
answers False instead. Concurrency: of several that add the same row one wins; `rewrap` is all or
nothing and False when a key was rewrapped meanwhile. Limits: the provider's.
Does not: encrypt, decrypt, or hold anything that is not ciphertext or keyed.
"""

from __future__ import annotations

import msgspec

from surefoot.store.database import Database


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A data key of an environment, wrapped to `recipients` (JSON text); `seal` is a keyed MAC."""

    environment: str
    epoch: int
    wrapped: bytes
    recipients: str
    seal: bytes
    created_at_ms: int


class ValueRow(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one secret, encrypted with the data key of `epoch`; `seal` is a keyed MAC."""

    environment: str
    name: str
    version: int
    epoch: int
    ciphertext: bytes
    fingerprint: str
    seal: bytes
    created_at_ms: int


class _Moved(Exception):
    """A key changed between look and write; the transaction is undone."""


class SecretRows:
    """The rows in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_key(self, row: KeyRow) -> bool:
        """Add; False when the environment has this epoch already."""
        with self._database.write() as session:
            return session.run("secret.add_key", **msgspec.structs.asdict(row)) == 1

    def keys(self, environment: str) -> tuple[KeyRow, ...]:
        """All data keys of the environment, oldest first."""
        with self._database.read() as session:
            rows = session.rows("secret.keys", environment=environment)
        return tuple(
            KeyRow(
                environment=r[0],
                epoch=r[1],
                wrapped=bytes(r[2]),
                recipients=r[3],
                seal=bytes(r[4]),
                created_at_ms=r[5],
            )
            for r in rows
        )

    def rewrap(self, changes: tuple[tuple[KeyRow, KeyRow], ...], added: KeyRow | None) -> bool:
        """Replace (old, new) key rows and add one, together; False, changing nothing, if moved."""
        try:
            with self._database.write() as session:
                for old, new in changes:
                    changed = session.run(
                        "secret.rewrap_key",
                        environment=new.environment,
                        epoch=new.epoch,
                        wrapped=new.wrapped,
                        recipients=new.recipients,
                        seal=new.seal,
                        old_seal=old.seal,
                    )
                    if changed != 1:
                        raise _Moved
                if added and session.run("secret.add_key", **msgspec.structs.asdict(added)) != 1:
                    raise _Moved
        except _Moved:
            return False
        return True

    def add_value(self, row: ValueRow) -> bool:
        """Add; False when this version exists already."""
        with self._database.write() as session:
            return session.run("secret.add_value", **msgspec.structs.asdict(row)) == 1

    def value(self, environment: str, name: str, version: int) -> ValueRow | None:
        """One version, or None."""
        with self._database.read() as session:
            row = session.row("secret.value", environment=environment, name=name, version=version)
        return None if row is None else _value_row(row)

    def values(self, environment: str) -> tuple[ValueRow, ...]:
        """Every version of every secret of the environment, by name and version."""
        with self._database.read() as session:
            rows = session.rows("secret.values", environment=environment)
        return tuple(_value_row(r) for r in rows)

    def environments(self) -> tuple[str, ...]:
        """Environments that have a data key, sorted."""
        with self._database.read() as session:
            return tuple(r[0] for r in session.rows("secret.environments"))


def _value_row(r: tuple[object, ...]) -> ValueRow:
    return msgspec.convert(
        {
            "environment": r[0],
            "name": r[1],
            "version": r[2],
            "epoch": r[3],
            "ciphertext": bytes(r[4]),  # type: ignore[call-overload]
            "fingerprint": r[5],
            "seal": bytes(r[6]),  # type: ignore[call-overload]
            "created_at_ms": r[7],
        },
        ValueRow,
    )
