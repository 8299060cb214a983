"""Download speed of a 64 MiB image beside nginx on the same core, in one run.

Both serve with one process pinned to core 0, to the same reader on core 1, in turns: whole images,
one connection and eight. The figures that survive a noisy machine are the ratio and the processor
time of one GiB, from the process table. Needs nginx.

    .venv/bin/python benchmarks/download.py [--mib 64] [--rounds 5] [--seconds 2]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import selectors
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from device_door import cpu_seconds, free_port, pin

from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of
from surefoot.testing.door_client import ENV, DoorClient

CONNECTIONS = (1, 8)
BUFFER_BYTES = 1024 * 1024
NGINX = """
user root; daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 10000000; server {{
  listen 127.0.0.1:{port}; root {folder}/files; }} }}
"""


class Served(NamedTuple):
    """A server of the image: where, which path and header, and its process."""

    url: str
    path: str
    authorization: str
    pid: int


def serve(folder: Path, size: int, ready: multiprocessing.Queue[tuple[str, str]]) -> None:
    """The door in a process of its own, on core 0, with one device and its open action."""
    pin(0)
    house = DeviceHouse(folder)
    house.enrol(ENV, "dev1")
    with DoorServer(house.desk(sleep_seconds=300)) as server:
        client = DoorClient(house, server)
        client.firmware = house.firmware(os.urandom(size), "1.1.0")
        action = client.assign()
        path = f"/{ENV}/controller/v1/dev1/{client.artifact_path(action)}"
        ready.put((server.url, path))
        time.sleep(3600)


@contextmanager
def our_door(folder: Path, size: int) -> Iterator[Served]:
    """The device door."""
    ready: multiprocessing.Queue[tuple[str, str]] = multiprocessing.Queue()
    door = multiprocessing.Process(target=serve, args=(folder, size, ready))
    door.start()
    try:
        url, path = ready.get(timeout=60)
        assert door.pid is not None
        yield Served(url, path, f"TargetToken {token_of('dev1')}", door.pid)
    finally:
        door.terminate()
        door.join()


@contextmanager
def nginx(folder: Path, size: int) -> Iterator[Served]:
    """nginx with one worker on core 0, and sendfile."""
    (folder / "files").mkdir(parents=True)
    (folder / "files" / "image.swu").write_bytes(os.urandom(size))
    port = free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    core = str(sorted(os.sched_getaffinity(0))[0])
    words = ["taskset", "-c", core, "nginx", "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(words)
    try:
        time.sleep(0.5)
        yield Served(f"http://127.0.0.1:{port}", "/image.swu", "", process.pid)
    finally:
        process.terminate()
        process.wait()


class Reader:
    """One keep-alive connection that reads the image again and again."""

    def __init__(self, served: Served, size: int) -> None:
        parts = urlsplit(served.url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=10)
        self._request = (
            f"GET {served.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Authorization: {served.authorization}\r\n\r\n"
        ).encode()
        self._size = size
        self._left = 0
        self._head = b""
        self.whole = 0
        self.ask()

    def ask(self) -> None:
        """The next image."""
        self._left, self._head = -1, b""
        self.socket.sendall(self._request)

    def take(self, buffer: bytearray) -> int:
        """Read what is there; the bytes of the image among it."""
        count = self.socket.recv_into(buffer)
        assert count, "the server closed the connection"
        if self._left < 0:
            self._head += bytes(buffer[:count])
            head, separator, rest = self._head.partition(b"\r\n\r\n")
            if not separator:
                return 0
            assert head.startswith(b"HTTP/1.1 200"), head
            self._left, count = self._size, len(rest)
        self._left -= count
        if self._left == 0:
            self.whole += 1
            self.ask()
        return count


def load(served: Served, size: int, connections: int, seconds: float) -> tuple[float, float]:
    """Bytes a second, and processor seconds a byte."""
    chooser = selectors.DefaultSelector()
    readers = [Reader(served, size) for _ in range(connections)]
    for reader in readers:
        chooser.register(reader.socket, selectors.EVENT_READ, reader)
    buffer = bytearray(BUFFER_BYTES)
    before, begun, count = cpu_seconds(served.pid), time.monotonic(), 0
    while time.monotonic() - begun < seconds:
        for key, _ in chooser.select(1):
            count += key.data.take(buffer)
    took = time.monotonic() - begun
    used = cpu_seconds(served.pid) - before
    for reader in readers:
        reader.socket.close()
    chooser.close()
    return count / took, used / max(count, 1)


def main() -> None:
    """Run the rounds and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    asked = parser.parse_args()
    for tool in ("nginx", "taskset"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is not installed")
    size = asked.mib * 1024 * 1024
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with our_door(folder / "house", size) as ours, nginx(folder / "nginx", size) as base:
            pin(1)
            for served in (base, ours):
                load(served, size, 1, 0.5)
            for connections in CONNECTIONS:
                measure(base, ours, size, connections, asked)


def measure(
    base: Served, ours: Served, size: int, connections: int, asked: argparse.Namespace
) -> None:
    """Rounds of nginx, then the door; medians and ratios."""
    pairs = []
    for number in range(asked.rounds):
        theirs, theirs_cpu = load(base, size, connections, asked.seconds)
        mine, mine_cpu = load(ours, size, connections, asked.seconds)
        pairs.append((theirs, mine, theirs_cpu, mine_cpu))
        print(
            f"{connections} connections, round {number + 1}: nginx {theirs / 1e6:,.0f} MB/s, "
            f"door {mine / 1e6:,.0f} MB/s, {mine / theirs:.2f}"
        )
    middle = [statistics.median(column) for column in zip(*pairs, strict=True)]
    result = {
        "connections": connections,
        "mib": asked.mib,
        "nginx_mb_per_second": round(middle[0] / 1e6),
        "door_mb_per_second": round(middle[1] / 1e6),
        "ratio": round(statistics.median(mine / theirs for theirs, mine, _, _ in pairs), 2),
        "nginx_cpu_s_per_gib": round(middle[2] * 2**30, 3),
        "door_cpu_s_per_gib": round(middle[3] * 2**30, 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
