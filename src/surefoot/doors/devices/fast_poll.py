"""The poll's fast path: the commonest request answered inside uvicorn's protocol class.

Keeps: the same bytes as the Starlette route, proven by a test; anything unusual (another path, a
wrong token, an escaped name, a proxy's header, a body, an access log) takes the slow path.
Does not: decide anything; it asks the same `DeviceDesk`. It relies on names inside uvicorn's
httptools protocol, so it is switched on by whoever serves the door, and off by not doing so.
"""

from __future__ import annotations

import re
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from surefoot.doors.devices import answers
from surefoot.doors.devices.ddi import HOST, TOKEN_LENGTH_MAX
from surefoot.doors.devices.desk import DeviceDesk

_URL = re.compile(rb"/([A-Za-z0-9._~-]{1,256})/controller/v1/([A-Za-z0-9._~-]{1,256})")
_UNUSUAL = frozenset(
    {b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"connection"}
)
_SCHEME = b"TargetToken "
_HOSTS_MAX = 256
HEAD_BYTES_MAX = 128 * 1024


class _Answered:
    """Stands where uvicorn keeps the running request: there is none, it has been answered."""

    response_complete = True
    disconnected = False
    keep_alive = True

    class message_event:  # noqa: N801 (uvicorn's name for an attribute)
        """Nobody waits for the rest of this request."""

        @staticmethod
        def set() -> None:
            """Nothing to wake."""


_ANSWERED: Any = _Answered()


class FastPollProtocol(HttpToolsProtocol):
    """See the module. The parser would take a head of any size; this bounds it."""

    desk: DeviceDesk
    hosts: dict[bytes, str]
    _head_left = HEAD_BYTES_MAX
    _in_head = True

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head that does not end is given up."""
        if self._in_head:
            self._head_left -= len(data)
            if self._head_left < 0:
                self.send_400_response("The request's head is too large.")
                return
        super().data_received(data)

    def on_message_complete(self) -> None:
        """A request ended; the next bytes are a head."""
        self._in_head, self._head_left = True, HEAD_BYTES_MAX
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        """Answer a poll at once, or let uvicorn go on."""
        self._in_head = False
        body = self._poll_body()
        if body is None:
            # A pipelined request may follow one that armed the keep-alive timer.
            self._unset_keepalive_if_required()
            super().on_headers_complete()
            return
        head = [b"HTTP/1.1 200 OK\r\n"]
        for name, value in self.server_state.default_headers:
            head += (name, b": ", value, b"\r\n")
        head += (
            b"content-length: ",
            str(len(body)).encode(),
            b"\r\ncontent-type: application/json\r\n\r\n",
            body,
        )
        self.transport.write(b"".join(head))
        self.cycle = _ANSWERED
        self.on_response_complete()

    def _poll_body(self) -> bytes | None:
        if not self._is_usual():
            return None
        found = _URL.fullmatch(self.url)
        asked = _authorization_and_host(self.headers)
        if found is None or asked is None:
            return None
        token, host = asked
        tenant, device = found[1].decode(), found[2].decode()
        name = self.hosts.get(host) or _remember(self.hosts, host)
        if not name or not self.desk.admit(tenant, device, token.decode("latin-1")):
            return None
        root = f"{self.scheme}://{name}/{tenant}/controller/v1/{device}"
        return answers.poll_body(root, self.desk.poll(tenant, device))

    def _is_usual(self) -> bool:
        free = self.cycle is None or self.cycle.response_complete
        plain = not (self.access_log or self.root_path or self.limit_concurrency)
        return (
            free
            and plain
            and not self.flow.write_paused
            and not self.transport.is_closing()
            and self.parser.get_method() == b"GET"
            and self.parser.get_http_version() == "1.1"
        )


def fast_protocol(desk: DeviceDesk) -> type[FastPollProtocol]:
    """A protocol class for `uvicorn.Config(http=...)` that answers polls of this desk."""
    return type("DeskPollProtocol", (FastPollProtocol,), {"desk": desk, "hosts": {}})


def _authorization_and_host(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes] | None:
    """The token and the host when the request has one of each and nothing unusual."""
    token = host = b""
    for name, value in headers:
        if name == b"authorization":
            if token or not value.startswith(_SCHEME):
                return None
            token = value[len(_SCHEME) :]
        elif name == b"host":
            if host:
                return None
            host = value
        elif name in _UNUSUAL or name.startswith(b"x-forwarded"):
            return None
    return (token, host) if token and host and len(token) <= TOKEN_LENGTH_MAX else None


def _remember(hosts: dict[bytes, str], host: bytes) -> str:
    """The host's name when it may be part of a link; a bounded memory of those seen."""
    name = host.decode("latin-1")
    if not HOST.fullmatch(name):
        return ""
    if len(hosts) >= _HOSTS_MAX:
        hosts.clear()
    hosts[host] = name
    return name
