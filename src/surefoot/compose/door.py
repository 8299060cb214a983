"""The device door: its desk, and a process that is nothing but a door, beside a server.

Keeps: several doors answer for one installation on PostgreSQL; each has the whole poll table, hears
of every change, and offers only what a claim proves. A door that is alone takes no part in the
journal: the server seals what devices say. Does not: answer people, deploy, or open SQLite, which
belongs to one process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

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
from surefoot.store.blobs import FileBlobs
from surefoot.store.device import DeviceRegistry
from surefoot.store.device_identity import DeviceIdentities
from surefoot.store.enrolment_codes import EnrolmentCodes

_TOLD_SECONDS = 5.0
_UNTOLD_SECONDS = 0.25


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
        bound, address = bind_tcp(devices)
        flood = Flood()
        codes = EnrolmentCodes(database, clock.now_ms)
        app = device_app(
            desk,
            lifespan=_lifespan(desk),
            flood=flood,
            accel=settings.device_accel,
            enrolment=enrolment_of(folder, codes, desk),
        )
        door = Listener("devices", app, bound, address, fast_protocol(desk, flood), "on")
        serve((door,), lambda: on_ready(address))
    finally:
        database.close()


def _lifespan(desk: DeviceDesk) -> Any:
    @asynccontextmanager
    async def lives(_: Any) -> AsyncIterator[None]:
        await desk.start()
        try:
            yield
        finally:
            await desk.stop()

    return lives
