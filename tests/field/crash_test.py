"""SIGKILL of the control plane in the middle of a wave, while its devices go on: the books balance.

Devices are simulated, the server is a process of its own. What a device was told "200" is what the
product owes it: each such report must be in the store, inside a sealed batch, and provable.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from surefoot.testing import device_simulator as simulator
from surefoot.testing.control_plane import wait_for
from surefoot.testing.lamp_plane import HARDWARE, LampPlane

pytestmark = pytest.mark.timeout(600)

PRODUCT = Path(__file__).parent / "product"
COUNT = 48
KILLS = 3
DONE = "installed"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[LampPlane]:
    made = LampPlane(tmp_path / "p", PRODUCT)
    try:
        made.install()
        yield made
    finally:
        made.close()


class Heard:
    """What devices were told 200 to: device and the report's words.

    No more than `limit` devices say that they are done, so that a kill falls before the end
    however slowly the test comes to it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.acknowledged: set[tuple[str, str]] = set()
        self.limit = self._under_way = 0
        real = simulator._Life._json

        async def heard(life: Any, method: str, link: str, content: Any = None) -> Any:
            words = content["status"]["details"][0] if method == "POST" else ""
            if words.startswith(DONE):
                while self.ends() + self._under_way >= self.limit:
                    await asyncio.sleep(0.05)
                self._under_way += 1
            try:
                answer = await real(life, method, link, content)
            finally:
                self._under_way -= words.startswith(DONE)
            if words and answer[0] == 200:
                self.acknowledged.add((life._device.device, words))
            return answer

        monkeypatch.setattr(simulator._Life, "_json", heard)

    def ends(self) -> int:
        """How many devices were told that their success was taken."""
        return len([words for _, words in self.acknowledged if words.startswith(DONE)])


def test_the_books_balance_after_a_kill_in_the_middle_of_a_wave(
    plane: LampPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = {f"lamp-{n:03d}": hashlib.md5(b"%d" % n).hexdigest() for n in range(COUNT)}
    file = plane.folder / "devices.json"
    file.touch(mode=0o600)
    listed = [{"id": d, "token": t, "hardware": HARDWARE} for d, t in tokens.items()]
    file.write_text(json.dumps(listed))
    plane.ask("olga", "device", "enrol", "dev", "--devices", str(file))
    plane.release("1.1.0", b"lamp firmware" * 20_000)
    heard = Heard(monkeypatch)
    over = threading.Event()
    devices = [
        simulator.SimulatedDevice(device=d, token=t, hardware=HARDWARE) for d, t in tokens.items()
    ]
    run = simulator.Run(
        url=plane.devices_address, environment="dev", poll_seconds=1.5, seconds_max=500
    )
    living = threading.Thread(target=simulator.run_simulation, args=(run, devices, over.is_set))
    living.start()
    try:
        plan = plane.ask("olga", "deployment", "request", "dev", "1.1.0")
        for number in range(1, KILLS + 1):
            wanted = number * COUNT // (KILLS + 2)
            heard.limit = wanted + COUNT // 8
            wait_for("the middle of a wave", lambda: heard.ends() >= wanted)  # noqa: B023
            plane.kill()
            assert heard.ends() < COUNT, "it was over before the kill"
            plane.serve()
        heard.limit = COUNT
        assert plane.ended(int(plan["deployment"]))["status"] == "succeeded"
        # A report may be durable although the kill came before its answer: nobody hears that 200.
        assert heard.ends() >= COUNT * 3 // 4
    finally:
        over.set()
        living.join()
    fleet = plane.fleet()
    assert {(d["state"], d["runs"]) for d in fleet} == {("verified", "1.1.0")}
    assert len(fleet) == COUNT
    report = plane.ask("olga", "journal", "verify")
    assert report.get("report", report)["ok"]
    check_reports(plane, heard)
    for name in sorted(tokens)[::6]:
        proof = plane.folder / f"{name}.json"
        plane.ask("olga", "device", "prove", "dev", name, str(proof))
        record = plane.ask("", "verify", str(proof), "--log-key", str(plane.pinned))
        assert record["proved"] and record["report"]["runs"] == "1.1.0"


def check_reports(plane: LampPlane, heard: Heard) -> None:
    """Every acknowledged report is kept, once, and in exactly one sealed batch."""
    sealed = wait_for("every report sealed", lambda: _sealed(plane))
    kept: dict[tuple[str, str], int] = {}
    for name, number, body in sealed["reports"]:
        told = json.loads(body)["told"]
        for words in told.get("details", []):
            kept[name, words] = number
    assert heard.acknowledged <= set(kept), sorted(heard.acknowledged - set(kept))[:5]
    numbers = [number for first, last in sealed["batches"] for number in range(first, last + 1)]
    assert len(numbers) == len(set(numbers))
    assert {number for _, number, _ in sealed["reports"]} <= set(numbers)


def _sealed(plane: LampPlane) -> dict[str, Any] | None:
    store = next(p for p in (plane.data / "store").iterdir() if p.suffix in (".db", ".sqlite"))
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as rows:
        reports = rows.execute(
            "SELECT d.device, r.report, r.body FROM device_reports r JOIN devices d USING (number)"
        ).fetchall()
        batches = rows.execute(
            "SELECT first_report, last_report FROM device_batches WHERE journal_index > 0"
        ).fetchall()
    newest = max((last for _, last in batches), default=0)
    if max(number for _, number, _ in reports) > newest:
        return None
    return {"reports": reports, "batches": batches}
