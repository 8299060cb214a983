"""What works on a data folder or an export without a server: verify, export.

Keeps: reads only, takes no lock, and so works beside a running server.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from surefoot.compose.folder import checkpoint_path, load_settings, log_keys, open_store
from surefoot.compose.signed import signed_acts
from surefoot.core.errors import Refused
from surefoot.core.fold import new_world
from surefoot.journal import tiles, verify
from surefoot.journal.trusted import Trust, Trusted
from surefoot.store.blobs import FileBlobs
from surefoot.trust.root import read_root

Progress = Callable[[int, int], None]


def verify_folder(folder: Path, progress: Progress) -> dict[str, Any]:
    """Verify a data folder's journal against its own key and the checkpoint kept outside, and the
    signatures of the people who approved and cut."""
    settings = load_settings(folder)
    database = open_store(folder, settings, read_only=True)
    try:
        report = verify.verify_live(
            database,
            log_keys(folder, settings),
            checkpoint_path(folder, settings),
            make_world=new_world,
            signed=signed_acts(FileBlobs(folder / "blobs")),
            progress=lambda done: progress(done, 0),
        )
    finally:
        database.close()
    return _plain(report)


def verify_export(
    folder: Path, trust: str | bytes, pinned: str | None, progress: Progress
) -> dict[str, Any]:
    """Verify an export with a pinned key (text) or root.json (bytes) alone, and a checkpoint kept
    elsewhere when given.

    Raises `Refused("journal.key.input")` for a key or a root that is none.
    """
    try:
        trusted: Trust = read_root(trust) if isinstance(trust, bytes) else trust
        Trusted(trusted)
    except ValueError as error:
        raise Refused(
            "journal.key.input",
            "log key",
            expected="a key like surefoot/NAME+hash+base64, or a root.json, as you pinned it",
            found=str(error)[:200],
            remedy="pin it from a place you trust",
        ) from None
    return _plain(
        verify.verify_export(
            folder,
            trusted,
            pinned=pinned,
            make_world=new_world,
            progress=lambda done: progress(done, 0),
        )
    )


def export(folder: Path, to: Path, progress: Progress) -> dict[str, Any]:
    """Write the journal as tiles."""
    settings = load_settings(folder)
    database = open_store(folder, settings, read_only=True)
    try:
        made = tiles.export(database, log_keys(folder, settings), to, progress=progress)
    finally:
        database.close()
    plain: dict[str, Any] = msgspec.to_builtins(made)
    return {"folder": str(to), **plain}


def _plain(report: verify.Report) -> dict[str, Any]:
    return {**msgspec.to_builtins(report), "ok": report.ok}
