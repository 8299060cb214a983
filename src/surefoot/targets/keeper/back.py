"""Connections from the keeper to one generation of the service, and the pool of idle ones.

Keeps: a connection that was idle is only used for a request that may be repeated; a retired
generation's connections are never pooled; bytes that nobody asked for close the connection; while
the process is down nobody connects, and who waits goes on as soon as it is up again.
Does not: decide what the client hears; the owner of a connection does.
"""

from __future__ import annotations

import asyncio
import errno
from typing import Protocol

from surefoot.targets.keeper.bodies import Body, UntilClose, body_of
from surefoot.targets.keeper.heads import HEAD_BYTES_MAX, Bad, Response, parse_response

IDLE_MAX = 64


class Owner(Protocol):
    """Who is waiting for the answer on a connection."""

    def on_interim(self, response: Response) -> None:
        """A 1xx answer other than 101."""

    def on_tunnel(self, response: Response, rest: bytes) -> None:
        """The service switched protocols; `rest` are its first bytes."""

    def on_head(self, response: Response) -> None:
        """The final head; what came with it follows before `on_flush`."""

    def on_flush(self) -> None:
        """Nothing more came together with the head."""

    def on_payload(self, payload: bytes) -> None:
        """Body bytes, or tunnel bytes."""

    def on_end(self, reusable: bool) -> None:
        """The answer is complete."""

    def on_lost(self, reason: str, unread: bool) -> None:
        """The service closed, or answered what cannot be read.

        `unread`: nothing came, and the connection was an idle one or broke off: a unix socket
        breaks off only when the request was not read to its end.
        """

    def on_full(self, full: bool) -> None:
        """The service does not take more bytes now, or does again."""

    def cut(self) -> None:
        """End now: the generation stops."""


class Back(asyncio.Protocol):
    """One connection to the service; at most one request on it at a time."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.owner: Owner | None = None
        self.reused = False
        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        self._held = b""
        self._method = b""
        self._body: Body | None = None
        self._response: Response | None = None
        self._tunnel = False
        self._came = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self.transport = transport  # type: ignore[assignment]

    def begin(self, owner: Owner, method: bytes, head: bytes) -> None:
        """Send a request's head; its body follows through `transport`."""
        self.owner = owner
        self._method, self._came = method, False
        self.transport.write(head)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._came = True
        if self.owner is None:
            self.transport.abort()
        elif self._tunnel:
            self.owner.on_payload(data)
        elif self._body is not None:
            self._feed(data)
        else:
            self._held = self._held + data if self._held else data
            self._heads()

    def _heads(self) -> None:
        while self._held and self.owner is not None:
            end = self._held.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX)
            if end < 0:
                if len(self._held) >= HEAD_BYTES_MAX:
                    self._give_up("the answer's head is too long")
                return
            head, rest = self._held[: end + 2], self._held[end + 4 :]
            self._held = rest
            try:
                response = parse_response(head, self._method)
            except Bad as bad:
                self._give_up(bad.reason)
                return
            if response.status == 101:
                self._tunnel, self._held = True, b""
                self.owner.on_tunnel(response, rest)
                return
            if response.status < 200:
                self.owner.on_interim(response)
                continue
            self._final(response, rest)
            return

    def _final(self, response: Response, rest: bytes) -> None:
        assert self.owner is not None
        self._held = b""
        self._response = response
        self.owner.on_head(response)
        if response.length == 0:
            self._finish(rest)
            return
        self._body = body_of(response.length)
        if rest:
            self._feed(rest)
        if self.owner is not None:
            self.owner.on_flush()

    def _feed(self, data: bytes) -> None:
        assert self._body is not None
        try:
            payload, rest, done = self._body.feed(data)
        except Bad as bad:
            self._give_up(bad.reason)
            return
        if payload and self.owner is not None:
            self.owner.on_payload(payload)
        if done:
            self._finish(rest)

    def _finish(self, rest: bytes) -> None:
        owner, response = self.owner, self._response
        self.owner, self._body, self._response = None, None, None
        if owner is not None and response is not None:
            owner.on_end(response.keep_alive and response.length != -2 and not rest)

    def _give_up(self, reason: str) -> None:
        owner, self.owner = self.owner, None
        self.transport.abort()
        if owner is not None:
            owner.on_lost(reason, False)

    def eof_received(self) -> bool:
        """Called by the loop; the connection closes."""
        return False

    def connection_lost(self, trouble: Exception | None) -> None:
        """Called by the loop."""
        self.upstream.forget(self)
        if self.owner is None:
            return
        if isinstance(self._body, UntilClose) and trouble is None:
            self._finish(b"")
            return
        owner, self.owner = self.owner, None
        unread = not self._came and (self.reused or trouble is not None)
        owner.on_lost("the service closed the connection", unread)

    def pause_writing(self) -> None:
        """Called by the loop."""
        if self.owner is not None:
            self.owner.on_full(True)

    def resume_writing(self) -> None:
        """Called by the loop."""
        if self.owner is not None:
            self.owner.on_full(False)

    def drop(self) -> None:
        """Close without telling the owner."""
        self.owner = None
        self.transport.abort()


class Upstream:
    """One generation's address, its idle connections and the requests under way on it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.retired = False
        self._idle: list[Back] = []
        self._owners: set[Owner] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._up = asyncio.Event()
        self._up.set()

    @property
    def active(self) -> int:
        """Requests and tunnels under way."""
        return len(self._owners)

    def enter(self, owner: Owner) -> None:
        """A request begins."""
        self._owners.add(owner)
        self._quiet.clear()

    def leave(self, owner: Owner) -> None:
        """A request ended, in whatever way."""
        self._owners.discard(owner)
        if not self._owners:
            self._quiet.set()

    def take(self) -> Back | None:
        """An idle connection, marked as used before."""
        while self._idle:
            back = self._idle.pop()
            if not back.transport.is_closing():
                back.reused = True
                return back
        return None

    def give_back(self, back: Back) -> None:
        """Keep a connection for the next request, unless this generation is retired."""
        if self.retired or len(self._idle) >= IDLE_MAX:
            back.transport.close()
        else:
            self._idle.append(back)

    def forget(self, back: Back) -> None:
        """An idle connection was closed by the service."""
        if back in self._idle:
            self._idle.remove(back)

    def down(self) -> None:
        """The process has ended: no connection of it is of use any more."""
        if not self.retired:
            self._up.clear()
        idle, self._idle = self._idle, []
        for back in idle:
            back.transport.close()

    def up(self, address: str) -> None:
        """A process runs again, perhaps at another address."""
        self.address = address
        self._up.set()

    async def connect(self, seconds: float) -> Back:
        """A fresh connection; a full backlog or a restart is waited for. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        pause = 0.002
        while True:
            try:
                if not self._up.is_set():
                    async with asyncio.timeout_at(until):
                        await self._up.wait()
                return await self._open(loop)
            except TimeoutError:
                raise ConnectionRefusedError(errno.ECONNREFUSED, "it does not run") from None
            except (BlockingIOError, ConnectionError, FileNotFoundError):
                # A unix socket with a full backlog answers "try again" instead of waiting.
                if self.retired or loop.time() + pause > until:
                    raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.1)

    async def _open(self, loop: asyncio.AbstractEventLoop) -> Back:
        kind, _, place = self.address.partition(":")
        if kind == "unix":
            _, back = await loop.create_unix_connection(lambda: Back(self), place)
            return back
        host, _, port = place.rpartition(":")
        _, back = await loop.create_connection(lambda: Back(self), host, int(port))
        return back

    def retire(self) -> None:
        """No new request comes here: drop what is idle; what is under way goes on."""
        self.retired = True
        self._up.set()  # who waits for a restart waits in vain
        idle, self._idle = self._idle, []
        for back in idle:
            back.transport.close()

    async def wait_quiet(self, seconds: float) -> bool:
        """True when nothing is under way within the time."""
        try:
            await asyncio.wait_for(self._quiet.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def cut_all(self) -> int:
        """End every request and tunnel under way; how many there were."""
        owners = list(self._owners)
        for owner in owners:
            owner.cut()
        return len(owners)
