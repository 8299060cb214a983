"""hawkBit's Direct Device Integration, version 1, for unmodified clients in the field.

Keeps: PUT and POST answer 200 with an empty body, never 201 or 204; every refused request gets
a clear JSON error and changes nothing; a device speaks only for itself. The tenant is the
environment's name in any case. Does not: hold a rule, state or SQL; it asks a `DeviceDesk`.
Source: hawkBit DDI v1; behaviours of swupdate, rauc-hawkbit-updater and Zephyr.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from surefoot.core.errors import Corrupt, Failed, Refused, SurefootError
from surefoot.core.offer import Offer
from surefoot.core.profile import recognise
from surefoot.doors.devices import answers, bodies
from surefoot.doors.devices.asked import action_of, ended, messages_of, no_action, root_of
from surefoot.doors.devices.desk import DeviceDesk, FeedbackAnswer

_log = logging.getLogger("surefoot.devices")

Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]
TOKEN_LENGTH_MAX = 256
_ROOT = "/{tenant}/controller/v1/{device}"
_EMPTY_AND_DONE = 200


def device_app(
    desk: DeviceDesk, *, lifespan: Lifespan | None = None, body_seconds_max: float = 10.0
) -> Starlette:
    """The device door as an ASGI application; `lifespan` starts and stops the desk."""
    return Starlette(
        routes=device_routes(desk, body_seconds_max=body_seconds_max),
        lifespan=lifespan,
        exception_handlers={
            HTTPException: _on_http_error,
            SurefootError: _on_error,
            TimeoutError: _on_slow,
            bodies.TooLarge: _on_large,
            ClientDisconnect: _on_gone,
            Exception: _on_mistake,
        },
    )


def device_routes(desk: DeviceDesk, *, body_seconds_max: float = 10.0) -> list[Route]:
    """The routes of the door; `device_app` adds the error answers they need."""
    door = DdiDoor(desk, body_seconds_max)
    table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
        ("", "GET", door.poll),
        ("/configData", "PUT", door.config_data),
        ("/deploymentBase/{action}", "GET", door.deployment),
        ("/deploymentBase/{action}/feedback", "POST", door.feedback),
        ("/cancelAction/{action}", "GET", door.cancel),
        ("/cancelAction/{action}/feedback", "POST", door.cancel_feedback),
        ("/installedBase/{action}", "GET", door.installed),
        ("/installedBase", "PUT", door.installed_is),
        ("/confirmationBase", "GET", door.confirmations),
        ("/confirmationBase/activateAutoConfirm", "POST", door.activate),
        ("/confirmationBase/deactivateAutoConfirm", "POST", door.deactivate),
        ("/confirmationBase/{action}", "GET", door.confirmation),
        ("/confirmationBase/{action}/feedback", "POST", door.consent),
        ("/softwaremodules/{action}/artifacts", "GET", door.artifacts),
        ("/softwaremodules/{action}/artifacts/{file}", "GET", door.artifact),
    ]
    return [Route(_ROOT + path, act, methods=[method]) for path, method, act in table]


class DdiDoor:
    """The endpoints; one instance serves all environments."""

    def __init__(self, desk: DeviceDesk, body_seconds_max: float) -> None:
        self._desk = desk
        self._body_seconds_max = body_seconds_max

    async def poll(self, request: Request) -> Response:
        """Endpoint 1: interval and links, from memory; a gateway's first makes the device."""
        tenant, device = await self._admitted(request, knocking=True)
        found = self._desk.poll(tenant, device)
        body = answers.poll_body(root_of(request), found)
        held = request.headers.get("if-none-match")
        return answers.tagged_response(held, body, answers.poll_tag(found))

    async def config_data(self, request: Request) -> Response:
        """Endpoint 2: the device's attributes."""
        tenant, device = await self._admitted(request)
        mode, values = bodies.parse_attributes(await self._body(request))
        await self._learn(request, values)
        await self._desk.attributes(tenant, device, mode, values)
        return Response(status_code=_EMPTY_AND_DONE)

    async def deployment(self, request: Request) -> Response:
        """Endpoint 3: the work to do."""
        tenant, device = await self._admitted(request)
        count = messages_of(request)
        await self._learn(request)
        offer = await self._desk.offer(tenant, device, action_of(request), count)
        return self._described(request, offer, "deployment", count)

    async def feedback(self, request: Request) -> Response:
        """Endpoint 4: progress and result."""
        tenant, device = await self._admitted(request)
        action = action_of(request)
        told = bodies.parse_feedback(await self._body(request))
        return _answered(request, await self._desk.feedback(tenant, device, action, told))

    async def cancel(self, request: Request) -> Response:
        """Endpoint 5: what to cancel."""
        tenant, device = await self._admitted(request)
        action = action_of(request)
        if not self._desk.cancelling(tenant, device, action):
            raise no_action(request)
        return answers.json_response(answers.cancel_document(action))

    async def cancel_feedback(self, request: Request) -> Response:
        """Endpoint 6: outcome of the cancel."""
        tenant, device = await self._admitted(request)
        action = action_of(request)
        told = bodies.parse_cancel_feedback(await self._body(request))
        return _answered(request, await self._desk.cancel_feedback(tenant, device, action, told))

    async def installed(self, request: Request) -> Response:
        """Endpoint 7: the last finished action."""
        tenant, device = await self._admitted(request)
        count = messages_of(request)
        offer = await self._desk.installed(tenant, device, action_of(request), count)
        return self._described(request, offer, "deployment", count)

    async def installed_is(self, request: Request) -> Response:
        """Endpoint 8: the device says what it runs; it is then asked for its attributes."""
        tenant, device = await self._admitted(request)
        name, version = bodies.parse_installed(await self._body(request))
        answer = await self._desk.installed_is(tenant, device, name, version)
        if answer == "not_found":
            raise Refused(
                "device.version.unknown",
                f"{name[:40]} {version[:40]}",
                expected="a version that was assigned in this environment",
                found="none of that name and version",
                remedy="send the name and version of the offer",
            )
        return Response(status_code=201 if answer == "taken" else _EMPTY_AND_DONE)

    async def confirmations(self, request: Request) -> Response:
        """Endpoint 9: whether actions confirm themselves, and what waits."""
        tenant, device = await self._admitted(request)
        found, active = self._desk.poll(tenant, device), self._desk.auto_confirm(tenant, device)
        return answers.json_response(answers.confirmations(root_of(request), found, active))

    async def confirmation(self, request: Request) -> Response:
        """Endpoint 10: the action that waits for the device's user."""
        tenant, device = await self._admitted(request)
        count = messages_of(request)
        offer = await self._desk.confirmation(tenant, device, action_of(request), count)
        return self._described(request, offer, "confirmation", count)

    async def consent(self, request: Request) -> Response:
        """Endpoint 11: the user's answer."""
        tenant, device = await self._admitted(request)
        action = action_of(request)
        told = bodies.parse_consent(await self._body(request))
        return _answered(request, await self._desk.consent(tenant, device, action, told))

    async def activate(self, request: Request) -> Response:
        """Endpoint 12: actions confirm themselves from now on."""
        tenant, device = await self._admitted(request)
        wanted = bodies.parse_auto_confirm(await self._body(request))
        if not await self._desk.set_auto_confirm(tenant, device, wanted):
            found = Refused(
                "device.confirmation.active",
                f"device {device[:80]}",
                expected="actions that wait for the device's user",
                found="automatic confirmation, active already",
                remedy="nothing is to be done",
            )
            return answers.error_response(found, 409)
        return Response(status_code=_EMPTY_AND_DONE)

    async def deactivate(self, request: Request) -> Response:
        """Endpoint 13: the device's user is asked again; a repeat changes nothing."""
        tenant, device = await self._admitted(request)
        await self._desk.set_auto_confirm(tenant, device, None)
        return Response(status_code=_EMPTY_AND_DONE)

    async def artifacts(self, request: Request) -> Response:
        """Endpoint 14: the files of one module, which here is one action's."""
        tenant, device = await self._admitted(request)
        action = action_of(request)
        firmware = self._desk.described(tenant, device, action)
        if firmware is None:
            raise no_action(request)
        return answers.json_response([answers.artifact(root_of(request), action, firmware)])

    async def artifact(self, request: Request) -> Response:
        """Endpoints 15 and 16: the image with HEAD and ranges, and its MD5SUM."""
        tenant, device = await self._admitted(request)
        file, action = request.path_params["file"], action_of(request)
        plain = file.removesuffix(".MD5SUM")
        began = request.method == "GET" and plain == file
        image = await self._desk.image(tenant, device, action, plain, began=began)
        if image is None:
            raise no_action(request)
        if plain != file:
            return answers.checksum_response(image.firmware)
        return answers.image_response(image, if_match=request.headers.get("if-match"))

    async def _admitted(self, request: Request, *, knocking: bool = False) -> tuple[str, str]:
        """Tenant and device of the path. Raises `HTTPException` 401 when it may not speak."""
        tenant, device = request.path_params["tenant"], request.path_params["device"]
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        known = False
        if len(token) <= TOKEN_LENGTH_MAX and scheme == "TargetToken":
            known = self._desk.admit(tenant, device, token)
        elif len(token) <= TOKEN_LENGTH_MAX and scheme == "GatewayToken":
            known = await self._desk.admit_gateway(tenant, device, token, knocking=knocking)
        if not known:
            raise HTTPException(401)
        return tenant, device

    def _described(
        self, request: Request, offer: Offer | None, key: str, messages: int
    ) -> Response:
        if offer is None:
            raise no_action(request)
        document = answers.offer_document(root_of(request), offer, key, messages=messages > 0)
        body = answers.json_bytes(document)
        held = request.headers.get("if-none-match")
        return answers.tagged_response(held, body, answers.tag_of(body))

    async def _learn(self, request: Request, attributes: Collection[str] = ()) -> None:
        found = recognise(request.headers.get("user-agent", ""), attributes)
        if found is not None:
            tenant, device = request.path_params["tenant"], request.path_params["device"]
            await self._desk.learn(tenant, device, found)

    async def _body(self, request: Request) -> bytes:
        return await bodies.read_body(request, self._body_seconds_max)


def _answered(request: Request, answer: FeedbackAnswer) -> Response:
    if answer == "taken":
        return Response(status_code=_EMPTY_AND_DONE)
    if answer == "gone":
        return answers.error_response(ended(request), 410)
    if answer == "not_cancelling":
        return answers.error_response(ended(request), 405)
    raise no_action(request)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {401: "device.token.refused", 404: "device.path.unknown", 405: "device.method.refused"}
    found = Refused(
        codes.get(error.status_code, "device.request.refused"),
        "request",
        expected="a device with its token" if error.status_code == 401 else "a path of the API",
        found="neither" if error.status_code == 401 else request.method[:20],
        remedy="see the device API's reference",
    )
    return answers.error_response(found, error.status_code)


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, SurefootError)
    if isinstance(error, Failed | Corrupt):
        _log.error("device door: %s", error)
    status = 400 if isinstance(error, Refused) and error.code.endswith(".input") else None
    return answers.error_response(error, status)


async def _on_slow(request: Request, error: Exception) -> Response:
    found = Refused(
        "device.body.slow",
        "request body",
        expected=f"a body within {bodies.BODY_SECONDS_MAX:.0f} seconds",
        found="one that did not end",
        remedy="send it again in one piece",
    )
    return _closing(answers.error_response(found, 408))


async def _on_large(request: Request, error: Exception) -> Response:
    found = Refused(
        "device.body.large",
        "request body",
        expected=f"at most {bodies.BODY_BYTES_MAX} bytes",
        found="more",
        remedy="send fewer or shorter details",
    )
    return _closing(answers.error_response(found, 413))


def _closing(response: Response) -> Response:
    response.headers["connection"] = "close"
    return response


async def _on_gone(request: Request, error: Exception) -> Response:
    # Nobody hears this: the device went away while it was sending.
    return Response(status_code=400)


async def _on_mistake(request: Request, error: Exception) -> Response:
    _log.error("device door: our mistake", exc_info=error)
    found = Failed(
        "device.door.failed",
        "device door",
        expected="an answer",
        found="a mistake of ours",
        remedy="send it again; this was logged",
    )
    return answers.error_response(found, 500)
