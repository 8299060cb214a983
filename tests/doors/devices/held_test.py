"""A held action is nothing to do, over a real socket: never an offer, never an offer to skip."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.core.governance import Pace, Retry, Window
from surefoot.store.device_rollouts import Wave
from surefoot.testing.device_door import DeviceHouse, DoorServer
from surefoot.testing.door_client import ENV, DoorClient, report
from surefoot.testing.waiting import until

DAY_MS = 86_400_000


class Now:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.ms = 1_790_000_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture(params=[True, False], ids=["fast", "slow"])
def door(request: pytest.FixtureRequest, tmp_path: Path, now: Now) -> Iterator[DoorClient]:
    house = DeviceHouse(tmp_path, now_ms=now)
    house.enrol(ENV, "dev1")
    with DoorServer(house.desk(), fast=request.param) as server:
        yield DoorClient(house, server)
    house.database.close()


def assign(door: DoorClient, pace: Pace) -> int:
    door.house.assign(
        ENV,
        Wave(
            deployment=1,
            wave=0,
            percent=100,
            release="sha256:" + "1" * 64,
            firmware=door.firmware,
            deadline_seconds=7 * 86_400,
            pace=pace,
        ),
    )
    return door.house.registry.page(ENV)[0].action


def offered(door: DoorClient, *, wanted: bool) -> bool:
    """Whether the door comes to offer (or to hide) the action; it looks several times a second."""
    until(lambda: ("deploymentBase" in door.links()) == wanted)
    return True


def settled(door: DoorClient) -> dict[str, str]:
    """The links after the door has certainly looked at the registry again."""
    door.server.looked()
    return door.links()


def test_an_action_is_hidden_outside_the_window_and_offered_inside(
    door: DoorClient, now: Now
) -> None:
    # 2026-09-21 14:13:20 UTC: the window of 15:00 to 16:00 UTC is 46 minutes and 40 seconds away.
    action = assign(door, Pace(windows=(Window(from_minute=15 * 60, minutes=60),)))
    door.house.pace(ENV, 1)
    assert not {"deploymentBase", "confirmationBase", "cancelAction"} & settled(door).keys()
    for method, path in (
        ("GET", f"deploymentBase/{action}"),
        ("POST", f"deploymentBase/{action}/feedback"),
        ("GET", f"softwaremodules/{action}/artifacts"),
        ("GET", door.artifact_path(action)),
    ):
        body = report("closed", "success") if method == "POST" else None
        assert door.ask(method, path, body)[0] == 404, path
    assert door.house.registry.page(ENV)[0].state == "assigned"

    now.ms += 46 * 60_000 + 40_000
    assert door.house.pace(ENV, 1) == 1
    assert offered(door, wanted=True)
    now.ms += 60 * 60_000
    assert door.house.pace(ENV, 1) == 1
    assert offered(door, wanted=False), "not begun when the window closed"

    now.ms += DAY_MS - 60_000
    assert door.house.pace(ENV, 1) == 1 and offered(door, wanted=True)
    document = json.loads(door.ask("GET", f"deploymentBase/{action}")[2])
    assert document["deployment"]["update"] == "forced"
    now.ms += DAY_MS
    door.house.pace(ENV, 1)
    assert "deploymentBase" in settled(door), "what a device has begun is not taken from it"


def test_a_failure_is_offered_again_after_its_back_off(door: DoorClient, now: Now) -> None:
    first = assign(door, Pace(retry=Retry(times=1, backoff_seconds=600, factor=1)))
    assert offered(door, wanted=True)
    path = f"deploymentBase/{first}/feedback"
    assert door.ask("POST", path, report("closed", "failure", "no space"))[0] == 200
    assert "deploymentBase" not in settled(door)
    assert door.ask("POST", path, report("closed", "success"))[0] == 410
    assert door.house.seal(ENV) == {"0": {"assigned": 1}}
    now.ms += 600_000
    assert door.house.pace(ENV, 1) == 1
    assert offered(door, wanted=True)
    second = door.house.registry.page(ENV)[0].action
    assert second != first and f"/{second}?" in door.links()["deploymentBase"]
    path = f"deploymentBase/{second}/feedback"
    assert door.ask("POST", path, report("closed", "failure", "no space"))[0] == 200
    assert door.house.seal(ENV) == {"0": {"failed": 1}}


def test_a_pause_hides_what_is_not_begun(door: DoorClient) -> None:
    assign(door, Pace())
    assert offered(door, wanted=True)
    assert door.house.pace(ENV, 1, paused=True) == 1
    assert offered(door, wanted=False)
    assert door.house.pace(ENV, 1) == 1
    assert offered(door, wanted=True)
