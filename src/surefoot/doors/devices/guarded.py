"""What a connection may send before it is a request: bytes of HTTP, a head that ends, in time.

Keeps: bytes that are no HTTP, and a head that is too large or too slow, are answered in the door's
own form, are one line in the log, and end the connection; who says nothing at all is left without a
word. Does not: know paths or bodies. It relies on names inside uvicorn's httptools protocol.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from surefoot.core.errors import Refused
from surefoot.doors.devices import answers
from surefoot.doors.devices.lines import Lines
from surefoot.doors.devices.refusals import HEARD

HEAD_BYTES_MAX = 128 * 1024
HEAD_SECONDS_MAX = 30.0
_CODE = "device.head.input"


class _Quiet(logging.LoggerAdapter[logging.Logger]):
    """uvicorn's log without its warnings about what clients send: those have a line of ours."""

    @property
    def level(self) -> int:
        return self.logger.level

    def warning(self, *_: Any, **__: Any) -> None:
        """Nothing: see `Lines`."""


_QUIET: Any = _Quiet(logging.getLogger("uvicorn.error"))


class GuardedProtocol(HttpToolsProtocol):
    """See the module. `between`: the parser holds no part of a request."""

    lines: Lines
    head_seconds_max = HEAD_SECONDS_MAX
    between = True
    _head_left = HEAD_BYTES_MAX
    _in_head = True
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """The first head must come in time."""
        super().connection_made(transport)
        self.logger = _QUIET
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._has_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Let uvicorn go on; a head that does not end is given up."""
        if self._in_head:
            self._head_left -= len(data)
            if self._head_left < 0:
                self._refuse(400, f"a head of at most {HEAD_BYTES_MAX} bytes", "a larger one")
                return
        super().data_received(data)
        if self._in_head and not self.between and self._late is None:
            self._await_head()

    def on_message_begin(self) -> None:
        """The parser holds a part of a request: what comes next belongs to it."""
        self.between = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head has ended."""
        self._in_head = False
        self._has_head()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request ended; the next bytes are a head."""
        self._in_head, self._head_left, self.between = True, HEAD_BYTES_MAX, True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What the parser does not take, in the door's form."""
        self._refuse(400, "a request of HTTP/1.1", "other bytes")

    def _await_head(self) -> None:
        self._late = self.loop.call_later(self.head_seconds_max, self._too_late)

    def _has_head(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        self._late = None
        if self.transport.is_closing():
            return
        if not self.between and self._in_head:
            wanted = f"a whole head within {self.head_seconds_max:.0f} seconds"
            self._refuse(408, wanted, "one that did not end")
        elif self.cycle is None:
            self.transport.close()  # it never asked for anything

    def _refuse(self, status: int, expected: str, found: str) -> None:
        """Answer, unless an answer is under way already, and end the connection."""
        self._has_head()
        refused = Refused(
            _CODE,
            "request",
            expected=expected,
            found=found,
            remedy="see the device API's reference",
        )
        address = self.client[0] if self.client else ""
        self.lines.refused(_CODE, status, "-", "-", address)
        if self.scope is not None:
            scope: Any = self.scope
            scope[HEARD] = True
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            body = bytes(answers.error_response(refused, status).body)
            listed = b"".join(b"%b: %b\r\n" % pair for pair in self.server_state.default_headers)
            head = STATUS_LINE[status] + listed + b"content-type: application/json\r\n"
            about = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            self.transport.write(head + about + body)
        self.transport.close()
