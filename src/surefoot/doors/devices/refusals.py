"""What the device door answers to what it does not take.

Keeps: a refused request is answered whole, in hawkBit's form, and changes nothing; each is one line
in the log. Does not: decide who may speak.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from surefoot.core.errors import Corrupt, Failed, Refused, SurefootError
from surefoot.doors.devices import answers, bodies
from surefoot.doors.devices.lines import Lines

_log = logging.getLogger("surefoot.devices")

HEARD = "surefoot.refused"
_CODES = {
    401: "device.token.refused",
    404: "device.path.unknown",
    405: "device.method.refused",
    429: "device.flood.refused",
}
_STATUSES = {"device.proxy.refused": 403}
_EXPECTED = {401: "a device with its token", 429: "fewer requests from one address"}
_FOUND = {401: "neither", 429: "more than its share"}


class Refusals:
    """The answers of one door to what it refuses."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def handlers(self) -> Mapping[Any, Any]:
        """By exception, as Starlette takes them."""
        return {
            HTTPException: self._http,
            SurefootError: self._record,
            TimeoutError: self._slow,
            bodies.TooLarge: self._large,
            ClientDisconnect: self._gone,
            Exception: self._mistake,
        }

    def answered(self, request: Request, refused: Refused, status: int) -> Response:
        """The refusal as an answer, with its line in the log."""
        self._note(request, refused.code, status)
        return answers.error_response(refused, status)

    def _note(self, request: Request, code: str, status: int) -> None:
        address = request.client.host if request.client else ""
        self._lines.refused(code, status, request.method, request.url.path, address)

    async def _http(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        found = Refused(
            _CODES.get(error.status_code, "device.request.refused"),
            "request",
            expected=_EXPECTED.get(error.status_code, "a path of the API"),
            found=_FOUND.get(error.status_code, request.method[:20]),
            remedy="see the device API's reference",
        )
        return self.answered(request, found, error.status_code)

    async def _record(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, SurefootError)
        if isinstance(error, Refused):
            given = 400 if error.code.endswith(".input") else error.status()
            given = _STATUSES.get(error.code, given)
            return self.answered(request, error, given)
        if isinstance(error, Failed | Corrupt):
            _log.error("device door: %s", error)
        return answers.error_response(error)

    async def _slow(self, request: Request, error: Exception) -> Response:
        found = Refused(
            "device.body.slow",
            "request body",
            expected=f"a body within {bodies.BODY_SECONDS_MAX:.0f} seconds",
            found="one that did not end",
            remedy="send it again in one piece",
        )
        return _closing(self.answered(request, found, 408))

    async def _large(self, request: Request, error: Exception) -> Response:
        found = Refused(
            "device.body.large",
            "request body",
            expected=f"at most {bodies.BODY_BYTES_MAX} bytes",
            found="more",
            remedy="send fewer or shorter details",
        )
        return _closing(self.answered(request, found, 413))

    async def _gone(self, request: Request, error: Exception) -> Response:
        # Nobody hears this: the device went away while it was sending, or was cut off for what it
        # sent, which has its line already.
        if HEARD not in request.scope:
            self._note(request, "device.body.gone", 400)
        return Response(status_code=400)

    async def _mistake(self, request: Request, error: Exception) -> Response:
        _log.error("device door: our mistake", exc_info=error)
        found = Failed(
            "device.door.failed",
            "device door",
            expected="an answer",
            found="a mistake of ours",
            remedy="send it again; this was logged",
        )
        return answers.error_response(found, 500)


def _closing(response: Response) -> Response:
    response.headers["connection"] = "close"
    return response
