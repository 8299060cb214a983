"""A deployment on fakes that may begin."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.testing.simulator import Node


@pytest.fixture
def node(prepared: Path, tmp_path: Path) -> Iterator[Node]:
    """A deployment that was requested and approved."""
    folder = shutil.copytree(prepared, tmp_path / "run")
    found = Node(folder, "worker")
    found.request(2, "1.1.0")
    for name in ("pia", "quin"):
        found.approve(2, name)
    yield found
    found.close()
