"""Calls the service without pause and writes down what was sent and what was answered.

Half of the clients keep their connection, half open a new one for each request. A request is
never repeated: one that fails is written down as failed. The log is a line of JSON for each
request sent and for each result, and a last line when the client ended in order.

Usage: python3 clients.py --service http://HOST:PORT --folder LOGS [--kept 2] [--fresh 2]
       [--rate 50] [--seconds 0]     (0: until SIGTERM or SIGINT)
Standard output: one line of JSON with the sums and the latency in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import TextIO

REQUEST_SECONDS_MAX = 30
ANSWER_BYTES_MAX = 64 * 1024
READ_EVERY = 10  # every tenth request reads a set point, the others post telemetry
ROOM = "load"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Client:
    """One client with a device name and a log of its own."""

    def __init__(self, host: str, port: int, name: str, log: TextIO, *, keeps: bool) -> None:
        self._place = (host, port)
        self._name = name
        self._log = log
        self._keeps = keeps
        self._stream: Stream | None = None
        self._sent = 0
        self.milliseconds: list[float] = []
        self.failed = 0

    async def run(self, rate: float, told: asyncio.Event) -> None:
        """Send at most `rate` requests a second until told to stop; the last one is awaited."""
        due = time.monotonic()
        while not told.is_set():
            await self._one()
            # A slow answer delays the next request: no bursts afterwards.
            due = max(due + 1 / rate, time.monotonic() - 1 / rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await self._drop()
        self._write(event="stopped", sent=self._sent)
        self._log.flush()
        os.fsync(self._log.fileno())
        self._log.close()

    async def _one(self) -> None:
        self._sent += 1
        number, began = self._sent, time.monotonic()
        if number % READ_EVERY:
            celsius = round(random.uniform(15, 25), 2)
            row = {"device": self._name, "sequence": number, "temperature": celsius}
            self._write(event="sent", request=number, at_ms=_now_ms(), row=row)
            words = ("POST", "/v1/telemetry", {**row, "room": ROOM})
        else:
            self._write(event="sent", request=number, at_ms=_now_ms())
            words = ("GET", f"/v1/setpoint/{self._name}", None)
        try:
            status = await asyncio.wait_for(self._ask(*words), REQUEST_SECONDS_MAX)
        except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError) as error:
            self.failed += 1
            reason = f"{type(error).__name__}: {error}"
            self._write(event="failed", request=number, at_ms=_now_ms(), reason=reason[:200])
            await self._drop()
            return
        self.milliseconds.append(1000 * (time.monotonic() - began))
        if status not in (200, 201):
            self.failed += 1
        self._write(event="answered", request=number, at_ms=_now_ms(), status=status)

    async def _ask(self, method: str, path: str, content: dict | None) -> int:
        body = b"" if content is None else json.dumps(content).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._place[0]}\r\n"
        head += f"Content-Length: {len(body)}\r\n" + (
            "" if self._keeps else "Connection: close\r\n"
        )
        if self._stream is None:
            self._stream = await asyncio.open_connection(*self._place)
        reader, writer = self._stream
        writer.write(head.encode() + b"\r\n" + body)
        await writer.drain()
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        length = int(headers["content-length"]) if "content-length" in headers else -1
        if not 0 <= length <= ANSWER_BYTES_MAX:
            raise ValueError(f"an answer of {length} bytes")
        await reader.readexactly(length)
        if not self._keeps or headers.get("connection", "").lower() == "close":
            await self._drop()
        return int(first.split(" ")[1])

    async def _drop(self) -> None:
        if self._stream is not None:
            self._stream[1].close()
            self._stream = None

    def _write(self, **line: object) -> None:
        self._log.write(json.dumps(line) + "\n")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def given() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--service", required=True, help="http://HOST:PORT")
    parser.add_argument("--folder", required=True, type=Path, help="where the logs go")
    parser.add_argument("--kept", type=int, default=2, help="clients that keep a connection")
    parser.add_argument("--fresh", type=int, default=2, help="clients that open one each time")
    parser.add_argument("--rate", type=float, default=50, help="requests a second and client")
    parser.add_argument("--seconds", type=float, default=0, help="0: until SIGTERM")
    words = parser.parse_args()
    if not 1 <= words.kept + words.fresh <= 200 or not 0 < words.rate <= 1000:
        parser.error("expected 1 to 200 clients and a rate of at most 1000")
    return words


async def main(words: argparse.Namespace) -> dict[str, object]:
    """Run the clients; the sums."""
    host, _, port = words.service.removeprefix("http://").rstrip("/").rpartition(":")
    words.folder.mkdir(parents=True, exist_ok=True)
    told, run = asyncio.Event(), f"{_now_ms():x}"
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    if words.seconds:
        asyncio.get_running_loop().call_later(words.seconds, told.set)
    clients = []
    for number in range(words.kept + words.fresh):
        keeps = number < words.kept
        name = f"load-{run}-{'kept' if keeps else 'fresh'}-{number}"
        log = open(words.folder / f"{name}.jsonl", "x")  # noqa: SIM115 - the client closes it
        clients.append(Client(host, int(port), name, log, keeps=keeps))
    await asyncio.gather(*(client.run(words.rate, told) for client in clients))
    took = sorted(value for client in clients for value in client.milliseconds)
    failed = sum(client.failed for client in clients)
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    latency = {name: round(took[int(s * (len(took) - 1))], 1) for name, s in shares.items() if took}
    return {"answered": len(took), "failed": failed, "milliseconds": latency}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(given()))) + "\n")
