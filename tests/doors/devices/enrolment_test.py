"""Enrolment by a one-time code through a real door: once, bounded, and silent about codes."""

import concurrent.futures
import json
import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from surefoot.core.enrolment import Code, code_hash, code_name, code_text
from surefoot.doors.devices.enrolment import TRIES_A_SECOND, TRIES_BURST
from surefoot.engine.device_enrolment import EnrolmentDesk
from surefoot.store.enrolment_codes import EnrolmentCodes
from surefoot.testing.device_door import DeviceHouse, DoorServer
from surefoot.testing.door_client import ENV, DoorClient

RETRY = "0123456789abcdef"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[DoorClient]:
    house = DeviceHouse(tmp_path)
    house.enrol(ENV, "dev1")
    codes = EnrolmentCodes(house.database, house.now_ms)
    desk = house.desk()
    enrolment = EnrolmentDesk(codes, b"s" * 32, admitted=desk.refresh)
    with DoorServer(desk, enrolment=enrolment) as server:
        yield DoorClient(house, server)
    house.database.close()


def made(door: DoorClient, number: int = 1, **fields: str) -> str:
    text = code_text(number.to_bytes(13, "big"))
    kept = code_hash(text)
    assert kept is not None
    code = Code(
        environment=ENV,
        expires_ms=door.house.now_ms() + 3_600_000,
        **{"hardware": "", "device": "", **fields},
    )
    EnrolmentCodes(door.house.database, door.house.now_ms).put([kept], code)
    return text


def enrol(door: DoorClient, tenant: str = ENV, **body: str) -> tuple[int, dict[str, Any]]:
    path = f"/{tenant}/enrolment/v1"
    status, _, content = door.ask("POST", path, json.dumps(body).encode())
    return status, json.loads(content)


def polls(door: DoorClient, device: str, token: str) -> int:
    return door.ask("GET", "", device=device, Authorization=f"TargetToken {token}")[0]


def test_a_device_with_a_code_gets_a_token_and_polls_with_it(door: DoorClient) -> None:
    code = made(door)
    path = f"/{ENV}/enrolment/v1"
    body = {"device": "new-1", "code": code.lower().replace("-", " ")}
    status, headers, content = door.ask("POST", path, json.dumps(body).encode())
    answer = json.loads(content)
    assert (status, headers["cache-control"]) == (200, "no-store")
    assert (answer["environment"], answer["device"]) == (ENV, "new-1")
    assert polls(door, "new-1", answer["token"]) == 200
    assert polls(door, "dev1", answer["token"]) == 401
    assert enrol(door, device="new-2", code=code)[0] == 401
    assert enrol(door, device="new-1", code=code)[0] == 401


def test_a_lost_answer_is_told_again_to_who_asked(door: DoorClient) -> None:
    code = made(door)
    first = enrol(door, device="new-1", code=code, retry=RETRY)
    assert first[0] == 200
    assert enrol(door, device="new-1", code=code, retry=RETRY) == first
    assert enrol(door, device="new-1", code=code, retry=RETRY[::-1])[0] == 401
    assert enrol(door, device="new-1", code=code)[0] == 401
    assert polls(door, "new-1", first[1]["token"]) == 200


def test_the_built_in_tenant_is_told_by_the_code_and_no_other_is(door: DoorClient) -> None:
    assert enrol(door, "staging", device="new-1", code=made(door))[0] == 401
    status, answer = enrol(door, "DEFAULT", device="new-1", code=made(door, 2))
    assert (status, answer["environment"]) == (200, ENV)


def test_of_devices_with_one_code_one_is_let_in(door: DoorClient) -> None:
    code = made(door)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: enrol(door, device=f"new-{n}", code=code)[0], range(8)))
    assert sorted(found) == [200, *[401] * 7]
    assert len(door.house.registry.page(ENV)) == 2


@pytest.mark.parametrize(
    ("fields", "body", "status", "code"),
    [
        ({}, {"device": "dev1"}, 409, "device.code.other"),
        ({"device": "new-2"}, {"device": "new-1"}, 409, "device.code.other"),
        ({"hardware": "a"}, {"device": "n", "hardware": "b"}, 409, "device.code.other"),
        ({}, {"device": "n", "code": "AAAAA-AAAAA-AAAAA-AAAAA"}, 401, "device.code.refused"),
        ({}, {"device": "n", "code": "no code"}, 401, "device.code.refused"),
        ({}, {"device": "a/b"}, 400, "device.name.input"),
        ({}, {"device": ""}, 400, "device.enrolment.input"),
        ({}, {"device": "n", "code": "A" * 65}, 400, "device.enrolment.input"),
        ({}, {"device": "n", "retry": "short"}, 400, "device.enrolment.input"),
        ({}, {"device": "n", "retry": "x" * 16 + "\n"}, 400, "device.enrolment.input"),
        ({}, {"device": "n", "hardware": "a\n"}, 400, "device.enrolment.input"),
        ({}, {"device": "n", "admin": "yes"}, 400, "device.enrolment.input"),
    ],
)
def test_what_does_not_fit_is_refused_and_makes_nobody(
    door: DoorClient,
    caplog: pytest.LogCaptureFixture,
    fields: dict[str, str],
    body: dict[str, str],
    status: int,
    code: str,
) -> None:
    text = made(door, **fields)
    caplog.set_level(logging.WARNING, "surefoot.devices")
    found, answer = enrol(door, **{"code": text, **body})
    assert (found, answer["errorCode"]) == (status, code)
    assert [d.device for d in door.house.registry.page(ENV)] == ["dev1"]
    lines = [r.getMessage() for r in caplog.records if "device door" in r.getMessage()]
    assert len(lines) == 1 and text not in lines[0]
    kept = code_hash(text)
    assert kept is not None and code_name(kept) in EnrolmentCodes(
        door.house.database, door.house.now_ms
    ).open_names(ENV)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"nonsense",
        b'{"device":"n"}',
        b'{"device":1,"code":"x"}',
        b"[" * 20_000,
        b"\xff",
    ],
)
def test_bodies_that_are_none_are_refused(door: DoorClient, content: bytes) -> None:
    status, _, answer = door.ask("POST", f"/{ENV}/enrolment/v1", content)
    assert (status, json.loads(answer)["errorCode"]) == (400, "device.enrolment.input")


def test_bodies_too_large_or_too_slow_use_no_code(tmp_path: Path) -> None:
    house = DeviceHouse(tmp_path)
    codes = EnrolmentCodes(house.database, house.now_ms)
    desk = house.desk()
    enrolment = EnrolmentDesk(codes, b"s" * 32, admitted=desk.refresh)
    with DoorServer(desk, enrolment=enrolment, body_seconds_max=3.0) as server:
        door = DoorClient(house, server)
        code = made(door)
        assert door.ask("POST", f"/{ENV}/enrolment/v1", b" " * 70_000)[0] == 413
        body = json.dumps({"device": "new-1", "code": code}).encode()
        address = urlsplit(server.url)
        with socket.create_connection((address.hostname or "", address.port or 0), 10) as wire:
            head = f"POST /{ENV}/enrolment/v1 HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}"
            wire.sendall(head.encode() + b"\r\n\r\n" + body[:-1])
            assert wire.recv(65_536)[9:12] == b"408"
        forged = {"X_Ssl_Client_Cn": "new-1"}
        assert door.ask("POST", f"/{ENV}/enrolment/v1", body, **forged)[0] == 403
        assert house.registry.page(ENV) == []
        assert enrol(door, device="new-1", code=code)[0] == 200
    house.database.close()


def test_ten_thousand_wrong_codes_are_slowed_down_and_let_nobody_in(door: DoorClient) -> None:
    code = made(door, 77_777)
    address = urlsplit(door.url)
    found: dict[bytes, int] = {}
    begun = time.monotonic()
    with socket.create_connection((address.hostname or "", address.port or 0), 90) as wire:
        for start in range(0, 10_000, 50):
            sent = b"".join(guess(number) for number in range(start, start + 50))
            wire.sendall(sent)
            for status in statuses(wire, 50):
                found[status] = found.get(status, 0) + 1
    assert sum(found.values()) == 10_000 and set(found) == {b"401", b"429"}
    lasted = time.monotonic() - begun
    assert found[b"401"] <= TRIES_BURST + TRIES_A_SECOND * lasted + 1
    assert [d.device for d in door.house.registry.page(ENV)] == ["dev1"]
    time.sleep(1.1)
    assert enrol(door, device="new-1", code=code)[0] == 200


def guess(number: int) -> bytes:
    text = code_text((number + 5_000_000).to_bytes(13, "big"))
    body = json.dumps({"device": f"n{number}", "code": text}).encode()
    head = f"POST /{ENV}/enrolment/v1 HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def statuses(wire: socket.socket, count: int) -> list[bytes]:
    """The statuses of so many answers; each has the length its head says."""
    found: list[bytes] = []
    held = b""
    while len(found) < count:
        head, end, rest = held.partition(b"\r\n\r\n")
        length = next(
            (int(x[16:]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length: ")),
            0,
        )
        if end and len(rest) >= length:
            found.append(head[9:12])
            held = rest[length:]
            continue
        piece = wire.recv(65_536)
        assert piece, "the door closed"
        held += piece
    return found
