"""An installation keeps a snapshot when it closes, starts from it, and misses nothing without."""

from __future__ import annotations

from pathlib import Path

import pytest

from surefoot.compose import folder as folders
from surefoot.compose import installation as rooms
from surefoot.compose.installation import Installation
from surefoot.testing.journal import ANN
from surefoot.trust import keys
from surefoot.trust.digest import digest_of


def made(data: Path) -> None:
    settings = folders.Settings(installation="here", product="thing", repository="")
    founders = tuple(
        folders.FounderKey(
            person=name,
            key=keys.private_key(digest_of(name.encode())[7:39].encode()).public.line(),
        )
        for name in ("ann", "bob")
    )
    folders.initialise(data, settings, founders)


def started(data: Path) -> tuple[int, int, set[str]]:
    """Leaves taken from the snapshot, leaves in all, and the people known, in one start."""
    installation = Installation(data)
    try:
        assert installation.log.alarm is None
        memory = installation.log._memory
        assert memory is not None
        people = installation.log.read(lambda world: set(world.people.people))
        return memory.unread, installation.log.size(), people
    finally:
        installation.close()


def test_the_second_start_is_from_the_snapshot_of_the_first(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made(data)
    taken, size, people = started(data)
    assert (taken, people) == (0, {"ann", "bob"})
    assert folders.snapshot_path(data).stat().st_mode & 0o077 == 0
    assert started(data) == (size, size, people)
    folders.snapshot_path(data).unlink()
    assert started(data) == (0, size, people)
    other = folders.seed(data, "installation")[::-1]
    (data / "keys" / "installation").write_bytes(other)
    assert started(data)[0] == 0


def test_it_is_kept_while_the_server_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    made(data)
    monkeypatch.setattr(rooms, "_SNAPSHOT_LEAVES", 3)
    installation = Installation(data)
    path = folders.snapshot_path(data)
    for grown in (False, True):
        installation.upkeep()
        assert path.exists() == grown
        for _ in range(3):
            installation.log.transact(lambda world: [], ANN, "nothing")
            installation.log.heartbeat()
    installation.database.close()
