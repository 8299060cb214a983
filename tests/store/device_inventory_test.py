"""Pages of devices by name, filtered, on both databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from surefoot.core.device import Expired, Feedback, Opened
from surefoot.store import device_inventory
from surefoot.store.database import statement
from surefoot.store.device import AttributesPut, Incoming
from surefoot.store.device_inventory import DeviceFilter, DeviceInventory
from surefoot.store.device_rollouts import Wave
from surefoot.store.postgres import PostgresDatabase
from surefoot.store.sqlite import FILE_NAME
from surefoot.testing.device_door import DeviceHouse

ENV = "production"
NAMES = [f"{kind}-{n:02}" for kind in ("Lamp", "lamp", "pump") for n in range(20)]


@pytest.fixture(params=["sqlite", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeviceHouse]:
    """Sixty devices, all in rollout 7: lamp-03 verified, lamp-04 failed, pump-05 timed out."""
    database = None
    if request.param == "postgres":
        database = PostgresDatabase(request.getfixturevalue("postgres_dsn"))
    house = DeviceHouse(tmp_path, database)
    house.enrol(ENV, *(n for n in NAMES if not n.startswith("pump")), hardware="board-1")
    house.enrol(ENV, *(n for n in NAMES if n.startswith("pump")), hardware="board-2")
    house.enrol("staging", "lamp-00")
    _assign(house, 7)
    done = AttributesPut(mode="merge", values={"firmware_version": "1.1.0"})
    _tell(house, "lamp-03", Opened(), Feedback("closed", "success"), done)
    _tell(house, "lamp-04", Opened(), Feedback("closed", "failure", ("no space",)))
    _tell(house, "pump-05", Expired())
    yield house
    house.database.close()


def _assign(house: DeviceHouse, deployment: int) -> None:
    wave = Wave(
        deployment=deployment,
        wave=0,
        percent=100,
        release="sha256:" + "1" * 64,
        firmware=house.firmware(b"new", f"1.{deployment - 6}.0"),
        deadline_seconds=60,
    )
    house.assign(ENV, wave, fence=deployment)


def _tell(house: DeviceHouse, device: str, *told: object) -> None:
    house.registry.record(
        [Incoming(environment=ENV, device=device, told=each) for each in told]  # type: ignore[arg-type]
    )


def _names(house: DeviceHouse, **asked: object) -> list[str]:
    wanted = DeviceFilter(**asked)  # type: ignore[arg-type]
    return [d.device for d in DeviceInventory(house.database).page(ENV, wanted, limit=100).devices]


def test_each_filter_finds_its_devices(house: DeviceHouse) -> None:
    assert _names(house) == sorted(NAMES)
    assert _names(house, text="lamp-1") == [f"lamp-{n}" for n in range(10, 20)]
    assert _names(house, text="l\u00e4mp") == _names(house, text="lamp\x00") == []
    assert _names(house, hardware="board-2", text="pump-0") == [f"pump-0{n}" for n in range(10)]
    assert _names(house, runs="1.1.0") == ["lamp-03"]
    assert len(_names(house, runs="")) == len(NAMES) - 1
    assert _names(house, state="failed", deployment=7) == ["lamp-04"]
    assert _names(house, state="timed_out", deployment=7, hardware="board-1") == []
    assert _names(house, state="timed_out", deployment=7, wave="0") == ["pump-05"]
    assert _names(house, state="failed", deployment=6) == []


def test_a_state_is_that_in_the_rollout_asked_for(house: DeviceHouse) -> None:
    house.now_ms()
    _assign(house, 8)
    assert _names(house, state="failed", deployment=7) == ["lamp-04"]
    assert _names(house, state="failed", deployment=8) == []
    assert DeviceInventory(house.database).newest_rollout(ENV) == 8


def test_standings_are_found_by_name(house: DeviceHouse) -> None:
    for name in ("pump-01", "lamp-02"):
        house.identities.set_standing(ENV, name, "revoked", "ann")
    assert _names(house, standing="revoked") == ["lamp-02", "pump-01"]
    assert _names(house, standing="pending") == []
    assert len(_names(house, standing="")) == len(NAMES) - 2


def test_pages_follow_each_other_without_gap_or_repeat(house: DeviceHouse) -> None:
    inventory, after, found = DeviceInventory(house.database), "", []
    while True:
        page = inventory.page(ENV, DeviceFilter(hardware="board-1"), after=after, limit=7)
        found += [d.device for d in page.devices]
        if not page.next:
            break
        assert len(page.devices) == 7
        after = page.next
    assert found == sorted(n for n in NAMES if not n.startswith("pump"))


def test_a_question_that_fits_few_looks_at_a_bounded_part_and_says_where_to_go_on(
    house: DeviceHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_inventory, "SCAN_MAX", 30)
    inventory = DeviceInventory(house.database)
    rare = DeviceFilter()
    first = inventory.page(ENV, rare, limit=5, keep=lambda d: d.device == "pump-19")
    assert (first.devices, first.looked_at, first.next) == ((), 30, sorted(NAMES)[29])
    second = inventory.page(
        ENV, rare, after=first.next, limit=5, keep=lambda d: d.device == "pump-19"
    )
    assert [d.device for d in second.devices] == ["pump-19"]


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("name", "devices_by_name"),
        ("hardware", "devices_by_hardware"),
        ("runs", "devices_by_version"),
        ("state", "device_actions_in_state"),
        ("standing", "device_traits_by_standing"),
        ("tag", "device_tag_names"),
    ],
)
def test_each_question_goes_along_its_own_index(tmp_path: Path, name: str, index: str) -> None:
    house = DeviceHouse(tmp_path)
    words = device_inventory._words(ENV, DeviceFilter(), "", 10)
    sql = statement(f"device_inventory.by_{name}_reach", "sqlite")
    with closing(sqlite3.connect(tmp_path / "db" / FILE_NAME)) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", words)]
    assert index in next(line for line in plan if line.startswith("SEARCH")), plan
    house.database.close()
