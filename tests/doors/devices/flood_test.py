"""An address that asks too much is held off where clients survive it, and nowhere else."""

import logging
from pathlib import Path

import pytest

from surefoot.core.device import Feedback
from surefoot.doors.devices import flood as rooms
from surefoot.doors.devices.ddi import device_app
from surefoot.doors.devices.flood import Flood, counted
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of
from surefoot.testing.door_client import ENV, DoorClient
from surefoot.testing.fake_desk import FakeDesk
from surefoot.testing.protocol_conformance import Heard, Said, ask

FAR = "198.51.100.7"
PUBLIC = "8.8.8.8"


def test_a_bucket_empties_and_fills() -> None:
    flood = Flood(a_second=4, burst=3)
    assert [flood.allows(PUBLIC, 100.0) for _ in range(5)] == [True] * 3 + [False] * 2
    assert flood.allows("8.8.4.4", 100.0)
    assert flood.allows(PUBLIC, 100.25)
    assert not flood.allows(PUBLIC, 100.25)
    assert [flood.allows(PUBLIC, 200.0) for _ in range(4)] == [True] * 3 + [False]
    # A clock that goes back gives nothing.
    assert not flood.allows(PUBLIC, 50.0)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (PUBLIC, True),
        ("2001:4860::1", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("10.1.2.3", False),
        ("192.168.7.7", False),
        ("", False),
        ("no address", False),
    ],
)
def test_only_public_addresses_are_counted(address: str, expected: bool) -> None:
    assert counted(address) == expected


def test_the_memory_of_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "_ADDRESSES_MAX", 100)
    flood = Flood(burst=1)
    for number in range(1_000):
        flood.allows(f"8.8.{number // 250}.{number % 250}", 1.0)
    assert len(flood._buckets) == 100


@pytest.fixture
def desk(tmp_path: Path) -> FakeDesk:
    desk = FakeDesk(tmp_path)
    desk.enrol(ENV, "dev1", "a-token")
    desk.assign(ENV, "dev1", 41, desk.keep(b"image", "2.0.0"))
    return desk


def say(door: object, method: str, path: str, token: str, body: bytes = b"") -> Heard:
    said = Said(
        method,
        f"/{ENV}/controller/v1/dev1{path}",
        {"authorization": f"TargetToken {token}"},
        body,
    )
    return ask(door, said, client=PUBLIC)  # type: ignore[arg-type]


CLOSED = b'{"status":{"execution":"closed","result":{"finished":"success"}}}'


def test_polls_are_held_off_and_reports_never(desk: FakeDesk) -> None:
    door = device_app(desk, flood=Flood(a_second=0, burst=3))
    assert [say(door, "GET", "", "a-token").status for _ in range(5)] == [200] * 3 + [429] * 2
    heard = say(door, "GET", "", "a-token")
    assert b"device.flood.refused" in heard.body
    feedback = "/deploymentBase/41/feedback"
    assert [say(door, "POST", feedback, "a-token", CLOSED).status for _ in range(9)] == [200] * 9
    assert desk.heard[-1] == ("feedback", (41, Feedback("closed", "success")))


def test_guesses_of_a_token_are_held_off_too(desk: FakeDesk) -> None:
    door = device_app(desk, flood=Flood(a_second=0, burst=3))
    feedback = "/deploymentBase/41/feedback"
    found = [say(door, "POST", feedback, f"guess-{n}", CLOSED).status for n in range(5)]
    assert found == [401] * 3 + [429] * 2
    assert say(door, "POST", feedback, "a-token", CLOSED).status == 200
    assert [what for what, _ in desk.heard] == ["feedback"]


def test_both_paths_share_one_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from surefoot.doors.devices import fast_poll

    monkeypatch.setattr(rooms, "counted", lambda address: True)
    monkeypatch.setattr(fast_poll, "counted", lambda address: True)
    house = DeviceHouse(tmp_path)
    house.enrol(ENV, "dev1")
    with DoorServer(house.desk(), flood=Flood(a_second=0, burst=4)) as server:
        client = DoorClient(house, server)
        statuses = [client.ask("GET", path)[0] for path in ("", "", "")]
        root = f"/{ENV}/controller/v1/dev1"
        statuses += [client.ask("GET", f"{root}?slow=1")[0] for _ in range(2)]
        assert statuses == [200, 200, 200, 200, 429]
        assert client.ask("GET", "")[0] == 429
        assert client.ask("PUT", "configData", {"data": {}})[0] == 200
    house.database.close()


def test_each_refusal_is_one_line_and_a_flood_of_them_is_bounded(
    desk: FakeDesk, caplog: pytest.LogCaptureFixture
) -> None:
    door = device_app(desk)
    with caplog.at_level(logging.WARNING, "surefoot.devices"):
        say(door, "GET", "", "secret-guess")
        say(door, "PUT", "/configData", "a-token", b"{")
        say(door, "GET", "/deploymentBase/7", "a-token")
        say(door, "GET", "/nowhere", "a-token")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 4
    assert "device.token.refused (401): GET /production/controller/v1/dev1 from 8.8.8.8" in lines[0]
    assert "secret-guess" not in "".join(lines) and "a-token" not in "".join(lines)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "surefoot.devices"):
        for _ in range(300):
            say(door, "GET", "/deploymentBase/7", "a-token")
    assert len(caplog.records) <= 100 * 4


def test_a_proxys_headers_mean_nothing(tmp_path: Path) -> None:
    house = DeviceHouse(tmp_path)
    house.enrol(ENV, "dev1", "dev2")
    with DoorServer(house.desk()) as server:
        client = DoorClient(house, server)
        forged = {
            "X_Forwarded_For": FAR,
            "X_Forwarded_Proto": "https",
            "X_Forwarded_Host": "evil.example",
            "Forwarded": f"for={FAR};host=evil.example;proto=https",
        }
        status, _, body = client.ask("GET", "", **forged)
        assert status == 200 and b"evil" not in body and b"https" not in body
        for authorization in ("", f"TargetToken {token_of('dev1')}"):
            refused = client.ask("GET", "", device="dev2", Authorization=authorization, **forged)
            assert refused[0] == 401
        # Those that name a device are not ignored, but refused: see `proxy_test`.
        named = client.ask("GET", "", **forged, X_Ssl_Client_Cn="dev2", X_Authority="ca")
        assert named[0] == 403
    house.database.close()
