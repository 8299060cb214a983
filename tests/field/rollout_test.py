"""Real devices through the real control plane: two waves with a good image, one with a broken one.

Three swupdates here; `make field` takes twenty. Each is in a network namespace of its own, installs
for real, and is "rebooted" by starting it again as its boot loader would.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from surefoot.testing.control_plane import wait_for
from surefoot.testing.lamp_plane import HARDWARE, LampPlane
from surefoot.testing.swupdate import Client, Maker, namespaces_refused, network

pytestmark = [pytest.mark.field, pytest.mark.timeout(900)]

COUNT = int(os.environ.get("FIELD_DEVICES", "3"))
ROOT = Path(__file__).resolve().parents[2]
PRODUCT = Path(__file__).parent / "product"


class Lamp(threading.Thread):
    """A device's life: it runs, installs what it is given, reboots, and its boot loader decides."""

    def __init__(self, client: Client, plane: LampPlane, token: str) -> None:
        super().__init__(daemon=True)
        self.client, self.plane = client, plane
        self.access = f'targettoken = "{token}";'
        self.over = threading.Event()
        self.version = "1.0.0"
        self.boots: list[str] = []

    def boot(self, *extra: str) -> None:
        self.boots.append(self.version)
        self.client.start(self.plane.devices_address, "dev", self.access, self.version, *extra)

    def run(self) -> None:
        self.boot()
        installs = 0
        while not self.over.wait(0.1):
            if self.client.log.count("SWUPDATE successful") <= installs:
                continue
            time.sleep(1.0)
            installs = self.client.log.count("SWUPDATE successful")
            self.client.stop()
            firmware = json.loads(self.client.installed.splitlines()[0])
            if firmware["starts"]:
                self.version = firmware["version"]
            self.boot("-c", "2" if firmware["starts"] else "3")
        self.client.stop()


def firmware(version: str, *, starts: bool) -> bytes:
    first = json.dumps({"version": version, "starts": starts})
    return f"{first}\n".encode() + hashlib.sha256(version.encode()).digest() * 8000


@pytest.fixture
def field(
    require_tool: Callable[[str], str], tmp_path: Path
) -> Iterator[tuple[LampPlane, Maker, list[Lamp]]]:
    for tool in ("swupdate", "openssl", "ip", "git"):
        require_tool(tool)
    if reason := namespaces_refused():
        pytest.skip(reason)
    with network(COUNT) as made:
        plane = LampPlane(tmp_path / "p", PRODUCT)
        plane.before = ("ip", "netns", "exec", made.hub)
        plane.devices_address = f"http://{made.address}:8421"
        lamps: list[Lamp] = []
        try:
            plane.install()
            maker = Maker(tmp_path / "maker")
            tokens = {f"lamp-{n:02d}": hashlib.md5(b"%d" % n).hexdigest() for n in range(COUNT)}
            listed = [{"id": d, "token": t, "hardware": HARDWARE} for d, t in tokens.items()]
            file = plane.folder / "devices.json"
            file.touch(mode=0o600)
            file.write_text(json.dumps(listed))
            plane.ask("olga", "device", "enrol", "dev", "--devices", str(file))
            for (name, token), space in zip(tokens.items(), made.devices, strict=True):
                client = Client(maker, tmp_path / "lamps" / name, name, space)
                lamps.append(Lamp(client, plane, token))
            yield plane, maker, lamps
        finally:
            for lamp in lamps:
                lamp.over.set()
            for lamp in lamps:
                if lamp.is_alive():
                    lamp.join(90)
            plane.close()


def test_two_waves_and_a_broken_image(field: tuple[LampPlane, Maker, list[Lamp]]) -> None:
    plane, maker, lamps = field
    for lamp in lamps:
        lamp.start()
    plane.release("1.1.0", maker.image("1.1.0", firmware("1.1.0", starts=True)))
    plan = plane.ask("olga", "deployment", "request", "dev", "1.1.0")
    shown = ended(plane, int(plan["deployment"]), lamps)
    assert shown["status"] == "succeeded", shown
    assert {d["state"] for d in plane.fleet()} == {"verified"}, plane.fleet()
    assert {d["runs"] for d in plane.fleet()} == {"1.1.0"}
    assert all(lamp.client.installed == firmware("1.1.0", starts=True) for lamp in lamps)
    assert all(lamp.boots == ["1.0.0", "1.1.0"] for lamp in lamps)
    for lamp in lamps:
        check_proof(plane, lamp.client.name, "1.1.0", "verified")
    # It installs, but does not start: the boot loader falls back, and swupdate says so.
    plane.release("1.2.0", maker.image("1.2.0", firmware("1.2.0", starts=False)))
    plan = plane.ask("olga", "deployment", "request", "dev", "1.2.0")
    shown = ended(plane, int(plan["deployment"]), lamps)
    assert shown["status"] != "succeeded", shown
    tried = [lamp for lamp in lamps if len(lamp.boots) > 2]
    first = (COUNT + 1) // 2
    assert 1 <= len(tried) <= first, [lamp.boots for lamp in lamps]
    moved = {lamp.client.name for lamp in tried}

    def back() -> bool:
        return {d["state"] for d in plane.fleet() if d["device"] in moved} == {"returned"}

    wait_for("the devices' return", back, 120)
    fleet = plane.fleet()
    assert {d["runs"] for d in fleet} == {"1.1.0"}
    # The others were never offered it: verified as before, or withdrawn before they began.
    others = {d["state"] for d in fleet if d["device"] not in moved}
    assert others <= {"verified", "returned"}
    for lamp in lamps:
        check_proof(plane, lamp.client.name, "1.1.0")
    report = plane.ask("olga", "journal", "verify")
    assert report.get("report", report)["ok"]
    copied = plane.folder / "export"
    plane.stop()
    plane.ask("", "journal", "export", str(copied), "--data", str(plane.data))
    tool = str(ROOT / "tools" / "surefoot_replay.py")
    words = (sys.executable, "-E", "-s", tool, str(copied), "--log-key", str(plane.pinned))
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def ended(plane: LampPlane, number: int, lamps: list[Lamp]) -> dict[str, Any]:
    """The deployment's end; with the clients' words when there is none."""

    def look() -> dict[str, Any] | None:
        shown = plane.ask("olga", "deployment", "show", str(number))
        return shown if shown["ended_at"] else None

    try:
        found: dict[str, Any] = wait_for(f"deployment {number}", look, 300)
    except AssertionError as error:
        said = "\n".join(lamp.client.log[-1500:] for lamp in lamps[:3])
        raise AssertionError(f"{error}\n{plane.fleet()}\n{said}") from None
    return found


def check_proof(plane: LampPlane, device: str, version: str, strength: str = "") -> None:
    """The proof is read offline, against the key that was pinned at the start."""
    file = plane.folder / f"{device}.json"
    file.unlink(missing_ok=True)

    def proved() -> bool:
        # What was reported last may not be in a batch yet.
        file.unlink(missing_ok=True)
        done = plane.start("olga", "device", "prove", "dev", device, str(file))
        return done.returncode == 0 and file.exists()

    wait_for(f"a proof about {device}", proved, 180)
    words = ("verify", str(file), "--log-key", str(plane.pinned))
    record = plane.ask("", *words)
    assert record["proved"] and record["report"]["runs"] == version, record
    if strength:
        assert strength in json.dumps(record), record
