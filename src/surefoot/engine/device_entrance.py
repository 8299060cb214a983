"""The entrance of devices with certificates: who one speaks for, now.

Keeps: each request asks anew what the device is bound to and whether it is let in, so a revocation
or another certificate counts at the next request, whatever connection it comes on; whom
environments believe is looked at every second. A device that nobody knows, named by an issuer that
is believed, waits like one behind a gateway. Does not: speak TLS. Loop-bound but for `refresh`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from surefoot.core.credential import Authorities, Shown, speaks_for
from surefoot.core.errors import SurefootError
from surefoot.engine.device_desk import DeviceDesk
from surefoot.store.device_certificates import DeviceCertificates
from surefoot.store.device_identity import DeviceIdentities

_log = logging.getLogger("surefoot.devices")

_ANY = "default"
_LOOK_SECONDS = 1.0


class DeviceEntrance:
    """See the module."""

    def __init__(
        self,
        certificates: DeviceCertificates,
        identities: DeviceIdentities,
        now_ms: Callable[[], int],
        *,
        believe: Callable[[Sequence[bytes]], None] = lambda issuers: None,
        knocked: Callable[[], None] = lambda: None,
    ) -> None:
        """`believe` gets every issuer's DER, at each look: TLS must know them; `knocked` follows
        each device that is new."""
        self._certificates = certificates
        self._identities = identities
        self._now_ms = now_ms
        self._believe = believe
        self._knocked = knocked
        self._known: dict[str, Authorities] = {}
        self._required: frozenset[str] = frozenset()

    def refresh(self) -> None:
        """Look again whom environments believe."""
        known, issuers = self._certificates.authorities()
        self._believe(issuers)
        self._known = known
        required = {name for name, each in known.items() if each.required}
        self._required = frozenset(required | {_ANY} if required else required)

    def may_need_certificate(self, environment: str) -> bool:
        """Whether a token alone may not be enough there; from memory, for each poll."""
        return bool(self._required) and environment.casefold() in self._required

    async def needs_certificate(self, environment: str, device: str) -> bool:
        """Whether a token alone is not enough for this device."""
        name = environment.casefold()
        if name not in self._required:
            return False
        if name != _ANY or name in self._known:
            return True
        return await asyncio.to_thread(self._is_in_required, device)

    def _is_in_required(self, device: str) -> bool:
        required = [each for each in self._known.values() if each.required]
        return any(self._certificates.credential(e.environment, device) for e in required)

    async def admits(self, environment: str, device: str, shown: Shown, *, knocking: bool) -> bool:
        """Whether the certificate speaks for this device; `knocking` may make it, to wait.

        Raises `Refused` for a new name outside the form.
        """
        return await asyncio.to_thread(self._admits, environment, device, shown, knocking)

    def _admits(self, environment: str, device: str, shown: Shown, knocking: bool) -> bool:
        name = environment.casefold()
        built_in = name == _ANY and name not in self._known
        places = [*self._known.values()] if built_in else [self._known.get(name)]
        for place in places:
            if place is None:
                continue
            found = self._certificates.credential(place.environment, device)
            bound = found[1] if found else ""
            if not speaks_for(shown, device, bound, place.trusted, self._now_ms()):
                continue
            if found is not None:
                return found[0] != "revoked"
            if knocking and not built_in:
                kept = self._identities.knock(place.environment, device, "certificate")
                self._knocked()
                return kept
        return False


@asynccontextmanager
async def living(desk: DeviceDesk, entrance: DeviceEntrance | None = None) -> AsyncIterator[None]:
    """The desk and the entrance at work."""
    if entrance is not None:
        await asyncio.to_thread(entrance.refresh)
    await desk.start()
    looking = asyncio.create_task(_look(entrance)) if entrance is not None else None
    try:
        yield
    finally:
        if looking is not None:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
        await desk.stop()


async def _look(entrance: DeviceEntrance) -> None:
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            await asyncio.to_thread(entrance.refresh)
        except SurefootError as error:
            _log.error("device entrance: %s", error)
