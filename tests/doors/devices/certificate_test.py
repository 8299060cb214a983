"""TLS with client certificates at a real door: whom each speaks for, and whom it does not."""

import contextlib
import datetime as dt
import json
import re
import socket
import ssl
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from surefoot.compose.door_tls import believe, context_of
from surefoot.engine import device_entrance
from surefoot.engine.clock import SystemClock
from surefoot.engine.device_entrance import DeviceEntrance
from surefoot.store.device_certificates import DeviceCertificates
from surefoot.store.device_rollouts import Wave
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of
from surefoot.testing.door_client import CONTENT
from surefoot.testing.issuer import Issuer
from surefoot.trust.certificate import parse_pem

ENV = "production"
Pair = tuple[Path, Path]


class Place:
    """A door with TLS, an issuer that `production` believes, and one that `staging` does."""

    def __init__(self, folder: Path) -> None:
        self.ahead_ms = 0
        clock = SystemClock()
        self.house = DeviceHouse(folder, now_ms=lambda: clock.now_ms() + self.ahead_ms)
        self.house.enrol(ENV, "dev1", "dev2")
        self.issuer = Issuer(folder, "issuer")
        self.other = Issuer(folder, "other")
        self.certificates = DeviceCertificates(self.house.database)
        self.believe(required=False)
        self.certificates.put_authorities("staging", [self.other.der], required=False)
        self.tls = context_of(*self.issuer.issue("127.0.0.1", server=True, names=("localhost",)))
        self.desk = self.house.desk()
        self.entrance = DeviceEntrance(
            self.certificates,
            self.house.identities,
            self.house.now_ms,
            believe=partial(believe, self.tls),
            knocked=self.desk.refresh,
        )
        self.server = DoorServer(self.desk, tls=self.tls, entrance=self.entrance)

    def believe(self, *, required: bool) -> None:
        self.certificates.put_authorities(ENV, [self.issuer.der], required=required)

    def connect(
        self, pair: Pair | None = None, version: ssl.TLSVersion | None = None
    ) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.issuer.file))
        context.check_hostname = False
        if version is not None:
            context.maximum_version = version
        if pair is not None:
            context.load_cert_chain(*pair)
        address = urlsplit(self.server.url)
        raw = socket.create_connection((address.hostname or "", address.port or 0), 90)
        return context.wrap_socket(raw)

    def asked(self, pair: Pair | None, device: str, *lines: str, tenant: str = ENV) -> int:
        """The status of a poll; 0 when the connection was refused."""
        try:
            with self.connect(pair) as line:
                return self.over(line, device, *lines, tenant=tenant)
        except (ssl.SSLError, ConnectionError):
            return 0

    def over(self, line: ssl.SSLSocket, device: str, *lines: str, tenant: str = ENV) -> int:
        head = (f"GET /{tenant}/controller/v1/{device} HTTP/1.1", "Host: a", *lines)
        line.sendall("".join(each + "\r\n" for each in (*head, "")).encode())
        answer = b""
        while not (length := re.search(rb"(?i)content-length: (\d+)", answer)) or len(
            answer.partition(b"\r\n\r\n")[2]
        ) < int(length[1]):
            piece = line.recv(65_536)
            if not piece:
                raise ConnectionError
            answer += piece
        if answer[9:12] == b"200":
            assert b"https://a/" in answer or b'"_links":{}' in answer
        return int(answer[9:12])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(device_entrance, "_LOOK_SECONDS", 0.1)
    place = Place(tmp_path)
    with place.server:
        yield place
    place.house.database.close()


def token(device: str) -> str:
    return f"Authorization: TargetToken {token_of(device)}"


def test_a_certificate_speaks_for_the_device_it_names_alone(place: Place) -> None:
    pair = place.issuer.issue("dev1")
    assert place.asked(pair, "dev1") == 200
    assert place.asked(pair, "dev2") == 401
    assert place.asked(pair, "dev1", tenant="staging") == 401
    assert place.asked(pair, "dev1", tenant="PRODUCTION") == 200
    assert place.asked(None, "dev1") == 401
    second = place.issuer.issue("nothing", names=("dev2",))
    assert place.asked(second, "dev2") == 200
    assert place.asked(second, "dev1") == 401


def test_a_token_does_not_make_up_for_another_certificate(place: Place) -> None:
    pair = place.issuer.issue("dev1")
    assert place.asked(pair, "dev1", token("dev1")) == 200
    assert place.asked(pair, "dev2", token("dev2")) == 401
    assert place.asked(pair, "dev1", token("dev2")) == 401
    assert place.asked(pair, "dev1", "Authorization: Basic x") == 401
    assert place.asked(None, "dev2", token("dev2")) == 200


def test_another_issuer_an_ended_one_and_one_for_servers_are_refused(place: Place) -> None:
    assert place.asked(place.other.issue("dev1", file="o"), "dev1") == 401
    stranger = Issuer(place.issuer.file.parent, "stranger")
    assert place.asked(stranger.issue("dev1", file="s"), "dev1") == 0
    ended = place.issuer.issue("dev1", file="e", lasts=-dt.timedelta(hours=1))
    assert place.asked(ended, "dev1") == 0
    assert place.asked(place.issuer.issue("dev1", file="v", server=True), "dev1") == 0
    # The door goes on.
    assert place.asked(place.issuer.issue("dev1"), "dev1") == 200


def test_a_certificate_that_ends_while_connected_is_refused(place: Place) -> None:
    pair = place.issuer.issue("dev1", lasts=dt.timedelta(hours=1))
    with place.connect(pair) as line:
        assert place.over(line, "dev1") == 200
        place.ahead_ms = 2 * 3_600_000
        assert place.over(line, "dev1") == 401


def test_a_revoked_device_is_refused_on_the_connection_it_has(place: Place) -> None:
    pair = place.issuer.issue("dev1")
    with place.connect(pair) as line, place.connect(pair) as with_token:
        assert place.over(line, "dev1") == 200
        assert place.over(with_token, "dev1", token("dev1")) == 200
        place.house.identities.set_standing(ENV, "dev1", "revoked", "ann")
        place.server.looked()
        assert place.over(line, "dev1") == 401
        assert place.over(with_token, "dev1", token("dev1")) == 401


def test_a_device_bound_to_a_certificate_speaks_with_no_other(place: Place) -> None:
    first, second = place.issuer.issue("dev1", file="a"), place.issuer.issue("any", file="b")
    with place.connect(first) as line:
        assert place.over(line, "dev1") == 200
        bound = parse_pem(second[0].read_bytes())[0].fingerprint
        place.certificates.bind(ENV, "dev1", bound)
        assert place.over(line, "dev1") == 401
    assert place.asked(second, "dev1") == 200
    assert place.asked(second, "dev2") == 401
    place.certificates.bind(ENV, "dev1", "")
    assert place.asked(first, "dev1") == 200


def test_where_certificates_are_required_a_token_alone_is_nobodys(place: Place) -> None:
    with place.connect() as line:
        assert place.over(line, "dev1", token("dev1")) == 200
        place.believe(required=True)
        place.server.looked()
        assert place.over(line, "dev1", token("dev1")) == 401
    for tenant in (ENV, "Production", "DEFAULT"):
        assert place.asked(None, "dev1", token("dev1"), tenant=tenant) == 401
        assert place.asked(place.issuer.issue("dev1"), "dev1", token("dev1"), tenant=tenant) == 200


def test_an_issuer_is_believed_and_is_not_without_a_restart(place: Place) -> None:
    later = Issuer(place.issuer.file.parent, "later")
    pair = later.issue("dev1", file="l")
    assert place.asked(pair, "dev1") == 0
    place.certificates.put_authorities(ENV, [later.der], required=False)
    place.server.looked()
    assert place.asked(pair, "dev1") == 200
    assert place.asked(place.issuer.issue("dev1"), "dev1") == 401
    place.certificates.put_authorities(ENV, [], required=False)
    place.server.looked()
    assert place.asked(pair, "dev1") == 401


def test_an_issuer_below_another_may_be_believed_alone(place: Place) -> None:
    below = Issuer(place.issuer.file.parent, "below", above=place.issuer)
    assert place.asked(below.issue("dev1", file="x"), "dev1") == 200
    place.certificates.put_authorities(ENV, [below.der], required=False)
    place.server.looked()
    assert place.asked(below.issue("dev1", file="x"), "dev1") == 200
    assert place.asked(place.issuer.issue("dev1"), "dev1") == 401


def test_a_device_that_nobody_knows_waits_to_be_let_in(place: Place) -> None:
    pair = place.issuer.issue("new")
    assert place.asked(place.other.issue("new", file="o"), "new") == 401
    assert place.house.registry.find(ENV, "new") is None
    assert place.asked(pair, "new") == 200
    found = place.house.registry.find(ENV, "new")
    assert found is not None and found.standing == "pending"
    told = json.loads(place.house.registry.timeline(ENV, "new")[0])["told"]
    assert told["via"] == "certificate"
    place.house.identities.set_gateway(ENV, bytes(32))
    place.house.identities.set_standing(ENV, "new", "", "ann")
    place.server.looked()
    for line in ("TargetToken " + token_of("new"), "TargetToken " + "\xff" * 32, "GatewayToken x"):
        assert place.asked(None, "new", f"Authorization: {line}") == 401
    assert place.asked(pair, "new") == 200


def test_a_resumed_session_is_the_certificate_it_was(place: Place) -> None:
    pair = place.issuer.issue("dev1")
    context = ssl.create_default_context(cafile=str(place.issuer.file))
    context.check_hostname = False
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(*pair)
    address = urlsplit(place.server.url)
    session = None
    for _ in range(3):
        raw = socket.create_connection((address.hostname or "", address.port or 0), 90)
        with context.wrap_socket(raw, session=session) as line:
            assert place.over(line, "dev1") == 200
            assert place.over(line, "dev2") == 401
            session = line.session
    bound = parse_pem(place.issuer.issue("other")[0].read_bytes())[0].fingerprint
    place.certificates.bind(ENV, "dev1", bound)
    raw = socket.create_connection((address.hostname or "", address.port or 0), 90)
    with context.wrap_socket(raw, session=session) as line:
        assert place.over(line, "dev1") == 401


def test_old_versions_of_tls_and_plain_http_get_nowhere(place: Place) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        with pytest.warns(DeprecationWarning):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        address = urlsplit(place.server.url)
        raw = socket.create_connection((address.hostname or "", address.port or 0), 90)
        context.wrap_socket(raw)
    address = urlsplit(place.server.url)
    with socket.create_connection((address.hostname or "", address.port or 0), 90) as wire:
        wire.sendall(f"GET /{ENV}/controller/v1/dev1 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            assert not wire.recv(100).startswith(b"HTTP")
    assert place.asked(place.issuer.issue("dev1"), "dev1") == 200


def test_who_begins_tls_and_does_not_end_it_holds_nobody_up(place: Place) -> None:
    address = urlsplit(place.server.url)
    pair = place.issuer.issue("dev1")
    with contextlib.ExitStack() as held:
        for number in range(100):
            raw = socket.create_connection((address.hostname or "", address.port or 0), 90)
            held.enter_context(raw)
            raw.sendall(b"\x16\x03\x01\x02\x00\x01"[: 1 + number % 6])
        begun = time.monotonic()
        assert place.asked(pair, "dev1") == 200
        assert time.monotonic() - begun < 45, "a handshake may last a minute"


def test_an_image_comes_whole_over_tls(place: Place) -> None:
    pair = place.issuer.issue("dev1")
    wave = Wave(
        deployment=1,
        wave=0,
        percent=100,
        release="sha256:" + "1" * 64,
        firmware=place.house.firmware(CONTENT, "1.1.0"),
        deadline_seconds=600,
    )
    place.house.assign(ENV, wave, 1)
    action = place.house.registry.page(ENV)[0].action
    path = f"/{ENV}/controller/v1/dev1/softwaremodules/{action}/artifacts/{wave.firmware.file}"
    whole = b""
    for _ in range(1800):
        with place.connect(pair) as line:
            head = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            line.sendall(head.encode())
            whole = b"".join(iter(lambda line=line: line.recv(65_536), b""))
        if whole[9:12] == b"200":
            break
        time.sleep(0.05)
    assert whole.partition(b"\r\n\r\n")[2] == CONTENT
