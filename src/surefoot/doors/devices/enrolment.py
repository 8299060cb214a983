"""Enrolment with a one-time code: this door's only endpoint that hawkBit has not.

Keeps: who tries codes is slowed down by address, private ones too, and a right code costs nothing;
every code that lets nobody in is the same answer; the token is in no log and in no cache.
Does not: hold a rule or SQL; it asks an `EnrolmentDesk`.
"""

from __future__ import annotations

import asyncio
from typing import Literal, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from surefoot.core.enrolment import Admitted, Told
from surefoot.core.errors import Refused
from surefoot.doors.devices import answers, bodies
from surefoot.doors.devices.entrance import Proxies
from surefoot.doors.devices.flood import Flood
from surefoot.doors.devices.refusals import Refusals

PATH = "/{tenant}/enrolment/v1"
TRIES_A_SECOND = 1.0
TRIES_BURST = 30.0


class EnrolmentDesk(Protocol):
    """Lets devices in; what it answers is durable."""

    async def enrol(self, environment: str, told: Told) -> Admitted | Literal["void", "other"]:
        """`void`: no code that lets anybody in there; `other`: it is not for this device."""


class EnrolmentDoor:
    """The endpoint; one instance serves all environments."""

    def __init__(
        self,
        desk: EnrolmentDesk,
        refusals: Refusals,
        seconds_max: float,
        proxies: Proxies | None = None,
    ) -> None:
        self._desk = desk
        self._refusals = refusals
        self._seconds_max = seconds_max
        self._proxies = proxies or Proxies()
        self._tries = Flood(TRIES_A_SECOND, TRIES_BURST, everybody=True)

    async def enrol(self, request: Request) -> Response:
        """A token of its own for a device with a code."""
        self._proxies.behind(request)
        self._proxies.shown(request)  # refuses what somebody forged
        address = request.client.host if request.client else ""
        now = asyncio.get_running_loop().time()
        if not self._tries.allows(address, now):
            return self._refusals.answered(request, _flood(), 429)
        told = _told(await bodies.read_body(request, self._seconds_max))
        found = await self._desk.enrol(request.path_params["tenant"], told)
        if found == "void":
            return self._refusals.answered(request, _void(), 401)
        if found == "other":
            return self._refusals.answered(request, _other(), 409)
        self._tries.give_back(address)
        document = {
            "environment": found.environment,
            "device": found.device,
            "token": found.token,
        }
        response = answers.json_response(document)
        response.headers["cache-control"] = "no-store"
        return response


def _told(content: bytes) -> Told:
    try:
        return msgspec.json.decode(content, type=Told)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(
            "device.enrolment.input",
            "request to be enrolled",
            expected="a JSON object with device and code, and perhaps hardware and retry",
            found=str(error)[:160],
            remedy="see the device API's reference",
        ) from None


def _void() -> Refused:
    return Refused(
        "device.code.refused",
        "enrolment code",
        expected="a code of this environment that was made, not used, and has not expired",
        found="another",
        remedy="type it again, or ask for a new one",
    )


def _other() -> Refused:
    return Refused(
        "device.code.other",
        "enrolment code",
        expected="a code for this device: a new name, and the hardware it was made for",
        found="one for another, or a name that is enrolled",
        remedy="ask for a code that was made for this device",
    )


def _flood() -> Refused:
    return Refused(
        "device.flood.refused",
        "enrolment code",
        expected="fewer tries from one address",
        found="more than one a second",
        remedy="wait, then send it again",
    )
