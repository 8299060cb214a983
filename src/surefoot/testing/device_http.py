"""A minimal HTTP/1.1 client over asyncio streams: what a small device has, and no more.

Keeps: connections are kept and shared, answers are bounded, a kept connection that ended while
idle is opened anew once. Does not: TLS, redirects, chunked answers (the device door sends none).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

_HEAD_BYTES_MAX = 64 * 1024
_BODY_BYTES_MAX = 1024 * 1024
_PIECE = 256 * 1024

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Answer:
    """Status, headers (lower case) and a body that is read at once or in pieces."""

    def __init__(self, status: int, headers: dict[str, str], reader: asyncio.StreamReader) -> None:
        self.status = status
        self.headers = headers
        self.left = int(headers.get("content-length", "0"))
        self._reader = reader

    async def body(self) -> bytes:
        """The whole body. Raises `ValueError` when it is larger than 1 MiB."""
        if self.left > _BODY_BYTES_MAX:
            raise ValueError(f"an answer of {self.left} bytes")
        content = await self._reader.readexactly(self.left)
        self.left = 0
        return content

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, piece by piece."""
        while self.left:
            piece = await self._reader.read(min(_PIECE, self.left))
            if not piece:
                raise EOFError(f"{self.left} bytes missing")
            self.left -= len(piece)
            yield piece


class DeviceHttp:
    """A bounded set of connections to one server, shared by many devices."""

    def __init__(self, url: str, connections_max: int = 200) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._authority = parts.netloc
        self._idle: list[Stream] = []
        self._all: set[Stream] = set()
        self._turns = asyncio.Semaphore(connections_max)
        self.requests = 0
        self.connections = 0

    @asynccontextmanager
    async def ask(
        self, method: str, target: str, headers: dict[str, str], body: bytes = b""
    ) -> AsyncIterator[Answer]:
        """Send one request; read the answer inside the block. What is left unread cuts the line."""
        path = target if target.startswith("/") else _path(target)
        request = self._head(method, path, headers, body) + body
        async with self._turns:
            self.requests += 1
            stream, answer = await self._exchange(request, method)
            finished = False
            try:
                yield answer
                finished = not answer.left and answer.headers.get("connection") != "close"
            finally:
                if finished:
                    self._idle.append(stream)
                else:
                    self._drop(stream)

    def _head(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._authority}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines.append("Content-Type: application/json")
        if body or method in ("PUT", "POST"):
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    async def _exchange(self, request: bytes, method: str) -> tuple[Stream, Answer]:
        kept = bool(self._idle)
        stream = self._idle.pop() if kept else await self._open()
        try:
            return stream, await self._once(stream, request, method)
        except (OSError, EOFError):
            self._drop(stream)
            if not kept:
                raise
        # The kept line ended while idle; every request of this protocol may be repeated.
        fresh = await self._open()
        return fresh, await self._once(fresh, request, method)

    async def _open(self) -> Stream:
        self.connections += 1
        stream = await asyncio.open_connection(self._host, self._port, limit=_HEAD_BYTES_MAX)
        self._all.add(stream)
        return stream

    def _drop(self, stream: Stream) -> None:
        # It stays in the set, so that `close` waits until its transport has really ended.
        stream[1].close()
        self._all = {held for held in self._all if not held[1].is_closing() or held is stream}

    async def _once(self, stream: Stream, request: bytes, method: str) -> Answer:
        reader, writer = stream
        writer.write(request)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        answer = Answer(int(first.split(" ")[1]), headers, reader)
        if method == "HEAD":
            answer.left = 0
        return answer

    async def close(self) -> None:
        """Close every connection and wait until it is closed."""
        for _, writer in self._all:
            writer.close()
        waits = (writer.wait_closed() for _, writer in self._all)
        await asyncio.gather(*waits, return_exceptions=True)
        self._all.clear()
        self._idle.clear()


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
