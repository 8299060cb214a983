"""One connection on which requests are said word by word, and answers read to their length.

Keeps: nothing is added to what the test says but Host and Content-Length, so a client's own headers
come in its own order, twice where it sends them twice. Does not: retry or follow.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import NamedTuple

_SECONDS = 90


class Answer(NamedTuple):
    """What came back. Names of headers are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Line:
    """A kept connection to `HOST:PORT`; use it as a context."""

    def __init__(self, netloc: str) -> None:
        self._netloc = netloc
        host, _, port = netloc.partition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=_SECONDS)
        self._held = b""

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, method: str, path: str, headers: Sequence[str] = (), body: str = "") -> Answer:
        """Say one request and hear its whole answer, after a 100 if there is one."""
        content = body.encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._netloc}", *headers]
        if content:
            lines.append(f"Content-Length: {len(content)}")
        self._socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        answer = self._heard(method)
        return self._heard(method) if answer.status == 100 else answer

    def _heard(self, method: str) -> Answer:
        head = self._until(b"\r\n\r\n").decode("latin-1")
        first, *rest = head.split("\r\n")
        pairs = [line.partition(": ") for line in rest if line]
        headers = {name.lower(): value for name, _, value in pairs}
        status = int(first.split()[1])
        bodiless = method == "HEAD" or status in (100, 204, 304)
        length = 0 if bodiless else int(headers["content-length"])
        while len(self._held) < length:
            self._held += self._more()
        body, self._held = self._held[:length], self._held[length:]
        return Answer(status, headers, body)

    def _until(self, end: bytes) -> bytes:
        while end not in self._held:
            self._held += self._more()
        found, _, self._held = self._held.partition(end)
        return found

    def _more(self) -> bytes:
        piece = self._socket.recv(65_536)
        if not piece:
            raise ConnectionError("the door closed the line")
        return piece
