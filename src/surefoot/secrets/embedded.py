"""The embedded secrets provider: encrypted rows beside the journal, no server needed.

Rules: a value is encrypted with AES-256-GCM and bound to installation, environment, name, version
and epoch, so a row moved elsewhere does not open. The data key is wrapped to age recipients: the
environment's runner and a small named group; whoever only sets secrets cannot read them. Rows
carry a MAC under a key that is not in the database, so rows cannot be planted. A read is announced
before it happens: when it cannot be recorded, it does not happen.
Durability: `set` returns after the row is durable. Repeatability: setting twice makes two
versions. Concurrency: racing writers get distinct versions.
Does not: write facts (the caller does, from metadata and `on_read`), or make keys.
Source: age-encryption.org/v1; NIST SP 800-38D, section 8.2.2 (random nonces).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import pyrage
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from surefoot.core.errors import Corrupt, Failed, Refused
from surefoot.secrets.recipient import Recipient, checked, names
from surefoot.secrets.text import SecretText
from surefoot.store.secret import KeyRow, ValueRow
from surefoot.trust import canonical

_ATTEMPTS_MAX = 20
_NONCE_BYTES = 12
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,60}")


class SecretMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What may be told about a version. Equal values have equal fingerprints."""

    environment: str
    name: str
    version: int
    created_at_ms: int
    fingerprint: str


class SecretStore(Protocol):
    """Where rows are kept; `store.secret.SecretRows` states the contract."""

    def add_key(self, row: KeyRow) -> bool:
        """Add; False when the environment has this epoch already."""

    def keys(self, environment: str) -> tuple[KeyRow, ...]:
        """All data keys of the environment, oldest first."""

    def rewrap(self, changes: tuple[tuple[KeyRow, KeyRow], ...], added: KeyRow | None) -> bool:
        """Replace and add together; False, changing nothing, when a key was changed meanwhile."""

    def add_value(self, row: ValueRow) -> bool:
        """Add; False when this version exists already."""

    def value(self, environment: str, name: str, version: int) -> ValueRow | None:
        """One version, or None."""

    def values(self, environment: str) -> tuple[ValueRow, ...]:
        """Every version of every secret of the environment, by name and version."""

    def environments(self) -> tuple[str, ...]:
        """Environments that have a data key."""


def _none(_environment: str) -> SecretText | None:
    """No environment's runner is here."""
    return None


def _ignore(_environment: str, _name: str, _version: int) -> None:
    """Reads are announced to nobody: for tests and offline recovery only."""


class EmbeddedSecrets:
    """See the module. `find_identity` gives the age identity of an environment's runner, when it is
    here; a process without it can set and list, but not open."""

    def __init__(
        self,
        store: SecretStore,
        *,
        installation: str,
        installation_key: SecretText,
        now_ms: Callable[[], int],
        token: Callable[[int], bytes],
        find_identity: Callable[[str], SecretText | None] = _none,
        on_read: Callable[[str, str, int], None] = _ignore,
    ) -> None:
        self._store = store
        self._installation = installation
        self._seal_key = _derived(installation_key, b"seal")
        self._fingerprint_key = _derived(installation_key, b"fingerprint")
        self._now_ms = now_ms
        self._token = token
        self._find_identity = find_identity
        self._on_read = on_read

    # --- keys

    def prepare(self, environment: str, recipients: Sequence[Recipient]) -> None:
        """Give the environment its first data key. Doing so again changes nothing.

        Raises `Refused` for bad recipients, or when other recipients are in force.
        """
        wanted = checked(recipients)
        keys = self._keys(environment)
        if not keys:
            self._store.add_key(self._key_row(environment, 1, self._token(32), wanted))
            keys = self._keys(environment)
        if _recipients_of(keys[-1]) != wanted:
            raise Refused(
                "secret.recipients.moved",
                f"environment {environment}",
                expected=names(wanted),
                found=names(_recipients_of(keys[-1])),
                remedy="rotate the recipients instead",
            )

    def recipients(self, environment: str) -> tuple[Recipient, ...]:
        """Who can open the environment's secrets now."""
        return _recipients_of(self._newest_key(environment))

    def rotate_recipients(self, environment: str, recipients: Sequence[Recipient]) -> int:
        """Wrap every data key to these recipients and begin a new one; the number of keys wrapped.

        Values are not encrypted again: who is removed may have kept a data key, so set new values
        too. Raises `Refused` without the runner's identity, or when another rotation won.
        """
        wanted = checked(recipients)
        keys = self._keys(environment)
        changes = tuple(
            (key, self._key_row(environment, key.epoch, self._unwrap(key), wanted, key))
            for key in keys
        )
        newest = self._newest_key(environment).epoch
        added = self._key_row(environment, newest + 1, self._token(32), wanted)
        if not self._store.rewrap(changes, added):
            raise Refused(
                "secret.recipients.moved",
                f"environment {environment}",
                expected="the keys that were read",
                found="keys changed meanwhile",
                remedy="look again and repeat",
            )
        return len(changes) + 1

    # --- values

    def set(self, environment: str, name: str, value: SecretText) -> int:
        """Store a new version; its number, counted from 1. Raises `Refused` for a bad name."""
        if not _NAME.fullmatch(name):
            raise Refused(
                "secret.name.input", "secret", expected="a name like session_key", found="another"
            )
        for _ in range(_ATTEMPTS_MAX):
            epoch, data_key = self._data_key(environment)
            versions = [m.version for m in self.list(environment) if m.name == name]
            row = self._value_row(
                environment, name, max(versions, default=0) + 1, epoch, data_key, value
            )
            if self._store.add_value(row):
                return row.version
        raise Failed(
            "secret.set.busy",
            f"secret {environment}/{name}",
            expected="a free version",
            found=f"{_ATTEMPTS_MAX} lost races",
            remedy="try again",
        )

    def list(self, environment: str) -> tuple[SecretMetadata, ...]:
        """Every version of every secret of the environment, without values."""
        return tuple(_metadata(row) for row in self._store.values(environment))

    def newest(self, environment: str) -> dict[str, SecretMetadata]:
        """The newest version of each secret, by name."""
        return {entry.name: entry for entry in self.list(environment)}

    def shared(self) -> tuple[tuple[SecretMetadata, ...], ...]:
        """Groups of newest versions with one value in several environments: each is a finding."""
        groups: dict[str, list[SecretMetadata]] = {}
        for environment in self._store.environments():
            for entry in self.newest(environment).values():
                groups.setdefault(entry.fingerprint, []).append(entry)
        return tuple(
            tuple(group)
            for group in groups.values()
            if len({entry.environment for entry in group}) > 1
        )

    def open(self, environment: str, name: str, version: int) -> bytes:
        """The value, after `on_read` was told. Implements `core.target.Opener`.

        Raises `Refused` when unknown or this runner is no recipient, `Corrupt` when the row is
        not what was stored.
        """
        subject = f"secret {environment}/{name} version {version}"
        row = self._store.value(environment, name, version)
        if row is None:
            raise Refused(
                "secret.version.unknown", subject, expected="a stored version", found="none"
            )
        self._identity(environment)
        self._on_read(environment, name, version)
        if not hmac.compare_digest(row.seal, self._seal(_value_parts(row))):
            raise _corrupt(subject, "a row sealed by this installation", "another seal")
        key = next((k for k in self._keys(environment) if k.epoch == row.epoch), None)
        if key is None:
            raise _corrupt(subject, f"data key {row.epoch}", "no such key")
        nonce, rest = row.ciphertext[:_NONCE_BYTES], row.ciphertext[_NONCE_BYTES:]
        context = self._context(environment, name, version, row.epoch)
        try:
            return AESGCM(self._unwrap(key)).decrypt(nonce, rest, context)
        except (InvalidTag, ValueError):
            raise _corrupt(subject, "a ciphertext of this context", "another") from None

    # --- inside

    def _data_key(self, environment: str) -> tuple[int, bytes]:
        """The newest data key; without the identity a new one, so that setting needs no reading."""
        newest = self._newest_key(environment)
        if self._find_identity(environment) is not None:
            return newest.epoch, self._unwrap(newest)
        data_key = self._token(32)
        recipients = _recipients_of(newest)
        for epoch in range(newest.epoch + 1, newest.epoch + 1 + _ATTEMPTS_MAX):
            if self._store.add_key(self._key_row(environment, epoch, data_key, recipients)):
                return epoch, data_key
        raise Failed(
            "secret.set.busy",
            f"environment {environment}",
            expected="a free epoch",
            found=f"{_ATTEMPTS_MAX} lost races",
            remedy="try again",
        )

    def _keys(self, environment: str) -> tuple[KeyRow, ...]:
        keys = self._store.keys(environment)
        for key in keys:
            if not hmac.compare_digest(key.seal, self._seal(_key_parts(key))):
                subject = f"data key {environment}/{key.epoch}"
                raise _corrupt(subject, "a row sealed by this installation", "another seal")
        return keys

    def _newest_key(self, environment: str) -> KeyRow:
        keys = self._keys(environment)
        if not keys:
            raise Refused(
                "secret.environment.unknown",
                f"environment {environment}",
                expected="a data key",
                found="none",
                remedy="prepare the environment's recipients first",
            )
        return keys[-1]

    def _identity(self, environment: str) -> SecretText:
        identity = self._find_identity(environment)
        if identity is None:
            raise Refused(
                "secret.read.refused",
                f"environment {environment}",
                expected="this environment's runner",
                found="a process without its identity",
                remedy="read where the deployment runs",
            )
        return identity

    def _unwrap(self, key: KeyRow) -> bytes:
        held = self._identity(key.environment).reveal().decode()
        try:
            return bytes(pyrage.decrypt(key.wrapped, [pyrage.x25519.Identity.from_str(held)]))
        except (pyrage.DecryptError, pyrage.IdentityError):
            raise Refused(
                "secret.read.refused",
                f"data key {key.environment}/{key.epoch}",
                expected=f"one of {names(_recipients_of(key))}",
                found="an identity that is no recipient",
                remedy="ask a recipient to rotate the recipients",
            ) from None

    def _key_row(
        self,
        environment: str,
        epoch: int,
        data_key: bytes,
        recipients: tuple[Recipient, ...],
        old: KeyRow | None = None,
    ) -> KeyRow:
        public = [pyrage.x25519.Recipient.from_str(r.key) for r in recipients]
        unsealed = KeyRow(
            environment=environment,
            epoch=epoch,
            wrapped=bytes(pyrage.encrypt(data_key, public)),
            recipients=msgspec.json.encode(recipients).decode(),
            seal=b"",
            created_at_ms=old.created_at_ms if old else self._now_ms(),
        )
        return msgspec.structs.replace(unsealed, seal=self._seal(_key_parts(unsealed)))

    def _value_row(
        self,
        environment: str,
        name: str,
        version: int,
        epoch: int,
        data_key: bytes,
        value: SecretText,
    ) -> ValueRow:
        nonce = self._token(_NONCE_BYTES)
        context = self._context(environment, name, version, epoch)
        unsealed = ValueRow(
            environment=environment,
            name=name,
            version=version,
            epoch=epoch,
            ciphertext=nonce + AESGCM(data_key).encrypt(nonce, value.reveal(), context),
            fingerprint=hmac.new(self._fingerprint_key, value.reveal(), "sha256").hexdigest(),
            seal=b"",
            created_at_ms=self._now_ms(),
        )
        return msgspec.structs.replace(unsealed, seal=self._seal(_value_parts(unsealed)))

    def _context(self, environment: str, name: str, version: int, epoch: int) -> bytes:
        return canonical.encode(
            {
                "installation": self._installation,
                "environment": environment,
                "name": name,
                "version": version,
                "epoch": epoch,
            }
        )

    def _seal(self, parts: dict[str, str | int]) -> bytes:
        content = canonical.encode({**parts, "installation": self._installation})
        return hmac.digest(self._seal_key, content, "sha256")


def _derived(key: SecretText, label: bytes) -> bytes:
    return hmac.digest(key.reveal(), b"surefoot secrets " + label, "sha256")


def _key_parts(row: KeyRow) -> dict[str, str | int]:
    return {
        "table": "keys",
        "environment": row.environment,
        "epoch": row.epoch,
        "wrapped": hashlib.sha256(row.wrapped).hexdigest(),
        "recipients": row.recipients,
        "created_at_ms": row.created_at_ms,
    }


def _value_parts(row: ValueRow) -> dict[str, str | int]:
    return {
        "table": "values",
        "environment": row.environment,
        "name": row.name,
        "version": row.version,
        "epoch": row.epoch,
        "ciphertext": hashlib.sha256(row.ciphertext).hexdigest(),
        "fingerprint": row.fingerprint,
        "created_at_ms": row.created_at_ms,
    }


def _metadata(row: ValueRow) -> SecretMetadata:
    return SecretMetadata(
        environment=row.environment,
        name=row.name,
        version=row.version,
        created_at_ms=row.created_at_ms,
        fingerprint=row.fingerprint,
    )


def _corrupt(subject: str, expected: str, found: str) -> Corrupt:
    return Corrupt(
        "secret.row.differs",
        subject,
        expected=expected,
        found=found,
        remedy="restore the row from a backup; look who can write to the database",
    )


def _recipients_of(key: KeyRow) -> tuple[Recipient, ...]:
    return msgspec.json.decode(key.recipients, type=tuple[Recipient, ...])
