"""A device that comes after a rollout's last wave, over a real socket."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from surefoot.core.target import Token
from surefoot.engine.device_authority import DeviceAuthority
from surefoot.store.device_rollouts import DeviceRollouts, Wave
from surefoot.testing.device_door import DeviceHouse, DoorServer
from surefoot.testing.door_client import ENV, DoorClient
from surefoot.testing.waiting import until


@pytest.fixture
def door(tmp_path: Path) -> Iterator[DoorClient]:
    """A door of a fleet whose rollout was assigned to all that were there: to nobody."""
    house = DeviceHouse(tmp_path)
    with DoorServer(house.desk()) as server:
        wave = Wave(
            deployment=1,
            wave=0,
            percent=100,
            release="sha256:" + "1" * 64,
            firmware=house.firmware(b"the release", "2.0", hardware=("lamp",)),
            deadline_seconds=600,
        )
        house.assign(ENV, wave)
        yield DoorClient(house, server)
    house.database.close()


def comes(door: DoorClient, version: str, hardware: str = "lamp") -> None:
    """The device is enrolled and tells its attributes."""
    door.house.enrol(ENV, "dev1", hardware=hardware)
    body = {
        "mode": "merge",
        "data": {"firmware_version": version},
        "status": {"result": {"finished": "success"}},
    }
    until(lambda: door.ask("PUT", "configData", body)[0] == 200)


def offered(door: DoorClient) -> bool:
    """Whether the door offers it once it has looked at what is written now."""
    door.server.looked()
    return "deploymentBase" in door.links()


def test_it_is_offered_the_release_under_the_claim_of_the_wave_for_all(door: DoorClient) -> None:
    comes(door, "1.0")
    assert not offered(door)
    assert door.house.welcome(ENV, 1) == 1
    assert offered(door)


def test_unfit_hardware_is_offered_nothing(door: DoorClient) -> None:
    comes(door, "1.0", hardware="heater")
    assert door.house.welcome(ENV, 1) == 0
    assert not offered(door)


def test_a_downgrade_is_not_offered(door: DoorClient) -> None:
    comes(door, "3.0")
    assert door.house.welcome(ENV, 1) == 0
    assert not offered(door)


def test_after_a_stop_nothing_is_offered(door: DoorClient) -> None:
    house = door.house
    DeviceRollouts(house.database, ENV, house.now_ms).stop(1, Token(operation="1/stop", fence=9))
    comes(door, "1.0")
    assert house.welcome(ENV, 1) == 0
    assert not offered(door)


def test_a_claim_of_a_wave_that_was_not_for_all_covers_no_newcomer(door: DoorClient) -> None:
    house = door.house
    comes(door, "1.0")
    assert house.welcome(ENV, 1) == 1
    wave = Wave(
        deployment=2,
        wave=0,
        percent=50,
        release="sha256:" + "1" * 64,
        firmware=house.firmware(b"the release", "2.0", hardware=("lamp",)),
        deadline_seconds=600,
    )
    house.assign(ENV, wave, fence=2)
    with house.database.write() as session:
        session.run(
            "device_newcomers.keep_claim",
            environment=ENV,
            deployment=2,
            wave="0",
            newcomers="newcomers",
        )
    (row,) = house.registry.changed(0)
    authority = DeviceAuthority(house.registry, house.keys)
    assert not authority.may_offer(msgspec.structs.replace(row, deployment=2, wave="newcomers"))
    assert authority.may_offer(msgspec.structs.replace(row, deployment=2, wave="0"))
