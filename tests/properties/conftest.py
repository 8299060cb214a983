"""A prepared installation on fakes, copied for each case."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from surefoot.testing.simulator import Node


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulator") / "prepared"
    node = Node(folder, "first")
    node.prepare()
    node.close()
    return folder


@pytest.fixture
def fresh(prepared: Path, tmp_path: Path) -> Callable[[str], Path]:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(prepared, tmp_path / name))

    return copy
