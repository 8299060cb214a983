"""Switches under load: no request fails, whatever kind it is."""

import asyncio
import base64
import hashlib
import http.client
import os
import socket
import threading
import time
from collections.abc import Callable

import pytest

from surefoot.testing.waiting import until

KEEP_ALIVE, FRESH, POST = "keep-alive", "fresh", "post"


class Load:
    """Clients without retries, in threads, until told to stop."""

    def __init__(self, port: int, kinds: list[str]) -> None:
        self.port = port
        self.answers: list[bytes] = []
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(kind,)) for kind in kinds]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def until_seen(self, answer: bytes, times: int) -> None:
        """Wait until the clients have had this answer so often, or one of them failed."""
        until(lambda: bool(self.failures) or self.answers.count(answer) >= times)

    def _run(self, kind: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        while not self._stop.is_set():
            try:
                if kind == POST:
                    connection.request("POST", "/", body=b"x" * 100)
                else:
                    connection.request("GET", "/slow?s=0.002")
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200:
                    self.failures.append(f"{kind}: {answer.status} {body!r}")
                self.answers.append(body)
            except (OSError, http.client.HTTPException) as trouble:
                self.failures.append(f"{kind}: {trouble!r}")
                connection.close()
            if kind == FRESH:
                connection.close()
        connection.close()


def test_no_request_fails_over_many_switches(world) -> None:
    world.deploy()
    with Load(world.port, [KEEP_ALIVE] * 4 + [FRESH] * 3 + [POST] * 2) as load:
        for number in range(12):
            steps = world.deploy(values={"greeting": f"v{number}"})
            assert [step.action for step in steps] == ["start", "check", "switch", "drain"]
            load.until_seen(f"v{number}".encode(), 20)
    assert load.failures == []
    totals = world.open().availability("api", 0, time.time_ns() // 1_000_000 + 60_000)
    assert (totals.failed, totals.service, totals.gone, totals.cut) == (0, 0, 0, 0)
    assert totals.requests == len(load.answers)


def test_what_is_under_way_ends_on_the_old_and_the_next_goes_to_the_new(world) -> None:
    world.deploy()
    connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=90)
    connection.request("GET", "/slow?s=1.5")
    world.deploy(values={"greeting": "two"})
    assert connection.getresponse().read() == b"one"
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"two"
    connection.close()


def in_thread(act: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=act)
    thread.start()
    return thread


def test_an_upload_in_chunks_finishes_during_the_drain(world) -> None:
    world.deploy()
    pieces = [os.urandom(70_000) for _ in range(8)]
    with socket.create_connection(("127.0.0.1", world.port), 90) as client:
        client.sendall(b"POST /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.sendall(b"%x;name=value\r\n%b\r\n" % (len(pieces[0]), pieces[0]))
        until(lambda: world.active() == 1)
        deploying = in_thread(lambda: world.deploy(values={"greeting": "two"}))
        for number, piece in enumerate(pieces[1:]):
            if number == 3:
                until(lambda: world.get()[1] == b"two")
            client.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        client.sendall(b"0\r\nTrailer: x\r\n\r\n")
        answer = b""
        while answer.count(b"\r\n\r\n") < 1 or not answer.partition(b"\r\n\r\n")[2]:
            answer += client.recv(65536)
        deploying.join()
    digest = hashlib.sha256(b"".join(pieces)).hexdigest().encode()
    assert digest in answer


def test_an_event_stream_is_ended_after_the_grace(world) -> None:
    world.deploy(drain_seconds=1)
    with socket.create_connection(("127.0.0.1", world.port), 90) as client:
        client.sendall(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n")
        assert b"text/event-stream" in client.recv(65536)
        began = time.monotonic()
        deploying = in_thread(lambda: world.deploy(values={"greeting": "two"}, drain_seconds=1))
        received = b""
        while part := client.recv(65536):
            received += part
        lasted = time.monotonic() - began
        deploying.join()
    assert lasted > 0.9
    assert b"data: 3" in received
    assert not received.endswith(b"0\r\n\r\n")
    assert world.open().availability("api", 0, 2**50).cut == 1


def test_a_web_socket_talks_through_and_outlives_the_switch(world) -> None:
    world.deploy(drain_seconds=8)
    key = base64.b64encode(os.urandom(16))
    with socket.create_connection(("127.0.0.1", world.port), 90) as client:
        client.sendall(
            b"GET /socket HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
            + key
            + b"\r\n\r\n"
        )
        head = client.recv(65536)
        assert head.startswith(b"HTTP/1.1 101 ") and b"Sec-WebSocket-Accept" in head
        client.sendall(b"ping")
        assert client.recv(65536) == b"one:ping"
        deploying = in_thread(lambda: world.deploy(values={"greeting": "two"}, drain_seconds=8))
        until(lambda: world.get()[1] == b"two")
        client.sendall(b"again")
        assert client.recv(65536) == b"one:again"
        assert client.recv(65536) == b""
        deploying.join()


def test_a_service_on_a_port_is_handed_over_too(world) -> None:
    world.deploy(listen="tcp")
    with Load(world.port, [KEEP_ALIVE, FRESH]) as load:
        for number in range(3):
            world.deploy(listen="tcp", values={"greeting": f"v{number}"})
            load.until_seen(f"v{number}".encode(), 5)
    assert load.failures == []


@pytest.mark.parametrize("size", [1, 5_000_000])
def test_bodies_pass_whole_in_both_directions(world, size: int) -> None:
    world.deploy()
    body = os.urandom(size)
    connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=90)
    connection.request("POST", "/", body=body)
    expected = f"{size} {hashlib.sha256(body).hexdigest()}".encode()
    assert connection.getresponse().read() == expected
    connection.close()


def test_many_clients_at_once(world) -> None:
    world.deploy()

    async def one() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
        )
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async def all_of_them() -> list[bytes]:
        return await asyncio.gather(*(one() for _ in range(200)))

    assert all(b"200 OK" in answer for answer in asyncio.run(all_of_them()))
