"""Blobs: content-addressed files in one directory.

Durability: when `put` returns, content and name survive a crash. Repeatability: putting the same
twice is harmless; a damaged file is replaced. Concurrency: any number of processes; a file appears
whole by rename. Errors: `Failed("store.blob.unknown")`, `Corrupt("store.blob.differs")`.
Does not: delete; a crash leaves at most a file under `partial/`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from surefoot.core.errors import Corrupt, Failed
from surefoot.store.durable import sync_folder
from surefoot.trust.digest import Digest, digest_of, digest_of_chunks, parse_digest

_CHUNK_BYTES = 1024 * 1024


class FileBlobs:
    """Blobs below a directory, as `sha256/ab/cdef...`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._partial = directory / "partial"
        self._partial.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, digest: Digest) -> Path:
        """Path of the verified file. Raises `Failed` when missing, `Corrupt` when it differs."""
        path = self._place(digest)
        try:
            with path.open("rb") as file:
                found = digest_of_chunks(_chunks(file))
        except (FileNotFoundError, NotADirectoryError):
            raise self._missing(digest) from None
        self._compare(digest, found)
        return path

    def get(self, digest: Digest) -> bytes:
        """The bytes. Raises `Failed` when missing, `Corrupt` when they differ."""
        try:
            content = self._place(digest).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise self._missing(digest) from None
        self._compare(digest, digest_of(content))
        return content

    def has(self, digest: Digest) -> bool:
        """True when there is a file of this name; its content is checked when it is read."""
        return self._place(digest).is_file()

    def put(self, content: bytes) -> Digest:
        """Store durably and return the digest. Raises `Failed("store.disk.full")`."""
        digest = digest_of(content)
        if not self._intact(digest):
            self._write(digest, iter([content]))
        return digest

    def put_file(self, path: Path) -> Digest:
        """Store a file's content durably; the file may change or go afterwards."""
        with path.open("rb") as file:
            digest = digest_of_chunks(_chunks(file))
            if not self._intact(digest):
                file.seek(0)
                self._write(digest, _chunks(file))
        return digest

    def _place(self, digest: Digest) -> Path:
        digits = parse_digest(digest).removeprefix("sha256:")
        return self._directory / "sha256" / digits[:2] / digits[2:]

    def _intact(self, digest: Digest) -> bool:
        try:
            self.path(digest)
        except (Failed, Corrupt):
            return False
        return True

    def _write(self, digest: Digest, chunks: Iterator[bytes]) -> None:
        handle, name = tempfile.mkstemp(dir=self._partial)
        partial = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                found = digest_of_chunks(_copied(chunks, file))
                file.flush()
                os.fchmod(file.fileno(), 0o444)
                os.fsync(file.fileno())
            self._compare(digest, found)
            self._publish(partial, self._place(digest))
        except OSError as error:
            raise Failed(
                "store.disk.full",
                f"blob {digest}",
                expected="room to write",
                found=error.strerror or str(error),
                remedy=f"free some space (now {shutil.disk_usage(self._directory).free} bytes)",
            ) from error
        finally:
            partial.unlink(missing_ok=True)

    def _publish(self, partial: Path, place: Path) -> None:
        """A crash before the directory's fsync loses the name only: the caller puts again."""
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.replace(place)
        for directory in (place.parent, place.parent.parent, self._directory):
            sync_folder(directory)

    def _compare(self, digest: Digest, found: Digest) -> None:
        if found != digest:
            raise Corrupt(
                "store.blob.differs",
                f"blob {digest}",
                expected=digest,
                found=found,
                remedy="put the original content again, then look for who changed the file",
            )

    def _missing(self, digest: Digest) -> Failed:
        return Failed(
            "store.blob.unknown",
            f"blob {digest}",
            expected="a file in the blob directory",
            found="none",
            remedy="put the content again, or restore the blob directory",
        )


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk


def _copied(chunks: Iterator[bytes], file: BinaryIO) -> Iterator[bytes]:
    for chunk in chunks:
        file.write(chunk)
        yield chunk
