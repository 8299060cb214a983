"""Real blobs in a folder, and keys of a builder and of a stranger."""

import hashlib
from pathlib import Path

import pytest

from surefoot.store.blobs import FileBlobs
from surefoot.trust.keys import PrivateKey


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "blobs")


@pytest.fixture
def builder() -> PrivateKey:
    return PrivateKey(hashlib.sha256(b"builder").digest())


@pytest.fixture
def stranger() -> PrivateKey:
    return PrivateKey(hashlib.sha256(b"stranger").digest())
