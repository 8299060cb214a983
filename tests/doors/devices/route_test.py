"""A device on its way to a release, over a real socket: one image after another, each shown."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.store.device_rollouts import Wave
from surefoot.testing.device_door import DeviceHouse, DoorServer
from surefoot.testing.door_client import ENV, DoorClient, report


@pytest.fixture
def door(tmp_path: Path) -> Iterator[DoorClient]:
    house = DeviceHouse(tmp_path)
    house.enrol(ENV, "dev1")
    with DoorServer(house.desk()) as server:
        yield DoorClient(house, server)
    house.database.close()


def shows(door: DoorClient, **attributes: str) -> None:
    body = {"mode": "merge", "data": attributes, "status": {"result": {"finished": "success"}}}
    assert door.ask("PUT", "configData", body)[0] == 200


def offered(door: DoorClient, before: int = 0) -> tuple[int, str, bytes]:
    """The action after `before`, its version, and the bytes of its image."""
    for _ in range(4500):
        link = door.links().get("deploymentBase", "")
        action = int(link.rpartition("/")[2].partition("?")[0] or 0)
        if action > before:
            document = json.loads(door.ask("GET", f"deploymentBase/{action}")[2])
            (chunk,) = document["deployment"]["chunks"]
            file = chunk["artifacts"][0]["filename"]
            content = door.ask("GET", f"softwaremodules/{action}/artifacts/{file}")[2]
            return action, chunk["version"], content
        time.sleep(0.02)
    raise AssertionError("the door never offered it")


def test_modem_stone_and_release_are_offered_one_after_another(door: DoorClient) -> None:
    house = door.house
    modem = house.firmware(b"the modem", "7.0", attribute="modem_version")
    stone = house.firmware(b"the stone", "1.5", through=True)
    wave = Wave(
        deployment=1,
        wave=0,
        percent=100,
        release="sha256:" + "1" * 64,
        firmware=house.firmware(b"the release", "2.0", from_version="1.5"),
        deadline_seconds=600,
        parts=(modem,),
        stones=(stone,),
    )
    shows(door, firmware_version="1.0", modem_version="6.0")
    house.assign(ENV, wave)
    action = 0
    for version, content, name in (
        ("7.0", b"the modem", "modem_version"),
        ("1.5", b"the stone", "firmware_version"),
        ("2.0", b"the release", "firmware_version"),
    ):
        action, *found = offered(door, action)
        assert found == [version, content]
        done = report("closed", "success")
        assert door.ask("POST", f"deploymentBase/{action}/feedback", done)[0] == 200
        door.server.looked()
        # Said, but not shown: nothing follows.
        assert "deploymentBase" not in door.links()
        shows(door, **{name: version})
        # What ended moves nothing when it is told again.
        assert door.ask("POST", f"deploymentBase/{action}/feedback", done)[0] == 410
    assert door.state()[0] == "verified"
    assert house.seal(ENV) == {"0": {"verified": 1}, "0/via": {"verified": 2}}
