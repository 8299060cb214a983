"""The real swupdate over TLS, by its client certificate alone: it installs, and others get nothing.

Run by `make field`.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from between import CONTENT, ENV, NAME, PORT, Case, listen_in

from surefoot.compose.door_tls import believe, context_of
from surefoot.engine.device_entrance import DeviceEntrance
from surefoot.store.device import NewDevice
from surefoot.store.device_certificates import DeviceCertificates
from surefoot.store.device_identity import CERTIFICATE_ONLY
from surefoot.testing.device_door import DoorServer
from surefoot.testing.issuer import Issuer
from surefoot.testing.swupdate import Maker, Network

pytestmark = [pytest.mark.field, pytest.mark.timeout(120)]


class Relay:
    """Hands bytes on, both ways, from the client's loopback to the door."""

    def __init__(self, listener: socket.socket, door: str) -> None:
        self._listener, self._door = listener, door
        self.lines = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        parts = urlsplit(self._door)
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self.lines += 1
            door = socket.create_connection(("127.0.0.1", parts.port or 0))
            threading.Thread(target=_join, args=(line, door), daemon=True).start()


def _join(line: socket.socket, door: socket.socket) -> None:
    with line, door:
        back = threading.Thread(target=_hand_on, args=(door, line), daemon=True)
        back.start()
        _hand_on(line, door)
        back.join()


def _hand_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65_536):
            target.sendall(piece)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


class Place:
    """A door with TLS that believes one issuer, and a device that has a certificate alone."""

    def __init__(self, folder: Path, case: Case) -> None:
        self.case = case
        self.issuer = Issuer(folder, "issuer")
        self.url = f"https://localhost:{PORT}"
        house = case.house
        house.registry.enrol(ENV, [NewDevice(device=NAME, token_hash=CERTIFICATE_ONLY)])
        self.certificates = DeviceCertificates(house.database)
        self.certificates.put_authorities(ENV, [self.issuer.der], required=True)
        self.tls = context_of(*self.issuer.issue("localhost", server=True, names=("localhost",)))
        self.entrance = DeviceEntrance(
            self.certificates, house.identities, house.now_ms, believe=partial(believe, self.tls)
        )

    def access(self, issuer: Issuer, common: str, *, trusting: bool = True) -> str:
        """swupdate's settings for a certificate of this issuer."""
        certificate, key = issuer.issue(common, file=f"{common}-{id(issuer)}")
        trusted = f'cafile = "{self.issuer.file}"; ' if trusting else ""
        return f'{trusted}sslcert = "{certificate}"; sslkey = "{key}";'

    @contextmanager
    def open(self) -> Iterator[Relay]:
        """The door, as long as the context lasts."""
        desk = self.case.house.desk()
        with (
            listen_in(self.case.space) as listener,
            DoorServer(desk, tls=self.tls, entrance=self.entrance) as server,
        ):
            try:
                yield Relay(listener, server.url)
            finally:
                listener.shutdown(socket.SHUT_RDWR)

    def boot(self, access: str, version: str = "1.0.0", *extra: str) -> None:
        """Start the client anew."""
        self.case.client.stop()
        self.case.client.start(self.url, ENV, access, version, *extra)

    def gets_nothing(self, relay: Relay, access: str) -> None:
        """It tries three times, and is not heard."""
        self.boot(access)
        before = relay.lines
        while relay.lines < before + 3:
            self.case.wait()
        assert self.case.state == "assigned" and not self.case.house.registry.page(ENV)[0].seen_ms


@pytest.fixture
def place(tmp_path: Path, maker: Maker, space: Network) -> Iterator[Place]:
    case = Case(tmp_path, maker, space.devices[0])
    yield Place(tmp_path, case)
    case.client.stop()
    case.house.database.close()


def test_it_installs_by_its_certificate_alone(place: Place) -> None:
    own = place.access(place.issuer, NAME)
    with place.open():
        place.case.assign(place.case.image())
        place.boot(own)
        place.case.installs()
        assert place.case.client.installed == CONTENT
        place.boot(own, "1.1.0", "-c", "2")
        place.case.until("verified")


def test_another_name_another_issuer_or_none_gets_nothing(place: Place, tmp_path: Path) -> None:
    stranger = Issuer(tmp_path, "stranger")
    with place.open() as relay:
        place.case.assign(place.case.image())
        place.gets_nothing(relay, place.access(place.issuer, "swu-2"))
        place.gets_nothing(relay, place.access(stranger, NAME))
        place.gets_nothing(relay, f'cafile = "{place.issuer.file}"; targettoken = "guessed";')
    assert place.case.client.installed == b""


def test_it_does_not_speak_to_a_door_that_it_cannot_verify(place: Place) -> None:
    with place.open() as relay:
        place.case.assign(place.case.image())
        place.gets_nothing(relay, place.access(place.issuer, NAME, trusting=False))


def test_a_revoked_device_hears_nothing_more(place: Place) -> None:
    own = place.access(place.issuer, NAME)
    with place.open() as relay:
        place.boot(own)
        while not place.case.house.registry.page(ENV)[0].runs:
            place.case.wait()
        place.case.house.identities.set_standing(ENV, NAME, "revoked", "test")
        place.case.assign(place.case.image())
        before = relay.lines
        place.boot(own)
        while relay.lines < before + 3:
            place.case.wait()
    assert place.case.client.installed == b""
