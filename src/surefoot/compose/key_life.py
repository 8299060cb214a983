"""The life of the log's keys: rotation with an overlap, and another epoch under another key.

Keeps: the new seed is on disk before anything names it; the journal says it, signed, before the
folder's list of keys does; each command may be repeated after a crash, and then ends what it began.
No key signs again after its epoch. Needs the server stopped: it takes the folder's lock.
Does not: decide who may. An epoch needs a root.json that the founders signed.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from surefoot.compose.folder import (
    Settings,
    checkpoint_path,
    load_settings,
    open_log,
    open_store,
    private_file,
)
from surefoot.compose.log_keys import (
    KeptKey,
    checkpoint_signer,
    keep_keys,
    kept_keys,
    origin_of,
    signer_of,
)
from surefoot.compose.rooting import draft_of, keep_root, looked_at, newest_root
from surefoot.compose.witnessing import read_policy
from surefoot.core import facts as f
from surefoot.core import trust_root
from surefoot.core.errors import Refused
from surefoot.core.fold import new_world
from surefoot.core.target import Plain
from surefoot.core.world import World
from surefoot.engine.clock import SystemClock
from surefoot.engine.effects import draft
from surefoot.journal.checkpoint import CheckpointSigner
from surefoot.journal.log import Log
from surefoot.journal.source import DatabaseSource
from surefoot.store.blobs import FileBlobs
from surefoot.store.database import Database
from surefoot.trust.cosignature import cosignatures
from surefoot.trust.entry import Actor, text_of_time
from surefoot.trust.note import SignerKey, parse_checkpoint, split_note
from surefoot.trust.root import BadRoot, Ended, Root, read_root

OPERATOR = Actor(type="machine", id="operator", auth="local")
_HOUR_MS = 3_600_000
_SEED_BYTES = 32


def rotate(folder: Path, overlap_hours: int) -> Plain:
    """Let a new key of the same origin sign, the old one beside it for some hours.

    Raises `Refused` while a server runs on the folder.
    """
    settings, clock = load_settings(folder), SystemClock()
    keys = kept_keys(folder, settings.installation)
    present = keys[-1]
    new = _next_key(folder, keys, present.verifier.name, "")
    log, database = open_log(folder, settings, alone=True)
    try:
        _sound(log)
        until_ms = clock.now_ms() + overlap_hours * _HOUR_MS
        text = trust_root.rotation_text(present.vkey, new.vkey)
        old_signer, new_signer = signer_of(folder, present), signer_of(folder, new)
        fact = f.LogKeyRotated(
            old=present.vkey,
            new=new.vkey,
            statement=old_signer.sign(text) + new_signer.line(text),
            overlap_until_ms=until_ms,
        )
        log.transact(
            lambda w: [] if w.log.key == new.vkey else [draft(fact)], OPERATOR, "rotate-key"
        )
        ended = msgspec.structs.replace(present, ended="rotated", until_ms=until_ms)
        keep_keys(folder, (*keys[:-1], ended, new))
    finally:
        database.close()
    _beat(folder, settings)
    return {"old": present.vkey, "new": new.vkey, "both_sign_until": text_of_time(until_ms)}


def draft_epoch(folder: Path, cause: Ended, trusted_up_to: int = 0) -> bytes:
    """The payload of a root that ends the log's key for this cause and names the next epoch's.

    A compromised key is trusted up to this size; 0 is the last that witnesses cosigned.

    Raises `Refused("journal.epoch.input")` for a size that no checkpoint was signed for.
    """
    settings = load_settings(folder)
    keys = kept_keys(folder, settings.installation)
    new = _next_key(folder, keys, _next_origin(settings, keys), "-epoch")
    with looked_at(folder) as log:
        ended = _ended(log, folder, keys[-1], cause, trusted_up_to)
        return draft_of(log, folder, (*keys[:-1], ended, new))


def open_epoch(folder: Path, cause: Ended, content: bytes) -> Plain:
    """Go on with the same tree under the next origin and key, as this root.json says.

    Raises `Refused("journal.epoch.input")` unless the founders signed it and it says the same.
    """
    settings = load_settings(folder)
    keys = kept_keys(folder, settings.installation)
    if open_already(keys, content):
        return _told(keys[-1], cause, "")
    ended, new = as_signed(folder, settings, cause, content)
    with epoch_log(folder, settings, (*keys[:-1], ended, new)) as (log, database):
        _sound(log)
        before = DatabaseSource(database).checkpoint() or ""
        opening = f.EpochOpened(
            epoch=epoch_of(new),
            key=new.vkey,
            cause=cause,
            before=before,
            root=FileBlobs(folder / "blobs").put(content),
        )
        write_opening(folder, log, opening, content)
    keep_keys(folder, (*keys[:-1], ended, new))
    return _told(new, cause, before)


def open_already(keys: Sequence[KeptKey], content: bytes) -> bool:
    """Whether this root has opened the present epoch before."""
    try:
        named = read_root(content).logs[-1].vkey
    except BadRoot:
        return False
    return epoch_of(keys[-1]) > 1 and named == keys[-1].vkey


def next_keys(folder: Path, settings: Settings, keys: Sequence[KeptKey]) -> tuple[KeptKey, KeptKey]:
    """The present key, ended now, and the one of the next epoch."""
    new = _next_key(folder, keys, _next_origin(settings, keys), "-epoch")
    return msgspec.structs.replace(keys[-1], ended="rotated", until_ms=new.from_ms), new


def as_signed(
    folder: Path, settings: Settings, cause: Ended, content: bytes
) -> tuple[KeptKey, KeptKey]:
    """The present key as the root ends it, and the next epoch's, once the root names both."""
    keys = kept_keys(folder, settings.installation)
    origin, seed = _next_origin(settings, keys), _seed_name(keys, "-epoch")
    if not (folder / "keys" / seed).exists():
        raise _refused("a root drafted with: surefoot journal new-epoch --draft FILE", "none yet")
    new = _next_key(folder, keys, origin, "-epoch")
    try:
        root = read_root(content)
    except BadRoot as error:
        raise _refused("a root.json signed by its threshold", str(error)) from None
    old, named = root.log(keys[-1].vkey), root.log(new.vkey)
    if old is None or old.ended != cause or named is None or named.ended:
        found = f"{old.ended or 'no end' if old else 'nothing'} and {_says(root, new)}"
        raise _refused(f"{keys[-1].vkey} {cause}, and {new.vkey} in its place", found)
    ended = msgspec.structs.replace(
        keys[-1],
        until_ms=old.until_ms,
        ended=cause,
        last_size=old.last_size,
        last_root=old.last_root,
    )
    return ended, msgspec.structs.replace(new, from_ms=named.from_ms)


@contextmanager
def epoch_log(
    folder: Path, settings: Settings, keys: Sequence[KeptKey], *, afresh: bool = False
) -> Iterator[tuple[Log[World], Database]]:
    """The journal under the next epoch's key, which the folder does not name yet.

    `afresh`: what the epoch before signed last is lost, and does not bind this one.
    """
    database, clock = open_store(folder, settings, alone=True), SystemClock()
    try:
        signer: CheckpointSigner = checkpoint_signer(
            folder, keys, checkpoint_path(folder, settings), clock.now_ms
        )
        signer.afresh = afresh
        log = Log(
            database,
            signer,
            new_world,
            clock.now_ms,
            free_bytes_min=settings.free_bytes_min,
            adopt=afresh or bool(settings.store),
        )
        yield log, database
    finally:
        database.close()


def write_opening(folder: Path, log: Log[World], opening: f.EpochOpened, content: bytes) -> None:
    """Write the epoch's first entry and publish its root; once, however often it is asked for."""

    def rule(world: World) -> list[f.Fact]:
        if world.log.key == opening.key:
            return []
        published = trust_root.publish(world, content, newest_root(folder, world), opening.key)
        return [opening, *published]

    log.read(rule)
    keep_root(folder, read_root(content).version, content)
    log.transact(
        lambda w: [draft(fact, (opening.root,)) for fact in rule(w)], OPERATOR, "new-epoch"
    )


def _ended(
    log: Log[World], folder: Path, key: KeptKey, cause: Ended, trusted_up_to: int
) -> KeptKey:
    now_ms = SystemClock().now_ms()
    ended = msgspec.structs.replace(key, ended=cause, until_ms=now_ms)
    if cause != "compromised":
        return ended
    size = trusted_up_to or _witnessed(log, folder)
    found = _size_of(log.checkpoint_at(size)) if size <= log.size() else -1
    if found != size:
        expected = f"a size up to {log.size()} that a checkpoint was signed for"
        raise _refused(expected, f"{size}; the one before it is {found}")
    root = log.prove(lambda chain: chain.tree.root(size))
    return msgspec.structs.replace(ended, last_size=size, last_root=root.hex())


def _witnessed(log: Log[World], folder: Path) -> int:
    """The size of the newest checkpoint that a quorum of the folder's witnesses cosigned."""
    policy = read_policy(folder)
    keys = [witness.key for witness in policy.witnesses.values()]
    size = log.size() if keys else 0
    while size > 0:
        note = log.checkpoint_at(size)
        size = _size_of(note)
        signed = {c.key for c in cosignatures(log.cosigned(size), keys)} if note else set()
        if signed and policy.satisfied(signed):
            return size
        size -= 1
    raise _refused("--trusted-up-to SIZE, or a checkpoint that witnesses cosigned", "neither")


def _size_of(note: str) -> int:
    """The size in a stored checkpoint, 0 for none."""
    return parse_checkpoint(split_note(note)[0]).size if note else 0


def _sound(log: Log[World]) -> None:
    if log.alarm is not None:
        raise log.alarm


def _beat(folder: Path, settings: Settings) -> None:
    """Sign once with what the folder now says, so that the first checkpoint with both is out."""
    log, database = open_log(folder, settings, alone=True)
    try:
        log.heartbeat()
    finally:
        database.close()


def _next_key(folder: Path, keys: Sequence[KeptKey], origin: str, kind: str) -> KeptKey:
    """A new key; the one that a crash left unused, when there is one."""
    name = _seed_name(keys, kind)
    place = folder / "keys" / name
    if not place.exists():
        private_file(place, randomness.token_bytes(_SEED_BYTES))
    key = SignerKey(origin, place.read_bytes())
    return KeptKey(seed=name, vkey=key.verifier.text(), from_ms=SystemClock().now_ms())


def _seed_name(keys: Sequence[KeptKey], kind: str) -> str:
    return f"log-{len(keys) + 1}{kind}"


def _next_origin(settings: Settings, keys: Sequence[KeptKey]) -> str:
    return origin_of(settings.installation, epoch_of(keys[-1]) + 1)


def epoch_of(key: KeptKey) -> int:
    """The number of a key's epoch."""
    number = key.verifier.name.partition("@")[2]
    return int(number) if number else 1


def _says(root: Root, key: KeptKey) -> str:
    return "the new key" if root.log(key.vkey) else "no new key"


def _told(new: KeptKey, cause: str, before: str) -> Plain:
    return {"origin": new.verifier.name, "log_key": new.vkey, "cause": cause, "before": before}


def _refused(expected: str, found: str) -> Refused:
    return Refused(
        "journal.epoch.input",
        "the log's next epoch",
        expected=expected,
        found=found[:300],
        remedy="draft its root anew: surefoot journal new-epoch --draft FILE, and have it signed",
    )
