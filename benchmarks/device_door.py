"""Polls per second of the device door beside nginx on the same core, in one run.

Both answer with one worker pinned to core 0, loaded by wrk with one thread on core 1, in turns;
the figures that survive a noisy machine are the ratio and the processor time of one request, from
the process table. Needs nginx and wrk.

    .venv/bin/python benchmarks/device_door.py [--devices 10000] [--seconds 2] [--rounds 7]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of

ENV = "production"
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{ access_log off; keepalive_requests 10000000; server {{
  listen 127.0.0.1:{port};
  location / {{ default_type application/json; return 200 '{body}'; }} }} }}
"""
SCRIPT = """
local count = {count}
local tokens = {{}}
for line in io.lines("{tokens}") do tokens[#tokens + 1] = line end
request = function()
  local n = math.random(1, count)
  return wrk.format("GET", "/{environment}/controller/v1/" .. string.format("dev-%06d", n - 1),
    {{["Authorization"] = "TargetToken " .. tokens[n], ["Host"] = "{host}"}})
end
"""


def pin(core: int) -> None:
    """Keep this process on one core, where the machine has more."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


def serve(folder: Path, devices: int, ready: multiprocessing.Queue[str]) -> None:
    """The door in a process of its own, on core 0."""
    pin(0)
    house = DeviceHouse(folder)
    house.enrol(ENV, *(f"dev-{n:06d}" for n in range(devices)))
    with DoorServer(house.desk(sleep_seconds=300), **DOOR_OPTIONS) as server:
        ready.put(server.url)
        time.sleep(3600)


DOOR_OPTIONS: dict[str, object] = {"loop": "uvloop"}


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, of its children too (nginx's worker)."""
    found = 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(folder.name) == pid or int(fields[1]) == pid:
            found += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


def load(url: str, script: Path, seconds: int, pid: int) -> tuple[float, float, int]:
    """Requests per second, microseconds of the server's processor a request, bad answers."""
    before = cpu_seconds(pid)
    words = ["wrk", "-t1", "-c32", f"-d{seconds}s", "-s", str(script), url]
    cores = sorted(os.sched_getaffinity(0))
    told = subprocess.run(
        ["taskset", "-c", str(cores[1 % len(cores)]), *words],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", told)
    count = re.search(r"(\d+) requests in", told)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    assert rate is not None and count is not None, told
    micros = (cpu_seconds(pid) - before) * 1e6 / int(count.group(1))
    return float(rate.group(1)), micros, int(bad.group(1)) if bad else 0


def write_script(folder: Path, url: str, devices: int) -> Path:
    """The load: a random device of all, with its own token."""
    tokens = folder / "tokens"
    tokens.write_text("".join(f"{token_of(f'dev-{n:06d}')}\n" for n in range(devices)))
    script = folder / "poll.lua"
    host = url.removeprefix("http://")
    script.write_text(SCRIPT.format(count=devices, tokens=tokens, environment=ENV, host=host))
    return script


def start_nginx(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """nginx with one worker on core 0, answering a body like a poll's."""
    port = free_port()
    body = '{"config":{"polling":{"sleep":"00:05:00"}},"_links":{}}'
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, body=body))
    cores = sorted(os.sched_getaffinity(0))
    process = subprocess.Popen(
        ["taskset", "-c", str(cores[0]), "nginx", "-c", str(folder / "nginx.conf")]
    )
    time.sleep(0.5)
    return process, f"http://127.0.0.1:{port}"


def main() -> None:
    """Run the rounds and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    for tool in ("nginx", "wrk", "taskset"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ready: multiprocessing.Queue[str] = multiprocessing.Queue()
        door = multiprocessing.Process(target=serve, args=(folder / "house", asked.devices, ready))
        door.start()
        url = ready.get(timeout=120)
        nginx, nginx_url = start_nginx(folder)
        try:
            assert door.pid is not None
            found = measure(folder, (url, door.pid), (nginx_url, nginx.pid), asked)
            print(json.dumps(found))
        finally:
            nginx.terminate()
            door.terminate()
            nginx.wait()
            door.join()


def measure(
    folder: Path, door: tuple[str, int], nginx: tuple[str, int], asked: argparse.Namespace
) -> dict[str, float]:
    """Rounds of nginx and the door, each an address and a process; medians and ratios.

    They take turns in going first: what slows the machine down for a while slows both.
    """
    script = write_script(folder, door[0], asked.devices)
    pairs = []
    for number in range(asked.rounds):
        turns = {}
        for served in (nginx, door) if number % 2 else (door, nginx):
            turns[served] = load(served[0], script, asked.seconds, served[1])
        (base, base_cpu, _), (ours, ours_cpu, bad) = turns[nginx], turns[door]
        assert not bad, f"{bad} polls were refused"
        pairs.append((base, ours, base_cpu, ours_cpu))
        print(
            f"round {number + 1}: nginx {base:,.0f}/s with {base_cpu:.1f} us of processor each, "
            f"door {ours:,.0f}/s with {ours_cpu:.1f} us, {ours / base:.2f}"
        )
    middle = [statistics.median(column) for column in zip(*pairs, strict=True)]
    return {
        "nginx_per_second": round(middle[0]),
        "door_per_second": round(middle[1]),
        "ratio": round(statistics.median(ours / base for base, ours, _, _ in pairs), 2),
        "nginx_cpu_us": round(middle[2], 1),
        "door_cpu_us": round(middle[3], 1),
        "ratio_of_cpu": round(statistics.median(b / o for _, _, b, o in pairs), 2),
        "devices": asked.devices,
    }


if __name__ == "__main__":
    main()
