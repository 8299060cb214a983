"""Tags of devices in the registry, and the choices that ask for them, on both databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from surefoot.core.target import Token
from surefoot.store.device_blast import BlastAsk, blast
from surefoot.store.device_inventory import DeviceFilter, DeviceInventory
from surefoot.store.device_rollouts import DeviceRollouts, Wave
from surefoot.store.device_tags import DeviceTags
from surefoot.store.device_target import Targeting
from surefoot.store.postgres import PostgresDatabase
from surefoot.store.sqlite import FILE_NAME
from surefoot.testing.device_door import DeviceHouse

ENV = "production"
FILTERS = (
    DeviceFilter(),
    DeviceFilter(hardware="board-1"),
    DeviceFilter(runs=""),
    DeviceFilter(state="assigned", deployment=1),
)


@pytest.fixture(params=["sqlite", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeviceHouse]:
    """Devices a, b, c and d; a and b are tagged lab, b is tagged pilot too."""
    database = None
    if request.param == "postgres":
        database = PostgresDatabase(request.getfixturevalue("postgres_dsn"))
    house = DeviceHouse(tmp_path, database)
    house.enrol(ENV, "a", "b", "c", "d", hardware="board-1")
    house.enrol("staging", "a")
    tags = DeviceTags(house.database)
    tags.change(ENV, ["a", "b"], ["lab", "old"], [])
    tags.change(ENV, ["a", "b"], [], ["old"])
    tags.change(ENV, ["b", "nobody"], ["pilot"], [])
    yield house
    house.database.close()


def wave_of(house: DeviceHouse, query: str) -> Wave:
    return Wave(
        deployment=1,
        wave=0,
        percent=100,
        release="sha256:" + "1" * 64,
        firmware=house.firmware(b"new", "2.0"),
        deadline_seconds=60,
        targeting=Targeting(query=query),
    )


def test_tags_are_told_of_those_that_there_are(house: DeviceHouse) -> None:
    found = DeviceTags(house.database).of(ENV, ["b", "a", "c", "a", "nobody"])
    assert found == {"a": ("lab",), "b": ("lab", "pilot"), "c": ()}
    assert DeviceTags(house.database).of("staging", ["a"]) == {"a": ()}


def test_every_page_and_every_device_shows_its_tags(house: DeviceHouse) -> None:
    expected = {"a": ("lab",), "b": ("lab", "pilot"), "c": (), "d": ()}
    house.assign(ENV, wave_of(house, ""), fence=1)
    for wanted in FILTERS:
        page = DeviceInventory(house.database).page(ENV, wanted)
        assert {d.device: d.tags for d in page.devices} == expected, wanted
    house.identities.set_standing(ENV, "b", "rejected", "ann")
    (kept_out,) = (
        DeviceInventory(house.database).page(ENV, DeviceFilter(standing="rejected")).devices
    )
    assert kept_out.tags == ("lab", "pilot")
    assert {d.device: d.tags for d in house.registry.page(ENV)} == expected
    found = house.registry.find(ENV, "b")
    assert found is not None and found.tags == ("lab", "pilot") and found.withheld == ""


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("tag==lab", "ab"),
        ("tag!=lab", "cd"),
        ("tag==pi*", "b"),
        ("tag=out=(pilot,gone)", "acd"),
        ("tag==''", "cd"),
        ("tag==old", ""),
        ("tag==lab and name!=a", "b"),
        ("name==d or tag==pilot", "bd"),
    ],
)
def test_who_is_meant_is_alike_for_a_change_a_plan_and_a_wave(
    house: DeviceHouse, query: str, meant: str
) -> None:
    assert sorted(DeviceTags(house.database).meant(ENV, query, 1, 100)) == list(meant)
    wave = wave_of(house, query)
    ask = BlastAsk(environment=ENV, demand=wave.demand, targeting=wave.targeting, now_ms=1)
    assert blast(house.database, ask).names == list(meant)
    token = Token(operation="1/wave-0", fence=1)
    DeviceRollouts(house.database, ENV, house.now_ms).assign(wave, token)
    assert sorted(d.device for d in house.registry.page(ENV) if d.action) == list(meant)


def tagged(house: DeviceHouse, **asked: Any) -> str:
    page = DeviceInventory(house.database).page(ENV, DeviceFilter(**asked))
    return "".join(device.device for device in page.devices)


def test_the_devices_of_a_tag_are_found_by_name(house: DeviceHouse) -> None:
    assert (tagged(house, tag="lab"), tagged(house, tag="pilot"), tagged(house, tag="old")) == (
        "ab",
        "b",
        "",
    )
    assert tagged(house, tag="lab", text="b") == "b" and tagged(house, tag="lab", runs="x") == ""
    house.assign(ENV, wave_of(house, "name==a"), fence=1)
    assert tagged(house, tag="lab", state="assigned", deployment=1) == "a"
    assert tagged(house, tag="pilot", state="assigned", deployment=1) == ""
    inventory, wanted = DeviceInventory(house.database), DeviceFilter(tag="lab")
    first = inventory.page(ENV, wanted, limit=1)
    assert [d.device for d in first.devices] == ["a"] and first.next == "a"
    rest = inventory.page(ENV, wanted, after=first.next, limit=1)
    assert [d.device for d in rest.devices] == ["b"] and rest.next == ""
    DeviceTags(house.database).change(ENV, ["a"], [], ["lab"])
    assert tagged(house, tag="lab") == "b"
    house.registry.remove_environment(ENV)
    house.enrol(ENV, "b")
    assert tagged(house, tag="lab") == ""


def test_tags_of_before_are_taken_over(tmp_path: Path) -> None:
    house = DeviceHouse(tmp_path)
    house.enrol(ENV, "a", "b")
    DeviceTags(house.database).change(ENV, ["a", "b"], ["lab"], [])
    DeviceTags(house.database).change(ENV, ["b"], ["old-1"], [])
    house.database.close()
    with closing(sqlite3.connect(tmp_path / "db" / FILE_NAME)) as connection, connection:
        connection.execute("DELETE FROM device_tag_names")
    again = DeviceHouse(tmp_path)
    assert (tagged(again, tag="lab"), tagged(again, tag="old-1")) == ("ab", "b")
    again.database.close()


def test_no_more_are_found_than_asked_for(house: DeviceHouse) -> None:
    assert len(DeviceTags(house.database).meant(ENV, "name==*", 1, 3)) == 3


def test_a_device_of_the_same_name_after_the_end_has_no_tags(house: DeviceHouse) -> None:
    house.registry.remove_environment(ENV)
    house.enrol(ENV, "a")
    tags = DeviceTags(house.database)
    assert tags.of(ENV, ["a", "b"]) == {"a": ()}
    assert tags.meant(ENV, "tag==lab", 1, 10) == []
