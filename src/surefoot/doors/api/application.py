"""The REST API: every registered operation under `/v1`, answered as deterministic JSON.

Keeps: a command and every question that is not public comes from a verified signature; a body is at
most 4 MiB; an error is its record, with the status its kind has; an unexpected one shows the client
no more than a request id. Operations run in threads, at most so many at once: more are told to come
back instead of queueing without end.
Does not: hold a rule, accept cookies, or know what any operation means.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import anyio
import msgspec
from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as Incoming
from starlette.responses import Response
from starlette.routing import Route

from surefoot.app.operation import Arguments, Operation, Request
from surefoot.core.errors import Failed, Refused, SurefootError
from surefoot.core.policy import Asker
from surefoot.doors import codes, words
from surefoot.doors.api import arguments, openapi
from surefoot.doors.api.authenticate import Authenticator, Failures
from surefoot.doors.api.table import PREFIX, Table
from surefoot.doors.session import LINK_SECONDS, Sessions

_LOG = logging.getLogger("surefoot.api")
_AT_ONCE_MAX = 40
_WAITING_MAX = 100
_WAITS = ("journal wait",)
_METHODS = ["GET", "POST", "PUT", "DELETE"]


class LoginArguments(Arguments, frozen=True, kw_only=True):
    """A login names nobody: the signature says who."""


class Api:
    """What the routes share. `application` is handed to each operation as it is."""

    def __init__(
        self,
        application: object,
        operations: Iterable[Operation],
        authenticator: Authenticator,
        *,
        failures: Failures,
        token: Callable[[int], bytes],
    ) -> None:
        self._application = application
        self._table = Table(operations)
        self._authenticator = authenticator
        self._failures = failures
        self._token = token
        self._running = anyio.CapacityLimiter(_AT_ONCE_MAX)
        self._waiting = anyio.CapacityLimiter(_WAITING_MAX)

    async def answer(self, incoming: Incoming) -> Response:
        """The route of everything under `/v1`."""
        request_id = incoming.scope.get("surefoot.request") or self._token(8).hex()
        try:
            return _json(await self._answer(incoming, request_id))
        except SurefootError as error:
            return error_response(error, request_id)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:  # noqa: BLE001  the last resort: logged with its stack, not shown
            _LOG.exception("fault", extra={"request": request_id})
            return error_response(_fault(request_id), request_id)

    async def _answer(self, incoming: Incoming, request_id: str) -> Any:
        raw_path, target = _target(incoming)
        operation, path = self._table.find(incoming.method, raw_path)
        body = await _body(incoming)
        request = self._identify(operation, incoming, target, body, request_id)
        values = arguments.read(
            operation.arguments, path, list(incoming.query_params.multi_items()), body
        )
        limiter = self._waiting if operation.name in _WAITS else self._running
        if limiter.borrowed_tokens >= limiter.total_tokens:
            raise _overload()
        return await to_thread.run_sync(
            operation.call, self._application, request, values, limiter=limiter
        )

    def _identify(
        self, operation: Operation, incoming: Incoming, target: str, body: bytes, request_id: str
    ) -> Request:
        if operation.public:
            nobody = Asker(type="anonymous", id="anonymous")
            return Request(asker=nobody, auth="none", id=request_id)
        address = incoming.client.host if incoming.client else "local"
        try:
            return self._authenticator.identify(incoming.method, target, incoming.headers, body)
        except Refused:
            # Only now: whoever signs well is never locked out by others behind the same address.
            self._failures.check(address)
            self._failures.note(address)
            raise


def api_app(
    application: object,
    operations: Iterable[Operation],
    authenticator: Authenticator,
    *,
    sessions: Sessions,
    now_ms: Callable[[], int],
    token: Callable[[int], bytes],
    address: str = "",
) -> Starlette:
    """The ASGI application for everything under `/v1`.

    `token` makes unpredictable bytes; `address` is where browsers find the pages.
    """
    every = (*operations, login_operation(sessions, address))
    document = msgspec.json.encode(openapi.document(every), order="sorted")
    failures = Failures(now_ms)
    api = Api(application, every, authenticator, failures=failures, token=token)

    async def description(_: Incoming) -> Response:
        return Response(document, media_type="application/json")

    return Starlette(
        routes=[
            Route(f"{PREFIX}/openapi.json", description, methods=["GET"]),
            Route(f"{PREFIX}/{{rest:path}}", api.answer, methods=_METHODS),
        ],
        exception_handlers={HTTPException: _no_route},
    )


def login_operation(sessions: Sessions, address: str) -> Operation:
    """The one operation of the door itself: a signed request becomes a one-time browser link."""

    def login(_: object, request: Request, __: LoginArguments) -> dict[str, object]:
        path = f"/login/{sessions.invite(request.asker.id, request.auth)}"
        return {
            "link": address + path,
            "path": path,
            "seconds": LINK_SECONDS,
            "person": request.asker.id,
        }

    return Operation(
        name="login",
        method="POST",
        path="/sessions",
        arguments=LoginArguments,
        call=login,
        sentence="A one-time link that opens a browser session for the signer.",
    )


async def _no_route(incoming: Incoming, _: Exception) -> Response:
    """A method that no operation has: a record as well, and not the framework's own text."""
    refused = Refused(
        "request.path.unknown",
        f"{incoming.method[:20]} {incoming.url.path[:120]}",
        expected="a method and path of the API",
        found="none that matches",
        remedy=f"see {PREFIX}/openapi.json for all of them",
    )
    return error_response(refused, incoming.scope.get("surefoot.request", ""))


def error_response(error: SurefootError, request_id: str) -> Response:
    """The error's record and its status."""
    status = 500 if error.code == "server.fault" else error.status()
    headers = {"retry-after": "2"} if status in (429, 503) else {}
    return _json({**codes.complete(error.record()), "request": request_id}, status, headers)


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    content = msgspec.json.encode(value, order="sorted")
    return Response(content, status, headers, media_type="application/json")


def _target(incoming: Incoming) -> tuple[str, str]:
    raw: bytes = incoming.scope.get("raw_path") or incoming.scope["path"].encode()
    raw_path = raw.split(b"?", 1)[0].decode("latin-1")
    query = incoming.scope["query_string"].decode("latin-1")
    target = f"{raw_path}?{query}" if query else raw_path
    if not target.isascii() or len(target) > words.TARGET_CHARACTERS_MAX:
        raise Refused(
            "request.path.input",
            "request path",
            expected=f"at most {words.TARGET_CHARACTERS_MAX} characters of percent-encoded ASCII",
            found=f"{len(target)} characters",
            remedy="shorten or encode it",
        )
    return raw_path, target


async def _body(incoming: Incoming) -> bytes:
    parts, size = [], 0
    async for part in incoming.stream():
        size += len(part)
        if size > words.BODY_BYTES_MAX:
            raise Refused(
                "request.body.oversize",
                "request body",
                expected=f"at most {words.BODY_BYTES_MAX} bytes",
                found="more",
                remedy="send less at once",
            )
        parts.append(part)
    return b"".join(parts)


def _overload() -> Refused:
    return Refused(
        "request.concurrency.overload",
        "server",
        expected=f"at most {_AT_ONCE_MAX} requests at once",
        found="more",
        remedy="repeat in a moment",
    )


def _fault(request_id: str) -> Failed:
    return Failed(
        "server.fault",
        "server",
        expected="an answer",
        found=f"an unforeseen fault, logged under request {request_id}",
        remedy="tell the operator the request's number",
    )
