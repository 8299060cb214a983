"""Thousands of devices in one process: they poll, download for real, check, report.

Keeps: what a device does is data (`Behaviour`), drawn by the caller, so a run can be repeated;
images are fetched and hashed, never assumed. Does not: install anything or know the server's
state; it sees what a device sees. For whole product runs a device program is used instead.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal
from urllib.parse import quote

import msgspec

from surefoot.testing.device_http import DeviceHttp

Behaviour = Literal["ok", "fails", "silent", "lies", "skips", "duplicates", "reconnects"]
BEHAVIOURS: tuple[Behaviour, ...] = (
    "ok",
    "fails",
    "silent",
    "lies",
    "skips",
    "duplicates",
    "reconnects",
)
_BROKEN = (OSError, EOFError, TimeoutError)
_FIRST_WAIT_SECONDS = 0.05


class SimulatedDevice(msgspec.Struct, kw_only=True):
    """One device: its identity, the version it runs, and how it behaves when it is updated."""

    device: str
    token: str
    version: str = "0.0.0"
    behaviour: Behaviour = "ok"
    hardware: str = "simulated"


class Summary(msgspec.Struct, kw_only=True):
    """What the devices saw. `statuses` counts answers by HTTP status; `trouble` says in words what
    was wrong last when no answer came; times in seconds."""

    devices: int
    seconds: float
    requests: int
    connections: int
    polls: int
    updates: int
    failures: int
    downloads: int
    bytes_downloaded: int
    troubles: int
    trouble: str = ""
    statuses: dict[int, int]
    versions: dict[str, int]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """How a run goes. `poll_seconds` overrides the server's interval; 0 keeps it."""

    url: str
    environment: str
    poll_seconds: float = 0
    seconds_max: float = 60
    connections_max: int = 200
    progress_reports: int = 2


async def simulate(
    run: Run, devices: Sequence[SimulatedDevice], stop: Callable[[], bool] = lambda: False
) -> Summary:
    """Let the devices live until `stop` says so or the time is over."""
    http = DeviceHttp(run.url, run.connections_max)
    counts: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    lives = [_Life(run, device, http, counts, statuses) for device in devices]
    begun = time.monotonic()
    tasks = [asyncio.create_task(life.live()) for life in lives]
    try:
        while time.monotonic() - begun < run.seconds_max and not stop():
            await asyncio.sleep(_FIRST_WAIT_SECONDS)
            _raise_first(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await http.close()
    return Summary(
        devices=len(devices),
        seconds=round(time.monotonic() - begun, 3),
        requests=http.requests,
        connections=http.connections,
        statuses=dict(sorted(statuses.items())),
        versions=dict(Counter(device.version for device in devices)),
        trouble=next((life.trouble for life in lives if life.trouble), ""),
        **{name: counts[name] for name in _COUNTED},
    )


_COUNTED = ("polls", "updates", "failures", "downloads", "bytes_downloaded", "troubles")


def run_simulation(
    run: Run, devices: Sequence[SimulatedDevice], stop: Callable[[], bool] = lambda: False
) -> Summary:
    """`simulate` for callers without an event loop."""
    return asyncio.run(simulate(run, devices, stop))


def _raise_first(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()


class _Life:
    """One device's life."""

    def __init__(
        self,
        run: Run,
        device: SimulatedDevice,
        http: DeviceHttp,
        counts: Counter[str],
        statuses: Counter[int],
    ) -> None:
        self._run = run
        self._device = device
        self._http = http
        self._counts = counts
        self._statuses = statuses
        environment, name = quote(run.environment, safe=""), quote(device.device, safe="")
        self._root = f"/{environment}/controller/v1/{name}"
        self._headers = {"Authorization": f"TargetToken {device.token}"}
        self._silent = self._restarted = False
        self.trouble = ""
        self._place = hashlib.sha256(device.device.encode()).digest()[0] / 256

    async def live(self) -> None:
        """Poll for ever; cancelled from outside."""
        await asyncio.sleep(self._place * min(self._run.poll_seconds or 1, 5))
        while not self._silent:
            wait = 1.0
            try:
                wait = await self._turn()
            except _BROKEN as error:
                self._counts["troubles"] += 1
                self.trouble = str(error) or type(error).__name__
            if self._restarted:
                # As devices do: what starts anew asks at once, and so shows what it runs.
                self._restarted, wait = False, _FIRST_WAIT_SECONDS
            else:
                wait = self._run.poll_seconds or wait
            await asyncio.sleep(wait)

    async def _turn(self) -> float:
        self._counts["polls"] += 1
        status, answer = await self._json("GET", self._root)
        if status != 200:
            return 1.0
        links = answer.get("_links", {})
        if "configData" in links:
            await self._tell(links["configData"]["href"])
        if "cancelAction" in links:
            await self._cancel(links["cancelAction"]["href"])
        elif "deploymentBase" in links:
            await self._update(links["deploymentBase"]["href"])
        hours, minutes, seconds = answer["config"]["polling"]["sleep"].split(":")
        return float(int(hours) * 3600 + int(minutes) * 60 + int(seconds))

    async def _tell(self, link: str) -> None:
        data = {
            "firmware_version": self._device.version,
            "hw_revision": self._device.hardware,
            "serial": self._device.device,
        }
        await self._json("PUT", link, {"mode": "merge", "data": data})

    async def _cancel(self, link: str) -> None:
        status, answer = await self._json("GET", link)
        if status == 200:
            stop = answer["cancelAction"]["stopId"]
            link = f"{self._root}/cancelAction/{stop}/feedback"
            await self._json("POST", link, _status("closed", "success", "nothing runs"))

    async def _update(self, link: str) -> None:
        status, offer = await self._json("GET", link)
        if status != 200:
            return
        if self._device.behaviour == "silent":
            self._silent = True
            return
        action, chunk = offer["id"], offer["deployment"]["chunks"][0]
        if self._device.behaviour == "skips":
            await self._report(action, _status("closed", "success", "Skipped Update."))
            return
        for number in range(self._run.progress_reports):
            await self._report(action, _status("proceeding", "none", f"step {number}"))
        whole = await self._download(chunk["artifacts"][0])
        await self._close(action, chunk["version"], whole)

    async def _close(self, action: str, version: str, whole: bool) -> None:
        self._restarted = True
        if self._device.behaviour == "fails" or not whole:
            self._counts["failures"] += 1
            self._device.behaviour = "ok"
            await self._report(action, _status("closed", "failure", "health check failed"))
            return
        self._counts["updates"] += 1
        if self._device.behaviour != "lies":
            self._device.version = version
        await self._report(action, _status("closed", "success", f"installed {version}"))

    async def _download(self, artifact: dict[str, object]) -> bool:
        """Fetch and hash; a device that reconnects cuts the line half-way and resumes."""
        link = artifact["_links"]["download"]["href"]  # type: ignore[index]
        size = int(artifact["size"])  # type: ignore[call-overload]
        running, have = hashlib.sha256(), 0
        cut_at = size // 2 if self._device.behaviour == "reconnects" else size
        while have < size:
            extra = {"Range": f"bytes={have}-"} if have else {}
            async with self._http.ask("GET", link, {**self._headers, **extra}) as answer:
                self._statuses[answer.status] += 1
                if answer.status not in (200, 206):
                    return False
                async for piece in answer.pieces():
                    running.update(piece)
                    have += len(piece)
                    if have >= cut_at and have < size:
                        cut_at = size
                        break
        self._counts["downloads"] += 1
        self._counts["bytes_downloaded"] += have
        found: bool = running.hexdigest() == artifact["hashes"]["sha256"]  # type: ignore[index]
        return found

    async def _report(self, action: str, body: dict[str, object]) -> None:
        link = f"{self._root}/deploymentBase/{action}/feedback"
        await self._json("POST", link, body)
        if self._device.behaviour == "duplicates":
            await self._json("POST", link, body)

    async def _json(self, method: str, link: str, content: object = None) -> tuple[int, dict]:  # type: ignore[type-arg]
        body = json.dumps(content).encode() if content is not None else b""
        async with self._http.ask(method, link, self._headers, body) as answer:
            self._statuses[answer.status] += 1
            text = await answer.body()
        return answer.status, json.loads(text) if text else {}


def _status(execution: str, finished: str, detail: str) -> dict[str, object]:
    result = {"finished": finished}
    return {"status": {"execution": execution, "result": result, "details": [detail]}}
