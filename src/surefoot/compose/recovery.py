"""After a restored backup: put back what a mirror has, or go on without it, for all to see.

Keeps: nothing is signed before the tree holds all that was signed, or a root.json signed by the
founders names another epoch and its first entry says what is lost. Repeated after a crash, both end
what they began. Needs the server stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from surefoot.compose.folder import Settings, checkpoint_path, load_settings, open_log, open_store
from surefoot.compose.key_life import (
    as_signed,
    epoch_log,
    epoch_of,
    next_keys,
    open_already,
    write_opening,
)
from surefoot.compose.log_keys import KeptKey, keep_keys, kept_keys, reader_of
from surefoot.compose.rooting import draft_of, looked_at
from surefoot.core import facts as f
from surefoot.core.errors import Refused
from surefoot.core.fold import new_world
from surefoot.core.target import Plain
from surefoot.journal.recover import recover
from surefoot.store.blobs import FileBlobs
from surefoot.store.durable import write_durably
from surefoot.trust.note import Checkpoint

_CAUSE = "discontinuity"
_LATE = ("journal.tail.missing",)


def from_mirror(folder: Path, mirror: Path) -> Plain:
    """Put back the missing leaves out of an export, and sign on.

    Raises `Refused("journal.mirror.missing")`, `Corrupt("journal.mirror.differs")`; then nothing
    was changed.
    """
    settings = load_settings(folder)
    keys = kept_keys(folder, settings.installation)
    believed = [key.verifier for key in reversed(keys) if key.ended != "compromised"]
    database = open_store(folder, settings, alone=True)
    try:
        last = reader_of(keys, checkpoint_path(folder, settings)).last()
        found = recover(database, believed, last, mirror, new_world)
    finally:
        database.close()
    log, database = open_log(folder, settings, alone=True)
    try:
        if log.alarm is not None:
            raise log.alarm
        signed = log.checkpoint()
    finally:
        database.close()
    return {
        "leaves_put_back": found.leaves,
        "size_before": found.size_before,
        "size": found.size,
        "root": found.root,
        "checkpoint": signed,
    }


def draft_discontinuity(folder: Path, lost_up_to: int = 0) -> bytes:
    """The payload of a root under which the log goes on without the lost leaves.

    `lost_up_to` is a size that somebody else saw signed, such as a witness; 0 when only the last
    checkpoint tells.

    Raises `Refused("journal.epoch.input")` when nothing is lost.
    """
    settings = load_settings(folder)
    keys = kept_keys(folder, settings.installation)
    ended, new = next_keys(folder, settings, keys)
    with looked_at(folder, _LATE) as log:
        last = reader_of(keys, checkpoint_path(folder, settings)).last()
        _lost(last, log.size(), lost_up_to)
        return draft_of(log, folder, (*keys[:-1], ended, new))


def open_discontinuity(folder: Path, content: bytes, lost_up_to: int = 0) -> Plain:
    """Go on under the next epoch's key; its first entry says which leaves are lost."""
    settings = load_settings(folder)
    keys = kept_keys(folder, settings.installation)
    if open_already(keys, content):
        return {"origin": keys[-1].verifier.name, "log_key": keys[-1].vkey, "cause": _CAUSE}
    ended, new = as_signed(folder, settings, "rotated", content)
    last, before = _last_of(folder, settings, keys)
    with epoch_log(folder, settings, (*keys[:-1], ended, new), afresh=True) as (log, _):
        if log.alarm is not None:
            raise log.alarm
        opened = log.read(lambda w: w.log.lost[-1:] if w.log.key == new.vkey else [])
        first, end = opened[0] if opened else _lost(last, log.size(), lost_up_to)
        opening = f.EpochOpened(
            epoch=epoch_of(new),
            key=new.vkey,
            cause=_CAUSE,
            before=before,
            root=FileBlobs(folder / "blobs").put(content),
            lost_from=first,
            lost_until=end,
        )
        write_opening(folder, log, opening, content)
    keep_keys(folder, (*keys[:-1], ended, new))
    return {
        "origin": new.verifier.name,
        "log_key": new.vkey,
        "cause": _CAUSE,
        "lost_from": first,
        "lost_until": end,
    }


def _last_of(
    folder: Path, settings: Settings, keys: Sequence[KeptKey]
) -> tuple[Checkpoint | None, str]:
    """The last checkpoint of the epoch that ends, also when a crash came after the next began."""
    path = checkpoint_path(folder, settings)
    kept = path.with_name(f"{path.name}.epoch-{epoch_of(keys[-1])}")
    if not kept.exists():
        last = reader_of(keys, path).last()
        if last is None:
            return None, ""
        # The next epoch's first checkpoint takes the file's place; this one stays as evidence.
        write_durably(kept, path.read_bytes(), 0o644)
    return reader_of(keys, kept).last(), kept.read_text("utf-8")


def _lost(last: Checkpoint | None, size: int, lost_up_to: int) -> tuple[int, int]:
    """The range of leaves that were signed and are not there."""
    end = max(lost_up_to, last.size if last is not None else 0)
    if end <= size:
        raise Refused(
            "journal.epoch.input",
            "the log's next epoch",
            expected=f"a last checkpoint of more than the {size} leaves that are there",
            found=f"one of {end}" if end else "none",
            remedy="nothing is lost as far as can be seen here; when a witness says otherwise, add "
            "--lost-up-to with its size",
        )
    return size, end
