"""Follows an export: fetches what is new of it into a folder of the same layout.

Keeps: what was fetched once is not fetched again, so a log cannot tell another story later; the
states and blobs of a bundle are there before the bundle, and everything before the checkpoint, so a
crash leaves a mirror that goes on from there.
Does not: verify more than signature and content digests; a mirror is verified as an export is.
Source: c2sp.org/tlog-tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from surefoot.core.errors import Corrupt, Failed
from surefoot.journal.fetch import Fetch
from surefoot.journal.source import BLOB_BYTES_MAX, STATE_BYTES_MAX, blob_path, state_path
from surefoot.journal.trusted import Trusted
from surefoot.store.durable import write_durably
from surefoot.trust import tiles
from surefoot.trust.digest import Digest, digest_of
from surefoot.trust.entry import Entry, NotAnEntry, parse
from surefoot.trust.note import NOTE_BYTES_MAX, Checkpoint, NotANote

Wanted = Callable[[Entry], Iterable[Digest]]
"""The blobs that an entry cannot be judged without."""
Progress = Callable[[int, int], None]


class Mirror:
    """A folder that follows an export."""

    def __init__(self, fetch: Fetch, folder: Path, wanted: Wanted) -> None:
        self._fetch = fetch
        self._folder = folder
        self._wanted = wanted

    def newest(self, trusted: Trusted) -> tuple[str, Checkpoint]:
        """The export's checkpoint, and what it says.

        Raises `Failed("auditor.source.incomplete")`, `Corrupt("journal.checkpoint.signature")`.
        """
        note = self._needed("checkpoint", NOTE_BYTES_MAX).decode("utf-8", "replace")
        try:
            return note, trusted.opened(note)
        except NotANote as error:
            raise Corrupt(
                "journal.checkpoint.signature",
                "checkpoint of the export",
                expected=trusted.expected,
                found=str(error)[:300],
                remedy="look who serves this, and whether the log's key was rotated",
            ) from None

    def update(self, note: str, size: int, progress: Progress) -> None:
        """Fetch the leaves below `size`, their states and blobs, the tiles, and keep the note.

        Raises `Failed` when something is not there (yet), `Corrupt` for a wrong content.
        """
        for number in range((size + tiles.WIDTH - 1) // tiles.WIDTH):
            width = min(tiles.WIDTH, size - number * tiles.WIDTH)
            self._bundle(number, width)
            progress(number * tiles.WIDTH + width, size)
        for level, number, width in tiles.spans(size):
            path = tiles.tile_path(level, number, width)
            if width < tiles.WIDTH or not (self._folder / path).is_file():
                self._keep(path, self._needed(path, tiles.tile_bytes(width)))
        self._keep("checkpoint", note.encode())

    def _bundle(self, number: int, width: int) -> None:
        path = tiles.bundle_path(number, width)
        if width == tiles.WIDTH and (self._folder / path).is_file():
            return
        content = self._needed(path, tiles.bundle_bytes_max(width))
        try:
            leaves = tiles.leaves_of(content)
        except ValueError:
            leaves = []
        for place, raw in enumerate(leaves):
            self._contents(number * tiles.WIDTH + place, raw)
        self._keep(path, content)

    def _contents(self, index: int, raw: bytes) -> None:
        """What a leaf names; a leaf that is none is judged when the mirror is verified."""
        try:
            leaf = parse(index, raw)
        except NotAnEntry:
            return
        if isinstance(leaf, Entry):
            self._content(state_path(leaf.state), leaf.state, STATE_BYTES_MAX, index)
            for digest in self._wanted(leaf):
                self._content(blob_path(digest), digest, BLOB_BYTES_MAX, index)

    def _content(self, path: str, digest: Digest, size_bytes_max: int, index: int) -> None:
        if (self._folder / path).is_file():
            return
        content = self._needed(path, size_bytes_max)
        if digest_of(content) != digest:
            raise Corrupt(
                "journal.state.differs",
                f"{path}, named by entry {index}",
                expected=digest,
                found=digest_of(content),
                remedy="keep both, and ask the log's owner who changed it",
            )
        self._keep(path, content)

    def _needed(self, path: str, size_bytes_max: int) -> bytes:
        content = self._fetch(path, size_bytes_max)
        if content is None:
            raise Failed(
                "auditor.source.incomplete",
                f"export file {path}",
                expected="a file of a whole export, with its evidence",
                found="none",
                remedy="the log's owner makes it: surefoot journal export DIR --evidence",
            )
        return content

    def _keep(self, path: str, content: bytes) -> None:
        try:
            write_durably(self._folder / path, content, 0o644)
        except OSError as error:
            raise Failed(
                "store.disk.full",
                f"mirror in {self._folder}",
                expected="room and right to write",
                found=error.strerror or str(error),
                remedy="free some space, then run again",
            ) from error
