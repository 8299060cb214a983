"""Opened installations of a small product."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from house import LAMP, AppHouse


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


@pytest.fixture(scope="session")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release brought to production with two approvals, on a closed data folder."""
    house = AppHouse(tmp_path_factory.mktemp("full"), LAMP)
    house.set_up()
    house.enrol("carl")
    house.call("person grant", "bob", person="carl", role="approver")
    house.release("1.0.0")
    assert house.carry(house.request("dev", release="1.0.0")) == "succeeded"
    number = house.request("production", release="1.0.0")
    for approver in ("bob", "carl"):
        house.approve(number, "production", approver)
    assert house.carry(number) == "succeeded"
    house.close()
    return house.folder / "data"
