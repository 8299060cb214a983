"""What holds devices of a rollout is named as the pacing has it, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.core.device import Feedback, Opened
from surefoot.core.governance import Growth, Pace, Retry, Window
from surefoot.store.device import Incoming
from surefoot.store.device_holds import DeviceHolds, Holds, Waiting
from surefoot.store.device_rollouts import Wave
from surefoot.store.postgres import PostgresDatabase
from surefoot.testing.device_door import DeviceHouse

ENV = "production"
NOW_MS = 1_790_000_000_000  # a Monday, 14:13:20 UTC
NIGHT = Window(from_minute=60, minutes=60)
NIGHT_MS = 1_790_038_800_000


@pytest.fixture(params=["sqlite", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeviceHouse]:
    database = None
    if request.param == "postgres":
        database = PostgresDatabase(request.getfixturevalue("postgres_dsn"))
    house = DeviceHouse(tmp_path, database, lambda: NOW_MS)
    house.enrol(ENV, *(f"dev{n}" for n in range(4)))
    yield house
    house.database.close()


def held(house: DeviceHouse, pace: Pace) -> Holds:
    """What holds the devices after the pacer has looked once."""
    wave = Wave(
        deployment=7,
        wave=0,
        percent=100,
        release="sha256:" + "1" * 64,
        firmware=house.firmware(b"new", "1.1.0"),
        deadline_seconds=600,
        pace=pace,
    )
    house.assign(ENV, wave)
    house.pace(ENV, 7)
    return look(house)


def look(house: DeviceHouse) -> Holds:
    return DeviceHolds(house.database, house.now_ms).of_rollout(ENV, 7, {"assigned": 4})


@pytest.mark.parametrize(
    ("pace", "waiting", "caps"),
    [
        (Pace(), (), ()),
        (Pace(rate_per_minute=1), (("turn", 3),), ("rate",)),
        (Pace(concurrency=2), (("turn", 2),), ("concurrency",)),
        (Pace(exponential=Growth(start=1, factor=2)), (("turn", 3),), ("growth",)),
        (Pace(windows=(NIGHT,)), (("window", 4),), ()),
    ],
)
def test_what_holds_is_named(
    house: DeviceHouse, pace: Pace, waiting: tuple[tuple[str, int], ...], caps: tuple[str, ...]
) -> None:
    found = held(house, pace)
    assert tuple((each.held, each.devices) for each in found.waiting) == waiting
    assert found.caps == caps
    # Without a bound nobody was let begin, and none has begun.
    assert found.under_way == (4 - sum(n for _, n in waiting) if pace.holds else 0)


def test_a_window_and_a_back_off_say_until_when(house: DeviceHouse) -> None:
    (night,) = held(house, Pace(windows=(NIGHT,))).waiting
    assert night == Waiting("window", 4, NIGHT_MS)
    assert look(house).pace.windows == (NIGHT,)


def test_one_device_that_failed_waits_for_its_next_attempt(house: DeviceHouse) -> None:
    held(house, Pace(retry=Retry(times=1, backoff_seconds=60, factor=1)))
    failed = [Opened(), Feedback("closed", "failure")]
    house.registry.record([Incoming(environment=ENV, device="dev0", told=each) for each in failed])
    again = house.registry.find(ENV, "dev0")
    assert again is not None
    holds = DeviceHolds(house.database, house.now_ms)
    assert holds.of_action(again.action) == Waiting("retry", 1, NOW_MS + 60_000)
    other = house.registry.find(ENV, "dev1")
    assert other is not None and holds.of_action(other.action) is None
    assert holds.of_rollout(ENV, 8, {}) == Holds()
