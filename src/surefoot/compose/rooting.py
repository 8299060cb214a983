"""Drafts of root.json from a data folder, and where accepted ones are kept.

Keeps: a draft says what the folder and its journal say, and nothing counts before the founders
signed it; what an earlier root said of keys that ended is carried on. Does not: sign.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from surefoot.compose.folder import checkpoint_path, load_settings, open_store, seed
from surefoot.compose.log_keys import KeptKey, kept_keys, reader_of
from surefoot.compose.witnessing import anchor_signer, read_policy
from surefoot.core.errors import Refused
from surefoot.core.fold import new_world
from surefoot.core.trust_root import FOUNDERS_MIN
from surefoot.core.world import World
from surefoot.engine.clock import SystemClock
from surefoot.journal.log import Log
from surefoot.store.blobs import FileBlobs
from surefoot.store.durable import write_durably
from surefoot.trust.digest import Digest
from surefoot.trust.keys import private_key
from surefoot.trust.quorum import TrustPolicy
from surefoot.trust.root import (
    BadRoot,
    CosignerEntry,
    KeyEntry,
    LogKey,
    Root,
    payload_of,
    read_root,
)


def keep_root(folder: Path, version: int, content: bytes) -> None:
    """Keep an accepted root as `root/N.json`, durably."""
    write_durably(folder / "root" / f"{version}.json", content, 0o644)


def newest_root(folder: Path, world: World) -> bytes | None:
    """The newest root.json that the journal names, as it was signed; None before the first."""
    digest = world.root.digest
    return FileBlobs(folder / "blobs").get(Digest(digest)) if digest else None


@contextmanager
def looked_at(folder: Path, although: Sequence[str] = ()) -> Iterator[Log[World]]:
    """The journal of a data folder, for questions; beside a running server too.

    Raises its alarm, unless it is one of the codes in `although`.
    """
    settings = load_settings(folder)
    database = open_store(folder, settings, read_only=True)
    try:
        keys = kept_keys(folder, settings.installation)
        reader = reader_of(keys, checkpoint_path(folder, settings))
        log = Log(database, reader, new_world, SystemClock().now_ms, adopt=bool(settings.store))
        if log.alarm is not None and log.alarm.code not in although:
            raise log.alarm
        yield log
    finally:
        database.close()


def draft(folder: Path, auditors: Sequence[str] = ()) -> bytes:
    """The payload of the next root: what the folder has now. Auditors are `NAME=VKEY`.

    Raises `Refused("root.draft.input")` for what no root may say.
    """
    settings = load_settings(folder)
    with looked_at(folder) as log:
        return draft_of(log, folder, kept_keys(folder, settings.installation), auditors)


def draft_of(
    log: Log[World], folder: Path, keys: Sequence[KeptKey], auditors: Sequence[str] = ()
) -> bytes:
    """The payload of the next root, with these keys of the log."""
    content, name = log.read(lambda w: (newest_root(folder, w), w.people.installation))
    policy = read_policy(folder)
    before = read_root(content) if content else None
    first_ms = log.entries(0, 1)[0].time_ms
    signers = log.read(_founders)
    builder = private_key(seed(folder, "builder")).public.line()
    try:
        return payload_of(
            Root(
                version=before.version + 1 if before else 1,
                installation=name,
                threshold=min(FOUNDERS_MIN, len(signers)),
                signers=signers,
                logs=_anchored(_logs(keys, before, first_ms), before, folder),
                witnesses=_witnesses(before, policy, log, first_ms),
                quorum=_quorum(policy),
                auditors=_auditors(before, auditors),
                release_keys=_release_keys(before, builder, first_ms),
            )
        )
    except BadRoot as error:
        raise _refused(folder, str(error)) from None


def _founders(world: World) -> dict[str, str]:
    """Each founder's newest key that counts."""
    founders = (p for p in world.people.people.values() if p.founder and p.keys)
    return {p.id: list(p.keys.values())[-1] for p in founders}


def _logs(keys: Sequence[KeptKey], before: Root | None, first_ms: int) -> tuple[LogKey, ...]:
    found = []
    for key in keys:
        known = before.log(key.vkey) if before else None
        found.append(
            LogKey(
                vkey=key.vkey,
                from_ms=known.from_ms if known else key.from_ms or first_ms,
                until_ms=key.until_ms,
                anchor=known.anchor if known else "",
                ended=key.ended,
                last_size=key.last_size,
                last_root=key.last_root,
            )
        )
    return tuple(found)


def _anchored(logs: tuple[LogKey, ...], before: Root | None, folder: Path) -> tuple[LogKey, ...]:
    """The anchor key stands beside the first log key of its name; each epoch has another name.

    What an earlier root said of a key that ended stays as it was.
    """
    found: list[LogKey] = []
    for log in logs:
        signer = anchor_signer(folder, log.origin)
        settled = before is not None and before.log(log.vkey) is not None and log.ended
        listed = [known.anchor for known in (*logs, *found)]
        if signer is not None and not settled and signer.key.text() not in listed:
            log = msgspec.structs.replace(log, anchor=signer.key.text())
        found.append(log)
    return tuple(found)


def _witnesses(
    before: Root | None, policy: TrustPolicy, log: Log[World], first_ms: int
) -> tuple[CosignerEntry, ...]:
    """Those of the policy, from their first kept cosignature on, so that proofs over the trees that
    they signed before anybody named them hold; or else from when the root before named them."""
    now_ms = SystemClock().now_ms()
    known = {entry.vkey: entry.from_ms for entry in (before.witnesses if before else ())}
    found = []
    for name, witness in policy.witnesses.items():
        vkey = witness.key.text()
        begun_ms = known.get(vkey, now_ms if before else first_ms)
        first_s = log.first_cosigned_s(vkey)
        if first_s is not None:
            begun_ms = min(begun_ms, first_s * 1000)
        found.append(CosignerEntry(name=name, vkey=vkey, url=witness.url, from_ms=begun_ms))
    return tuple(found)


def _quorum(policy: TrustPolicy) -> str:
    """The lines of the policy that are over names; "" when nothing is asked for."""
    lines = [t for t in policy.text().splitlines() if t.startswith(("group ", "quorum "))]
    return "" if lines == ["quorum none"] else "".join(f"{line}\n" for line in lines)


def _auditors(before: Root | None, named: Sequence[str]) -> tuple[CosignerEntry, ...]:
    """Those of the root before, and those named now; a name that is there already is replaced."""
    found = {entry.name: entry for entry in (before.auditors if before else ())}
    now_ms = SystemClock().now_ms()
    for text in named:
        name, _, vkey = text.partition("=")
        found[name] = CosignerEntry(name=name, vkey=vkey.strip(), from_ms=now_ms)
    return tuple(found.values())


def _release_keys(before: Root | None, builder: str, first_ms: int) -> tuple[KeyEntry, ...]:
    """The builder's key; one that was there before and is no more ended now."""
    now_ms = SystemClock().now_ms()
    known = before.release_keys if before else ()
    ended = tuple(
        entry if entry.until_ms or entry.key == builder else _ended(entry, now_ms)
        for entry in known
    )
    if any(entry.key == builder for entry in known):
        return ended
    return (*ended, KeyEntry(key=builder, from_ms=now_ms if known else first_ms))


def _refused(place: Path, found: str) -> Refused:
    return Refused(
        "root.draft.input",
        f"draft of a root from {place}",
        expected="keys and a quorum that a root may name",
        found=found[:300],
        remedy="correct what it is made from, then draft again",
    )


def _ended(entry: KeyEntry, now_ms: int) -> KeyEntry:
    return msgspec.structs.replace(entry, until_ms=max(now_ms, entry.from_ms))
