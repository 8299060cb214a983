"""Logs that a dishonest server signs: every hash, chain, seal and signature is right, the story is
not. Made of an honest journal's entries with our own primitives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from surefoot.compose.folder import load_settings
from surefoot.compose.log_keys import kept_keys, signer_of
from surefoot.core.fold import new_world
from surefoot.journal import tiles as exports
from surefoot.journal.checkpoint import CheckpointSigner
from surefoot.journal.log import Log
from surefoot.store.sqlite import SqliteDatabase
from surefoot.trust import entry, merkle, tiles
from surefoot.trust.entry import Draft, Entry, Seal
from surefoot.trust.note import Checkpoint, SignerKey

Change = Callable[[Entry], Entry | None]
"""An entry as the dishonest server writes it; None to leave it out."""


def log_signer(data: Path) -> SignerKey:
    """The log's own key."""
    return signer_of(data, kept_keys(data, load_settings(data).installation)[-1])


def history(data: Path) -> list[Entry]:
    """All entries of a data folder."""
    database = SqliteDatabase(data / "store", read_only=True)
    try:
        with database.read() as session:
            rows = session.rows("journal.entries_from", first=0, limit=100_000)
        found = [entry.parse(int(index), bytes(raw)) for index, raw in rows]
    finally:
        database.close()
    return [leaf for leaf in found if isinstance(leaf, Entry)]


def rewritten(
    data: Path, place: Path, change: Change, evidence: exports.Evidence = lambda leaf: ()
) -> Path:
    """The same history, changed, as a whole new log under the same key; its export."""
    now = 0
    signer = CheckpointSigner(log_signer(data), place / "last")
    database = SqliteDatabase(place / "store")
    log = Log(database, signer, new_world, lambda: now, free_bytes_min=1)
    for batch in _batches(history(data)):
        told = [leaf for honest in batch if (leaf := change(honest)) is not None]
        if not told:
            continue
        now = told[0].time_ms
        said = [
            Draft(
                stream=leaf.stream,
                kind=leaf.kind,
                body=leaf.body,
                evidence=leaf.evidence,
                reason=leaf.reason,
            )
            for leaf in told
        ]
        log.transact(lambda world, said=said: said, told[0].actor, told[0].request)
    exports.export(database, signer.verifier.text(), place / "export", evidence=evidence)
    database.close()
    return place / "export"


def _batches(entries: list[Entry]) -> Iterator[list[Entry]]:
    """Entries that one seal follows: between two batches a position is the seal's."""
    batch: list[Entry] = []
    for leaf in entries:
        if batch and leaf.index != batch[-1].index + 1:
            yield batch
            batch = []
        batch.append(leaf)
    yield batch


def with_seals(data: Path, export: Path, change: Callable[[Seal], Seal]) -> None:
    """Write an export's leaves anew with other seals, and sign the tree they make."""
    leaves: list[bytes] = []
    for path in sorted((export / "tile" / "entries").glob("**/*")):
        if path.is_file():
            leaves += tiles.leaves_of(path.read_bytes())
            path.unlink()
    tree = merkle.Tree()
    told = []
    for index, raw in enumerate(leaves):
        leaf = entry.parse(index, raw)
        if isinstance(leaf, Seal):
            honest = msgspec.structs.replace(leaf, root=tree.root().hex())
            raw = entry.build_seal(change(honest))
        told.append(raw)
        tree.append(merkle.leaf_hash(raw))
    _publish(data, export, tree, told)


def _publish(data: Path, export: Path, tree: merkle.Tree, leaves: list[bytes]) -> None:
    for start in range(0, len(leaves), tiles.WIDTH):
        part = leaves[start : start + tiles.WIDTH]
        path = export / tiles.bundle_path(start // tiles.WIDTH, len(part))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tiles.bundle_of(part))
    for level, number, width in tiles.spans(tree.size):
        path = export / tiles.tile_path(level, number, width)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tiles.tile_of(tree, level, number, width))
    signer = log_signer(data)
    said = Checkpoint(origin=signer.verifier.name, size=tree.size, root=tree.root())
    (export / "checkpoint").write_text(signer.sign(said.text()))
