"""Every fault that the real swupdate can meet on its way, and what it makes of it.

A fault stands between the client and the real door: a proxy on the client's own loopback, in its
own network namespace, that hands on all but what the case changes. The outcomes are those of the
real program; what counts is that the door's truth about the device agrees. Run by `make field`.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from surefoot.core.offer import Firmware
from surefoot.core.target import Step
from surefoot.store.device_rollouts import DeviceRollouts, Wave
from surefoot.testing.claims import Claims
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of
from surefoot.testing.swupdate import Client, Maker, Network, namespaces_refused, network

pytestmark = [pytest.mark.field, pytest.mark.timeout(120)]

ENV = "production"
NAME = "swu-1"
PORT = 8080
CONTENT = random.Random(3).randbytes(3_000_000)
IMAGE = "GET", "/softwaremodules/"
PROCEEDING = "POST", "/deploymentBase/"
ATTRIBUTES = "PUT", "/configData"
POLL = "GET", f"/{NAME} "
CLONE_NEWNET = 0x40000000


class Fault(NamedTuple):
    """The nth request of this kind (all after it too, when `always`) gets this instead."""

    method: str
    path: str
    answer: bytes = b""
    cut_after: int = -1
    times: int = 1


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
                while request := _message(line):
                    if not self._one(line, door, request):
                        return
            except (OSError, EOFError):
                return

    def _one(self, line: socket.socket, door: socket.socket, request: bytes) -> bool:
        first = request.partition(b"\r\n")[0].decode()
        self.requests.append(first)
        fault = self._fault(first)
        if fault is not None and fault.cut_after < 0:
            self.refused += 1
            if fault.answer:
                line.sendall(fault.answer)
                return True
            _reset(line)
            return False
        door.sendall(request)
        left = fault.cut_after if fault is not None else -1
        return _hand_on(door, line, left, head_only=first.startswith("HEAD"), slow=self.slow)

    def _fault(self, first: str) -> Fault | None:
        for pair in self.faults:
            fault = pair[0]
            if pair[1] and first.startswith(fault.method + " ") and fault.path in first:
                pair[1] -= 1
                return fault
        return None


def _message(line: socket.socket) -> bytes:
    content = b""
    while b"\r\n\r\n" not in content:
        piece = line.recv(65_536)
        if not piece:
            return b""
        content += piece
    head, _, body = content.partition(b"\r\n\r\n")
    length = _length(head)
    if b"100-continue" in head and not body:
        line.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        head = b"\r\n".join(h for h in head.split(b"\r\n") if not h.startswith(b"Expect"))
    while len(body) < length:
        body += line.recv(65_536)
    return head + b"\r\n\r\n" + body


def _length(head: bytes) -> int:
    for each in head.split(b"\r\n"):
        name, _, value = each.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _hand_on(
    door: socket.socket,
    line: socket.socket,
    cut_after: int,
    *,
    head_only: bool,
    slow: threading.Event,
) -> bool:
    content = b""
    while b"\r\n\r\n" not in content:
        piece = door.recv(65_536)
        if not piece:
            _reset(line)
            raise EOFError
        content += piece
    head, _, body = content.partition(b"\r\n\r\n")
    left = 0 if head_only else _length(head) - len(body)
    line.sendall(head + b"\r\n\r\n")
    sent = 0
    while True:
        if 0 <= cut_after <= sent + len(body):
            line.sendall(body[: cut_after - sent])
            time.sleep(0.2)
            _reset(line)
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


def _reset(line: socket.socket) -> None:
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

    @property
    def said(self) -> str:
        return self.house.registry.page(ENV)[0].reason

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


@pytest.fixture(scope="module")
def space(require_tool: Callable[[str], str]) -> Iterator[Network]:
    for tool in ("swupdate", "openssl", "ip"):
        require_tool(tool)
    if reason := namespaces_refused():
        pytest.skip(reason)
    with network(1) as made:
        yield made


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[[str], str]) -> Maker:
    require_tool("openssl")
    return Maker(tmp_path_factory.mktemp("maker") / "maker")


@pytest.fixture
def case(tmp_path: Path, maker: Maker, space: Network) -> Iterator[Case]:
    made = Case(tmp_path, maker, space.devices[0])
    made.house.enrol(ENV, NAME)
    yield made
    made.client.stop()
    made.house.database.close()


@contextmanager
def between(case: Case, *faults: Fault, sleep_seconds: int = 1) -> Iterator[Between]:
    with listen_in(case.space) as listener, DoorServer(case.house.desk(sleep_seconds)) as server:
        try:
            yield Between(listener, server.url, faults)
        finally:
            listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("status", [404, 429, 500, 503, 0])
def test_a_poll_that_fails_is_asked_again(case: Case, status: int) -> None:
    """Any status, or a reset: no crash, no wait for Retry-After."""
    fault = Fault(*POLL, answer=http(status) if status else b"", times=2)
    with between(case, fault) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0")
        case.confirmed()
    assert proxy.refused == 2


def test_a_wrong_token_changes_nothing(case: Case) -> None:
    with between(case) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0", access='targettoken = "wrong";')
        time.sleep(5)
        assert case.state == "assigned" and len(proxy.requests) >= 2
        case.reboot("1.0.0")
        case.confirmed()


def test_attributes_that_are_refused_are_sent_again_before_anything_is_installed(
    case: Case,
) -> None:
    with between(case, Fault(*ATTRIBUTES, answer=http(500), times=2)) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0")
        case.confirmed()
    kinds = [r.split()[0] for r in proxy.requests]
    third = [n for n, r in enumerate(proxy.requests) if r.startswith("PUT")][2]
    assert "POST" not in kinds[:third]


@pytest.mark.parametrize("status", [404, 410])
def test_an_offer_that_is_not_there_once(case: Case, status: int) -> None:
    with between(case, Fault("GET", "/deploymentBase/", answer=http(status))) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0")
        case.confirmed()
    assert proxy.refused == 1


@pytest.mark.parametrize("status", [409, 410, 500])
def test_a_first_report_that_fails_puts_off_the_download(case: Case, status: int) -> None:
    with between(case, Fault(*PROCEEDING, answer=http(status))) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0")
        case.confirmed()
    posts = [n for n, r in enumerate(proxy.requests) if r.startswith("POST")]
    assert not [r for r in proxy.requests[: posts[1]] if "/softwaremodules/" in r]


def test_later_reports_that_are_lost_do_not_matter(case: Case) -> None:
    with between(case) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0")
        case.until("installing")
        proxy.faults = [[Fault(*PROCEEDING, answer=http(500)), 2]]
        case.confirmed()


@pytest.mark.parametrize(
    ("status", "words"), [(404, "No suitable .swu image found"), (500, "ERROR"), (503, "ERROR")]
)
def test_an_image_that_is_refused_is_a_failure(case: Case, status: int, words: str) -> None:
    """No client repeats it: that is why the door never answers so under load."""
    page = b"<html>an error page that is no image</html>" * 20
    with between(case, Fault(*IMAGE, answer=http(status, page))) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0")
        assert case.until("failed", "verified") == "failed"
    assert proxy.refused == 1 and case.client.installed != CONTENT


@pytest.mark.parametrize("after", [0, 1_000_000])
def test_a_download_that_breaks_goes_on_where_it_was(case: Case, after: int) -> None:
    with between(case, Fault(*IMAGE, cut_after=after)) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0")
        case.confirmed()
    assert len([r for r in proxy.requests if r.startswith("GET") and "/softwaremodules/" in r]) >= 2


def test_a_download_that_always_breaks_is_a_failure(case: Case) -> None:
    with between(case, Fault(*IMAGE, cut_after=200_000, times=9)):
        case.assign(case.image())
        case.reboot("1.0.0")
        assert case.until("failed", seconds=60) == "failed"


def test_a_server_that_ignores_the_range_makes_it_fail(case: Case) -> None:
    """Never this door: a Range is never answered with 200. Shown with one that does."""
    whole = case.maker.image("1.1.0", CONTENT)
    ignoring = Fault(*IMAGE, answer=http(200, whole))
    with between(case, Fault(*IMAGE, cut_after=1_000_000), ignoring) as proxy:
        case.assign(case.image())
        case.reboot("1.0.0")
        assert case.until("failed", "verified", seconds=60) == "failed"
    assert proxy.refused == 1


def test_a_wrong_sha1_is_a_failure_although_it_was_written(case: Case) -> None:
    """swupdate compares after it streamed the image; it never counts as installed."""
    with between(case):
        case.assign(case.image(sha1="0" * 40))
        case.reboot("1.0.0")
        assert case.until("failed", "reported", "verified") == "failed"
    assert case.client.installed == CONTENT


def test_an_image_of_another_maker_is_never_written(case: Case, tmp_path: Path) -> None:
    other = Maker(tmp_path / "other")
    with between(case):
        case.assign(case.house.firmware(other.image("1.1.0", CONTENT), "1.1.0"))
        case.reboot("1.0.0")
        assert case.until("failed", "reported", "verified") == "failed"
    assert case.client.installed == b""


def test_a_cancel_before_the_start(case: Case) -> None:
    with between(case, Fault(*PROCEEDING, answer=http(500), times=99)) as proxy:
        action = case.assign(case.image())
        case.reboot("1.0.0")
        case.until("offered")
        case.cancel()
        assert case.until("unknown", "returned") in ("unknown", "returned")
        case.until("returned")
    assert (
        f"POST /{ENV}/controller/v1/{NAME}/cancelAction/{action}/feedback HTTP/1.1"
        in proxy.requests
    )
    assert case.client.installed == b""


def test_a_cancel_during_the_download(case: Case) -> None:
    with between(case) as proxy:
        proxy.slow.set()
        case.assign(case.image())
        case.reboot("1.0.0")
        case.until("downloading", "installing")
        deadline = time.monotonic() + 20
        while not [r for r in proxy.requests if r.startswith("GET") and "/softwaremodules/" in r]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        case.cancel()
        case.until("unknown", "returned")
        proxy.slow.clear()
        # An accepted cancel says nothing about what runs: its attributes do.
        assert case.until("returned") == "returned"


def test_a_new_interval_is_obeyed_at_once(case: Case) -> None:
    with between(case, sleep_seconds=4) as proxy:
        case.reboot("1.0.0")
        time.sleep(13)
        assert 2 <= _polls(proxy) <= 5, proxy.requests
    with between(case, sleep_seconds=1) as proxy:
        time.sleep(13)
        assert _polls(proxy) >= 7, proxy.requests


def _polls(proxy: Between) -> int:
    return len([r for r in proxy.requests if r.endswith(f"/{NAME} HTTP/1.1")])


def test_a_gateways_token_speaks_for_the_device_and_its_download(
    tmp_path: Path, maker: Maker, space: Network
) -> None:
    """It knocks, waits until it is let in, and then updates with that token."""
    case = Case(tmp_path, maker, space.devices[0])
    case.house.identities.set_gateway(ENV, hashlib.sha256(b"shared").digest())
    access = 'gatewaytoken = "shared";'
    try:
        with between(case) as proxy:
            case.reboot("1.0.0", access=access)
            deadline = time.monotonic() + 20
            while not case.house.registry.page(ENV):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert case.house.registry.page(ENV)[0].standing == "pending"
            case.house.identities.set_standing(ENV, NAME, "", "test")
            case.assign(case.image())
            case.installs()
            case.reboot("1.1.0", "-c", "2", access=access)
            case.until("verified")
        assert [r for r in proxy.requests if r.startswith("GET") and "/softwaremodules/" in r]
    finally:
        case.client.stop()
        case.house.database.close()
