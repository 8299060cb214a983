"""The desk's poll table: small, filled in portions, and no poll writes a row."""

import asyncio
import gc
import hashlib
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from surefoot.engine import device_desk
from surefoot.store.device import DeskRow, DeviceRegistry, NewDevice
from surefoot.store.device_rollouts import Wave
from surefoot.store.sqlite import SqliteDatabase, SqliteSession
from surefoot.testing.device_door import DeviceHouse, token_of

ENV = "production"
_BYTES_MAX = 400


class CountingDatabase(SqliteDatabase):
    """Counts the transactions that may write."""

    writes = 0

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[SqliteSession]:
        self.writes += 1
        with super().write(durable=durable) as session:
            yield session


def test_a_table_is_filled_in_portions_also_inside_one_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_desk, "_REFRESH_ROWS", 3)
    house = DeviceHouse(tmp_path)
    names = [f"d{number}" for number in range(10)]
    house.enrol(ENV, *names)  # all in one change
    asked = _portions(house.registry, monkeypatch)
    desk = house.desk()
    desk.refresh()
    assert all(desk.admit(ENV, name, token_of(name)) for name in names)
    assert asked == [3, 3, 3, 1]
    house.registry.set_token(ENV, "d4", hashlib.sha256(b"other").digest())
    desk.refresh()
    assert desk.admit(ENV, "d4", "other") and desk.admit(ENV, "d3", token_of("d3"))
    assert asked[4:] == [1]


def _portions(registry: DeviceRegistry, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    asked: list[int] = []
    real = registry.changed

    def changed(since: int, number: int, limit: int) -> list[DeskRow]:
        rows = real(since, number, limit)
        asked.append(len(rows))
        return rows

    monkeypatch.setattr(registry, "changed", changed)
    return asked


def test_a_device_with_work_to_do_takes_at_most_400_bytes(tmp_path: Path) -> None:
    house, count = DeviceHouse(tmp_path), 20_000
    hashes = [hashlib.sha256(b"%d" % number).digest() for number in range(count)]
    house.registry.enrol(
        ENV, [NewDevice(device=f"device-{n:07d}", token_hash=h) for n, h in enumerate(hashes)]
    )
    firmware = house.firmware(b"image", "2.0.0")
    wave = Wave(
        deployment=1, wave=0, percent=100, release="r", firmware=firmware, deadline_seconds=60
    )
    house.assign(ENV, wave)
    desk = house.desk(sleep_seconds=300)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        desk.refresh()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert desk.poll(ENV, "device-0000007").action
    assert 100 < (after - before) / count <= _BYTES_MAX


def test_polls_write_nothing_until_the_times_are_flushed_together(tmp_path: Path) -> None:
    database = CountingDatabase(tmp_path / "db")
    house = DeviceHouse(tmp_path, database)
    names = [f"d{number}" for number in range(50)]
    house.enrol(ENV, *names)
    desk = house.desk()
    desk.refresh()
    database.writes = 0
    for _ in range(20):
        for name in names:
            assert desk.admitted_poll(ENV, name, token_of(name).encode()) is not None
    assert database.writes == 0
    asyncio.run(desk.stop())
    assert database.writes == 1
    assert all(found.seen_ms for found in house.registry.page(ENV))
