"""The blast radius is what the waves then do, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.core.target import Token
from surefoot.store.database import Database
from surefoot.store.device import AttributesPut, Incoming
from surefoot.store.device_blast import Blast, BlastAsk, blast
from surefoot.store.device_identity import DeviceIdentities
from surefoot.store.device_rollouts import DeviceRollouts, Wave
from surefoot.store.device_target import Targeting
from surefoot.store.postgres import PostgresDatabase
from surefoot.store.sqlite import SqliteDatabase
from surefoot.testing.device_door import DeviceHouse

ENV = "production"
NOW_MS = 1_800_000_000_000


@pytest.fixture(params=["sqlite", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeviceHouse]:
    database: Database = (
        SqliteDatabase(tmp_path / "own")
        if request.param == "sqlite"
        else PostgresDatabase(request.getfixturevalue("postgres_dsn"))
    )
    house = DeviceHouse(tmp_path, database, lambda: NOW_MS)
    house.enrol(ENV, *(f"d{n:02}" for n in range(30)))
    for n in range(30):
        values = {"sw_version": "1.2" if n < 3 else "2.0" if n < 5 else "1.0", "room": f"r{n % 2}"}
        told = AttributesPut(mode="merge", values=values)
        house.registry.record([Incoming(environment=ENV, device=f"d{n:02}", told=told)])
    house.enrol(ENV, "o1", "o2", hardware="other")
    house.registry.note_seen({row.number: NOW_MS - 60_000 for row in house.registry.changed(0)})
    DeviceIdentities(database, house.now_ms).set_standing(ENV, "d29", "revoked", "ann")
    yield house
    database.close()


def wave(house: DeviceHouse, targeting: Targeting) -> Wave:
    firmware = house.firmware(b"new!", "1.2", hardware=("simulated",))
    return Wave(
        deployment=1,
        wave=0,
        percent=100,
        release="sha256:" + "1" * 64,
        firmware=firmware,
        hardware=firmware.hardware,
        deadline_seconds=60,
        targeting=targeting,
    )


def look(house: DeviceHouse, targeting: Targeting, **changes: int | str) -> Blast:
    demand = wave(house, targeting).demand
    ask = {"limit": 5, "after": "", **changes}
    return blast(
        house.database,
        BlastAsk(
            environment=ENV,
            demand=demand,
            targeting=targeting,
            now_ms=NOW_MS,
            limit=int(ask["limit"]),
            after=str(ask["after"]),
        ),
    )


def test_everyone_is_counted_once_and_the_wave_moves_the_same(house: DeviceHouse) -> None:
    found = look(house, Targeting())
    assert (found.registered, found.matching, found.already_there, found.moves) == (32, 32, 3, 24)
    assert {reason: group.count for reason, group in found.unfit.items()} == {
        "downgrade": 2,
        "hardware": 2,
        "standing": 1,
    }
    assert found.already_there + found.moves + 5 == found.matching
    assert sorted(found.unfit["hardware"].names) == ["o1", "o2"]
    assert "other" in found.unfit["hardware"].example
    assert found.size_bytes == 24 * 4
    assert (found.heard.hour, found.heard.poll_seconds) == (24, 120)
    assert house.registry.states(ENV, 1) == {}
    rollouts = DeviceRollouts(house.database, ENV, house.now_ms)
    figures = rollouts.assign(wave(house, Targeting()), Token(operation="1/1", fence=1)).figures
    assert figures["assigned"] == found.moves


def test_a_query_narrows_and_a_list_widens(house: DeviceHouse) -> None:
    targeting = Targeting(query="attribute.room==r1 and version==1.0", devices=("d06", "d00"))
    found = look(house, targeting)
    moved = {f"d{n:02}" for n in range(5, 29, 2)} | {"d06"}
    assert (found.moves, found.already_there, found.unfit) == (len(moved), 1, {})
    assert found.names == sorted(moved)[:5]
    assert look(house, Targeting(query="lastseen=lt=2m")).matching == 32
    assert look(house, Targeting(query="lastseen=lt=30s")).matching == 0


def test_names_come_in_pages(house: DeviceHouse) -> None:
    pages: list[str] = []
    while names := look(house, Targeting(), after=pages[-1] if pages else "", limit=7).names:
        pages += names
    assert pages == [f"d{n:02}" for n in range(5, 29)]
