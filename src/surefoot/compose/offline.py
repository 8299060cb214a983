"""What works on a data folder or an export without a server: verify, export.

Keeps: reads only, takes no lock, and so works beside a running server.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from surefoot.compose.folder import checkpoint_path, load_settings, log_keys, open_store
from surefoot.compose.leaf_process import LeafChecks
from surefoot.compose.signed import blob_fault, evidence_of, finder, ruled_acts, signed_acts
from surefoot.core.errors import Refused
from surefoot.core.fold import new_world
from surefoot.journal import tiles, verify
from surefoot.journal.fsck import Examination
from surefoot.journal.report import Report
from surefoot.journal.source import DatabaseSource, ExportSource
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
            signed=signed_acts(finder(FileBlobs(folder / "blobs"))),
            progress=lambda done: progress(done, 0),
            begin=partial(LeafChecks, partial(_source_of, folder)),
        )
    finally:
        database.close()
    return _plain(report)


def _source_of(folder: Path) -> DatabaseSource:
    """A data folder's journal, for a process of its own."""
    return DatabaseSource(open_store(folder, load_settings(folder), read_only=True))


def verify_export(
    folder: Path, trust: str | bytes, pinned: str | None, progress: Progress
) -> dict[str, Any]:
    """Verify an export with a pinned key (text) or root.json (bytes) alone, and a checkpoint kept
    elsewhere when given; every entry is compared with the rules, and people's signatures are
    verified when the export carries evidence.

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
    find = ExportSource(folder).blob
    with_evidence = (folder / "blobs").is_dir()
    return _plain(
        verify.verify_export(
            folder,
            trusted,
            pinned=pinned,
            make_world=new_world,
            progress=lambda done: progress(done, 0),
            signed=signed_acts(find) if with_evidence else None,
            rules=ruled_acts(find),
            begin=partial(LeafChecks, partial(ExportSource, folder)),
        )
    )


def export(folder: Path, to: Path, progress: Progress, *, evidence: bool = False) -> dict[str, Any]:
    """Write the journal as tiles, with the blobs that entries name when `evidence` is asked for."""
    settings = load_settings(folder)
    database = open_store(folder, settings, read_only=True)
    try:
        blobs = FileBlobs(folder / "blobs")
        carried = partial(evidence_of, blobs) if evidence else lambda entry: ()
        made = tiles.export(
            database, log_keys(folder, settings), to, evidence=carried, progress=progress
        )
    finally:
        database.close()
    plain: dict[str, Any] = msgspec.to_builtins(made)
    return {"folder": str(to), **plain}


def _plain(report: Report) -> dict[str, Any]:
    return {**msgspec.to_builtins(report), "ok": report.ok}


def fsck(folder: Path, exported: str, repair: bool, progress: Progress) -> dict[str, Any]:
    """Look at every row and file of a data folder, and at an export of it when one is named.

    With `repair`, which no server may run beside, what can be computed again is written, and what
    is found then is told.
    """
    settings = load_settings(folder)
    database = open_store(folder, settings, read_only=not repair)
    try:
        path = checkpoint_path(folder, settings)
        fault, mended = partial(blob_fault, FileBlobs(folder / "blobs")), tuple[str, ...]()
        while True:
            looked = Examination(database, log_keys(folder, settings), path, new_world())
            found = looked.run(fault, lambda done: progress(done, 0))
            now = looked.mend() if repair else ()
            if not now:
                break
            mended += now
    finally:
        database.close()
    plain: dict[str, Any] = msgspec.to_builtins(found)
    if exported:
        plain["export"] = verify_export(Path(exported), log_keys(folder, settings), None, progress)
        plain["findings"] = [*plain["findings"], *_beside(plain["export"], looked)]
    return {**plain, "mended": list(mended)}


def _beside(report: dict[str, Any], looked: Examination) -> list[dict[str, Any]]:
    """What is wrong with an export, in itself and beside the journal it was made of."""
    found = [{**problem, "mends": False} for problem in report["problems"]]
    root = looked.root(report["size"])
    if not found and (root is None or root.hex() != report["root"]):
        found.append(
            {
                "code": "journal.export.differs",
                "subject": f"export of {report['size']} leaves",
                "expected": f"root {root.hex()}" if root else "no more leaves than the journal",
                "found": f"root {report['root']}",
                "mends": False,
            }
        )
    return found
