"""Devices that come after a rollout's last wave, on SQLite and PostgreSQL: one suite."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from surefoot.core.device import Feedback, Opened
from surefoot.core.governance import Growth, Pace, Retry
from surefoot.core.target import Token
from surefoot.store import device_newcomers
from surefoot.store.device import AttributesPut, Incoming
from surefoot.store.device_newcomers import DeviceNewcomers
from surefoot.store.device_rollouts import DeviceRollouts, Wave
from surefoot.store.device_target import Targeting
from surefoot.store.postgres import PostgresDatabase
from surefoot.testing.device_door import DeviceHouse

ENV = "production"
NOW_MS = 1_790_000_000_000


@pytest.fixture(params=["sqlite", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeviceHouse]:
    database = None
    if request.param == "postgres":
        database = PostgresDatabase(request.getfixturevalue("postgres_dsn"))
    house = DeviceHouse(tmp_path, database, lambda: NOW_MS)
    house.enrol(ENV, "old")
    yield house
    house.database.close()


def assign(house: DeviceHouse, deployment: int = 7, **changes: Any) -> None:
    base: dict[str, Any] = {
        "deployment": deployment,
        "wave": 0,
        "percent": 100,
        "release": "sha256:" + "1" * 64,
        "firmware": house.firmware(b"new", "1.1.0", hardware=("lamp",)),
        "deadline_seconds": 600,
    }
    house.assign(ENV, Wave(**{**base, **changes}))


def comes(house: DeviceHouse, device: str, version: str = "1.0.0", **more: str) -> None:
    """A device that is enrolled and shows what it runs."""
    hardware = more.pop("hardware", "lamp")
    house.enrol(ENV, device, hardware=hardware)
    shows(house, device, version, **more)


def shows(house: DeviceHouse, device: str, version: str, **more: str) -> None:
    values = {"version": version, **more}
    tell(house, device, AttributesPut(mode="merge", values=values))


def tell(house: DeviceHouse, device: str, *told: Any) -> None:
    house.registry.record([Incoming(environment=ENV, device=device, told=each) for each in told])


def waves(house: DeviceHouse) -> dict[str, dict[str, int]]:
    return house.seal(ENV)


def test_one_that_comes_later_is_given_it_once(house: DeviceHouse) -> None:
    assign(house)
    assert house.welcome(ENV, 7) == 0
    comes(house, "late")
    assert house.welcome(ENV, 7) == 1
    assert [house.welcome(ENV, 7) for _ in range(3)] == [0, 0, 0]
    assert waves(house)["newcomers"] == {"assigned": 1}
    assert house.registry.claim(ENV, 7, "newcomers") == house.registry.claim(ENV, 7, "0") != b""
    tell(house, "late", Opened(), Feedback("closed", "success"))
    shows(house, "late", "1.1.0")
    assert waves(house)["newcomers"] == {"verified": 1}
    assert house.welcome(ENV, 7) == 0


def test_who_may_not_be_given_it_is_not(house: DeviceHouse) -> None:
    comes(house, "there-before", "1.1.0")
    assign(house)
    comes(house, "other-hardware", hardware="heater")
    comes(house, "newer", "2.0.0")
    comes(house, "there", "1.1.0")
    house.enrol(ENV, "never-shown", hardware="lamp")
    assert house.welcome(ENV, 7) == 0
    assert "newcomers" not in waves(house)
    shows(house, "never-shown", "1.0.0")
    assert house.welcome(ENV, 7) == 1


def test_one_that_first_matches_later_is_given_it(house: DeviceHouse) -> None:
    comes(house, "mover", site="lab")
    assign(house, targeting=Targeting(query="attribute.site==field"))
    comes(house, "stays", site="lab")
    assert house.welcome(ENV, 7) == 0
    shows(house, "mover", "1.0.0", site="field")
    assert house.welcome(ENV, 7) == 1


def test_only_a_complete_newest_rollout_takes_anybody(house: DeviceHouse) -> None:
    comes(house, "first")
    assign(house, percent=50)
    comes(house, "between")
    assert house.welcome(ENV, 7) == 0, "the last wave is yet to come"
    assign(house, wave=1)
    comes(house, "late")
    DeviceRollouts(house.database, ENV, house.now_ms).stop(7, Token(operation="7/stop", fence=9))
    assert house.welcome(ENV, 7) == 0
    assert DeviceNewcomers(house.database, house.now_ms).rollouts() == []


def test_a_newer_deployment_supersedes(house: DeviceHouse) -> None:
    comes(house, "first")
    assign(house)
    assign(house, 8, percent=1, firmware=house.firmware(b"newer", "1.2.0"))
    comes(house, "late")
    assert house.welcome(ENV, 7) == 0 and house.welcome(ENV, 8) == 0


@pytest.mark.parametrize(
    "pace", [Pace(rate_per_minute=1), Pace(exponential=Growth(start=1, factor=2))]
)
def test_newcomers_wait_for_their_turn(house: DeviceHouse, pace: Pace) -> None:
    comes(house, "first")
    assign(house, pace=pace)
    assert house.pace(ENV, 7) == 1
    tell(house, "first", Opened(), Feedback("closed", "failure"))
    comes(house, "late")
    assert house.welcome(ENV, 7) == 1
    held = {r.device: r.held for r in house.registry.changed(0)}
    assert held["late"] == "turn"
    assert house.pace(ENV, 7, ended=True) == (0 if pace.rate_per_minute else 1)


def test_the_end_takes_nobody(house: DeviceHouse) -> None:
    assign(house, pace=Pace(end_ms=NOW_MS))
    comes(house, "late")
    assert house.welcome(ENV, 7) == 0


def test_only_what_changed_is_looked_at(
    house: DeviceHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In portions, each device once."""
    for number in range(5):
        comes(house, f"there{number}")
    assign(house)
    monkeypatch.setattr(device_newcomers, "PORTION", 2)
    newcomers = DeviceNewcomers(house.database, house.now_ms)
    assert newcomers.rollouts() == []
    for number in range(5):
        comes(house, f"late{number}")
    house.enrol("elsewhere", "x")
    taken: list[int] = []
    while newcomers.rollouts() and len(taken) < 20:
        taken.append(house.welcome(ENV, 7))
    assert sum(taken) == 5 and max(taken) <= 2


def test_two_processes_and_a_crash_give_nothing_twice(
    house: DeviceHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    assign(house)
    comes(house, "late")

    def fails(*_: object) -> None:
        raise OSError("cut off")

    with monkeypatch.context() as cut:
        cut.setattr(device_newcomers, "_give", fails)
        with pytest.raises(OSError, match="cut off"):
            house.welcome(ENV, 7)
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda _: house.welcome(ENV, 7), range(8)))
    assert sorted(taken) == [0] * 7 + [1]
    assert waves(house)["newcomers"] == {"assigned": 1}


def test_a_rollout_that_is_closed_takes_nobody_and_withdraws_what_is_not_begun(
    house: DeviceHouse,
) -> None:
    assign(house, pace=Pace(retry=Retry(times=1, backoff_seconds=60, factor=1)))
    newcomers = DeviceNewcomers(house.database, house.now_ms)
    assert newcomers.open() == [(ENV, 7)]
    for name in ("began", "waits"):
        comes(house, name)
    assert house.welcome(ENV, 7) == 2
    tell(house, "began", Opened())
    assert newcomers.close(ENV, 7) == 1
    assert newcomers.open() == [] and newcomers.close(ENV, 7) == 0
    comes(house, "later")
    assert house.welcome(ENV, 7) == 0
    tell(house, "began", Feedback("closed", "failure"))
    assert waves(house)["newcomers"] == {"returned": 1, "failed": 1}
