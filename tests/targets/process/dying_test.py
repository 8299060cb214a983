"""What the keeper does with a request that meets a service which is dying, case by case.

The service is a listening socket that the test closes at the moment in question.
"""

from __future__ import annotations

import asyncio
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from surefoot.targets.keeper.back import Upstream
from surefoot.targets.keeper.counts import Counts
from surefoot.targets.keeper.front import Front
from surefoot.targets.keeper.hub import Hub
from surefoot.targets.keeper.limits import Limits
from surefoot.testing.waiting import until

SECONDS = 60.0
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
KINDS = ("unix", "tcp")


class Service:
    """A service of one generation; its sockets stand for a process."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self._path = kind, folder / "service.sock"
        self._taken: list[socket.socket] = []
        self.listen()

    def listen(self) -> None:
        """A new process binds: on the same path, or on another port."""
        if self.kind == "unix":
            self._path.unlink(missing_ok=True)
            self.listening = socket.socket(socket.AF_UNIX)
            self.listening.bind(str(self._path))
            self.address = f"unix:{self._path}"
        else:
            self.listening = socket.socket()
            self.listening.bind(("127.0.0.1", 0))
            self.address = f"tcp:127.0.0.1:{self.listening.getsockname()[1]}"
        self.listening.listen(8)
        self.listening.settimeout(SECONDS)

    def wait_for_one(self) -> None:
        """Until somebody has connected whom nobody accepted."""
        assert select.select([self.listening], [], [], SECONDS)[0]

    def take(self) -> socket.socket:
        """Take one connection, on which a request then lies unread."""
        taken, _ = self.listening.accept()
        self._taken.append(taken)
        taken.settimeout(SECONDS)
        assert select.select([taken], [], [], SECONDS)[0]
        return taken

    def read(self) -> socket.socket:
        """Take one connection and read its request to the end."""
        taken = self.take()
        assert b"\r\n\r\n" in taken.recv(65536)
        return taken

    def answer(self) -> socket.socket:
        """Answer one request, and leave the connection open."""
        taken = self.read()
        taken.sendall(ANSWER)
        return taken

    def end(self) -> None:
        """Close everything."""
        for each in (self.listening, *self._taken):
            each.close()


class Kept:
    """A keeper's front and the generation behind it, in a loop of their own."""

    def __init__(self, folder: Path, address: str) -> None:
        self._ready = threading.Event()
        self._folder = folder
        self.upstream = self._address = None
        self._first = address
        self._clients: list[socket.socket] = []
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(SECONDS)

    async def _serve(self) -> None:
        self.loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        limits = Limits(hold_seconds=SECONDS, answer_seconds=2 * SECONDS)
        hub = Hub(Counts(self._folder / "counts"), limits)
        self.hub = hub
        self.upstream = hub.live = Upstream(self._first)
        server = await self.loop.create_server(lambda: Front(hub), "127.0.0.1", 0)
        self._address = server.sockets[0].getsockname()
        self._ready.set()
        await self._done.wait()
        server.close()
        self.upstream.down()
        while hub.fronts:
            hub.sweep(float("inf"))
            await asyncio.sleep(0.01)

    def client(self, content: bytes = b"") -> socket.socket:
        """A client that has sent something."""
        made = socket.create_connection(self._address, SECONDS)
        self._clients.append(made)
        made.sendall(content)
        return made

    def tell(self, act: str, *words: str) -> None:
        """Call a method of the upstream in its loop."""
        asyncio.run_coroutine_threadsafe(self._call(act, *words), self.loop).result(SECONDS)

    async def _call(self, act: str, *words: str) -> None:
        getattr(self.upstream, act)(*words)

    def switch(self, address: str) -> None:
        """Another generation becomes the live one."""

        async def switch() -> None:
            old, self.upstream = self.upstream, Upstream(address)
            self.hub.live = self.upstream
            old.retire()

        asyncio.run_coroutine_threadsafe(switch(), self.loop).result(SECONDS)

    def end(self) -> None:
        """Stop the loop."""
        self.loop.call_soon_threadsafe(self._done.set)
        self._thread.join(SECONDS)
        for client in self._clients:
            client.close()


@pytest.fixture(params=KINDS)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    made = Service(request.param, tmp_path)
    yield made
    made.end()


@pytest.fixture
def kept(service: Service, tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path, service.address)
    yield made
    made.end()


def status(client: socket.socket) -> int:
    return int(client.recv(65536).split(b" ")[1])


def again(service: Service, kept: Kept) -> None:
    """The keeper sees the death, and a new process comes up."""
    kept.tell("down")
    service.listen()
    kept.tell("up", service.address)


def test_a_connection_that_was_never_accepted_is_made_again(service, kept) -> None:
    """The death is not known yet: the connection waits in a queue that nobody will read."""
    client = kept.client(GET)
    service.wait_for_one()
    service.listening.close()
    again(service, kept)
    service.answer()
    assert status(client) == 200


def test_a_request_that_was_accepted_and_not_read_is_sent_again(service, kept) -> None:
    client = kept.client(GET)
    service.take().close()
    service.answer()
    assert status(client) == 200


def test_an_idle_connection_and_the_next_that_both_die_are_survived(service, kept) -> None:
    client = kept.client(GET)
    taken = service.answer()
    assert status(client) == 200
    client.sendall(GET)
    assert b"\r\n\r\n" in taken.recv(65536)
    taken.close()
    service.wait_for_one()
    service.listening.close()
    again(service, kept)
    service.answer()
    assert status(client) == 200


@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
def test_while_it_is_down_requests_wait_and_go_to_the_new_process(service, kept, request_) -> None:
    service.listening.close()
    kept.tell("down")
    client = kept.client(request_)
    service.listen()
    kept.tell("up", service.address)
    service.answer()
    assert status(client) == 200


@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
def test_who_waits_for_a_restart_goes_on_at_the_generation_that_is_switched_to(
    service, kept, request_
) -> None:
    service.listening.close()
    kept.tell("down")
    client = kept.client(request_)
    until(lambda: kept.upstream.active == 1)
    old = kept.upstream
    service.listen()
    kept.switch(service.address)
    service.answer()
    assert status(client) == 200
    assert old.active == 0


def test_what_may_not_be_repeated_is_not(service, kept) -> None:
    client = kept.client(POST)
    service.take().close()
    assert status(client) == 502
    assert not select.select([service.listening], [], [], 0)[0]


def test_a_request_that_was_read_to_its_end_is_not_sent_again(service, kept) -> None:
    """It may be what the service died of."""
    client = kept.client(GET)
    service.read().close()
    assert status(client) == 502
    assert not select.select([service.listening], [], [], 0)[0]


def test_an_interim_answer_is_an_answer(service, kept) -> None:
    client = kept.client(GET)
    taken = service.answer()
    assert status(client) == 200
    client.sendall(GET)
    assert b"\r\n\r\n" in taken.recv(65536)
    taken.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    assert status(client) == 103
    taken.close()
    assert status(client) == 502


def test_a_service_that_never_reads_is_not_asked_for_ever(service, kept) -> None:
    client = kept.client(GET)
    for _ in range(4):
        service.take().close()
    assert status(client) == 502
    assert not select.select([service.listening], [], [], 0)[0]
