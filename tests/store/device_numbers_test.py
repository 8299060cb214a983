"""Each number of a report is somebody's: batches of all environments account for every one."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from surefoot.core import breach
from surefoot.core.errors import Refused
from surefoot.core.policy import Asker
from surefoot.engine.fleet_books import fact
from surefoot.store.database import Database
from surefoot.store.device import AttributesPut, Incoming
from surefoot.store.postgres import PostgresDatabase
from surefoot.store.sqlite import FILE_NAME
from surefoot.testing.device_door import DeviceHouse
from surefoot.testing.history import History
from surefoot.trust import canonical
from surefoot.trust.device_proof import reports_of

ENVIRONMENTS = ("lab", "field", "quiet")
SERVER = Asker(id="server", type="machine")


@pytest.fixture(params=["sqlite", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeviceHouse]:
    database: Database | None = None
    if request.param == "postgres":
        database = PostgresDatabase(request.getfixturevalue("postgres_dsn"))
    house = DeviceHouse(tmp_path, database)
    for environment in ENVIRONMENTS:
        house.enrol(environment, "a", "b")
    yield house
    house.database.close()


@pytest.fixture
def drop(
    request: pytest.FixtureRequest, house: DeviceHouse, tmp_path: Path
) -> Callable[[int], None]:
    """Takes a report out of the table, as whoever has the database's password can."""

    def act(report: int) -> None:
        statement = f"DELETE FROM device_reports WHERE report = {report}"
        if house.database.kind == "postgres":
            with psycopg.connect(request.getfixturevalue("postgres_dsn")) as connection:
                connection.execute(statement)
            return
        with closing(sqlite3.connect(tmp_path / "db" / FILE_NAME)) as connection, connection:
            connection.execute(statement)

    return act


def show(house: DeviceHouse, environment: str, version: str) -> None:
    put = AttributesPut(mode="merge", values={"firmware_version": version})
    told = [Incoming(environment=environment, device=d, told=put) for d in ("a", "b")]
    house.registry.record(told)


def interleaved(house: DeviceHouse) -> None:
    """Reports of three environments, one of which is sealed late, and a transaction undone."""
    for version in ("1", "2", "3"):
        show(house, "lab", version)
        with pytest.raises(KeyError), house.database.write() as session:
            session.row("device.take_numbers", name="report", count=5)
            raise KeyError
        show(house, "field", version)
        if version != "3":
            house.seal("lab")
    show(house, "quiet", "1")


def numbers(house: DeviceHouse) -> list[int]:
    """The numbers in all sealed batches."""
    found = []
    for batch in house.sealed:
        for raw in reports_of(house.blobs.get(batch.digest)):
            held = canonical.parse(raw)
            assert isinstance(held, dict) and isinstance(held["report"], int)
            assert batch.first_report <= held["report"] <= batch.last_report
            found.append(held["report"])
    return found


def judged(house: DeviceHouse) -> History:
    """What whoever reads the whole journal makes of the batches. Raises `Refused`."""
    history = History()
    for batch in house.sealed:
        sealed = fact(batch)
        breach.check(history.world, sealed, SERVER, history.now_ms)
        history.tell(sealed)
    return history


def test_every_number_is_a_report_in_one_batch(house: DeviceHouse) -> None:
    interleaved(house)
    for environment in reversed(ENVIRONMENTS):
        house.seal(environment)
    assert sorted(numbers(house)) == list(range(1, 15))
    history = judged(house)
    assert sum(each.reports for each in history.world.devices.values()) == 14
    lab = [
        (b.first_report, b.last_report, b.others) for b in house.sealed if b.environment == "lab"
    ]
    assert lab == [(1, 2, 0), (5, 6, 2), (9, 10, 2)]


def test_a_report_taken_out_before_it_is_sealed_is_found(
    house: DeviceHouse, drop: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    interleaved(house)
    drop(9)
    with caplog.at_level(logging.ERROR, "surefoot.devices"):
        house.seal("lab")
    assert "numbers 7 to 10 of lab: 1 reports are missing" in caplog.text
    with pytest.raises(Refused, match=r"breach\.reports"):
        judged(house)


def test_a_batch_that_counts_a_report_twice_is_found(house: DeviceHouse) -> None:
    show(house, "lab", "1")
    house.seal("lab")
    history = judged(house)
    (sealed,) = [fact(batch) for batch in house.sealed]
    with pytest.raises(Refused, match=r"breach\.sequence"):
        breach.check(history.world, sealed, SERVER, history.now_ms)
    elsewhere = type(sealed)(**{**_fields(sealed), "environment": "field"})
    with pytest.raises(Refused, match=r"breach\.reports"):
        breach.check(history.world, elsewhere, SERVER, history.now_ms)


def test_a_batch_from_before_they_were_counted_says_nothing(house: DeviceHouse) -> None:
    show(house, "lab", "1")
    house.seal("lab")
    sealed = fact(house.sealed[0])
    old = type(sealed)(**{**_fields(sealed), "others": -1, "last_report": 99})
    breach.check(History().world, old, SERVER, 0)


def _fields(sealed: object) -> dict[str, object]:
    return {name: getattr(sealed, name) for name in type(sealed).__struct_fields__}  # type: ignore[attr-defined]
