"""The poll's fast path: the commonest request answered inside uvicorn's protocol class.

Keeps: the same bytes as the Starlette route, proven by a test. A poll that arrives whole and plain,
alone in its packet, with headers of a shape that was checked once, never reaches the HTTP parser;
anything unusual (another path, a wrong token, an escaped name, a proxy's header, a body, an access
log) takes the slow path untouched. Does not: decide anything; it asks the same `DeviceDesk`. It
relies on names inside uvicorn's httptools protocol, so it is switched on by whoever serves the
door, and off by not doing so.
"""

from __future__ import annotations

import re
from typing import Any

from surefoot.core.credential import Shown
from surefoot.doors.devices import answers
from surefoot.doors.devices.asked import HOST
from surefoot.doors.devices.desk import DeviceDesk
from surefoot.doors.devices.entrance import PEER, Entrance, Peers
from surefoot.doors.devices.file_sender import EXTENSION, STALL_SECONDS_MAX, FileSender
from surefoot.doors.devices.flood import Flood, counted
from surefoot.doors.devices.guarded import GuardedProtocol
from surefoot.doors.devices.lines import Lines

# Names in a path are those that need no escaping in a link; a token is as long as the slow path
# takes it. What stands before and after the token is one of few shapes, see `_host_of`.
_POLL = re.compile(
    rb"GET /([A-Za-z0-9._~-]{1,256})/controller/v1/([A-Za-z0-9._~-]{1,256}) HTTP/1\.1\r\n"
    rb"((?:[A-Za-z-]+: [!-~][ -~]*\r\n)*)"
    rb"[Aa]uthorization: TargetToken ([!-~]{1,256})\r\n"
    rb"((?:[A-Za-z-]+: [!-~][ -~]*\r\n)*)\r\n"
)
_HELD = re.compile(rb"[Ii][Ff]-[Nn]one-[Mm]atch: ([!-~][ -~]*)\r\n")
_TYPE = b"content-type: application/json"
_PLAIN = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"cache-control",
        b"charsets",
        b"content-type",
        b"user-agent",
    }
)
_SHAPES_MAX = 1024


class _Answered:
    """Stands where uvicorn keeps the running request: there is none, it has been answered."""

    response_started = True
    response_complete = True
    disconnected = False
    keep_alive = True

    class message_event:  # noqa: N801 (uvicorn's name for an attribute)
        """Nobody waits for the rest of this request."""

        @staticmethod
        def set() -> None:
            """Nothing to wake."""


_ANSWERED: Any = _Answered()


class FastPollProtocol(GuardedProtocol):
    """See the module."""

    desk: DeviceDesk
    flood: Flood
    entrance: Entrance | None
    peers: Peers
    shapes: dict[tuple[bytes, bytes], str]
    head: tuple[Any, tuple[bytes, bytes]]
    _answered_at = 0.0
    _watched = False
    _shown: Shown | None = None

    def connection_made(self, transport: Any) -> None:
        """Look once whether this address is one whose polls are counted."""
        super().connection_made(transport)
        self._watched = self.client is not None and counted(self.client[0])
        self._shown = self.peers.shown(transport)

    def data_received(self, data: bytes) -> None:
        """Answer a poll at once, or let uvicorn go on."""
        if not (self.between and self._answered(data)):
            super().data_received(data)

    def on_message_begin(self) -> None:
        """The certificate of the connection is that of each request."""
        super().on_message_begin()
        scope: Any = self.scope
        scope[PEER] = self._shown

    def on_headers_complete(self) -> None:
        """Where no TLS is between, the answer may send files by the kernel."""
        super().on_headers_complete()
        if self.transport.get_extra_info("sslcontext") is None:
            sender = FileSender(self.transport, self.cycle, STALL_SECONDS_MAX)
            extensions: Any = {EXTENSION: sender}
            self.scope["extensions"] = extensions

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection. Polls answered here do not move the timer, which is dear; it
        looks back when it ends."""
        left = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(
                left, self.timeout_keep_alive_handler
            )
            return
        super().timeout_keep_alive_handler()

    def _answered(self, data: bytes) -> bool:
        """Whether this was a plain poll, and has been answered."""
        found = _POLL.fullmatch(data)
        if found is None or self._shown is not None or not self._is_free():
            return False
        tenant, device, before, token, after = found.groups()
        host, held = self.shapes.get((before, after)), ""
        if host is None:
            host, held = self._host_and_held(before, after)
        if not host:
            return False
        if self._watched and not self.flood.allows(self.client[0], self.loop.time()):  # type: ignore[index]
            return False
        environment, name = tenant.decode(), device.decode()
        if self.entrance is not None and self.entrance.may_need_certificate(environment):
            return False
        poll = self.desk.admitted_poll(environment, name, token)
        if poll is None:
            return False
        root = f"{self.scheme}://{host}/{environment}/controller/v1/{name}"
        body = answers.poll_body(root, poll)
        tag = answers.poll_tag(poll)
        if held and answers.is_held(held, tag):
            answer = b"%betag: %b\r\n\r\n" % (self._heads()[1], tag.encode())
        else:
            head = (self._heads()[0], len(body), _TYPE, tag.encode(), body)
            answer = b"%b%d\r\n%b\r\netag: %b\r\n\r\n%b" % head
        self.transport.write(answer)
        self._note()
        return True

    def _host_and_held(self, before: bytes, after: bytes) -> tuple[str, str]:
        """The host of a shape that is new, or has an ETag in it; and that, which is no shape."""
        held = [*_HELD.findall(before), *_HELD.findall(after)]
        shape = (_HELD.sub(b"", before), _HELD.sub(b"", after)) if held else (before, after)
        host = self.shapes.get(shape)
        if host is None:
            host = self.shapes[shape] = self._remember(b"".join(shape))
        return (host if len(held) < 2 else ""), (held[0].decode() if held else "")

    def _is_free(self) -> bool:
        cycle = self.cycle
        return (
            (cycle is None or cycle.response_complete)
            and not (self.config.access_log or self.root_path or self.limit_concurrency)
            and not self.pipeline
            and not self.flow.write_paused
            and not self.transport.is_closing()
        )

    def _heads(self) -> tuple[bytes, bytes]:
        """All before the length, and before the ETag when there is no body.

        uvicorn makes a new list of its headers every second.
        """
        listed = self.server_state.default_headers
        if self.head[0] is not listed:
            lines = b"".join(b"%b: %b\r\n" % pair for pair in listed)
            whole = b"HTTP/1.1 200 OK\r\n" + lines + b"content-length: "
            type(self).head = (listed, (whole, b"HTTP/1.1 304 Not Modified\r\n" + lines))
        return self.head[1]

    def _note(self) -> None:
        self.cycle = _ANSWERED
        self.server_state.total_requests += 1
        self._answered_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _remember(self, lines: bytes) -> str:
        """The host of a new shape; a bounded memory of those seen."""
        if len(self.shapes) >= _SHAPES_MAX:
            self.shapes.clear()
        return _host_of(lines)


def fast_protocol(
    desk: DeviceDesk, flood: Flood | None = None, entrance: Entrance | None = None
) -> type[FastPollProtocol]:
    """A protocol class for `uvicorn.Config(http=...)` that answers polls of this desk.

    `flood` is the door's own, so that an address has one bucket for both paths.
    """
    members = {"desk": desk, "flood": flood or Flood(), "shapes": {}, "head": (None, (b"", b""))}
    members |= {"entrance": entrance, "peers": Peers(), "lines": Lines()}
    return type("DeskPollProtocol", (FastPollProtocol,), members)


def _host_of(lines: bytes) -> str:
    """The host, when there is one that may be part of a link, and every other header is plain."""
    host = ""
    for line in lines.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b": ")
        if name.lower() == b"host":
            if host:
                return ""
            host = value.decode("latin-1")
        elif name.lower() not in _PLAIN:
            return ""
    return host if HOST.fullmatch(host) else ""
