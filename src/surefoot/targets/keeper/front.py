"""Connections from clients to the keeper: one request at a time, forwarded to the live generation.

Keeps: each request goes to the generation that is live when its head is complete and finishes
there; it is repeated only when it may be (no body, such a method) and nothing came back on an idle
connection, or on one that broke off. Every wait has a limit. What a client sends ahead is held
back, bounded. A client that closes its sending side is taken as gone.
Does not: know generations, processes or files.
"""

from __future__ import annotations

import asyncio

from surefoot.targets.keeper import heads
from surefoot.targets.keeper.back import Back, Upstream
from surefoot.targets.keeper.bodies import LAST_CHUNK, Body, body_of, chunk
from surefoot.targets.keeper.heads import Bad, Request, Response
from surefoot.targets.keeper.hub import Hub
from surefoot.targets.keeper.limits import own_answer

AHEAD_BYTES_MAX = 64 * 1024
IDLE, HEAD, BODY, WAIT, TUNNEL, LINGER, GONE = range(7)
_REPEATABLE = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE"))
# Seconds before each repetition: an idle connection was closed, then the process was dying.
_REPEAT_AFTER = (0.0, 0.1, 0.5)


class Front(asyncio.Protocol):
    """One client connection."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._peer = b""
        self._state = IDLE
        self._buffer = b""
        self._holds = 0
        self.deadline = 0.0
        self._request: Request | None = None
        self._forget_exchange()

    def _forget_exchange(self) -> None:
        self._upstream: Upstream | None = None
        self._back: Back | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._reader: Body | None = None
        self._repeatable = False
        self._repeats = 0
        self._taken = 0
        self._answered = False
        self._chunked = False
        self._unsent = b""
        self._close = False
        self._status = 0
        self._started = 0.0

    # -- called by the loop ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        self._transport = transport  # type: ignore[assignment]
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]).partition("%")[0].encode() if peer else b"unknown"
        self._hub.fronts.add(self)
        if len(self._hub.fronts) > self._hub.limits.clients_max:
            self._refuse(503, "too many connections")
            return
        self._wait(self._hub.limits.idle_seconds)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._state == TUNNEL and self._back is not None:
            self._back.transport.write(data)
            return
        if self._state >= LINGER:
            return
        self._buffer = self._buffer + data if self._buffer else data
        self._advance()

    def eof_received(self) -> bool:
        """The client is done sending: taken as gone."""
        return False

    def connection_lost(self, trouble: Exception | None) -> None:
        """The client is gone."""
        self._hub.fronts.discard(self)
        under_way, tunnel = self._upstream is not None, self._state == TUNNEL
        self._state, self._buffer, self.deadline = GONE, b"", 0.0
        if under_way:
            self._count("done" if tunnel else "gone")
            self._drop_back()

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        if self._back is not None:
            self._back.transport.pause_reading()
            self._wait(self._hub.limits.write_seconds)

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._back is not None:
            self._back.transport.resume_reading()
            self.deadline = 0.0

    def _advance(self) -> None:
        if self._state <= HEAD and self._buffer:
            self._read_head()
        if self._state == BODY and self._back is not None:
            self._read_body()
        elif self._state in (BODY, WAIT) and len(self._buffer) > AHEAD_BYTES_MAX:
            self._hold(1)

    def _read_head(self) -> None:
        buffer = self._buffer
        if buffer.startswith(b"\r\n"):
            buffer = self._buffer = buffer[2:]
        end = buffer.find(b"\r\n\r\n", 0, heads.HEAD_BYTES_MAX)
        if end < 0:
            if len(buffer) >= heads.HEAD_BYTES_MAX:
                self._refuse(431, f"the head is longer than {heads.HEAD_BYTES_MAX} bytes")
            elif self._state == IDLE and buffer:
                self._state = HEAD
                self._wait(self._hub.limits.head_seconds)
            return
        try:
            request = heads.parse_request(buffer[: end + 2])
            if request.length > self._hub.limits.body_bytes_max:
                raise Bad(413, f"the body is longer than {self._hub.limits.body_bytes_max} bytes")
        except Bad as bad:
            self._refuse(bad.status, bad.reason)
            return
        self._buffer = buffer[end + 4 :]
        self._begin(request)

    def _begin(self, request: Request) -> None:
        self._request = request
        self._started = self._loop.time()
        bodiless = request.length == 0
        self._state = WAIT if bodiless else BODY
        self._reader = None if bodiless else body_of(request.length)
        limits = self._hub.limits
        self.deadline = self._started + (limits.answer_seconds if bodiless else limits.body_seconds)
        upstream = self._hub.live
        if upstream is None:
            self._fail(503, "no generation of this service is live")
            return
        self._upstream = upstream
        upstream.enter(self)
        # An idle connection may turn out closed: only what may be repeated takes one.
        self._repeatable = bodiless and request.method in _REPEATABLE and not request.websocket
        back = upstream.take() if self._repeatable else None
        if back is not None:
            self._attach(back)
        else:
            self._connecting = self._loop.create_task(self._connect(upstream))

    async def _connect(self, upstream: Upstream, pause: float = 0.0) -> None:
        try:
            if pause:
                await asyncio.sleep(pause)
            back = await upstream.connect(self._hub.limits.hold_seconds)
        except OSError as trouble:
            self._connecting = None
            if self._upstream is upstream and not self._moved_from(upstream):
                self._fail(502, f"the service does not accept connections: {trouble.strerror}")
            return
        self._connecting = None
        if self._upstream is not upstream or self._state >= LINGER:
            back.drop()
            return
        self._attach(back)
        self._release(1)
        self._advance()

    def _moved_from(self, upstream: Upstream) -> bool:
        """Go to the live generation when this one was replaced before it took the request."""
        live = self._hub.live
        if not upstream.retired or live is None or live is upstream:
            return False
        upstream.leave(self)
        live.enter(self)
        self._upstream = live
        self._connecting = self._loop.create_task(self._connect(live))
        return True

    def _attach(self, back: Back) -> None:
        assert self._request is not None
        self._back = back
        back.begin(self, self._request.method, heads.forwarded(self._request, self._peer))

    def _read_body(self) -> None:
        assert self._reader is not None and self._back is not None and self._request is not None
        if not self._buffer:
            return
        try:
            payload, rest, done = self._reader.feed(self._buffer)
            self._taken += len(payload)
            if self._taken > self._hub.limits.body_bytes_max:
                raise Bad(413, f"the body is longer than {self._hub.limits.body_bytes_max} bytes")
        except Bad as bad:
            self._count("refused")
            self._drop_back()
            self._say(bad.status, bad.reason)
            return
        self._buffer = rest
        framed = self._request.length == -1
        if payload:
            self._back.transport.write(chunk(payload) if framed else payload)
        if done:
            if framed:
                self._back.transport.write(LAST_CHUNK)
            self._state = WAIT
        if not self._answered:
            limits = self._hub.limits
            self._wait(limits.answer_seconds if done else limits.body_seconds)

    # -- answers from the service (Owner) ----------------------------------------------------

    def on_interim(self, response: Response) -> None:
        """A 1xx answer: passed on when the client can understand it."""
        assert self._request is not None
        wanted = self._request.expects if response.status == 100 else self._request.modern
        if wanted and response.status in (100, 102, 103):
            lines = b"\r\n".join((response.line, *response.kept))
            self._transport.write(lines + b"\r\n\r\n")

    def on_tunnel(self, response: Response, rest: bytes) -> None:
        """The service took the upgrade: bytes pass both ways from here on."""
        assert self._request is not None and self._back is not None
        if not self._request.websocket:
            self._fail(502, "the service switched protocols unasked")
            return
        self._state, self._answered, self.deadline = TUNNEL, True, 0.0
        self._status = 101
        self._transport.write(heads.answered(response, chunked=False, close=False) + rest)
        ahead, self._buffer = self._buffer, b""
        if ahead:
            self._back.transport.write(ahead)

    def on_head(self, response: Response) -> None:
        """The final head: framed for this client."""
        request = self._request
        assert request is not None
        self._answered, self._status = True, response.status
        self._chunked = response.length < 0 and request.modern
        unfinished = self._state == BODY
        self._close = unfinished or not request.keep_alive
        self.deadline = 0.0
        # Held for a moment, so that head and first bytes leave in one piece.
        self._unsent = heads.answered(response, chunked=self._chunked, close=self._close)

    def on_flush(self) -> None:
        """Send the head by itself: its body comes later."""
        unsent, self._unsent = self._unsent, b""
        if unsent:
            self._transport.write(unsent)

    def on_payload(self, payload: bytes) -> None:
        """Body or tunnel bytes."""
        unsent, self._unsent = self._unsent, b""
        self._transport.write(unsent + (chunk(payload) if self._chunked else payload))

    def on_end(self, reusable: bool) -> None:
        """The answer is complete: the connection is free for the next request."""
        last = self._unsent + (LAST_CHUNK if self._chunked else b"")
        if last:
            self._transport.write(last)
        unfinished = self._state == BODY
        back, upstream = self._back, self._upstream
        self._count("service" if self._status >= 500 else "done")
        close = self._close
        self._end_exchange()
        if back is not None and upstream is not None:
            if reusable and not unfinished:
                back.transport.resume_reading()
                upstream.give_back(back)
            else:
                back.drop()
        if unfinished:
            self._linger()
        elif close:
            self._state = GONE
            self._transport.close()
        else:
            self._state = IDLE
            self._wait(self._hub.limits.idle_seconds)
            self._release(3)
            if self._buffer:
                # A call of its own: a long pipeline must not become deep recursion.
                self._loop.call_soon(self._advance)

    def on_lost(self, reason: str, unread: bool) -> None:
        """The service went away: repeat where that cannot be seen, else say so."""
        self._back, upstream = None, self._upstream
        if self._state == TUNNEL:
            self._count("done")
            self._end_exchange()
            self._state = GONE
            self._transport.close()
        elif unread and self._repeatable and self._repeats < len(_REPEAT_AFTER) and upstream:
            pause = _REPEAT_AFTER[self._repeats]
            self._repeats += 1
            self._connecting = self._loop.create_task(self._connect(upstream, pause))
        else:
            self._fail(502, reason)

    def on_full(self, full: bool) -> None:
        """Pass the service's slowness on to the client."""
        if full:
            self._hold(2)
        else:
            self._release(2)

    def cut(self) -> None:
        """The generation stops after its grace: end what is still under way."""
        if self._answered:
            self._count("cut")
            self._drop_back()
            self._state = GONE
            self._transport.close()
        else:
            self._fail(503, "the service is stopping")

    def overdue(self) -> None:
        """A wait ran out."""
        if self._state in (IDLE, LINGER, GONE):
            self._transport.abort()
        elif self._state == HEAD:
            self._refuse(408, "the head did not arrive in time")
        elif self._answered:
            self._count("gone")
            self._drop_back()
            self._transport.abort()
        elif self._state == BODY and not self._holds:
            self._count("gone")
            self._drop_back()
            self._say(408, "the body did not arrive in time")
        else:
            self._fail(504, "the service did not answer in time")

    def _refuse(self, status: int, reason: str) -> None:
        """Answer a head that is not forwarded."""
        self._hub.counts.refused += 1
        self._say(status, reason)

    def _fail(self, status: int, reason: str) -> None:
        """The request fails by the keeper's own word, and counts as failed."""
        self._count("failed")
        answered, request = self._answered, self._request
        self._drop_back()
        if answered:
            # The client must see that the answer is cut short.
            self._state = GONE
            self._transport.abort()
        else:
            self._say(status, reason, request is not None and request.method == b"HEAD")

    def _say(self, status: int, reason: str, bodiless: bool = False) -> None:
        self._transport.write(own_answer(status, reason, bodiless))
        self._linger()

    def _linger(self) -> None:
        """Close so that the answer is read: closing on unread bytes would reset it away."""
        self._state, self._buffer = LINGER, b""
        self._release(3)
        self._wait(self._hub.limits.linger_seconds)
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()

    def _count(self, end: str) -> None:
        self._hub.counts.add(end, self._loop.time() - self._started)

    def _drop_back(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        if self._back is not None:
            self._back.drop()
        self._end_exchange()

    def _end_exchange(self) -> None:
        upstream = self._upstream
        self._forget_exchange()
        if upstream is not None:
            upstream.leave(self)

    def _wait(self, seconds: float) -> None:
        self.deadline = self._loop.time() + seconds

    def _hold(self, reason: int) -> None:
        if not self._holds:
            self._transport.pause_reading()
        self._holds |= reason

    def _release(self, reason: int) -> None:
        if self._holds and not (self._holds & ~reason):
            self._transport.resume_reading()
        self._holds &= ~reason
