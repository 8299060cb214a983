"""Opened installations of a small product."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from house import AppHouse


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Callable[[str], AppHouse]]:
    """Makes an installation for a definition."""
    made: list[AppHouse] = []

    def make(definition: str) -> AppHouse:
        made.append(AppHouse(tmp_path, definition))
        return made[-1]

    yield make
    for each in made:
        each.close()
