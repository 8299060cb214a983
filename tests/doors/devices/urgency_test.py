"""How urgent an offer is, as a device reads it over a real socket: forced, soft, time-forced,
download-only."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from surefoot.core.governance import Urgency
from surefoot.core.interlock import encode_claimed
from surefoot.core.target import Plain, Step
from surefoot.store.device_rollouts import Return, Wave
from surefoot.testing.claims import Claims
from surefoot.testing.device_door import DeviceHouse, DoorServer
from surefoot.testing.door_client import ENV, DoorClient, report
from surefoot.testing.waiting import until

RELEASE = "sha256:" + "1" * 64


class Now:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.ms = 1_790_000_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def door(tmp_path: Path, now: Now) -> Iterator[DoorClient]:
    house = DeviceHouse(tmp_path, now_ms=now)
    house.enrol(ENV, "dev1")
    with DoorServer(house.desk()) as server:
        yield DoorClient(house, server)
    house.database.close()


def assign(door: DoorClient, urgency: Urgency, force_after_seconds: int = 0) -> int:
    door.house.assign(ENV, door_wave(door, urgency, force_after_seconds))
    return newest(door)


def door_wave(
    door: DoorClient, urgency: Urgency, force_after_seconds: int = 0, *, deployment: int = 1
) -> Wave:
    return Wave(
        deployment=deployment,
        wave=0,
        percent=100,
        release=RELEASE,
        firmware=door.firmware,
        deadline_seconds=7 * 86_400,
        urgency=urgency,
        force_after_seconds=force_after_seconds,
    )


def newest(door: DoorClient) -> int:
    action = door.house.registry.page(ENV)[0].action
    until(lambda: f"/deploymentBase/{action}?" in door.links().get("deploymentBase", ""))
    return action


def handling(door: DoorClient, action: int) -> tuple[str, str]:
    """What the device reads about its action: `download` and `update`."""
    status, _, body = door.ask("GET", f"deploymentBase/{action}")
    assert status == 200
    found = json.loads(body)["deployment"]
    return found["download"], found["update"]


def test_a_soft_offer_leaves_the_time_to_the_device(door: DoorClient, now: Now) -> None:
    action = assign(door, "soft")
    assert handling(door, action) == ("attempt", "attempt")
    now.ms += 6 * 86_400_000
    assert handling(door, action) == ("attempt", "attempt")


def test_what_is_not_said_is_forced(door: DoorClient) -> None:
    assert handling(door, door.assign()) == ("forced", "forced")


def test_a_time_forced_offer_is_forced_from_its_time_on(door: DoorClient, now: Now) -> None:
    action = assign(door, "time-forced", 3_600)
    tag = door.ask("GET", f"deploymentBase/{action}")[1]["etag"]
    now.ms += 3_600_000 - 1
    assert handling(door, action) == ("attempt", "attempt")
    now.ms += 1
    assert handling(door, action) == ("forced", "forced")
    # A client that asks with its old tag hears of it too.
    status, _, _ = door.ask("GET", f"deploymentBase/{action}", If_None_Match=tag)
    assert status == 200


def test_a_device_hears_that_its_time_has_come_by_another_address(
    door: DoorClient, now: Now
) -> None:
    action = assign(door, "time-forced", 3_600)
    before = door.links()["deploymentBase"]
    now.ms += 3_600_000 - 1
    door.house.pace(ENV, 1)
    assert door.links()["deploymentBase"] == before
    now.ms += 60_001
    door.house.pace(ENV, 1)
    until(lambda: door.links()["deploymentBase"] != before)
    assert f"/deploymentBase/{action}?c=" in door.links()["deploymentBase"]
    assert handling(door, action) == ("forced", "forced")
    changes = door.house.registry.newest_change()
    door.house.pace(ENV, 1)
    assert door.house.registry.newest_change() == changes, "once is enough"


def test_what_takes_a_soft_rollout_back_is_forced(door: DoorClient) -> None:
    action = assign(door, "soft")
    assert handling(door, action) == ("attempt", "attempt")
    door.ask("POST", f"deploymentBase/{action}/feedback", report("closed", "failure"))
    earlier = door.house.firmware(b"earlier image", "1.0.0")
    back = Return(deployment=1, release=RELEASE, firmware=earlier, deadline_seconds=600)
    arguments: Plain = {"deployment": 1, "previous": msgspec.to_builtins(back)}
    step = Step(id="undo", target="fleet", action="return_devices", arguments=arguments)
    token = Claims(ENV).token(step, "1/undo", 2)
    door.rollouts.return_devices(back, token, encode_claimed(step, token))
    assert handling(door, newest(door)) == ("forced", "forced")


def test_a_download_ends_with_the_report_of_it_and_counts_as_no_installation(
    door: DoorClient,
) -> None:
    action = assign(door, "download-only")
    assert handling(door, action) == ("forced", "skip")
    assert door.ask("GET", door.artifact_path(action))[0] == 200
    path = f"deploymentBase/{action}/feedback"
    assert door.ask("POST", path, report("downloaded", "success", "held"))[0] == 200
    (row,) = door.house.registry.page(ENV)
    assert (row.state, row.strength, row.runs) == ("downloaded", "reported", "")
    assert "deploymentBase" not in door.links()
    assert door.ask("POST", path, report("closed", "success"))[0] == 410
    (newest_rollout,) = door.rollouts.newest()
    assert newest_rollout.status == "downloaded"
    # The same release again, now to be installed.
    wave = door_wave(door, "forced", deployment=2)
    door.house.assign(ENV, wave, 2)
    again = newest(door)
    assert again != action and handling(door, again) == ("forced", "forced")


@pytest.mark.parametrize("agent", ["libcurl-agent/1.0", "Zephyr"])
def test_a_client_that_holds_no_image_is_not_told_to(door: DoorClient, agent: str) -> None:
    shown = {"mode": "merge", "data": {"sw_version": "1.0.0"}}
    assert door.ask("PUT", "configData", shown, User_Agent=agent)[0] == 200
    door.house.assign(ENV, door_wave(door, "download-only"))
    (row,) = door.house.registry.page(ENV)
    assert row.action == 0  # it is left out of the waves


def test_a_client_that_is_known_later_is_told_nothing_either(door: DoorClient) -> None:
    action = assign(door, "download-only")
    path = f"deploymentBase/{action}"
    assert door.ask("GET", path, User_Agent="libcurl-agent/1.0")[0] == 404
    assert "deploymentBase" not in door.links()
    found = door.house.registry.find(ENV, "dev1")
    assert found is not None and found.state == "assigned"
    assert found.withheld == "swupdate does not hold an image without installing it"


def test_the_rauc_client_downloads_waits_quietly_and_installs_later(door: DoorClient) -> None:
    """The recorded order: attributes, the offer, the image, `downloaded` with success."""
    rauc = {"User_Agent": "rauc-hawkbit-c-agent/1.0"}
    shown = {"data": {"version": "1.0.0"}, "status": {"execution": "closed"}}
    assert door.ask("PUT", "configData", shown, **rauc)[0] == 200
    action = assign(door, "download-only")
    assert door.ask("GET", f"deploymentBase/{action}", **rauc)[0] == 200
    assert handling(door, action) == ("forced", "skip")
    assert door.ask("GET", door.artifact_path(action), **rauc)[0] == 200
    path = f"deploymentBase/{action}/feedback"
    for told in (
        report("proceeding", "none", "Download complete."),
        report("downloaded", "success"),
    ):
        assert door.ask("POST", path, told, **rauc)[0] == 200
    assert [row.state for row in door.house.registry.page(ENV)] == ["downloaded"]
    door.house.assign(ENV, door_wave(door, "forced", deployment=2), 2)
    again = newest(door)
    assert handling(door, again) == ("forced", "forced")
    # It holds the whole image: it asks for what comes after, and 416 tells it so.
    beyond = {"Range": f"bytes={door.firmware.size_bytes}-"}
    assert door.ask("GET", door.artifact_path(again), **rauc, **beyond)[0] == 416
