"""hawkBit's Direct Device Integration, version 1, for unmodified clients in the field.

Keeps: PUT and POST answer 200 with an empty body, never 201 or 204; every refused request gets
a clear JSON error and changes nothing; a device speaks only for itself. The tenant is the
environment's name in any case. Does not: hold a rule, state or SQL; it asks a `DeviceDesk`.
Source: hawkBit DDI v1; behaviours of swupdate, rauc-hawkbit-updater and Zephyr.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from surefoot.core.errors import Refused
from surefoot.core.offer import Offer
from surefoot.core.profile import recognise
from surefoot.doors.devices import answers, bodies, download
from surefoot.doors.devices.asked import (
    action_of,
    ended,
    messages_of,
    no_action,
    ranges_of,
    root_of,
)
from surefoot.doors.devices.desk import DeviceDesk, FeedbackAnswer
from surefoot.doors.devices.enrolment import PATH as ENROLMENT
from surefoot.doors.devices.enrolment import EnrolmentDesk, EnrolmentDoor
from surefoot.doors.devices.entrance import Entrance, Proxies
from surefoot.doors.devices.flood import Flood
from surefoot.doors.devices.gate import Gate
from surefoot.doors.devices.lines import Lines
from surefoot.doors.devices.refusals import Refusals

Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]
_ROOT = "/{tenant}/controller/v1/{device}"
_EMPTY_AND_DONE = 200


def device_app(
    desk: DeviceDesk,
    *,
    lifespan: Lifespan | None = None,
    body_seconds_max: float = 10.0,
    flood: Flood | None = None,
    accel: str = "",
    enrolment: EnrolmentDesk | None = None,
    entrance: Entrance | None = None,
    proxies: Proxies | None = None,
) -> Starlette:
    """The device door as an ASGI application; `lifespan` starts and stops the desk.

    `accel`: nginx in front sends the images, from this location; empty when the door does. Without
    `enrolment` nobody is enrolled by a code, without `entrance` no certificate counts.
    """
    refusals = Refusals(Lines())
    gate = Gate(desk, flood or Flood(), entrance, proxies)
    door = DdiDoor(desk, refusals, gate, body_seconds_max=body_seconds_max, accel=accel)
    routes = _routes(door)
    if enrolment is not None:
        codes = EnrolmentDoor(enrolment, refusals, body_seconds_max, proxies)
        routes.append(Route(ENROLMENT, codes.enrol, methods=["POST"]))
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=dict(refusals.handlers()))
    app.router.redirect_slashes = False  # a path that is none has no neighbour to be sent to
    return app


def _routes(door: DdiDoor) -> list[Route]:
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

    def __init__(
        self,
        desk: DeviceDesk,
        refusals: Refusals,
        gate: Gate,
        *,
        body_seconds_max: float,
        accel: str,
    ) -> None:
        self._desk = desk
        self._accel = accel
        self._refusals = refusals
        self._gate = gate
        self._body_seconds_max = body_seconds_max

    async def poll(self, request: Request) -> Response:
        """Endpoint 1: interval and links, from memory; a gateway's first makes the device."""
        self._gate.bear(request)
        tenant, device = await self._gate.admitted(request, knocking=True)
        found = self._desk.poll(tenant, device)
        body = answers.poll_body(root_of(request), found)
        held = request.headers.get("if-none-match")
        return answers.tagged_response(held, body, answers.poll_tag(found))

    async def config_data(self, request: Request) -> Response:
        """Endpoint 2: the device's attributes."""
        tenant, device = await self._gate.admitted(request)
        mode, values = bodies.parse_attributes(await self._body(request))
        await self._learn(request, values)
        await self._desk.attributes(tenant, device, mode, values)
        return Response(status_code=_EMPTY_AND_DONE)

    async def deployment(self, request: Request) -> Response:
        """Endpoint 3: the work to do."""
        tenant, device = await self._gate.admitted(request)
        count = messages_of(request)
        await self._learn(request)
        offer = await self._desk.offer(tenant, device, action_of(request), count)
        return self._described(request, offer, "deployment", count)

    async def feedback(self, request: Request) -> Response:
        """Endpoint 4: progress and result."""
        tenant, device = await self._gate.admitted(request)
        action = action_of(request)
        told = bodies.parse_feedback(await self._body(request))
        return self._answered(request, await self._desk.feedback(tenant, device, action, told))

    async def cancel(self, request: Request) -> Response:
        """Endpoint 5: what to cancel."""
        tenant, device = await self._gate.admitted(request)
        action = action_of(request)
        if not self._desk.cancelling(tenant, device, action):
            raise no_action(request)
        return answers.json_response(answers.cancel_document(action))

    async def cancel_feedback(self, request: Request) -> Response:
        """Endpoint 6: outcome of the cancel."""
        tenant, device = await self._gate.admitted(request)
        action = action_of(request)
        told = bodies.parse_cancel_feedback(await self._body(request))
        return self._answered(
            request, await self._desk.cancel_feedback(tenant, device, action, told)
        )

    async def installed(self, request: Request) -> Response:
        """Endpoint 7: the last finished action."""
        tenant, device = await self._gate.admitted(request)
        count = messages_of(request)
        offer = await self._desk.installed(tenant, device, action_of(request), count)
        return self._described(request, offer, "deployment", count)

    async def installed_is(self, request: Request) -> Response:
        """Endpoint 8: the device says what it runs; it is then asked for its attributes."""
        tenant, device = await self._gate.admitted(request)
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
        tenant, device = await self._gate.admitted(request)
        found, active = self._desk.poll(tenant, device), self._desk.auto_confirm(tenant, device)
        return answers.json_response(answers.confirmations(root_of(request), found, active))

    async def confirmation(self, request: Request) -> Response:
        """Endpoint 10: the action that waits for the device's user."""
        tenant, device = await self._gate.admitted(request)
        count = messages_of(request)
        offer = await self._desk.confirmation(tenant, device, action_of(request), count)
        return self._described(request, offer, "confirmation", count)

    async def consent(self, request: Request) -> Response:
        """Endpoint 11: the user's answer."""
        tenant, device = await self._gate.admitted(request)
        action = action_of(request)
        told = bodies.parse_consent(await self._body(request))
        return self._answered(request, await self._desk.consent(tenant, device, action, told))

    async def activate(self, request: Request) -> Response:
        """Endpoint 12: actions confirm themselves from now on."""
        tenant, device = await self._gate.admitted(request)
        wanted = bodies.parse_auto_confirm(await self._body(request))
        if not await self._desk.set_auto_confirm(tenant, device, wanted):
            found = Refused(
                "device.confirmation.active",
                f"device {device[:80]}",
                expected="actions that wait for the device's user",
                found="automatic confirmation, active already",
                remedy="nothing is to be done",
            )
            return self._refusals.answered(request, found, 409)
        return Response(status_code=_EMPTY_AND_DONE)

    async def deactivate(self, request: Request) -> Response:
        """Endpoint 13: the device's user is asked again; a repeat changes nothing."""
        tenant, device = await self._gate.admitted(request)
        await self._desk.set_auto_confirm(tenant, device, None)
        return Response(status_code=_EMPTY_AND_DONE)

    async def artifacts(self, request: Request) -> Response:
        """Endpoint 14: the files of one module, which here is one action's."""
        tenant, device = await self._gate.admitted(request)
        action = action_of(request)
        firmware = self._desk.described(tenant, device, action)
        if firmware is None:
            raise no_action(request)
        return answers.json_response([answers.artifact(root_of(request), action, firmware)])

    async def artifact(self, request: Request) -> Response:
        """Endpoints 15 and 16: the image with HEAD and ranges, and its MD5SUM."""
        tenant, device = await self._gate.admitted(request)
        file, action = request.path_params["file"], action_of(request)
        plain = file.removesuffix(".MD5SUM")
        ranges = ranges_of(request.headers.get("range"))
        asked = self._desk.described(tenant, device, action)
        held = request.headers.get("if-match")
        # What is answered by 412 begins nothing.
        fits = asked is None or download.matches(held, download.etag_of(asked))
        began = request.method == "GET" and plain == file and fits
        image = await self._desk.image(tenant, device, action, plain, began=began)
        if image is None:
            raise no_action(request)
        if plain != file:
            return answers.checksum_response(image.firmware)
        return download.image_response(request, image, ranges, self._accel)

    def _answered(self, request: Request, answer: FeedbackAnswer) -> Response:
        if answer == "taken":
            return Response(status_code=_EMPTY_AND_DONE)
        if answer == "gone":
            return self._refusals.answered(request, ended(request), 410)
        if answer == "not_cancelling":
            return self._refusals.answered(request, ended(request), 405)
        raise no_action(request)

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
