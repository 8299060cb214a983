"""Lets the tests of this room import the root file systems they share, and opens them as tars."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from surefoot.gates.hardening.archive import ArchiveLook

sys.path.insert(0, str(Path(__file__).parent))

from roots import write_tar


@pytest.fixture
def tar_look(tmp_path: Path) -> Iterator[Callable[[dict[str, Any]], ArchiveLook]]:
    """Files as a tar that is looked into, closed at the end."""
    opened: list[ArchiveLook] = []

    def look(files: dict[str, Any]) -> ArchiveLook:
        path = write_tar(tmp_path / f"root-{len(opened)}.tar", files)
        opened.append(ArchiveLook(path, "root"))
        return opened[-1]

    yield look
    for each in opened:
        each.close()
