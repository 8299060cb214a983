"""Pages and plans over a large fleet, of a whole installation, in one run for one database.

Devices are enrolled, a rollout's first wave (a tenth) is assigned by a real deployment, its reports
are sealed into the journal; then pages are fetched over HTTP, signed in, as a browser does. One
JSON object at the end: seconds, milliseconds (median of five), and processor time of this process.

    .venv/bin/python benchmarks/device_pages.py [--devices 1000000] [--only sqlite]
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from device_feedback import database

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "app"))

from house import MOODY, AppHouse  # noqa: E402

from surefoot.compose.house import House  # noqa: E402
from surefoot.doors.serve import bind_tcp  # noqa: E402
from surefoot.store.device import NewDevice  # noqa: E402

ENV = "dev"
PORTION = 10_000
ROUNDS = 5
WAVES = MOODY.replace("      waves: [100]\n", "      waves: [10, 100]\n").replace(
    "deadline_seconds: 60", "deadline_seconds: 86400"
)
PAGES = {
    "fleet page": "",
    "fleet page from the middle": "?after=dev-500000",
    "devices by state": "?state=assigned",
    "devices by version": "?version=0.9.0",
    "devices by rare hardware": "?hardware=lamp-v9",
    "devices by rare tag": "?tag=pilot",
    "devices by a query": "?query=attribute.serial==dev-00001*",
}


def fill(home: AppHouse, count: int) -> None:
    """Enrol so many devices, each of which has shown its attributes and runs 0.9.0."""
    registry = home.installation.registry
    for start in range(0, count, PORTION):
        names = (f"dev-{n:06d}" for n in range(start, min(start + PORTION, count)))
        registry.enrol(
            ENV, [NewDevice(device=n, token_hash=b"t" * 32, hardware=kind(n)) for n in names]
        )
    shown = """'{"firmware_version":"0.9.0","serial":"' || device || '"}'"""
    with home.installation.database.write() as session:
        # By hand: a report from each of a million devices is another benchmark.
        connection: Any = session
        connection._connection.execute(
            f"UPDATE devices SET runs = '0.9.0', wants_attributes = 0, attributes = {shown}"
        )
    rare = [f"dev-{n:06d}" for n in range(0, count, max(count // 40, 1))]
    home.call("device tag", "ann", name=ENV, devices=rare, add=["pilot"])


def kind(name: str) -> str:
    """Of every hundred thousand one is of other hardware."""
    return "lamp-v9" if name.endswith("77777") else "lamp-v1"


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds that it took, and of this process's processor."""
    begun, cpu = time.monotonic(), time.process_time()
    work()
    return time.monotonic() - begun, time.process_time() - cpu


class Site:
    """The installation's pages on a socket, and somebody who has signed in."""

    def __init__(self, home: AppHouse) -> None:
        socket, address = bind_tcp("127.0.0.1:0")
        house = House(home.installation, address=address, secure=False)
        config = uvicorn.Config(house.front, lifespan="off", log_config=None)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve(sockets=[socket])), daemon=True
        )
        self._thread.start()
        self._line = http.client.HTTPConnection(address.removeprefix("http://"), timeout=300)
        token = house.sessions.invite("ann", home.keys["ann"].public.fingerprint)
        answer = self._ask(f"/login/{token}", {})
        self._cookie = "; ".join(
            value.partition(";")[0] for name, value in answer.getheaders() if name == "set-cookie"
        )

    def _ask(self, path: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        self._line.request("GET", path, headers=headers)
        answer = self._line.getresponse()
        self.body = answer.read()
        return answer

    def get(self, path: str) -> None:
        """Fetch a page that must be there."""
        answer = self._ask(path, {"Cookie": self._cookie})
        assert answer.status == 200, (path, answer.status, self.body[:300])

    def close(self) -> None:
        """Stop serving."""
        self._line.close()
        self._server.should_exit = True
        self._thread.join(60)


def pages(site: Site, deployment: int) -> dict[str, float]:
    """Milliseconds of each page, the median of some."""
    listed = {name: f"/environments/{ENV}/devices{query}" for name, query in PAGES.items()}
    listed["rollout page"] = f"/environments/{ENV}/rollouts/{deployment}"
    found = {}
    for name, path in listed.items():
        site.get(path)
        found[name] = round(
            statistics.median(timed(lambda path=path: site.get(path))[0] for _ in range(ROUNDS))  # type: ignore[misc]
            * 1000,
            1,
        )
    return found


def measure(kind_of: str, count: int) -> dict[str, Any]:
    """All figures on one database."""
    with tempfile.TemporaryDirectory() as name, database(kind_of, Path(name)) as dsn:
        (Path(name) / "home").mkdir()
        home = AppHouse(Path(name) / "home", WAVES, dsn)
        home.set_up()
        enrolled = timed(lambda: fill(home, count))
        home.release("1.0.0")
        asked = {"environment": ENV, "release": "1.0.0"}
        plan = timed(lambda: home.call("rollout plan", "ann", **asked))
        number = 0

        def request() -> None:
            nonlocal number
            number = home.request(ENV, release="1.0.0")

        requested = timed(request)
        wave = timed(lambda: home.carry(number))
        states = home.installation.registry.states(ENV, number)
        assert sum(states["0"].values()) > 0.99 * count // 10, states
        sealed = timed(home.installation.seal_devices)
        site = Site(home)
        found = {
            "database": kind_of,
            "devices": count,
            "enrol_s": round(enrolled[0], 1),
            "plan_s": [round(each, 2) for each in plan],
            "request_s": [round(each, 2) for each in requested],
            "wave_s": [round(each, 2) for each in wave],
            "sealed_per_s": [round(count / 10 / each) for each in sealed],
            "page_ms": pages(site, number),
            "load": round(os.getloadavg()[0], 1),
        }
        site.close()
        home.close()
    return found


def main() -> None:
    """Both databases, or one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_000_000)
    parser.add_argument("--only", choices=("sqlite", "postgres"))
    asked = parser.parse_args()
    for each in [asked.only] if asked.only else ["sqlite", "postgres"]:
        print(json.dumps(measure(each, asked.devices)), flush=True)


if __name__ == "__main__":
    main()
