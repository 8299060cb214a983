"""What stands between the real swupdate and the real door: a proxy that hands on all but a fault.

It listens on the client's own loopback, in its own network namespace.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from surefoot.core.offer import Firmware
from surefoot.core.target import Step
from surefoot.store.device_rollouts import DeviceRollouts, Wave
from surefoot.testing.claims import Claims
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of
from surefoot.testing.swupdate import Client, Maker

ENV = "production"
NAME = "swu-1"
PORT = 8080
CONTENT = random.Random(3).randbytes(3_000_000)
IMAGE = "GET", "/softwaremodules/"
OFFER = "GET", "/deploymentBase/"
PROCEEDING = "POST", "/deploymentBase/"
ATTRIBUTES = "PUT", "/configData"
POLL = "GET", f"/{NAME} "
CLONE_NEWNET = 0x40000000


class Fault(NamedTuple):
    """The next requests of this kind get this instead: an answer, a reset, a line that is cut.

    `change` is made to the body of the door's answer. `truncated`: cut by an end, not by a reset.
    """

    method: str
    path: str
    answer: bytes = b""
    cut_after: int = -1
    times: int = 1
    change: Callable[[bytes], bytes] | None = None
    truncated: bool = False


def http(status: int, body: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status} Fault\r\ncontent-length: {len(body)}\r\nretry-after: 60\r\n\r\n"
    return head.encode() + body


def listen_in(namespace: str) -> socket.socket:
    """A listening socket on the loopback of a namespace; a thread of its own goes there for it."""
    found: list[socket.socket] = []

    def inside() -> None:
        handle = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.setns(handle, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        os.close(handle)
        found.append(socket.create_server(("127.0.0.1", PORT)))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    return found[0]


class Between:
    """The proxy. One connection to the door for each of the client's."""

    def __init__(self, listener: socket.socket, door: str, faults: tuple[Fault, ...]) -> None:
        self._listener = listener
        host, _, port = door.removeprefix("http://").partition(":")
        self._door = host, int(port)
        self.faults = [[fault, fault.times] for fault in faults]
        self.requests: list[str] = []
        self.refused = 0
        self.slow = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(line,), daemon=True).start()

    def _talk(self, line: socket.socket) -> None:
        with line, socket.create_connection(self._door) as door:
            try:
                while request := message_of(line):
                    if not self._one(line, door, request):
                        return
            except (OSError, EOFError):
                return

    def _one(self, line: socket.socket, door: socket.socket, request: bytes) -> bool:
        first = request.partition(b"\r\n")[0].decode()
        self.requests.append(first)
        fault = self._fault(first)
        if fault is not None and fault.change is not None:
            door.sendall(request)
            line.sendall(_changed(door, fault.change))
            return True
        if fault is not None and fault.cut_after < 0:
            self.refused += 1
            if fault.answer:
                line.sendall(fault.answer)
                return True
            reset(line)
            return False
        door.sendall(request)
        left = fault.cut_after if fault is not None else -1
        cut = left, fault is None or not fault.truncated
        head_only = first.startswith("HEAD")
        return _hand_on(door, line, cut, head_only=head_only, slow=self.slow)

    def _fault(self, first: str) -> Fault | None:
        for pair in self.faults:
            fault = pair[0]
            if pair[1] and first.startswith(fault.method + " ") and fault.path in first:
                pair[1] -= 1
                return fault
        return None


def message_of(line: socket.socket) -> bytes:
    content = b""
    while b"\r\n\r\n" not in content:
        piece = line.recv(65_536)
        if not piece:
            return b""
        content += piece
    head, _, body = content.partition(b"\r\n\r\n")
    length = length_of(head)
    if b"100-continue" in head and not body:
        line.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        head = b"\r\n".join(h for h in head.split(b"\r\n") if not h.startswith(b"Expect"))
    while len(body) < length:
        body += line.recv(65_536)
    return head + b"\r\n\r\n" + body


def length_of(head: bytes) -> int:
    for each in head.split(b"\r\n"):
        name, _, value = each.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _begun(door: socket.socket) -> tuple[bytes, bytes]:
    """The head of the door's answer, and what came of its body with it."""
    content = b""
    while b"\r\n\r\n" not in content:
        piece = door.recv(65_536)
        if not piece:
            raise EOFError
        content += piece
    head, _, body = content.partition(b"\r\n\r\n")
    return head, body


def _changed(door: socket.socket, change: Callable[[bytes], bytes]) -> bytes:
    """The door's whole answer, with another body when it is a 200."""
    head, body = _begun(door)
    while len(body) < length_of(head):
        body += door.recv(65_536)
    if head.startswith(b"HTTP/1.1 200"):
        body = change(body)
        lines = [h for h in head.split(b"\r\n") if not h.lower().startswith(b"content-length")]
        head = b"\r\n".join([*lines, b"content-length: %d" % len(body)])
    return head + b"\r\n\r\n" + body


def _hand_on(
    door: socket.socket,
    line: socket.socket,
    cut: tuple[int, bool],
    *,
    head_only: bool,
    slow: threading.Event,
) -> bool:
    cut_after, by_reset = cut
    try:
        head, body = _begun(door)
    except EOFError:
        reset(line)
        raise
    left = 0 if head_only else length_of(head) - len(body)
    line.sendall(head + b"\r\n\r\n")
    sent = 0
    while True:
        if 0 <= cut_after <= sent + len(body):
            line.sendall(body[: cut_after - sent])
            time.sleep(0.2)
            if by_reset:
                reset(line)
            return False
        line.sendall(body)
        sent += len(body)
        if left <= 0:
            return True
        slowly = slow.is_set() and sent > 500_000
        time.sleep(0.1 if slowly else 0)
        body = door.recv(10_000 if slowly else 65_536)
        if not body:
            return False
        left -= len(body)


def reset(line: socket.socket) -> None:
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    line.close()


class Case:
    """One device with the real swupdate, the real door, and what stands between."""

    def __init__(self, folder: Path, maker: Maker, space: str) -> None:
        self.maker = maker
        self.house = DeviceHouse(folder / "house")
        self.client = Client(maker, folder / "device", NAME, space)
        self.space = space
        self.deployment = 0

    def image(self, **changes: str) -> Firmware:
        return self.house.firmware(self.maker.image("1.1.0", CONTENT), "1.1.0", **changes)

    def assign(self, firmware: Firmware) -> int:
        self.deployment += 1
        wave = Wave(
            deployment=self.deployment, wave=0, percent=100, release="sha256:" + "1" * 64,
            firmware=firmware, deadline_seconds=600,
        )  # fmt: skip
        self.house.assign(ENV, wave, self.deployment)
        return self.house.registry.page(ENV)[0].action

    def cancel(self) -> None:
        step = Step(
            id="stop", target="fleet", action="stop", arguments={"deployment": self.deployment}
        )
        token = Claims(ENV).token(step, f"{self.deployment}/stop", 99)
        rollouts = DeviceRollouts(self.house.database, ENV, self.house.now_ms)
        rollouts.stop(self.deployment, token)

    @property
    def state(self) -> str:
        return self.house.registry.page(ENV)[0].state

    def told(self) -> str:
        """All lines the device told of its newest action, newest first."""
        found = self.house.registry.timeline(ENV, NAME, 100)
        return "\n".join(str(json.loads(each)["told"]) for each in found)

    @property
    def said(self) -> str:
        return self.house.registry.page(ENV)[0].reason

    def wait(self) -> None:
        """A little while; the test's own limit ends it."""
        time.sleep(0.05)

    def until(self, *states: str, seconds: float = 45) -> str:
        deadline = time.monotonic() + seconds
        while self.state not in states:
            assert time.monotonic() < deadline, (self.state, self.said, self.client.log[-3000:])
            time.sleep(0.05)
        return self.state

    def reboot(self, version: str, *extra: str, access: str = "") -> None:
        self.client.stop()
        access = access or f'targettoken = "{token_of(NAME)}";'
        self.client.start(f"http://127.0.0.1:{PORT}", ENV, access, version, *extra)

    def confirmed(self) -> None:
        """It installed: after its reboot it says so, and is believed."""
        self.installs()
        self.reboot("1.1.0", "-c", "2")
        self.until("verified")

    def installs(self) -> None:
        """Until it wrote the image and said so, and believed nothing before the reboot."""
        deadline = time.monotonic() + 45
        while self.client.installed != CONTENT:
            assert time.monotonic() < deadline, (self.state, self.client.log[-3000:])
            time.sleep(0.05)
        time.sleep(1)
        assert self.until("installing")


@contextmanager
def between(case: Case, *faults: Fault, sleep_seconds: int = 1) -> Iterator[Between]:
    with listen_in(case.space) as listener, DoorServer(case.house.desk(sleep_seconds)) as server:
        try:
            yield Between(listener, server.url, faults)
        finally:
            listener.shutdown(socket.SHUT_RDWR)
