"""A hundred thousand devices in one process: bounded memory, a bounded number of kept connections.

Keeps: a device is a few bytes, not a task; what it does is drawn from a seed. A storm cuts every
connection and makes every device ask at once; what was under way is repeated, as a device does that
heard no answer. Images are fetched and hashed. Does not: know the server's state.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import json
import random
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import msgspec

from surefoot.testing.device_door import token_of

OLD, NEW = "1.0.0", "2.0.0"
UNTOUCHED, UPDATED, FAILED, SILENT = range(4)
_LINES = 256
_SOON_SECONDS = 0.05
_BROKEN = (OSError, EOFError, TimeoutError)
_ANSWER_SECONDS = 60.0


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """How many devices, and which share of them, in percent, does what."""

    count: int
    failures_percent: float = 2.0
    silent_percent: float = 1.0
    duplicates_percent: float = 5.0
    storms: int = 2
    waves: tuple[int, ...] = (10, 50, 100)
    seed: int = 1


def name_of(place: int) -> str:
    """A device's name."""
    return f"drill-{place:06d}"


class Fleet:
    """See the module. Use `run` beside something that calls `storm` and looks at `is_settled`."""

    def __init__(self, drill: Drill, url: str, environment: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._root = f"/{environment}/controller/v1/"
        drawn = random.Random(drill.seed)  # noqa: S311 -- a run can be repeated
        self._fate = bytearray(_fate(drill, drawn) for _ in range(drill.count))
        doubled = drill.duplicates_percent / 100
        self._twice = bytearray(drawn.random() < doubled for _ in range(drill.count))
        self.outcomes = bytearray(drill.count)
        self._settled = bytearray(drill.count)
        self._unsettled = drill.count
        self._due = [(place / drill.count, place) for place in range(drill.count)]
        self._busy: set[int] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.counts: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self._begun = time.monotonic()

    def is_settled(self) -> bool:
        """Whether every device is silent, or has ended its update and has nothing more to do."""
        return self._unsettled == 0

    def is_quiet(self) -> bool:
        """Whether every device that began an update has ended it and has nothing more to do."""
        return all(map(_at_rest, self.outcomes, self._settled))

    def storm(self) -> None:
        """Every connection is cut, and every device asks at once."""
        self.counts["storms"] += 1
        for writer in self._writers:
            writer.transport.abort()
        awake = (p for p, done in enumerate(self.outcomes) if done != SILENT)
        self._due = [(0.0, place) for place in awake if place not in self._busy]

    async def run(self) -> None:
        """Live for ever; cancelled from outside."""
        self._begun = time.monotonic()
        await asyncio.gather(*(self._work() for _ in range(_LINES)))

    async def _work(self) -> None:
        line = _Line(self)
        try:
            while True:
                now = time.monotonic() - self._begun
                if not self._due or self._due[0][0] > now:
                    await asyncio.sleep(_SOON_SECONDS)
                    continue
                _, place = heapq.heappop(self._due)
                self._busy.add(place)
                wait = await self._lived(line, place)
                self._busy.discard(place)
                if wait is not None:
                    heapq.heappush(self._due, (time.monotonic() - self._begun + wait, place))
        finally:
            line.close()

    async def _lived(self, line: _Line, place: int) -> float | None:
        """One turn of a device; seconds until its next one, None for never."""
        try:
            return await asyncio.wait_for(self._turn(line, place), _ANSWER_SECONDS)
        except _BROKEN:
            line.close()
            self.counts["cut"] += 1
            return _SOON_SECONDS

    async def _turn(self, line: _Line, place: int) -> float | None:
        self.counts["polls"] += 1
        status, answer = await line.ask(place, "GET", "")
        if status != 200:
            return 1.0
        links = answer["_links"]
        if "configData" in links:
            shown = NEW if self.outcomes[place] == UPDATED else OLD
            data = {"firmware_version": shown, "serial": name_of(place)}
            await line.ask(place, "PUT", "/configData", {"mode": "merge", "data": data})
        if "deploymentBase" in links:
            await self._update(line, place, _path(links["deploymentBase"]["href"]))
            return _SOON_SECONDS if self.outcomes[place] != SILENT else None
        if not links.keys() & {"configData", "deploymentBase"} and self.outcomes[place]:
            self._settle(place)
        hours, minutes, seconds = answer["config"]["polling"]["sleep"].split(":")
        return float(int(hours) * 3600 + int(minutes) * 60 + int(seconds))

    def _settle(self, place: int) -> None:
        if not self._settled[place]:
            self._settled[place] = 1
            self._unsettled -= 1

    async def _update(self, line: _Line, place: int, path: str) -> None:
        status, offer = await line.ask(place, "GET", path)
        if status != 200:
            return
        if self._fate[place] == SILENT:
            self.outcomes[place] = SILENT
            self._settle(place)
            return
        action = offer["id"]
        if self.outcomes[place] == UNTOUCHED:
            await self._report(line, place, action, ("proceeding", "none"))
            artifact = offer["deployment"]["chunks"][0]["artifacts"][0]
            content = await line.fetch(place, _path(artifact["_links"]["download"]["href"]))
            self.counts["downloads"] += 1
            whole = hashlib.sha256(content).hexdigest() == artifact["hashes"]["sha256"]
            failed = self._fate[place] == FAILED or not whole
            # A device installs before it tells: what it tells may be lost, and is told again.
            self.outcomes[place] = FAILED if failed else UPDATED
        ended = "failure" if self.outcomes[place] == FAILED else "success"
        await self._report(line, place, action, ("closed", ended))

    async def _report(self, line: _Line, place: int, action: str, said: tuple[str, str]) -> None:
        result = {"finished": said[1]}
        status = {"execution": said[0], "result": result, "details": [f"{said[0]} of a drill"]}
        for _ in range(2 if self._twice[place] else 1):
            self.counts["reports"] += 1
            await line.ask(place, "POST", f"/deploymentBase/{action}/feedback", {"status": status})

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection, which a storm can cut."""
        self.counts["connections"] += 1
        reader, writer = await asyncio.open_connection(self._host, self._port)
        self._writers.add(writer)
        return reader, writer

    def closed(self, writer: asyncio.StreamWriter) -> None:
        """A connection is not used any more."""
        writer.close()
        self._writers.discard(writer)

    def head(self, place: int, method: str, path: str, body: bytes) -> bytes:
        """A request, as a small client sends it."""
        device = name_of(place)
        about = (
            f"{method} {self._root}{device}{path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
            f"Authorization: TargetToken {token_of(device)}\r\n"
        )
        if method != "GET":
            about += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return f"{about}\r\n".encode() + body


class _Line:
    """One kept connection, used by one device at a time."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, place: int, method: str, path: str, content: object = None
    ) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        body = json.dumps(content).encode() if content is not None else b""
        status, text = await self._exchange(self._fleet.head(place, method, path, body))
        return status, json.loads(text) if text else {}

    async def fetch(self, place: int, path: str) -> bytes:
        """A file."""
        status, content = await self._exchange(self._fleet.head(place, "GET", path, b""))
        return content if status == 200 else b""

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        if self._stream is None or self._stream[1].is_closing():
            self.close()
            self._stream = await self._fleet.open()
        reader, writer = self._stream
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        found = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        content = await reader.readexactly(int(found or 0))
        self._fleet.statuses[status] += 1
        return status, content

    def close(self) -> None:
        if self._stream is not None:
            self._fleet.closed(self._stream[1])
            self._stream = None


def _at_rest(outcome: int, settled: int) -> bool:
    return outcome == UNTOUCHED or bool(settled)


def _fate(drill: Drill, drawn: random.Random) -> int:
    place = 100 * drawn.random()
    if place < drill.silent_percent:
        return SILENT
    return FAILED if place < drill.silent_percent + drill.failures_percent else UPDATED


def _path(link: str) -> str:
    """What follows the device's own address in a link."""
    return "/" + urlsplit(link)._replace(scheme="", netloc="").geturl().split("/", 5)[5]
