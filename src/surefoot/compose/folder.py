"""A data folder: settings, keys, journal and database, made once and opened again."""

from __future__ import annotations

import json
import secrets as randomness
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec

from surefoot.app.people import commitment
from surefoot.compose.log_keys import (
    FIRST_SEED,
    KeptKey,
    checkpoint_signer,
    keep_keys,
    kept_keys,
    keys_text,
)
from surefoot.compose.witnessing import ANCHOR_SEED, keep_policy, read_policy, witnessed
from surefoot.core import facts as f
from surefoot.core import policy
from surefoot.core.errors import Refused
from surefoot.core.fold import new_world
from surefoot.core.target import Plain
from surefoot.core.world import World
from surefoot.core.world_form import world_bytes, world_of
from surefoot.engine.clock import SystemClock
from surefoot.engine.effects import draft
from surefoot.journal.log import Log
from surefoot.journal.snapshot import SnapshotFile, code_version
from surefoot.store.database import Database
from surefoot.store.durable import write_durably
from surefoot.store.sqlite import SqliteDatabase
from surefoot.trust.entry import Actor
from surefoot.trust.keys import parse_public_line
from surefoot.trust.note import VerifierKey


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What an installation was made with; an empty `store` is SQLite, else PostgreSQL."""

    installation: str
    product: str
    repository: str
    store: str = ""
    checkpoint: str = ""
    poll_seconds: int = 300
    heartbeat_seconds: int = 300
    lease_seconds: Annotated[int, msgspec.Meta(ge=1, le=600)] = 30
    free_bytes_min: int = 64 * 1024 * 1024
    anchors: bool = False
    device_accel: str = ""
    device_certificate: str = ""
    device_key: str = ""
    device_proxies: tuple[str, ...] = ()
    device_proxy_secret: str = ""
    device_proxy_issuers: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1


class FounderKey(msgspec.Struct, frozen=True, kw_only=True):
    """A founder as given to `init`: name, public key line, commit addresses."""

    person: str
    key: str
    identities: tuple[str, ...] = ()


def private_file(path: Path, content: bytes) -> None:
    """Write a file that its owner alone can read, durably: what is encrypted to a key that a power
    cut took with it could never be read again."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_durably(path, content)


def initialise(
    folder: Path,
    settings: Settings,
    founders: tuple[FounderKey, ...],
    witness_policy: bytes | None = None,
) -> Plain:
    """Make an installation: keys, journal, two founders. Raises `Refused` when one is there."""
    if (folder / "settings.json").exists():
        raise Refused(
            "installation.exists",
            str(folder),
            expected="an empty folder",
            found="an installation",
            remedy="choose another folder",
        )
    policy.check_name(settings.installation, "installation")
    policy.check_name(settings.product, "product")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if witness_policy is not None:
        keep_policy(folder, witness_policy)
    salt = _make_keys(folder, settings)
    facts = tuple(
        f.Founder(
            person=founder.person,
            key=parse_public_line(founder.key)[0].line(),
            identities=tuple(commitment(salt, i) for i in founder.identities),
        )
        for founder in founders
    )
    log, database = open_log(folder, settings)
    try:
        log.transact(
            lambda w: [
                draft(fact)
                for fact in policy.create_installation(
                    w, settings.installation, settings.product, facts
                )
            ],
            Actor(type="machine", id="init", auth="local"),
            "init",
        )
    finally:
        database.close()
    private_file(folder / "settings.json", json.dumps(msgspec.to_builtins(settings)).encode())
    return {"folder": str(folder), "log_key": log_key(folder, settings)}


def _make_keys(folder: Path, settings: Settings) -> bytes:
    """Every secret of a new installation; the salt that blinds commit addresses."""
    names = ["log", "builder", "installation", *([ANCHOR_SEED] if settings.anchors else [])]
    for name in names:
        private_file(folder / "keys" / name, randomness.token_bytes(32))
    salt = randomness.token_bytes(32)
    private_file(folder / "keys" / "identity-salt", salt)
    vkey = log_key(folder, settings)
    keep_keys(folder, [KeptKey(seed=FIRST_SEED, vkey=vkey, from_ms=SystemClock().now_ms())])
    return salt


def load_settings(folder: Path) -> Settings:
    """The settings of a data folder. Raises `Refused("installation.missing")`."""
    try:
        return msgspec.json.decode((folder / "settings.json").read_bytes(), type=Settings)
    except (OSError, msgspec.DecodeError) as error:
        raise Refused(
            "installation.missing",
            str(folder),
            expected="a data folder made by surefoot init",
            found=getattr(error, "strerror", None) or "a settings.json that cannot be read",
            remedy="make one: surefoot init",
        ) from None


def seed(folder: Path, name: str) -> bytes:
    """A key's secret bytes."""
    return (folder / "keys" / name).read_bytes()


def log_key(folder: Path, settings: Settings) -> str:
    """The journal's present public key as C2SP text: what a stranger pins."""
    return kept_keys(folder, settings.installation)[-1].vkey


def log_keys(folder: Path, settings: Settings) -> str:
    """All public keys the journal ever had, one a line, the present one first."""
    return keys_text(kept_keys(folder, settings.installation))


def claim_keys(folder: Path, settings: Settings) -> tuple[VerifierKey, ...]:
    """The log's keys whose claims are acted on: a wave goes on after a rotation, but nothing is
    done for a key in wrong hands, which can sign any claim of any time."""
    keys = kept_keys(folder, settings.installation)
    return tuple(key.verifier for key in reversed(keys) if key.ended != "compromised")


def checkpoint_path(folder: Path, settings: Settings) -> Path:
    """Where the last checkpoint is kept, outside the database."""
    return Path(settings.checkpoint) if settings.checkpoint else folder / "checkpoint" / "last"


def snapshot_path(folder: Path) -> Path:
    """Where the snapshot is kept, beside the database; may be deleted at any time."""
    return folder / "store" / "snapshot"


def open_store(
    folder: Path, settings: Settings, *, read_only: bool = False, alone: bool = False
) -> Database:
    """The database of a data folder; read-only takes no lock and creates nothing.

    `alone`: no other server may have it open. On SQLite no two ever do.
    """
    if settings.store:
        from surefoot.store.postgres import PostgresDatabase  # noqa: PLC0415 -- optional extra

        return PostgresDatabase(settings.store, read_only=read_only, alone=alone)
    return SqliteDatabase(folder / "store", read_only=read_only)


def open_log(
    folder: Path,
    settings: Settings,
    fault: Callable[[str], None] = lambda place: None,
    *,
    alone: bool = False,
) -> tuple[Log[World], Database]:
    """The journal of a data folder, and its database; `alone` as in `open_store`."""
    database = open_store(folder, settings, alone=alone)
    path = checkpoint_path(folder, settings)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    clock = SystemClock()
    keys = kept_keys(folder, settings.installation)
    try:
        signer = checkpoint_signer(folder, keys, path, clock.now_ms)
        signer.witnessed = witnessed(read_policy(folder), signer.verifier.name)
    except BaseException:
        database.close()
        raise
    log = Log(
        database,
        signer,
        new_world,
        clock.now_ms,
        free_bytes_min=settings.free_bytes_min,
        adopt=bool(settings.store),
        fault=fault,
        snapshot=SnapshotFile(
            snapshot_path(folder),
            seed(folder, "installation"),
            code_version("surefoot.core", "surefoot.trust"),
            world_bytes,
            world_of,
        ),
    )
    return log, database
