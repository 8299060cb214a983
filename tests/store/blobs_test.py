"""Blobs by digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from surefoot.core.errors import Corrupt, Failed
from surefoot.store.blobs import FileBlobs
from surefoot.trust.digest import Digest, digest_of


def test_put_and_get(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    digest = blobs.put(b"content")
    assert digest == digest_of(b"content") == blobs.put(b"content")
    assert blobs.get(digest) == b"content" == blobs.path(digest).read_bytes()
    assert blobs.has(digest)
    assert list((tmp_path / "partial").iterdir()) == []


def test_put_file(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    source = tmp_path / "image"
    source.write_bytes(b"firmware" * 300_000)
    digest = blobs.put_file(source)
    source.unlink()
    assert blobs.get(digest) == b"firmware" * 300_000


def test_missing_and_changed(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    for read in (blobs.get, blobs.path):
        with pytest.raises(Failed, match=r"store\.blob\.unknown"):
            read(digest_of(b"nothing"))
    digest = blobs.put(b"content")
    place = blobs.path(digest)
    place.chmod(0o644)
    place.write_bytes(b"kontent")
    for read in (blobs.get, blobs.path):
        with pytest.raises(Corrupt, match=r"store\.blob\.differs"):
            read(digest)
    assert blobs.put(b"content") == digest
    assert blobs.get(digest) == b"content"


@pytest.mark.parametrize("text", ["", "sha256:../../x", "sha256:" + "A" * 64, "md5:" + "0" * 64])
def test_only_a_digest_is_a_path(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="not a digest"):
        FileBlobs(tmp_path).get(Digest(text))


def test_a_directory_that_takes_no_file_says_so(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    (tmp_path / "sha256").write_text("in the way")
    with pytest.raises(Failed, match=r"store\.disk\.full"):
        blobs.put(b"content")
    assert list((tmp_path / "partial").iterdir()) == []
