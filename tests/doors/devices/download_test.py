"""Downloads: ranges byte for byte on both ways, slow and vanished devices, nginx that sends."""

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from surefoot.doors.devices import fast_poll
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of
from surefoot.testing.door_client import CONTENT, ENV, DoorClient
from surefoot.testing.waiting import until

SIZE = len(CONTENT)
BIG = os.urandom(1024 * 1024) * 24


@pytest.fixture(scope="module", params=["kernel", "pieces"])
def door(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DoorClient]:
    """A door that sends by the kernel, and one that reads pieces, as it does over TLS."""
    house = DeviceHouse(tmp_path_factory.mktemp("house"))
    house.enrol(ENV, "dev1", "dev2")
    with DoorServer(house.desk(), fast=request.param == "kernel") as server:
        yield DoorClient(house, server)
    house.database.close()


@pytest.fixture(scope="module")
def path(door: DoorClient) -> str:
    return door.artifact_path(door.assign())


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=1000-", 1000, SIZE),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        (f"bytes=10-{SIZE * 9}", 10, SIZE),
        ("bytes=-1", SIZE - 1, SIZE),
        (f"bytes=-{SIZE * 9}", 0, SIZE),
        ("bytes=0-99, 50-149, 150-199", 0, 200),
        (f"bytes=5-9, {SIZE * 2}-", 5, 10),
    ],
)
def test_one_range(door: DoorClient, path: str, asked: str, begin: int, end: int) -> None:
    status, headers, body = door.ask("GET", path, Range=asked)
    assert (status, body) == (206, CONTENT[begin:end])
    assert headers["content-range"] == f"bytes {begin}-{end - 1}/{SIZE}"
    assert headers["content-length"] == str(end - begin)


@pytest.mark.parametrize(
    "asked", [f"bytes={SIZE}-", "bytes=-0", f"bytes={SIZE}-{SIZE + 5},{SIZE}-"]
)
def test_past_the_end(door: DoorClient, path: str, asked: str) -> None:
    status, headers, _ = door.ask("GET", path, Range=asked)
    assert (status, headers["content-range"]) == (416, f"bytes */{SIZE}")


def test_several_ranges_are_parts_of_one_answer(door: DoorClient, path: str) -> None:
    status, headers, body = door.ask("GET", path, Range="bytes=500-599,0-9,-7")
    assert status == 206 and headers["content-length"] == str(len(body))
    head = f"Content-Type: {headers['content-type']}\r\n\r\n".encode()
    whole = BytesParser().parsebytes(head + body)
    parts = whole.get_payload()
    assert isinstance(parts, list) and all(isinstance(part, Message) for part in parts)
    spans = [(0, 10), (500, 600), (SIZE - 7, SIZE)]
    assert [p["Content-Range"] for p in parts] == [f"bytes {a}-{b - 1}/{SIZE}" for a, b in spans]
    for begin, end in spans:
        assert f"bytes {begin}-{end - 1}/{SIZE}\r\n\r\n".encode() + CONTENT[begin:end] in body


def test_more_ranges_than_anybody_needs_are_refused(door: DoorClient, path: str) -> None:
    asked = ",".join(f"{n * 3}-{n * 3}" for n in range(101))
    assert door.ask("GET", path, Range=f"bytes={asked}")[0] == 400


def test_conditions(door: DoorClient, path: str) -> None:
    _, named, whole = door.ask("GET", path)
    assert whole == CONTENT and named["etag"] == f'"{hashlib.sha1(CONTENT).hexdigest()}"'
    for held in (named["etag"], named["last-modified"]):
        assert door.ask("GET", path, Range="bytes=5-", If_Range=held)[0] == 206
    for other in ('"other"', f"W/{named['etag']}", "Thu, 01 Jan 1970 00:00:00 GMT"):
        status, _, body = door.ask("GET", path, Range="bytes=5-", If_Range=other)
        assert (status, body) == (200, CONTENT)
    assert door.ask("GET", path, If_Match='"other"')[0] == 412
    status, headers, body = door.ask("HEAD", path)
    assert (status, headers["content-length"], body) == (200, str(SIZE), b"")
    assert headers["etag"] == named["etag"]


def test_requests_one_behind_the_other_on_one_line(door: DoorClient, path: str) -> None:
    """A poll waits behind an image, and an image behind a poll: no byte of one is in the other."""
    poll, image = _request(door, ""), _request(door, path, "Range: bytes=100-900099")
    with _line(door) as line:
        line.sendall(image + poll + image + poll)
        found = b""
        while found.count(b'"_links"') < 2:
            piece = line.recv(1_000_000)
            assert piece
            found += piece
    assert found.count(CONTENT[100:900_100]) == 2
    assert found.count(b"HTTP/1.1 206") == 2 and found.count(b"HTTP/1.1 200") == 2


def _request(door: DoorClient, path: str, *headers: str) -> bytes:
    target = f"/{ENV}/controller/v1/dev1" + (f"/{path}" if path else "")
    lines = [f"GET {target} HTTP/1.1", f"Host: {door.netloc}"]
    lines += [f"Authorization: TargetToken {token_of('dev1')}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def _line(door: DoorClient) -> socket.socket:
    host, _, port = door.netloc.partition(":")
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    line.settimeout(90)
    line.connect((host, int(port)))
    return line


@pytest.fixture
def big(tmp_path: Path) -> Iterator[tuple[DoorClient, str]]:
    """A door with an image larger than every buffer."""
    house = DeviceHouse(tmp_path)
    house.enrol(ENV, "dev1")
    with DoorServer(house.desk()) as server:
        client = DoorClient(house, server)
        client.firmware = house.firmware(BIG, "2.0.0")
        yield client, client.artifact_path(client.assign())
    house.database.close()


def test_slow_devices_slow_down_nobody_and_none_is_refused(big: tuple[DoorClient, str]) -> None:
    door, path = big
    digests: list[str] = []

    def slowly() -> None:
        with _line(door) as line:
            line.sendall(_request(door, path))
            head, _, body = line.recv(4096).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            digest, left = hashlib.sha256(body), len(BIG) - len(body)
            while left:
                piece = line.recv(65_536)
                digest.update(piece)
                left -= len(piece)
                time.sleep(0.0005)
            digests.append(digest.hexdigest())

    threads = [threading.Thread(target=slowly) for _ in range(30)]
    for thread in threads:
        thread.start()
    waits, began = [], time.monotonic()
    while any(thread.is_alive() for thread in threads):
        begun = time.monotonic()
        door.poll()
        waits.append(time.monotonic() - begun)
        time.sleep(0.01)
    assert digests == [hashlib.sha256(BIG).hexdigest()] * 30
    # A poll that had to wait for the downloads would take about as long as they do.
    assert len(waits) >= 3
    assert sorted(waits)[len(waits) // 2] < (time.monotonic() - began) / 4


def test_a_device_that_goes_away_or_stalls_is_given_up(
    big: tuple[DoorClient, str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fast_poll, "STALL_SECONDS_MAX", 3.0)
    door, path = big
    with _line(door) as gone:
        gone.sendall(_request(door, path))
        assert gone.recv(4096)
    with _line(door) as stalled:
        stalled.sendall(_request(door, path))
        assert stalled.recv(4096) and _downloads(door)
        until(lambda: not _downloads(door))
        # Its end is a reset, or too few bytes: never a whole image.
        found = 0
        with contextlib.suppress(ConnectionError):
            while piece := stalled.recv(1_000_000):
                found += len(piece)
        assert found < len(BIG)
    assert door.poll()["_links"]
    assert not [r for r in caplog.records if r.levelname in ("ERROR", "CRITICAL")]


def _downloads(door: DoorClient) -> int:
    """How often this process, the door in it, has the image open."""
    image, found = os.fspath(door.house.blobs.path(door.firmware.digest)), 0
    for handle in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found += os.readlink(f"/proc/self/fd/{handle}") == image
    return found


def test_an_image_that_is_missing_or_damaged_is_offered_to_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house = DeviceHouse(tmp_path)
    house.enrol(ENV, "dev1")
    content = b"firmware" * 1000
    image = house.firmware(content, "1.1.0")
    place = Path(str(house.blobs.path(image.digest)))
    place.chmod(0o600)
    place.write_bytes(content[:-1] + b"X")
    with DoorServer(house.desk()) as server:
        client = DoorClient(house, server)
        client.firmware = image
        action = client.assign_silently()
        server.looked()
        assert "deploymentBase" not in client.links()
        assert client.ask("GET", f"deploymentBase/{action}")[0] == 404
        assert client.ask("GET", client.artifact_path(action))[0] == 404
        house.blobs.put(content)
        until(lambda: "deploymentBase" in client.links())
        assert client.ask("GET", client.artifact_path(action))[2] == content
        place.unlink()
        # The link is dead: a clear 404, and no page of ours for an installer to read.
        assert client.ask("GET", client.artifact_path(action))[0] == 404
    said = [r for r in caplog.records if "offered to nobody" in r.getMessage()]
    assert 1 <= len(said) <= 2
    house.database.close()


NGINX = """
user root; daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; server {{
  listen 127.0.0.1:{port};
  location / {{ proxy_pass {door}; proxy_set_header Host $http_host; }}
  location /images/ {{ internal; alias {blobs}/; }} }} }}
"""


def test_nginx_in_front_sends_the_image(require_tool: Callable[[str], str], tmp_path: Path) -> None:
    require_tool("nginx")
    house = DeviceHouse(tmp_path / "house")
    house.enrol(ENV, "dev1", "dev2")
    (tmp_path / "nginx").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with DoorServer(house.desk(), accel="/images/") as server:
        settings = tmp_path / "nginx" / "conf"
        values = {"folder": tmp_path / "nginx", "port": port, "door": server.url}
        settings.write_text(NGINX.format(**values, blobs=tmp_path / "house" / "blobs"))
        process = subprocess.Popen([shutil.which("nginx") or "nginx", "-c", str(settings)])
        try:
            client = DoorClient(house, server)
            client.netloc = f"127.0.0.1:{port}"
            until(lambda: _answers(client))
            path = client.artifact_path(client.assign())
            assert urlsplit(client.links()["deploymentBase"]).netloc == client.netloc
            status, headers, body = client.ask("GET", path)
            assert (status, body) == (200, CONTENT)
            assert headers["server"].startswith("nginx") and "x-accel-redirect" not in headers
            assert (
                headers["content-disposition"] == f'attachment; filename="{client.firmware.file}"'
            )
            status, found, body = client.ask("GET", path, Range="bytes=1000-")
            assert (status, body) == (206, CONTENT[1000:]) and found["etag"] == headers["etag"]
            assert client.ask("GET", path, Range=f"bytes={SIZE}-")[0] == 416
            assert client.ask("HEAD", path)[1]["content-length"] == str(SIZE)
            # nginx gives out nothing by itself, and the door still says who may read.
            place = "/".join(Path(str(house.blobs.path(client.firmware.digest))).parts[-3:])
            assert client.ask("GET", f"/images/{place}")[0] == 404
            theirs = f"TargetToken {token_of('dev2')}"
            assert client.ask("GET", path, Authorization=theirs)[0] == 401
        finally:
            process.terminate()
            process.wait(90)
    house.database.close()


def _answers(client: DoorClient) -> bool:
    with contextlib.suppress(OSError, AssertionError):
        return bool(client.poll())
    return False


@pytest.mark.parametrize("wanted", ["", '"other"', "other"])
def test_a_download_that_is_refused_has_not_begun(tmp_path: Path, wanted: str) -> None:
    house = DeviceHouse(tmp_path)
    house.enrol(ENV, "dev1")
    with DoorServer(house.desk()) as server:
        door = DoorClient(house, server)
        path = door.artifact_path(door.assign())
        assert door.ask("GET", path, If_Match=wanted)[0] == 412
        assert house.registry.page(ENV)[0].state in ("assigned", "offered")
        assert door.ask("GET", path, If_Match="*")[0] == 200
        until(lambda: house.registry.page(ENV)[0].state == "downloading")
    house.database.close()
