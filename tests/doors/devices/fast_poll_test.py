"""Fast path and slow path answer the same bytes to the same requests."""

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from surefoot.doors.devices.fast_poll import FastPollProtocol
from surefoot.store.device_rollouts import Wave
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of

ENV = "production"
ROOT = f"/{ENV}/controller/v1"
GOOD = f"Authorization: TargetToken {token_of('dev1')}"


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    folder: Path = tmp_path_factory.mktemp("house")
    house = DeviceHouse(folder)
    house.enrol(ENV, "dev1", "dev2", "a:b")
    wave = Wave(
        deployment=1,
        wave=0,
        percent=100,
        release="sha256:" + "1" * 64,
        firmware=house.firmware(b"image", "1.1.0"),
        deadline_seconds=600,
    )
    house.assign(ENV, wave)
    with (
        DoorServer(house.desk(), fast=True) as fast,
        DoorServer(house.desk(), fast=False) as slow,
    ):
        yield urlsplit(fast.url).netloc, urlsplit(slow.url).netloc
    house.database.close()


def request(path: str, *headers: str, method: str = "GET", host: str = "updates.example") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def said(netloc: str, content: bytes, answers: int) -> bytes:
    """Everything the door says until it said so many answers, dates taken out."""
    host, _, port = netloc.partition(":")
    found = b""
    with socket.create_connection((host, int(port)), timeout=90) as line:
        line.sendall(content)
        while not _complete(found, answers):
            piece = line.recv(65_536)
            if not piece:
                break
            found += piece
    return re.sub(rb"date: [^\r]*", b"date: *", found)


def _complete(found: bytes, answers: int) -> bool:
    for _ in range(answers):
        head, end, rest = found.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if not end or (length is None and b" 304 " not in head):
            return False
        size = int(length[1]) if length else 0
        if len(rest) < size:
            return False
        found = rest[size:]
    return True


REQUESTS = {
    "poll": request(f"{ROOT}/dev1", GOOD),
    "poll in another case": request("/PRODUCTION/controller/v1/dev1", GOOD),
    "with a port": request(f"{ROOT}/dev1", GOOD, host="[::1]:8080"),
    "swupdate's headers": request(
        f"{ROOT}/dev1", GOOD, "Accept: application/json", "charsets: utf-8", "charsets: utf-8"
    ),
    "token first": f"GET {ROOT}/dev1 HTTP/1.1\r\n{GOOD}\r\nHost: h.example\r\n\r\n".encode(),
    "two hosts": request(f"{ROOT}/dev1", GOOD, "Host: other.example"),
    "no host": f"GET {ROOT}/dev1 HTTP/1.1\r\n{GOOD}\r\n\r\n".encode(),
    "a header nobody knows": request(f"{ROOT}/dev1", GOOD, "X-Serial: 1", "User-Agent: x"),
    "names in another case": request(
        f"{ROOT}/dev1", GOOD.replace("A", "a", 1), "USER-AGENT: libcurl-agent/1.0"
    ),
    "a body announced": request(f"{ROOT}/dev1", GOOD, "Content-Length: 0"),
    "older version": request(f"{ROOT}/dev1", GOOD).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "spaces around": request(f"{ROOT}/dev1", GOOD.replace(": ", ":  ") + " "),
    "query": request(f"{ROOT}/dev1?x=1", GOOD),
    "wrong token": request(f"{ROOT}/dev1", "Authorization: TargetToken no"),
    "no token": request(f"{ROOT}/dev1"),
    "two tokens": request(f"{ROOT}/dev1", GOOD, "Authorization: TargetToken no"),
    "another's token": request(f"{ROOT}/dev2", GOOD),
    "bad host": request(f"{ROOT}/dev1", GOOD, host='e"vil'),
    "escaped name": request(f"{ROOT}/a%3Ab", f"Authorization: TargetToken {token_of('a:b')}"),
    "proxy": request(f"{ROOT}/dev1", GOOD, "X-Forwarded-Proto: https"),
    "close": request(f"{ROOT}/dev1", GOOD, "Connection: close"),
    "unknown path": request("/nowhere", GOOD),
    "other method": request(f"{ROOT}/dev1", GOOD, method="DELETE"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_both_paths_say_the_same(doors: tuple[str, str], name: str) -> None:
    fast, slow = (said(door, REQUESTS[name], 1) for door in doors)
    assert fast == slow and fast.startswith(b"HTTP/1.1 ")


def test_both_paths_say_that_nothing_has_changed(
    doors: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ETag is no shape of headers: each device sends another."""
    poll = said(doors[1], REQUESTS["poll"], 1)
    tag = re.search(rb'etag: ("[0-9a-f]+")', poll)
    assert tag is not None
    held, taken = tag[1].decode(), []
    fast = FastPollProtocol._answered
    monkeypatch.setattr(
        FastPollProtocol,
        "_answered",
        lambda self, content: taken.append(fast(self, content)) or taken[-1],
    )
    for headers, status, by_fast in (
        ((f"If-None-Match: {held}",), b"304", True),
        ((f"if-none-match: W/{held}", "Accept: */*"), b"304", True),
        ((f'If-None-Match: "other", {held} ',), b"304", True),
        (('If-None-Match: "other"',), b"200", True),
        (("If-None-Match: *",), b"200", True),
        ((f"If-None-Match: {held}", 'If-None-Match: "other"'), b"304", False),
        (('If-None-Match: "other"', f"If-None-Match: {held}"), b"200", False),
        ((f"IF-NONE-MATCH: {held}",), b"304", False),
        ((f"If-None-Match: {'x' * 2_000}, {held}",), b"200", True),
    ):
        content = request(f"{ROOT}/dev1", GOOD, *headers)
        taken.clear()
        quick = said(doors[0], content, 1)
        assert taken[:1] == [by_fast], headers
        assert quick == said(doors[1], content, 1) and quick[9:12] == status, headers


def test_shapes_do_not_grow_with_tags(doors: tuple[str, str]) -> None:
    sizes = set()
    for number in range(4):
        said(doors[0], request(f"{ROOT}/dev1", GOOD, f'If-None-Match: "{number}"'), 1)
        classes = [each for each in FastPollProtocol.__subclasses__() if each.shapes]
        sizes.add(max(len(each.shapes) for each in classes))
    assert len(sizes) == 1


def test_the_fast_path_is_the_one_that_answers(
    doors: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise this file would compare the slow path with itself."""
    taken = []
    fast = FastPollProtocol._answered

    def seen(self: FastPollProtocol, data: bytes) -> bool:
        taken.append(fast(self, data))
        return taken[-1]

    monkeypatch.setattr(FastPollProtocol, "_answered", seen)
    for name in ("poll", "token first", "swupdate's headers", "names in another case"):
        said(doors[0], REQUESTS[name], 1)
    assert taken == [True] * 4


def test_pipelined_requests_of_both_kinds_keep_their_order(doors: tuple[str, str]) -> None:
    content = b"".join(REQUESTS[name] for name in ("poll", "wrong token", "poll", "query", "poll"))
    fast, slow = (said(door, content, 5) for door in doors)
    assert fast == slow and fast.count(b"HTTP/1.1 200") == 4


def test_a_request_in_pieces_is_one_request(doors: tuple[str, str]) -> None:
    content = REQUESTS["poll"] + REQUESTS["poll"]
    found = []
    for door in doors:
        host, _, port = door.partition(":")
        with socket.create_connection((host, int(port)), timeout=90) as line:
            for at in range(0, len(content), 7):
                line.sendall(content[at : at + 7])
            line.sendall(REQUESTS["poll"])
            heard = b""
            while not _complete(heard, 3):
                heard += line.recv(65_536)
        found.append(re.sub(rb"date: [^\r]*", b"date: *", heard))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "first",
    [
        "GET /nowhere HTTP/1.1\r\nX-Note: ",
        f"PUT {ROOT}/dev1/configData HTTP/1.1\r\nHost: h.example\r\n{GOOD}\r\n"
        f"Content-Length: {{length}}\r\n\r\n",
    ],
    ids=["head", "body"],
)
def test_a_poll_inside_a_request_is_a_part_of_it(doors: tuple[str, str], first: str) -> None:
    """What the parser waits for is its own, however much it looks like a poll."""
    begun = first.format(length=len(REQUESTS["poll"])).encode()
    for door in doors:
        host, _, port = door.partition(":")
        with socket.create_connection((host, int(port)), timeout=90) as line:
            line.sendall(begun)
            time.sleep(0.2)  # a packet of its own
            line.sendall(REQUESTS["poll"])
            heard = line.recv(65_536)
            line.settimeout(0.3)
            with contextlib.suppress(TimeoutError):
                heard += line.recv(65_536)
        assert heard.startswith(b"HTTP/1.1 40") and heard.count(b"HTTP/1.1 ") == 1


def test_polls_keep_a_connection_and_silence_ends_it(tmp_path: Path) -> None:
    house = DeviceHouse(tmp_path)
    house.enrol(ENV, "dev1")
    with DoorServer(house.desk(), timeout_keep_alive=3) as door:
        host, _, port = urlsplit(door.url).netloc.partition(":")
        with socket.create_connection((host, int(port)), timeout=90) as line:
            for _ in range(8):
                line.sendall(REQUESTS["poll"])
                assert line.recv(65_536).startswith(b"HTTP/1.1 200")
                time.sleep(0.5)
            assert line.recv(1) == b""  # nobody asked for longer than three seconds
    house.database.close()


def test_a_head_that_does_not_end_is_given_up(doors: tuple[str, str]) -> None:
    host, _, port = doors[0].partition(":")
    found = b""
    with socket.create_connection((host, int(port)), timeout=90) as line:
        line.sendall(f"GET {ROOT}/dev1 HTTP/1.1\r\nX-Long: ".encode())
        try:
            for _ in range(100):
                line.sendall(b"x" * 16_384)
            found = line.recv(65_536)
        except ConnectionError:
            found = found or b"HTTP/1.1 400 (the line was cut)"
    assert found.startswith(b"HTTP/1.1 400")
    assert said(doors[0], REQUESTS["poll"], 1).startswith(b"HTTP/1.1 200")
