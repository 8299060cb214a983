"""The client: one signed request, one JSON answer, over TCP, TLS or a Unix socket.

Keeps: every request is signed over exactly what is sent; an answer is bounded; a request that may
have been carried out is never repeated by itself.
Does not: print, or know any operation.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import socket
from typing import Any, NoReturn
from urllib.parse import quote, urlencode, urlsplit

from surefoot.core.errors import Failed, Refused, from_record
from surefoot.doors import words
from surefoot.doors.cli import settings, signer
from surefoot.engine.clock import SystemClock

_SECONDS = 120
_ANSWER_BYTES_MAX = 64 * 1024 * 1024
_TRIES = 4
_REFUSED_BY_LOAD = (429, 503)


class Client:
    """Asks one server as one person. `signer` is loaded on the first request that needs it."""

    def __init__(self, chosen: settings.Settings) -> None:
        if not chosen.server:
            raise Refused(
                "settings.server.missing",
                "server",
                expected="the address of a server",
                found="none",
                remedy="give --server, set SUREFOOT_SERVER, or remember one with: surefoot use",
            )
        self.server = chosen.server
        self._key = chosen.key
        self._installation = chosen.installation
        self._signer: signer.Signer | None = None
        self._clock = SystemClock()

    @property
    def signer(self) -> signer.Signer:
        """The person's key. Raises `Refused` when there is none."""
        if self._signer is None:
            self._signer = signer.load(self._key)
        return self._signer

    @property
    def installation(self) -> str:
        """The installation's name: pinned in the settings, else as the server says."""
        if not self._installation:
            answer = self.ask("GET", "/installation", {}, public=True)
            self._installation = str(answer["installation"])
        return self._installation

    def ask(
        self, method: str, path: str, values: dict[str, Any], *, public: bool = False
    ) -> dict[str, Any]:
        """The answer. `values` fill the path's braces first; the rest is query or body.

        Raises the error the server answered with, or `Failed("server.reach.failed")`.
        """
        target, body = _compose(method, path, values)
        for attempt in range(_TRIES):
            headers = {} if public else self._signed(method, target, body)
            status, content = self._exchange(method, target, body, headers)
            if status not in _REFUSED_BY_LOAD or attempt == _TRIES - 1:
                break
            self._clock.sleep(0.5 * 2**attempt)
        return _answer(status, content, self.server)

    def _signed(self, method: str, target: str, body: bytes) -> dict[str, str]:
        time_ms = self._clock.now_ms()
        nonce = self._clock.token(16).hex()
        message = words.request_bytes(
            method, target, body, time_ms=time_ms, nonce=nonce, installation=self.installation
        )
        return {
            words.KEY_HEADER: self.signer.keyid,
            words.TIME_HEADER: str(time_ms),
            words.NONCE_HEADER: nonce,
            words.SIGNATURE_HEADER: base64.b64encode(self.signer.sign(message)).decode(),
        }

    def _exchange(
        self, method: str, target: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        connection = _connection(self.server)
        sent = False
        try:
            connection.connect()
            sent = True
            given = {**headers, "content-type": "application/json"} if body else headers
            connection.request(method, target, body or None, given)
            response = connection.getresponse()
            return response.status, response.read(_ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException) as error:
            _unreachable(self.server, error, may_have_happened=sent and method != "GET")
        finally:
            connection.close()


def client_for(options: argparse.Namespace) -> Client:
    """The client for a command's options."""
    return Client(settings.resolve(options))


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connection(server: str) -> http.client.HTTPConnection:
    if server.startswith("unix:"):
        return _UnixConnection(server.removeprefix("unix:"), _SECONDS)
    parts = urlsplit(server)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme == "http" and parts.hostname:
        return http.client.HTTPConnection(parts.hostname, port, timeout=_SECONDS)
    if parts.scheme == "https" and parts.hostname:
        return http.client.HTTPSConnection(parts.hostname, port, timeout=_SECONDS)
    raise Refused(
        "settings.server.input",
        f"server {server[:80]!r}",
        expected="https://host, http://host:port or unix:PATH",
        found=server[:80],
        remedy="correct --server, SUREFOOT_SERVER or the settings",
    )


def _compose(method: str, path: str, values: dict[str, Any]) -> tuple[str, bytes]:
    rest = dict(values)
    filled = "/v1" + path
    for name in list(rest):
        if f"{{{name}}}" in filled:
            filled = filled.replace(f"{{{name}}}", quote(str(rest.pop(name)), safe=""))
    for segment in filled.split("/")[2:]:
        if not segment or segment.startswith("{"):
            _refuse_empty(segment.strip("{}") or path)
    if method == "GET":
        return (f"{filled}?{urlencode(rest)}" if rest else filled), b""
    return filled, json.dumps(rest, ensure_ascii=False).encode() if rest else b""


def _refuse_empty(name: str) -> NoReturn:
    raise Refused(
        "request.argument.input",
        f"argument {name}",
        expected="a value",
        found="nothing",
        remedy="give it",
    )


def _answer(status: int, content: bytes, server: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Failed(
            "server.answer.failed",
            f"server {server}",
            expected="a JSON object",
            found=f"status {status} and something else",
            remedy="does a surefoot server answer there?",
        )
    if status >= 400:
        raise from_record({name: str(text) for name, text in value.items()})
    return value


def _said(error: Exception) -> str:
    """What the system said, without its number."""
    reason = error.strerror if isinstance(error, OSError) else ""
    return (reason or str(error) or type(error).__name__)[:200]


def _unreachable(server: str, error: Exception, *, may_have_happened: bool) -> NoReturn:
    remedy = "start it with: surefoot server run --data FOLDER"
    if may_have_happened:
        remedy = "it may have been carried out: look before you repeat it"
    raise Failed(
        "server.reach.failed",
        f"server {server}",
        expected="an answer",
        found=_said(error),
        remedy=remedy,
    ) from None
