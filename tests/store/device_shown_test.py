"""Which versions devices may run, with names, on SQLite and PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.core.device import Feedback
from surefoot.core.target import Token
from surefoot.store.device import AttributesPut, Incoming
from surefoot.store.device_rollouts import DeviceRollouts, Wave
from surefoot.store.device_shown import NAMES_MAX
from surefoot.store.postgres import PostgresDatabase
from surefoot.testing.device_door import DeviceHouse

ENV = "production"


@pytest.fixture(params=["sqlite", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeviceHouse]:
    database = None
    if request.param == "postgres":
        database = PostgresDatabase(request.getfixturevalue("postgres_dsn"))
    house = DeviceHouse(tmp_path, database)
    yield house
    house.database.close()


def tell(house: DeviceHouse, device: str, *told: Feedback | AttributesPut) -> None:
    house.registry.record([Incoming(environment=ENV, device=device, told=each) for each in told])


def says(**versions: str) -> AttributesPut:
    return AttributesPut(mode="merge", values={f"{n}_version": v for n, v in versions.items()})


def test_each_version_that_a_device_may_run_with_names(house: DeviceHouse) -> None:
    many = [f"d{n:02d}" for n in range(NAMES_MAX + 2)]
    house.enrol(ENV, *many, "busy", "mute", "out")
    house.enrol("staging", "elsewhere")
    for name in (*many, "busy"):
        tell(house, name, says(firmware="1.0", modem="6.0"))
    house.identities.set_standing(ENV, "out", "revoked", "test")
    wave = Wave(
        deployment=1,
        wave=0,
        percent=100,
        release="sha256:" + "1" * 64,
        firmware=house.firmware(b"2", "2.0"),
        deadline_seconds=60,
    )
    DeviceRollouts(house.database, ENV, house.now_ms).assign(wave, Token(operation="1", fence=1))
    tell(house, "busy", Feedback("proceeding", "none"))
    found = {(s.attribute, s.version): s for s in house.registry.shown(ENV, ["", "modem_version"])}
    counts = {key: shown.count for key, shown in found.items()}
    assert counts == {
        ("", "1.0"): len(many) + 1,
        ("", "2.0"): 1,
        ("", ""): 1,
        ("modem_version", "6.0"): len(many) + 1,
    }
    assert found["", "2.0"].names == ("busy",) and found["", ""].names == ("mute",)
    assert len(found["", "1.0"].names) == NAMES_MAX
    assert {s.version for s in house.registry.shown(ENV, [])} == {"", "1.0", "2.0"}
