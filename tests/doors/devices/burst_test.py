"""A burst of reports loses none, and many reports share a transaction."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.store.database import Database
from surefoot.store.device_rollouts import Wave
from surefoot.store.postgres import PostgresDatabase
from surefoot.store.sqlite import SqliteDatabase
from surefoot.testing.device_burst import REPORTS, run_burst
from surefoot.testing.device_door import DeviceHouse, DoorServer

ENV = "production"
DEVICES = 30


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    made: Database = (
        SqliteDatabase(tmp_path / "db")
        if request.param == "sqlite"
        else PostgresDatabase(request.getfixturevalue("postgres_dsn"))
    )
    yield made
    made.close()


def test_a_burst_from_every_device_loses_no_report(database: Database, tmp_path: Path) -> None:
    house = DeviceHouse(tmp_path, database)
    house.enrol(ENV, *(f"d{n}" for n in range(DEVICES)))
    firmware = house.firmware(b"image", "2.0.0")
    wave = Wave(
        deployment=1, wave=0, percent=100, release="r", firmware=firmware, deadline_seconds=3600
    )
    house.assign(ENV, wave)
    listed = [(row.device, row.action) for row in house.registry.changed(0)]
    groups: list[int] = []
    record = house.registry.record
    house.registry.record = lambda told: groups.append(len(told)) or record(told)  # type: ignore[method-assign, func-returns-value]
    with DoorServer(house.desk()) as server:
        told = run_burst(server.url, ENV, listed)
    assert told.sent == told.taken == DEVICES * REPORTS
    assert sum(groups) == told.sent and len(groups) < told.sent // 3
    house.seal(ENV)
    sealed = sum(batch.count for batch in house.sealed)
    assert sealed == told.sent + DEVICES + 1  # the assignments, and the wave's own
    for device, _ in listed:
        steps = [line for line in house.registry.timeline(ENV, device) if b'"step ' in line]
        assert len(steps) == REPORTS
