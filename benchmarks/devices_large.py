"""The fleet at a million devices, in one run: every figure beside its bound, ratios beside nginx.

    make bench-devices    or    .venv/bin/python benchmarks/devices_large.py [--devices 1000000]

The door has core 0, the load core 1; nginx takes turns with it on core 0. Waves are measured on
SQLite and on a PostgreSQL server of its own. Absolute figures belong to this machine on this day:
the load of the machine is printed with them. Needs nginx, wrk and PostgreSQL.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import device_door
from device_feedback import database, opened

from surefoot.store.device import NewDevice
from surefoot.store.device_rollouts import Wave
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of

HERE = Path(__file__).resolve().parent
ENV = device_door.ENV
PORTION = 10_000
BOUNDS = {
    "poll_ratio": ("at least", 0.6),
    "bytes_a_device": ("at most", 400),
    "wave_seconds": ("at most", 5),
    "page_ms": ("at most", 200),
    "reports_per_second": ("at least", 3_000),
    "ratio": ("at least", 0.9),
}


def say(name: str, value: object, bound: str = "") -> None:
    """One figure, with its bound."""
    word, limit = BOUNDS.get(bound, ("", 0))
    told = f"   ({word} {limit} wanted)" if word else ""
    print(f"{name:<46} {value}{told}", flush=True)


def resident_bytes() -> int:
    """Memory of this process that is really there."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def fill(house: DeviceHouse, count: int) -> None:
    """Enrol so many devices, each of which has shown that it runs 1.0.0."""
    for start in range(0, count, PORTION):
        names = (f"dev-{n:06d}" for n in range(start, min(start + PORTION, count)))
        house.registry.enrol(ENV, [device(name) for name in names])
    shown = '\'{"firmware_version":"1.0.0","serial":"\' || device || \'"}\''
    with house.database.write() as session:
        # By hand: a report from each of a million devices is another benchmark.
        connection: Any = session
        connection._connection.execute(
            f"UPDATE devices SET runs = '1.0.0', wants_attributes = 0, attributes = {shown}"
        )


def device(name: str) -> NewDevice:
    """A device with the token that the load sends."""
    token = hashlib.sha256(token_of(name).encode()).digest()
    return NewDevice(device=name, token_hash=token, hardware="simulated")


def serve(folder: Path, dsn: str, count: int, pipe: Any) -> None:
    """The door in a process of its own on core 0; waves are assigned when the pipe asks."""
    device_door.pin(0)
    house = DeviceHouse(folder, opened(dsn))
    took = timed(lambda: fill(house, count))
    desk = house.desk(sleep_seconds=300)
    house.registry.changed(0, limit=2_000)
    gc.collect()
    before = resident_bytes()
    loaded = timed(desk.refresh)
    gc.collect()
    memory = (resident_bytes() - before) / count
    firmware = house.firmware(b"image", "2.0.0")
    with DoorServer(desk, loop="uvloop") as server:
        pipe.send({"url": server.url, "enrol": took, "load": loaded, "memory": memory})
        while (asked := pipe.recv()) is not None:
            wave = Wave(
                deployment=asked,
                wave=0,
                percent=10,
                release="r",
                firmware=firmware,
                deadline_seconds=86_400,
            )
            cpu = time.process_time()
            seconds = timed(lambda wave=wave: house.assign(ENV, wave, fence=wave.deployment))  # type: ignore[misc]
            cpu = time.process_time() - cpu
            refreshed = timed(desk.refresh)
            pages = {
                "first page of 100 devices": timed(lambda: house.registry.page(ENV)) * 1000,
                "states of a rollout, live": timed(
                    lambda wave=wave: house.registry.states(ENV, wave.deployment)  # type: ignore[misc]
                )
                * 1000,
            }
            pipe.send({"wave": seconds, "cpu": cpu, "refresh": refreshed, "pages": pages})
    house.database.close()


def timed(work: Callable[[], object]) -> float:
    """Seconds that it took."""
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


class Prober:
    """Polls all the time on one connection; knows the longest that it waited."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._address = (host, int(port))
        self._stop = threading.Event()
        self.waits: list[float] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Prober:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        request = (
            f"GET /{ENV}/controller/v1/dev-000001 HTTP/1.1\r\nHost: door\r\n"
            f"Authorization: TargetToken {token_of('dev-000001')}\r\n\r\n"
        ).encode()
        with socket.create_connection(self._address, timeout=60) as line:
            while not self._stop.is_set():
                begun = time.monotonic()
                line.sendall(request)
                assert line.recv(65_536).startswith(b"HTTP/1.1 200")
                self.waits.append(time.monotonic() - begun)
                time.sleep(0.005)


def door(kind: str, asked: argparse.Namespace) -> None:
    """The poll table, polls beside nginx, and waves, on one kind of database."""
    with tempfile.TemporaryDirectory() as name, database(kind, Path(name)) as dsn:
        folder = Path(name)
        ours, theirs = multiprocessing.Pipe()
        arguments = (folder / "house", dsn, asked.devices, theirs)
        process = multiprocessing.Process(target=serve, args=arguments, daemon=True)
        process.start()
        theirs.close()
        try:
            told = ours.recv()
            say(f"{kind}: {asked.devices:,} devices enrolled, s", round(told["enrol"], 1))
            say(f"{kind}: poll table loaded, s", round(told["load"], 1))
            if kind == "sqlite":
                say(
                    "memory of the poll table, bytes a device",
                    round(told["memory"]),
                    "bytes_a_device",
                )
                assert process.pid is not None
                polls(folder, (told["url"], process.pid), asked)
            for number in (1, 2):
                with Prober(told["url"]) as prober:
                    ours.send(number)
                    waves(kind, number, ours.recv(), asked.devices // 10)
                worst = sorted(prober.waits)
                say("  a poll meanwhile, longest wait, ms", round(worst[-1] * 1000))
                say(
                    "  a poll meanwhile, 99 % wait at most, ms",
                    round(worst[-len(worst) // 100] * 1000),
                )
            ours.send(None)
            process.join(60)
        finally:
            process.terminate()
            process.join()


def waves(kind: str, number: int, told: dict[str, Any], devices: int) -> None:
    """The figures of one wave."""
    say(f"{kind}: wave {number} of {devices:,} assigned, s", round(told["wave"], 2), "wave_seconds")
    say("  processor time of the door for it, s", round(told["cpu"], 2))
    say("  then seen by the door, s", round(told["refresh"], 2))
    for what, milliseconds in told["pages"].items():
        say(f"  {what}, ms", round(milliseconds, 1), "page_ms")


def polls(folder: Path, served: tuple[str, int], asked: argparse.Namespace) -> None:
    """Polls of random devices beside nginx's constant answer, in turns."""
    nginx, url = device_door.start_nginx(folder)
    try:
        device_door.measure(folder, served, (url, nginx.pid), asked)
        say("  ratio to nginx: see the line above", "", "poll_ratio")
    finally:
        nginx.terminate()
        nginx.wait()


def script(title: str, *words: str, bound: str = "") -> None:
    """Another benchmark, or the command, in a process of its own."""
    say(f"-- {title}", "", bound)
    subprocess.run(words, check=True, cwd=HERE)


def main() -> None:
    """All parts, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_000_000)
    parser.add_argument("--drill", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("parts", nargs="*", help="sqlite postgres feedback download drill")
    asked = parser.parse_args()
    parts = asked.parts or ["sqlite", "postgres", "feedback", "download", "drill"]
    python = sys.executable
    say("load of the machine", " ".join(f"{each:.1f}" for each in os.getloadavg()))
    for kind in ("sqlite", "postgres"):
        if kind in parts:
            door(kind, asked)
    if "feedback" in parts:
        script("reports", python, "device_feedback.py", bound="reports_per_second")
    if "download" in parts:
        script("downloads of 64 MiB", python, "download.py", "--rounds", "3", bound="ratio")
    if "drill" in parts:
        drill = ["-m", "surefoot", "device", "simulate", "--devices", str(asked.drill)]
        begun = time.monotonic()
        script(f"a whole rollout of {asked.drill:,} devices", python, *drill)
        say("  it took, s", round(time.monotonic() - begun))
    say("load of the machine", " ".join(f"{each:.1f}" for each in os.getloadavg()))
    print(json.dumps({"devices": asked.devices, "parts": parts}))


if __name__ == "__main__":
    main()
