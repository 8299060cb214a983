"""The tallies of a rollout are what counting its actions gives, whatever happened to them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from surefoot.core.device import PENDING, Feedback
from surefoot.core.target import Token
from surefoot.store.database import Database
from surefoot.store.device import Incoming
from surefoot.store.device_rollouts import DeviceRollouts, Return, Wave
from surefoot.store.postgres import PostgresDatabase
from surefoot.store.sqlite import FILE_NAME, SqliteDatabase
from surefoot.testing.device_door import DeviceHouse

ENV = "production"
_COUNTED = (
    "SELECT deployment, wave, state, COUNT(*) FROM device_actions GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
)


@pytest.fixture(params=["sqlite", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeviceHouse]:
    database: Database = (
        SqliteDatabase(tmp_path / "db")
        if request.param == "sqlite"
        else PostgresDatabase(request.getfixturevalue("postgres_dsn"))
    )
    yield DeviceHouse(tmp_path, database)
    database.close()


def counted(house: DeviceHouse) -> list[tuple[Any, ...]]:
    with house.database.read() as session:
        held: Any = session
        return [tuple(row) for row in held._connection.execute(_COUNTED).fetchall()]


def told(house: DeviceHouse) -> list[tuple[Any, ...]]:
    return [
        (deployment, wave, state, count)
        for deployment in (1, 2)
        for wave, states in sorted(house.registry.states(ENV, deployment).items())
        for state, count in sorted(states.items())
    ]


def rolled(house: DeviceHouse) -> DeviceRollouts:
    """Two rollouts, the second over devices of the first; some have reported, some have failed."""
    house.enrol(ENV, *(f"d{n:02}" for n in range(30)))
    rollouts = DeviceRollouts(house.database, ENV, house.now_ms)
    for deployment in (1, 2):
        base: dict[str, Any] = {"release": "r", "deadline_seconds": 60}
        firmware = house.firmware(f"image {deployment}".encode(), f"{deployment}.0")
        wave = Wave(deployment=deployment, wave=0, percent=60, firmware=firmware, **base)
        rollouts.assign(wave, Token(operation=f"{deployment}/wave", fence=deployment))
        busy = [row.device for row in house.registry.page(ENV) if row.deployment == deployment]
        events = [Feedback("proceeding", "none", ())] * 5 + [Feedback("closed", "failure", ())] * 4
        house.registry.record(
            [
                Incoming(environment=ENV, device=name, told=event)
                for name, event in zip(busy, events, strict=False)
            ]
        )
    return rollouts


def test_the_tallies_are_the_counts(house: DeviceHouse) -> None:
    rollouts = rolled(house)
    assert len(counted(house)) >= 5 and told(house) == counted(house)
    rollouts.stop(2, Token(operation="2/stop", fence=3))
    back = house.firmware(b"image 1", "1.0")
    given = Return(deployment=2, release="r", firmware=back, deadline_seconds=60)
    rollouts.return_devices(given, Token(operation="2/return", fence=4))
    assert "return" in house.registry.states(ENV, 2)
    assert told(house) == counted(house)
    assert {state for _, _, state, _ in told(house)} & set(PENDING)
    house.registry.remove_environment(ENV)
    assert told(house) == counted(house)
    assert not {state for _, _, state, _ in told(house)} & set(PENDING)


def test_a_database_of_before_is_taken_over(tmp_path: Path) -> None:
    house = DeviceHouse(tmp_path)
    rolled(house)
    page, states, change = house.registry.page(ENV), told(house), house.registry.changed(0)
    house.database.close()
    with closing(sqlite3.connect(tmp_path / "db" / FILE_NAME)) as connection, connection:
        connection.execute(
            "UPDATE devices SET (action, change) = "
            "(SELECT action, change FROM device_heads h WHERE h.number = devices.number)"
        )
        connection.execute("DROP TABLE device_heads")
        connection.execute("DROP TABLE device_tallies")
    again = DeviceHouse(tmp_path)
    assert [again.registry.page(ENV), told(again), again.registry.changed(0)] == [
        page,
        states,
        change,
    ]
    again.database.close()
