"""The PyPI client `rauc-hawkbit`, unmodified, on a D-Bus of its own, against the real door.

An installer stands in RAUC's place on that bus. The client tells no version, so what it installed
is never more than reported. Run by `make field`, which installs it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from surefoot.core.target import Token
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of
from surefoot.testing.door_client import CONTENT, ENV, DoorClient

pytestmark = [pytest.mark.field, pytest.mark.timeout(180)]

CLIENT = Path(sys.prefix) / "field"
PYTHON = "/usr/bin/python3"
BUS = """<busconfig><type>session</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>
"""
SETTINGS = """[client]
hawkbit_server = {netloc}
ssl = false
tenant_id = {environment}
target_name = dev1
auth_token = {token}
mac_address = ff:ff:ff:ff:ff:ff
bundle_download_location = {folder}/bundle.raucb
log_level = debug
"""


class Device:
    """The door with one device, and the client's processes."""

    def __init__(self, folder: Path, house: DeviceHouse, server: DoorServer) -> None:
        self.folder, self.house = folder, house
        self.door = DoorClient(house, server)
        self._running: list[subprocess.Popen[bytes]] = []
        # A short path: a Unix socket's may have 107 bytes only.
        self._bus = Path(f"/tmp/sf-bus-{os.getpid()}")
        self._environ = {
            **os.environ,
            "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self._bus}",
            "PYTHONPATH": str(CLIENT),
        }

    def _run(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            started = subprocess.Popen(
                words,
                cwd=self.folder,
                env=self._environ,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self._running.append(started)
        return started

    def start(self, result: int = 0) -> None:
        """The bus, the installer with this result, and then the client."""
        settings = self.folder / "bus.conf"
        settings.write_text(BUS.format(socket=self._bus))
        bus = self._run("dbus-daemon", f"--config-file={settings}", "--nofork", "--print-address")
        assert bus.stdout is not None and bus.stdout.readline()
        installer = self._run(PYTHON, str(Path(__file__).parent / "installer.py"), str(result))
        assert installer.stdout is not None and installer.stdout.readline() == b"ready\n"
        client = self.folder / "client.cfg"
        netloc = urlsplit(self.door.url).netloc
        about = {"netloc": netloc, "environment": ENV, "token": token_of("dev1")}
        client.write_text(SETTINGS.format(folder=self.folder, **about))
        self._run(PYTHON, str(CLIENT / "bin" / "rauc-hawkbit-client"), "-c", str(client))

    def stop(self) -> None:
        for each in reversed(self._running):
            with contextlib.suppress(ProcessLookupError):
                each.kill()
            each.wait(10)
            if each.stdout is not None:
                each.stdout.close()
        self._bus.unlink(missing_ok=True)

    @property
    def state(self) -> str:
        return self.house.registry.page(ENV)[0].state

    def until(self, state: str) -> None:
        deadline = time.monotonic() + 60
        while self.state != state:
            assert time.monotonic() < deadline, (self.state, (self.folder / "log").read_text())
            time.sleep(0.05)

    def told(self) -> str:
        return b"\n".join(self.house.registry.timeline(ENV, "dev1", 100)).decode()


@pytest.fixture
def device(tmp_path: Path, require_tool: Callable[[str], str]) -> Iterator[Device]:
    require_tool("dbus-daemon")
    if not CLIENT.is_dir() or not shutil.which(PYTHON):
        pytest.skip("the client is not installed: scripts/setup field")
    house = DeviceHouse(tmp_path / "house")
    house.enrol(ENV, "dev1")
    with DoorServer(house.desk()) as server:
        made = Device(tmp_path, house, server)
        yield made
        made.stop()
    house.database.close()


def test_it_installs_and_is_believed_no_further_than_its_word(device: Device) -> None:
    device.door.assign()
    device.start()
    device.until("reported")
    told = device.told()
    for text in ("Checking bundle done.", "Copying image to rootfs.0", "result: 0"):
        assert text in told
    found = device.house.registry.page(ENV)[0]
    assert (found.strength, found.runs) == ("reported", "")
    assert "ff:ff:ff:ff:ff:ff" in found.attributes


def test_an_installation_that_fails(device: Device) -> None:
    device.door.assign()
    device.start(result=1)
    device.until("failed")
    assert "Failed to check bundle" in device.told() and "result: 1" in device.told()


def test_another_checksum_is_tried_three_times_and_a_failure(device: Device) -> None:
    device.door.firmware = device.house.firmware(CONTENT, "1.1.0", md5="0" * 32)
    device.door.assign()
    device.start()
    device.until("failed")
    assert "checksum does not match after 3 tries" in device.told()


def test_it_rejects_every_cancel_and_the_action_stays(device: Device) -> None:
    action = device.door.assign()
    # As if it had begun before: what nobody began is withdrawn and never cancelled.
    assert device.door.ask("GET", f"deploymentBase/{action}")[0] == 200
    device.door.rollouts.stop(device.door.deployment, Token(operation="1/stop", fence=99))
    device.start()
    deadline = time.monotonic() + 60
    while "refused the cancel" not in device.told():
        assert time.monotonic() < deadline, device.told()
        time.sleep(0.05)
    assert device.state == "offered"
