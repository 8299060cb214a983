"""Exports the journal as C2SP tlog-tiles, with all that a stranger needs to verify it.

Keeps: the checkpoint is written last, so a directory with one is whole; what is there already is
kept, so exporting again adds what is new. Layout: `checkpoint`, `tile/L/N[.p/W]`,
`tile/entries/N[.p/W]`, `states/ab/cdef...`, `root.json`, `vkey`; with evidence `blobs/ab/cdef...`.
Does not: choose the evidence. Source: c2sp.org/tlog-tiles, docs/formats/tiles.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from surefoot.core.errors import Corrupt, Failed, Refused
from surefoot.journal.source import DatabaseSource, Row, Source, blob_path, state_path
from surefoot.store.cosignature import CosignatureRows
from surefoot.store.database import Database
from surefoot.trust import canonical, tiles
from surefoot.trust.cosignature import with_lines
from surefoot.trust.digest import Digest
from surefoot.trust.entry import Entry, NotAnEntry, parse
from surefoot.trust.merkle import Tree, leaf_hash
from surefoot.trust.note import Checkpoint, NotANote, VerifierKey, open_checkpoint, verifiers


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What an export holds: the tree's size and root (hex), and counts."""

    size: int
    root: str
    entries: int
    states: int
    files: int
    blobs: int = 0


Evidence = Callable[[Entry], Iterable[tuple[Digest, bytes]]]
"""The blobs that go with an entry, by digest."""


def export(
    database: Database,
    vkey: str,
    directory: Path,
    *,
    evidence: Evidence = lambda entry: (),
    progress: Callable[[int, int], None] = lambda done, size: None,
) -> Exported:
    """Write the journal up to its newest checkpoint; `progress` gets leaves done and in all.

    Raises `Refused("journal.export.input")` without a checkpoint or into another log's export,
    `Corrupt` when the stored leaves are not those of the checkpoint, `Failed` for the disk.
    """
    source, keys = DatabaseSource(database), verifiers(vkey)
    note, checkpoint = _newest(source, keys)
    note = with_lines(note, CosignatureRows(database).lines(checkpoint.size))
    _same_log(directory, [key.text() for key in keys])
    try:
        return _Export(source, directory, evidence, progress).run(note, checkpoint, keys[0].text())
    except OSError as error:
        raise Failed(
            "store.disk.full",
            f"export to {directory}",
            expected="a directory with room to write",
            found=error.strerror or str(error),
            remedy="free some space or choose another directory, then export again",
        ) from error


class _Export:
    """One export on its way."""

    def __init__(
        self,
        source: Source,
        directory: Path,
        evidence: Evidence,
        progress: Callable[[int, int], None],
    ) -> None:
        self._source = source
        self._directory = directory
        self._evidence = evidence
        self._blobs: set[str] = set()
        self._progress = progress
        self._tree = Tree()
        self._states: set[str] = set()
        self._entries = self._files = 0

    def run(self, note: str, checkpoint: Checkpoint, vkey: str) -> Exported:
        """Write all files, the checkpoint last."""
        for number, rows in enumerate(_bundles(self._source.rows(), checkpoint.size)):
            self._bundle(number, rows)
            self._progress(self._tree.size, checkpoint.size)
        self._compare(checkpoint)
        for level, number, width in tiles.spans(checkpoint.size):
            content = tiles.tile_of(self._tree, level, number, width)
            self._write(tiles.tile_path(level, number, width), content)
        root = {"v": 1, "origin": checkpoint.origin, "log": vkey}
        self._write("root.json", canonical.encode(root) + b"\n")
        self._write("vkey", f"{vkey}\n".encode())
        self._write("checkpoint", note.encode())
        return Exported(
            size=checkpoint.size,
            root=checkpoint.root.hex(),
            entries=self._entries,
            states=len(self._states),
            files=self._files,
            blobs=len(self._blobs),
        )

    def _bundle(self, number: int, rows: list[Row]) -> None:
        for row in rows:
            self._tree.append(leaf_hash(row.raw))
            self._state_of(row)
        content = tiles.bundle_of([row.raw for row in rows])
        self._write(tiles.bundle_path(number, len(rows)), content)

    def _state_of(self, row: Row) -> None:
        try:
            leaf = parse(row.index, row.raw)
        except NotAnEntry as error:
            subject = f"leaf {row.index} of the journal"
            raise _corrupt("journal.entry.malformed", subject, "an entry", str(error)) from None
        if not isinstance(leaf, Entry):
            return
        self._entries += 1
        for digest, blob in self._evidence(leaf):
            if digest not in self._blobs:
                self._blobs.add(digest)
                self._write(blob_path(digest), blob)
        if leaf.state in self._states:
            return
        content = self._source.state(leaf)
        if content is None:
            subject = f"state after entry {row.index}"
            raise _corrupt("journal.state.differs", subject, leaf.state, "missing")
        self._states.add(leaf.state)
        self._write(state_path(leaf.state), content)

    def _compare(self, checkpoint: Checkpoint) -> None:
        size, root = self._tree.size, self._tree.root().hex()
        if (size, root) != (checkpoint.size, checkpoint.root.hex()):
            expected = f"size {checkpoint.size}, root {checkpoint.root.hex()}"
            found = f"size {size}, root {root}"
            raise _corrupt("journal.root.differs", "newest checkpoint", expected, found)

    def _write(self, path: str, content: bytes) -> None:
        """Whole or not at all. A crash leaves files of an export without its checkpoint."""
        place = self._directory / path
        self._files += 1
        if place.is_file() and place.read_bytes() == content:
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_name(place.name + ".partial")
        partial.write_bytes(content)
        partial.replace(place)


def _bundles(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    found: list[Row] = []
    for row in rows:
        if row.index >= size:
            break
        found.append(row)
        if len(found) == tiles.WIDTH:
            yield found
            found = []
    if found:
        yield found


def _newest(source: Source, keys: Sequence[VerifierKey]) -> tuple[str, Checkpoint]:
    note = source.checkpoint()
    if note is None:
        raise _refused("journal", "a signed checkpoint", "none", "write something first")
    try:
        return note, open_checkpoint(note, *keys)
    except NotANote as error:
        expected = f"a signature by {keys[0].text()}"
        raise _corrupt(
            "journal.checkpoint.signature", "newest checkpoint", expected, str(error)
        ) from None


def _same_log(directory: Path, keys: Sequence[str]) -> None:
    place = directory / "vkey"
    found = place.read_text("utf-8").strip() if place.is_file() else keys[0]
    if found not in keys:
        remedy = "choose an empty directory"
        raise _refused(f"export to {directory}", f"an export of {keys[0]}", found[:200], remedy)


def _refused(subject: str, expected: str, found: str, remedy: str) -> Refused:
    return Refused("journal.export.input", subject, expected=expected, found=found, remedy=remedy)


def _corrupt(code: str, subject: str, expected: str, found: str) -> Corrupt:
    remedy = "run journal verify; export from a good copy"
    return Corrupt(code, subject, expected=expected, found=found, remedy=remedy)
