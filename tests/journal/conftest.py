"""A journal on either database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.store.database import Database
from surefoot.testing.journal import open_database


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the database is: a directory or an address."""
    if request.param == "sqlite":
        return str(tmp_path / "store")
    return str(request.getfixturevalue("postgres_dsn"))


@pytest.fixture
def database(store: str) -> Iterator[Database]:
    """The open database."""
    found = open_database(store)
    yield found
    found.close()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """The last-checkpoint file, outside the database."""
    return tmp_path / "outside" / "last-checkpoint"
