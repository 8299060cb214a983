"""The device door: its desk, and a process that is nothing but a door, beside a server.

Keeps: several doors answer for one installation on PostgreSQL; each has the whole poll table, hears
of every change, and offers only what a claim proves. A door that is alone takes no part in the
journal: the server seals what devices say. Does not: answer people, deploy, or open SQLite, which
belongs to one process.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from surefoot.compose.door_tls import believe, certificate_of, proxies_of, server_tls
from surefoot.compose.folder import Settings, claim_keys, load_settings, open_store, seed
from surefoot.core.errors import Refused
from surefoot.doors.devices.ddi import device_app
from surefoot.doors.devices.fast_poll import fast_protocol
from surefoot.doors.devices.flood import Flood
from surefoot.doors.serve import Listener, bind_tcp, serve
from surefoot.engine.clock import SystemClock
from surefoot.engine.device_authority import DeviceAuthority
from surefoot.engine.device_desk import DeviceDesk
from surefoot.engine.device_enrolment import EnrolmentDesk
from surefoot.engine.device_entrance import DeviceEntrance, living
from surefoot.store.blobs import FileBlobs
from surefoot.store.database import Database
from surefoot.store.device import DeviceRegistry
from surefoot.store.device_certificates import DeviceCertificates
from surefoot.store.device_identity import DeviceIdentities
from surefoot.store.enrolment_codes import EnrolmentCodes

_log = logging.getLogger("surefoot.devices")

_TOLD_SECONDS = 5.0
_UNTOLD_SECONDS = 0.25
_LOOK_SECONDS = 1.0


def desk_of(
    folder: Path,
    settings: Settings,
    registry: DeviceRegistry,
    identities: DeviceIdentities,
    blobs: FileBlobs,
) -> DeviceDesk:
    """The desk of an installation's devices."""
    keys = claim_keys(folder, settings)
    return DeviceDesk(
        registry,
        blobs,
        SystemClock().now_ms,
        identities=identities,
        may_offer=DeviceAuthority(registry, keys).may_offer,
        sleep_seconds=lambda environment: settings.poll_seconds,
        # PostgreSQL tells of changes; SQLite is only written by this process, and never tells.
        refresh_seconds=_TOLD_SECONDS if settings.store else _UNTOLD_SECONDS,
    )


def enrolment_of(folder: Path, codes: EnrolmentCodes, desk: DeviceDesk) -> EnrolmentDesk:
    """What lets devices in that have a one-time code."""
    return EnrolmentDesk(codes, seed(folder, "installation"), admitted=desk.refresh)


class Doorway:
    """The device door of an installation, for a server or for a process of its own.

    Raises `Refused("server.tls.input")` for settings that name no certificate, key or proxy.
    """

    def __init__(
        self, folder: Path, settings: Settings, database: Database, desk: DeviceDesk
    ) -> None:
        clock = SystemClock()
        self.tls = server_tls(folder, settings)
        self.scheme = "https" if self.tls else "http"
        self._certificate = certificate_of(folder, settings, self.tls)
        self._desk = desk
        self._entrance = DeviceEntrance(
            DeviceCertificates(database),
            DeviceIdentities(database, clock.now_ms),
            clock.now_ms,
            believe=partial(believe, self.tls) if self.tls else lambda issuers: None,
            knocked=desk.refresh,
        )
        flood = Flood()
        self.application = device_app(
            desk,
            lifespan=self._lives,
            flood=flood,
            accel=settings.device_accel,
            enrolment=enrolment_of(folder, EnrolmentCodes(database, clock.now_ms), desk),
            entrance=self._entrance,
            proxies=proxies_of(folder, settings),
        )
        self.protocol = fast_protocol(desk, flood, self._entrance)

    def listener(self, bound: socket.socket, address: str) -> Listener:
        """The door on a bound socket."""
        return Listener(
            "devices", self.application, bound, address, self.protocol, "on", tls=self.tls
        )

    @asynccontextmanager
    async def _lives(self, _: Any) -> AsyncIterator[None]:
        async with living(self._desk, self._entrance):
            watching = asyncio.create_task(self._watch()) if self._certificate else None
            try:
                yield
            finally:
                if watching is not None:
                    watching.cancel()
                    with suppress(asyncio.CancelledError):
                        await watching

    async def _watch(self) -> None:
        """Take a renewed certificate as soon as it is there."""
        assert self._certificate is not None
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                if self._certificate.renew():
                    _log.info("device door: took its renewed certificate")
            except OSError as error:
                _log.error("device door: kept its certificate: the one on disk: %s", error)


def run(folder: Path, devices: str, on_ready: Callable[[str], None]) -> None:
    """Answer devices until SIGTERM or SIGINT. `on_ready` gets the address.

    Raises `Refused("server.door.store")` for an installation on SQLite.
    """
    settings = load_settings(folder)
    if not settings.store:
        raise Refused(
            "server.door.store",
            f"data folder {folder}",
            expected="an installation on PostgreSQL",
            found="one on SQLite, which one process has for itself",
            remedy="use the device door of surefoot server run, or move to PostgreSQL",
        )
    database = open_store(folder, settings)
    try:
        clock = SystemClock()
        registry = DeviceRegistry(database, clock.now_ms)
        identities = DeviceIdentities(database, clock.now_ms)
        desk = desk_of(folder, settings, registry, identities, FileBlobs(folder / "blobs"))
        doorway = Doorway(folder, settings, database, desk)
        bound, address = bind_tcp(devices, doorway.scheme)
        door = doorway.listener(bound, address)
        serve((door,), lambda: on_ready(address))
    finally:
        database.close()
