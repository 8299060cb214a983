"""Fast path and slow path answer the same bytes to the same requests."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

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
    with socket.create_connection((host, int(port)), timeout=5) as line:
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
        if not end or length is None or len(rest) < int(length[1]):
            return False
        found = rest[int(length[1]) :]
    return True


REQUESTS = {
    "poll": request(f"{ROOT}/dev1", GOOD),
    "poll in another case": request("/PRODUCTION/controller/v1/dev1", GOOD),
    "with a port": request(f"{ROOT}/dev1", GOOD, host="[::1]:8080"),
    "swupdate's headers": request(
        f"{ROOT}/dev1", GOOD, "Accept: application/json", "charsets: utf-8", "charsets: utf-8"
    ),
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


def test_pipelined_requests_of_both_kinds_keep_their_order(doors: tuple[str, str]) -> None:
    content = b"".join(REQUESTS[name] for name in ("poll", "wrong token", "poll", "query", "poll"))
    fast, slow = (said(door, content, 5) for door in doors)
    assert fast == slow and fast.count(b"HTTP/1.1 200") == 4


def test_a_head_that_does_not_end_is_given_up(doors: tuple[str, str]) -> None:
    host, _, port = doors[0].partition(":")
    found = b""
    with socket.create_connection((host, int(port)), timeout=5) as line:
        line.sendall(f"GET {ROOT}/dev1 HTTP/1.1\r\nX-Long: ".encode())
        try:
            for _ in range(100):
                line.sendall(b"x" * 16_384)
            found = line.recv(65_536)
        except ConnectionError:
            found = found or b"HTTP/1.1 400 (the line was cut)"
    assert found.startswith(b"HTTP/1.1 400")
    assert said(doors[0], REQUESTS["poll"], 1).startswith(b"HTTP/1.1 200")
