"""The front of the house: one ASGI application that shares a listener between API and pages.

Keeps: every answer carries the security headers and a request id; every request is one line in the
log, without query, cookie, body, signature or the token of a login link; requests beyond the bound
are told to come back; the one-time login link is redeemed here.
Does not: authenticate, or know an operation.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from surefoot.core.errors import Refused, render
from surefoot.doors.session import Sessions, cookie_header

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_LOG = logging.getLogger("surefoot.request")
_OPEN_MAX = 500
_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "content-security-policy": _PAGE_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_API_HEADERS = {"cache-control": "no-store", "content-security-policy": "default-src 'none'"}


class Front:
    """See the module. `secure` says that browsers reach it over TLS."""

    def __init__(
        self,
        api: Application,
        pages: Application,
        sessions: Sessions,
        *,
        token: Callable[[int], bytes],
        secure: bool = False,
    ) -> None:
        self._api = api
        self._pages = pages
        self._sessions = sessions
        self._token = token
        self._secure = secure
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the start and end of the server, which need nothing here."""
        if scope["type"] != "http":
            return
        scope["surefoot.request"] = self._token(8).hex()
        began = time.monotonic()
        answer = _Answer(send, scope, secure=self._secure)
        self._open += 1
        try:
            await self._route(scope, receive, answer.send)
        finally:
            self._open -= 1
            _LOG.info(
                "request",
                extra={
                    "request": scope["surefoot.request"],
                    "method": scope["method"],
                    "path": _logged(scope["path"]),
                    "status": answer.status,
                    "ms": round((time.monotonic() - began) * 1000, 1),
                },
            )

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if self._open > _OPEN_MAX:
            await _text(send, 503, "server: busy; repeat in a moment", {"retry-after": "2"})
        elif path.startswith("/v1/"):
            await self._api(scope, receive, send)
        elif path.startswith("/login/") and scope["method"] == "GET":
            await self._login(path.removeprefix("/login/"), send)
        else:
            await self._pages(scope, receive, send)

    async def _login(self, token: str, send: Send) -> None:
        try:
            cookie, _ = self._sessions.redeem(token)
        except Refused as refused:
            await _text(send, refused.status(), render(refused.record()), {})
            return
        header = cookie_header(cookie, secure=self._secure)
        await _text(send, 303, "", {"location": "/", "set-cookie": header})


def _logged(path: str) -> str:
    """The path for the log: a link's token may not be spent yet, whatever the method was."""
    head, login, _ = path.partition("/login/")
    return f"{head}/login/..."[:200] if login else path[:200]


class _Answer:
    """Adds the headers to an answer on its way out, and remembers its status."""

    def __init__(self, send: Send, scope: Scope, *, secure: bool) -> None:
        self._send = send
        self._request = scope["surefoot.request"]
        self._headers = dict(SECURITY_HEADERS)
        self.status = 0
        if scope["path"].startswith("/v1/"):
            self._headers.update(_API_HEADERS)
        if secure:
            self._headers["strict-transport-security"] = "max-age=31536000"

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", []))
            present = {name.lower() for name, _ in headers}
            added = {**self._headers, "surefoot-request": self._request}
            headers += [
                (name.encode(), value.encode())
                for name, value in added.items()
                if name.encode() not in present
            ]
            message = {**message, "headers": headers}
        await self._send(message)


async def _text(send: Send, status: int, text: str, headers: dict[str, str]) -> None:
    content = (text + "\n").encode() if text else b""
    every = {
        "content-type": "text/plain; charset=utf-8",
        "content-length": str(len(content)),
        "cache-control": "no-store",
        **headers,
    }
    listed = [(name.encode(), value.encode()) for name, value in every.items()]
    await send({"type": "http.response.start", "status": status, "headers": listed})
    await send({"type": "http.response.body", "body": content})
