"""Fifty devices of the example at Surefoot's own device door: verified, failed, returned."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import thermostat_product as product

from surefoot.core.target import Outcome, Plain
from surefoot.testing.claims import Claims
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of

ENV = "production"
NAMES = [f"thermostat-{number:02d}" for number in range(50)]


class Fleet:
    """A door, fifty devices, and the images to give them."""

    def __init__(self, house: DeviceHouse, images: dict[str, Path]) -> None:
        self.house = house
        self.target = house.fleet(ENV)
        self.firmware: dict[str, Plain] = {
            version: msgspec.to_builtins(house.firmware(path.read_bytes(), version))
            for version, path in images.items()
        }
        self.fence = 0

    def desired(self, number: int, version: str, previous: str = "") -> Plain:
        """One wave of everything."""
        found: Plain = {
            "deployment": number,
            "release": "sha256:" + str(number) * 64,
            "firmware": self.firmware[version],
            "waves": [100],
            "policy": {"deadline_seconds": 60},
        }
        if previous:
            release = "sha256:" + str(number - 1) * 64
            found["previous"] = {"release": release, "firmware": self.firmware[previous]}
        return found

    def roll_out(self, desired: Plain, action: str = "") -> Outcome:
        """Apply the one wave, or undo it."""
        self.fence += 1
        step = self.target.plan(desired, msgspec.structs.replace(self.target.observe(), stable={}))
        chosen = msgspec.structs.replace(step[0], action=action or step[0].action)
        token = Claims(ENV).token(chosen, f"{desired['deployment']}/{action or 'wave'}", self.fence)
        return self.target.apply(chosen, token)

    def wait(self, wave: str, **states: int) -> None:
        """Wait for a wave's sealed counters."""
        wait(lambda: self.house.seal(ENV).get(wave) == states, lambda: self.house.seal(ENV))

    def runs(self) -> Counter[str]:
        """Devices by the version that their attributes show."""
        return Counter(device.runs for device in self.house.registry.page(ENV, "", 1000))


def wait(condition: Callable[[], bool], shown: Callable[[], object]) -> None:
    """Wait for what must become true."""
    end = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < end, shown()
        time.sleep(0.05)


@pytest.fixture
def fleet(
    tmp_path: Path,
    images: dict[str, Path],
    artifacts: dict[str, Path],
    checkouts: dict[str, Path],
) -> Iterator[Fleet]:
    """Everything, running."""
    database = tmp_path / "main.sqlite"
    product.migrate(database, checkouts["1.2.0"], "expand", "backfill")
    service = product.Service(artifacts["1.2.0"], tmp_path / "api", database, sample_seconds=30)
    house = DeviceHouse(tmp_path / "house")
    house.enrol(ENV, *NAMES, hardware="thermostat-v1")
    registry = tmp_path / "registry.json"
    registry.write_text(json.dumps([{"id": name, "token": token_of(name)} for name in NAMES]))
    with DoorServer(house.desk()) as server:
        devices = subprocess.Popen(
            [
                *(sys.executable, product.EXAMPLE / "device" / "thermostat_device.py"),
                *("--server", server.url, "--tenant", ENV, "--service", service.address),
                *("--folder", tmp_path / "devices", "--registry", registry),
                *("--telemetry-seconds", "0", "--poll-seconds", "1"),
            ],
            stdout=subprocess.DEVNULL,
        )
        yield Fleet(house, images)
        devices.send_signal(signal.SIGTERM)
        assert devices.wait(300) == 0
    house.database.close()
    assert service.stop() == 0


def test_fifty_devices_are_verified_then_fail_1_2_0_and_are_proven_back_on_1_1_0(
    fleet: Fleet,
) -> None:
    fleet.roll_out(fleet.desired(1, "1.1.0"))
    fleet.wait("0", verified=50)
    assert fleet.runs() == {"1.1.0": 50}
    bad = fleet.desired(2, "1.2.0", previous="1.1.0")
    fleet.roll_out(bad)
    fleet.wait("0", failed=50)
    reasons = {device.reason for device in fleet.house.registry.page(ENV, "", 1000)}
    assert all("422: field.temperature" in reason for reason in reasons), reasons
    fleet.roll_out(bad, "return_devices")
    fleet.wait("return", returned=50)
    assert fleet.runs() == {"1.1.0": 50}
