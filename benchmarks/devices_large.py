"""The fleet at a million devices, in one run: every figure beside its bound, ratios beside nginx.

    make bench-devices    or    .venv/bin/python benchmarks/devices_large.py [PART...]

Parts: sqlite, postgres, pages, feedback, downloads, drill.

The door has core 0, the load core 1; nginx takes turns with it on core 0. Waves are measured on
SQLite and on a PostgreSQL server of its own. Absolute figures belong to this machine on this day:
the load of the machine is printed with them. Needs nginx, wrk and PostgreSQL.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
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
import figures
from device_feedback import database, opened
from figures import say

from surefoot.store.device import NewDevice
from surefoot.store.device_rollouts import Wave
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of

ENV = device_door.ENV
PORTION = 10_000


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
            # The waves of one rollout: each assigns another tenth.
            wave = Wave(
                deployment=1,
                wave=asked,
                percent=10 * (asked + 1),
                release="r",
                firmware=firmware,
                deadline_seconds=86_400,
            )
            cpu = time.process_time()
            seconds = timed(lambda wave=wave: house.assign(ENV, wave))  # type: ignore[misc]
            cpu = time.process_time() - cpu
            pipe.send({"wave": seconds, "cpu": cpu, "refresh": timed(desk.refresh)})
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
                name = "memory of the poll table, bytes a device"
                say(name, round(told["memory"]), "bytes_a_device")
                assert process.pid is not None
                polls(folder, (told["url"], process.pid), asked)
            for number in (0, 1):
                with Prober(told["url"]) as prober:
                    ours.send(number)
                    wave(kind, number, ours.recv(), asked.devices // 10)
                worst = sorted(prober.waits)
                say("  a poll meanwhile, longest wait, ms", round(worst[-1] * 1000))
                part = worst[-max(len(worst) // 100, 1)]
                say("  a poll meanwhile, 99 % wait at most, ms", round(part * 1000))
            ours.send(None)
            process.join(60)
        finally:
            process.terminate()
            process.join()


def wave(kind: str, number: int, told: dict[str, Any], devices: int) -> None:
    """The figures of one wave."""
    name = f"{kind}: wave {number} of {devices:,} assigned, s"
    say(name, round(told["wave"], 2), "wave_seconds")
    say("  processor time of the door for it, s", round(told["cpu"], 2))
    say("  then seen by the door, s", round(told["refresh"], 2))


def polls(folder: Path, served: tuple[str, int], asked: argparse.Namespace) -> None:
    """Polls of random devices beside nginx's constant answer, in turns."""
    nginx, url = device_door.start_nginx(folder)
    try:
        found = device_door.measure(folder, served, (url, nginx.pid), asked)
    finally:
        nginx.terminate()
        nginx.wait()
    say("polls/s of nginx, one core", found["nginx_per_second"])
    say("polls/s of the door, one core", found["door_per_second"])
    say("ratio to nginx, by rate", found["ratio"], "poll_ratio")
    say("ratio to nginx, by processor time of a poll", found["ratio_of_cpu"], "poll_ratio")


def pages(asked: argparse.Namespace) -> None:
    """Plan, wave, seals and pages of a whole installation, on both databases."""
    for found in figures.asked("device_pages.py", "--devices", str(asked.devices)):
        kind = found["database"]
        say(f"{kind}: rollout plan, s", found["plan_s"][0], "plan_seconds")
        say("  processor time of the server for it, s", found["plan_s"][1])
        name = f"{kind}: wave of {asked.devices // 10:,} started by a deployment, s"
        say(name, found["wave_s"][0], "wave_seconds")
        say("  processor time of the server for it, s", found["wave_s"][1])
        say(f"{kind}: reports sealed into the journal, a second", found["sealed_per_s"][0])
        for name, milliseconds in found["page_ms"].items():
            say(f"{kind}: {name}, rendered, ms", milliseconds, "page_ms")


def feedback(asked: argparse.Namespace) -> None:
    """Reports through the door, each durable; and a burst, of which none may be lost."""
    for found in figures.asked("device_feedback.py"):
        kind = found["database"]
        rate = found["reports_per_second"]
        say(f"{kind}: durable reports/s, one core", rate, "reports_per_second")
        say("  processor time of the door a report, us", found["door_cpu_us"])
        lost = found["burst"]["sent"] - found["burst"]["kept"]
        say(f"{kind}: lost of a burst of {found['burst']['sent']:,} reports", lost, "lost")


def downloads(asked: argparse.Namespace) -> None:
    """A large image beside nginx."""
    for found in figures.asked("download.py", "--rounds", "5"):
        name = f"download of {found['mib']} MiB, {found['connections']} connections, ratio to nginx"
        say(name, found["ratio"], "download_ratio")
        say("  MB/s of the door", found["door_mb_per_second"])


def drill(asked: argparse.Namespace) -> None:
    """A whole rollout by real requests, with failures, silence, storms and duplicates."""
    words = (sys.executable, "-m", "surefoot", "device", "simulate", "--devices", str(asked.drill))
    begun = time.monotonic()
    subprocess.run(words, check=True)  # ends with an error when the books do not balance
    say(
        f"whole rollout of {asked.drill:,} devices, books balance, s",
        round(time.monotonic() - begun),
    )


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "sqlite": lambda asked: door("sqlite", asked),
    "postgres": lambda asked: door("postgres", asked),
    "pages": pages,
    "feedback": feedback,
    "downloads": downloads,
    "drill": drill,
}


def main() -> None:
    """All parts, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_000_000)
    parser.add_argument("--drill", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "parts", nargs="*", help=f"of {' '.join(PARTS)}; default: all, in this order"
    )
    asked = parser.parse_args()
    if unknown := {*asked.parts} - {*PARTS}:
        parser.error(f"no such part: {' '.join(sorted(unknown))}")
    begun = time.monotonic()
    for name in asked.parts or PARTS:
        print(f"-- {name}; load of the machine {os.getloadavg()[0]:.1f}", flush=True)
        PARTS[name](asked)
    print(f"-- load {os.getloadavg()[0]:.1f}; it took {time.monotonic() - begun:.0f} s")
    figures.summary()


if __name__ == "__main__":
    main()
