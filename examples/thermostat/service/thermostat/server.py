"""A small HTTP/1.1 server: keep-alive, bounded requests, an orderly stop.

Rules: a request is at most 16 KiB of head and 64 KiB of body, and arrives within 30 seconds; a
connection may idle for 75. After `stop` no new connection is taken, requests under way are
answered with `Connection: close`, idle connections are closed. Not done: TLS, chunked bodies.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from thermostat.problem import Problem, shown

HEAD_BYTES_MAX = 16 * 1024
BODY_BYTES_MAX = 64 * 1024
REQUEST_SECONDS_MAX = 30
IDLE_SECONDS_MAX = 75
PHRASES = {200: "OK", 201: "Created", 400: "Bad Request", 404: "Not Found", 409: "Conflict"}


@dataclass(frozen=True)
class Request:
    """One request, read completely."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, object]:
        """The body as a JSON object. Raises `Problem` 400."""
        try:
            content = json.loads(self.body)
        except ValueError as error:
            raise Problem(400, "body.json", "a JSON object", str(error), "send JSON") from None
        if not isinstance(content, dict):
            raise Problem(400, "body.json", "a JSON object", shown(content), "send an object")
        return content


Answer = tuple[int, dict[str, object]]
Answerer = Callable[[Request], Awaitable[Answer]]


class Server:
    """Serves one listener: `unix:PATH` or `tcp:HOST:PORT`."""

    def __init__(self, answer: Answerer) -> None:
        self._answer = answer
        self._stopping = False
        self._idle: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    async def start(self, listen: str) -> str:
        """Listen; return the address, with the port the system chose for port 0."""
        scheme, _, rest = listen.partition(":")
        if scheme == "unix" and rest:
            Path(rest).unlink(missing_ok=True)
            self._listener = await asyncio.start_unix_server(
                self._serve, rest, limit=HEAD_BYTES_MAX
            )
            return listen
        host, _, port = rest.rpartition(":")
        if scheme != "tcp" or not host or not port.isdigit():
            raise ValueError(f"--listen: expected unix:PATH or tcp:HOST:PORT, found {listen!r}")
        self._listener = await asyncio.start_server(
            self._serve, host, int(port), limit=HEAD_BYTES_MAX
        )
        return f"tcp:{host}:{self._listener.sockets[0].getsockname()[1]}"

    async def stop(self, grace_seconds: float) -> None:
        """Stop as the module says; after the grace what is still open is cut off."""
        self._stopping = True
        if self._listener is not None:
            self._listener.close()
        for writer in self._idle:
            writer.close()
        if self._open:
            _, late = await asyncio.wait(self._open, timeout=grace_seconds)
            for task in late:
                task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass  # The client left or fell silent: nothing was promised to it.
        finally:
            self._open.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False when the connection must end."""
        self._idle.add(writer)
        try:
            first = await asyncio.wait_for(reader.read(1), IDLE_SECONDS_MAX)
        finally:
            self._idle.discard(writer)
        if not first:
            return False
        keep = False
        try:
            async with asyncio.timeout(REQUEST_SECONDS_MAX):
                request = await _request(first, reader, writer)
            keep = request.headers.get("connection", "").lower() != "close"
            status, content = await self._answered(request)
        except Problem as problem:  # A request that cannot be read leaves the stream unusable.
            status, content = problem.status, problem.body()
        keep = keep and not self._stopping
        writer.write(_encoded(status, content, keep))
        await writer.drain()
        return keep

    async def _answered(self, request: Request) -> Answer:
        try:
            return await self._answer(request)
        except Problem as problem:
            return problem.status, problem.body()
        except Exception as error:  # noqa: BLE001 - the connection's last line of defence
            print(f"{request.method} {request.path}: {error!r}", file=sys.stderr, flush=True)
            problem = Problem(500, "service.fault", "an answer", "a fault", "see the service's log")
            return problem.status, problem.body()


async def _request(
    first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Request:
    try:
        head = first + await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise Problem(
            431, "head.size", f"at most {HEAD_BYTES_MAX} bytes", "more", "send fewer headers"
        ) from None
    first_line, *lines = head[:-4].decode("latin-1").split("\r\n")
    words = first_line.split(" ")
    if len(words) != 3 or words[2] != "HTTP/1.1":
        raise Problem(400, "head.line", "METHOD PATH HTTP/1.1", shown(first_line), "use HTTP/1.1")
    headers = dict(_header(line) for line in lines)
    length = _length(headers)
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return Request(words[0], words[1].partition("?")[0], headers, await reader.readexactly(length))


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name or name != name.strip():
        raise Problem(400, "head.header", "Name: value", shown(line), "correct the header")
    return name.lower(), value.strip()


def _length(headers: dict[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise Problem(411, "body.length", "Content-Length", "Transfer-Encoding", "send a length")
    text = headers.get("content-length", "0")
    if not text.isascii() or not text.isdigit():
        raise Problem(400, "body.length", "a number of bytes", shown(text), "correct the header")
    if len(text) > 9 or int(text) > BODY_BYTES_MAX:
        raise Problem(413, "body.size", f"at most {BODY_BYTES_MAX} bytes", text, "send less")
    return int(text)


def _encoded(status: int, content: dict[str, object], keep: bool) -> bytes:
    body = json.dumps(content).encode()
    head = (
        f"HTTP/1.1 {status} {PHRASES.get(status, 'Answer')}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
    )
    return head.encode() + body
