"""Sends requests over HTTP/1.1 connections that stay open, as many as the budget allows.

Keeps: every request carries the marker; a connection is counted before it is made; a request on a
connection that the other side had closed meanwhile goes once more over a new one, if it reads.
Does not: follow redirects, keep answers, or decide when to send.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from surefoot.gates.active import Meter, Over
from surefoot.gates.load.generator import Done
from surefoot.gates.load.plan import Arrival, Step
from surefoot.gates.reply import BadReply, Reply


class _Request:
    __slots__ = ("abandoned", "again", "content", "done", "line", "step")

    def __init__(self, content: bytes, step: Step, done: Done) -> None:
        self.content = content
        self.step = step
        self.done = done
        self.again = step.method in ("GET", "HEAD")
        self.abandoned = False
        self.line: _Line | None = None


class _Line(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self, sender: HttpSender) -> None:
        self._sender = sender
        self._transport: asyncio.Transport | None = None
        self._reply = Reply()
        self._used = False
        self.request: _Request | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: _Request) -> None:
        assert self._transport is not None
        self.request = request
        request.line = self
        self._reply = Reply(head_only=request.step.method == "HEAD")
        self._transport.write(request.content)

    def data_received(self, data: bytes) -> None:
        request = self.request
        if request is None:
            self.cut()
            return
        try:
            self._reply.feed(data)
        except BadReply as error:
            self._end(request, str(error))
            self.cut()
            return
        if self._reply.whole:
            self._answered(request)

    def _answered(self, request: _Request) -> None:
        wanted, status = request.step.status, self._reply.status
        good = status == wanted if wanted is not None else 200 <= status <= 299
        keeps, self._used = self._reply.keeps_open, True
        self.request = None
        if keeps:
            self._sender.free(self)
        else:
            self.cut()
        request.done("" if good else f"status {status}")

    def connection_lost(self, exc: Exception | None) -> None:
        request = self.request
        self._sender.lost(self)
        if request is None:
            return
        self._reply.closed()
        if self._reply.whole:
            self._answered(request)
            return
        if self._used and request.again and not self._reply.begun:
            request.again = False
            self.request = None
            self._sender.place(request)
            return
        self._end(request, "the connection was cut")

    def _end(self, request: _Request, error: str) -> None:
        self.request = None
        if not request.abandoned:
            request.done(error)

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class HttpSender:
    """See the module. `endpoint` is one that the meter allows."""

    def __init__(self, endpoint: str, steps: Sequence[Step], meter: Meter) -> None:
        self._host, self._port = meter.endpoint(endpoint)
        self._meter = meter
        self._steps = steps
        self._heads = [_head(step, endpoint, meter.header()) for step in steps]
        self._idle: list[_Line] = []
        self._lines: set[_Line] = set()
        self._waiting: deque[_Request] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._closed = False
        self.held = 0

    def send(self, arrival: Arrival, done: Done) -> Callable[[], None]:
        """Send over a free connection, a new one, or the next that becomes free."""
        step = self._steps[arrival.step]
        request = _Request(self._content(arrival), step, done)
        self.place(request)

        def abandon() -> None:
            request.abandoned = True
            if request.line is not None and request.line.request is request:
                request.line.request = None
                request.line.cut()

        return abandon

    def place(self, request: _Request) -> None:
        """Give the request to a connection."""
        if self._idle:
            self._idle.pop().ask(request)
            return
        try:
            self._meter.opened()
        except Over:
            self.held += 1
            self._waiting.append(request)
            return
        task = asyncio.get_running_loop().create_task(self._open(request))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, request: _Request) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, line = await loop.create_connection(lambda: _Line(self), self._host, self._port)
        except OSError as error:
            self._meter.closed()
            if not request.abandoned:
                request.done(_words(error))
            return
        self._lines.add(line)
        if self._closed:
            line.cut()
        elif request.abandoned:
            self.free(line)
        else:
            line.ask(request)

    def free(self, line: _Line) -> None:
        """A connection can take the next request."""
        while self._waiting:
            request = self._waiting.popleft()
            if not request.abandoned:
                line.ask(request)
                return
        self._idle.append(line)

    def lost(self, line: _Line) -> None:
        """A connection has ended; one that waits may get another."""
        self._lines.discard(line)
        if line in self._idle:
            self._idle.remove(line)
        self._meter.closed()
        while self._waiting and not self._closed:
            request = self._waiting.popleft()
            if not request.abandoned:
                self.held -= 1
                self.place(request)
                return

    def close(self) -> None:
        """End all connections."""
        self._closed = True
        for line in list(self._lines):
            line.request = None
            line.cut()
        for task in self._opening:
            task.cancel()

    def _content(self, arrival: Arrival) -> bytes:
        step, head = self._steps[arrival.step], self._heads[arrival.step]
        device = f"device-{arrival.device:06}"
        body = (step.body or "").replace("{device}", device).encode()
        length = f"Content-Length: {len(body)}\r\n" if step.body is not None else ""
        return (head.replace("{device}", device) + length + "\r\n").encode() + body


def _head(step: Step, endpoint: str, marker: tuple[str, str]) -> str:
    kind = f"Content-Type: {step.type}\r\n" if step.body is not None else ""
    return (
        f"{step.method} {step.path} HTTP/1.1\r\nHost: {endpoint}\r\n"
        f"User-Agent: surefoot-load\r\nAccept: */*\r\n{marker[0]}: {marker[1]}\r\n{kind}"
    )


def _words(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    return "no connection could be made"
