"""Reports per second through the real device door, each durable before it is answered.

The door runs on core 0, loaded by wrk from core 1; on SQLite, then on a PostgreSQL server of its
own with fsync on, whose processes may use either core. Every answer is counted, and afterwards
every report is looked for in the database. Then a burst: 25 reports in 0.1 s from each device.

    .venv/bin/python benchmarks/device_feedback.py [--devices 2000] [--seconds 5] [--only sqlite]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from device_door import cpu_seconds, pin

from surefoot.store.database import Database
from surefoot.store.device_rollouts import Wave
from surefoot.store.postgres import PostgresDatabase
from surefoot.testing.device_burst import run_burst
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of
from surefoot.testing.postgres import PostgresServer

ENV = "production"
CONNECTIONS = 256
SCRIPT = """
local devices = {{}}
for line in io.lines("{lines}") do
  local name, action, token = line:match("(%S+) (%S+) (%S+)")
  devices[#devices + 1] = wrk.format("POST",
    "/{environment}/controller/v1/" .. name .. "/deploymentBase/" .. action .. "/feedback",
    {{["Authorization"] = "TargetToken " .. token, ["Host"] = "{host}",
      ["Content-Type"] = "application/json"}},
    '{{"id":"' .. action .. '","status":{{"execution":"proceeding",' ..
    '"result":{{"finished":"none"}},"details":["installing, 40 of 100"]}}}}')
end
local n = 0
request = function()
  n = n % #devices + 1
  return devices[n]
end
"""


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """The address of an empty database; "" is SQLite in the house's own folder."""
    if kind == "sqlite":
        yield ""
        return
    server = PostgresServer.start(folder / "postgres", fsync=True, buffers="128MB")
    try:
        yield server.dsn()
    finally:
        server.stop()


def opened(dsn: str) -> Database | None:
    """The database of an address, or None for SQLite."""
    return PostgresDatabase(dsn) if dsn else None


def serve(folder: Path, dsn: str, devices: int, ready: Any) -> None:
    """The door in a process of its own on core 0, every device with an action."""
    pin(0)
    house = DeviceHouse(folder, opened(dsn))
    house.enrol(ENV, *(f"dev-{n:06d}" for n in range(devices)))
    firmware = house.firmware(b"image", "2.0.0")
    house.assign(
        ENV,
        Wave(
            deployment=1, wave=0, percent=100, release="r", firmware=firmware, deadline_seconds=3600
        ),
    )
    with DoorServer(house.desk(sleep_seconds=300), loop="uvloop") as server:
        ready.put((server.url, [(row.device, row.newest) for row in actions(house)]))
        time.sleep(3600)


class Open:
    """A device and its action."""

    def __init__(self, device: str, newest: int) -> None:
        self.device = device
        self.newest = newest


def actions(house: DeviceHouse) -> list[Open]:
    """Every device with its action."""
    return [Open(row.device, row.action) for row in house.registry.changed(0)]


def count_reports(folder: Path, dsn: str) -> int:
    """How many reports of devices, without the assignments, the database holds."""
    if dsn:
        words = ["psql", "-At", dsn, "-c"]
    else:
        words = ["python3", "-c", _COUNT, str(folder / "db" / "surefoot.db")]
    sql = "SELECT count(*) FROM device_reports WHERE from_state <> ''"
    told = subprocess.run([*words, sql], check=True, capture_output=True, text=True).stdout
    return int(told)


def settled(count: Callable[[], int]) -> int:
    """The count once it stands still: what was under way when its sender left is still written."""
    last = count()
    while True:
        time.sleep(1)
        now = count()
        if now == last:
            return now
        last = now


_COUNT = (
    "import sqlite3,sys;"
    "print(sqlite3.connect(f'file:{sys.argv[1]}?mode=ro',uri=True)"
    ".execute(sys.argv[2]).fetchone()[0])"
)


def load(
    folder: Path, url: str, open_actions: list[tuple[str, int]], seconds: int
) -> dict[str, Any]:
    """Reports for so long; answers by second, and those that were not 200."""
    lines = folder / "actions"
    lines.write_text("".join(f"{d} {a} {token_of(d)}\n" for d, a in open_actions))
    script = folder / "feedback.lua"
    host = url.removeprefix("http://")
    script.write_text(SCRIPT.format(lines=lines, environment=ENV, host=host))
    cores = sorted(os.sched_getaffinity(0))
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    told = subprocess.run(
        ["taskset", "-c", str(cores[1 % len(cores)]), *words],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = {
        name: re.search(pattern, told)
        for name, pattern in {
            "rate": r"Requests/sec:\s+([0-9.]+)",
            "count": r"(\d+) requests in",
            "bad": r"Non-2xx or 3xx responses: (\d+)",
            "p99": r"99%\s+(\S+)",
        }.items()
    }
    return {name: match.group(1) if match else "0" for name, match in found.items()}


def measure(kind: str, devices: int, seconds: int, burst_devices: int) -> dict[str, Any]:
    """One database: the rate, then the burst; every answered report must be there."""
    with tempfile.TemporaryDirectory() as name, database(kind, Path(name)) as dsn:
        folder = Path(name)
        ready: Any = multiprocessing.Queue()
        door = multiprocessing.Process(
            target=serve, args=(folder / "house", dsn, devices, ready), daemon=True
        )
        door.start()
        try:
            url, listed = ready.get(timeout=300)
            assert door.pid is not None
            before, begun = cpu_seconds(door.pid), count_reports(folder / "house", dsn)
            told = load(folder, url, listed, seconds)
            cpu = cpu_seconds(door.pid) - before
            answered = int(told["count"]) - int(told["bad"])
            kept = settled(lambda: count_reports(folder / "house", dsn)) - begun
            begun += kept
            started = time.monotonic()
            told_of_burst = run_burst(url, ENV, listed[:burst_devices])
            lasted = time.monotonic() - started
            burst_kept = settled(lambda: count_reports(folder / "house", dsn)) - begun
        finally:
            door.terminate()
            door.join()
    assert kept >= answered, f"{answered} answered, {kept} kept"
    assert burst_kept >= told_of_burst.taken, f"{told_of_burst} but {burst_kept} kept"
    return {
        "database": kind,
        "reports_per_second": round(float(told["rate"])),
        "answered": answered,
        "kept": kept,
        "refused": int(told["bad"]),
        "p99": told["p99"],
        "door_cpu_us": round(cpu * 1e6 / max(answered, 1), 1),
        "burst": {
            "sent": told_of_burst.sent,
            "ok": told_of_burst.taken,
            "kept": burst_kept,
            "seconds": round(lasted, 1),
        },
    }


def main() -> None:
    """Both databases, or one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=2_000)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--burst", type=int, default=1_000)
    parser.add_argument("--only", choices=("sqlite", "postgres"))
    asked = parser.parse_args()
    for kind in [asked.only] if asked.only else ["sqlite", "postgres"]:
        print(json.dumps(measure(kind, asked.devices, asked.seconds, asked.burst)), flush=True)


if __name__ == "__main__":
    main()
