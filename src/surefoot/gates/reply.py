"""Reads one HTTP/1.1 answer from its bytes, bounded, keeping nothing but the status.

Does not: decode bodies or follow anything. Source: RFC 9112, sections 4, 6 and 7.
"""

from __future__ import annotations

HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 64 * 1024 * 1024


class BadReply(ValueError):
    """The bytes are no HTTP/1.1 answer, or one that is too large."""


class Reply:
    """One answer. Feed it until `whole`; an answer without a length ends with the connection."""

    def __init__(self, *, head_only: bool = False) -> None:
        self.status = 0
        self.whole = False
        self.keeps_open = True
        self.begun = False
        self._head_only = head_only
        self._buffer = bytearray()
        self._in_head = True
        self._left = 0
        self._chunked = False
        self._trailer = False
        self._until_close = False
        self._body_bytes = 0

    def feed(self, content: bytes) -> None:
        """Take bytes. Raises `BadReply`."""
        self.begun = True
        self._buffer += content
        if self._in_head and not self._head():
            return
        if self._chunked:
            self._chunks()
        else:
            self._count(len(self._buffer))
            if not self._until_close:
                if len(self._buffer) > self._left:
                    raise BadReply("more than was announced")
                self._left -= len(self._buffer)
                self.whole = self._left == 0
            self._buffer.clear()

    def closed(self) -> None:
        """The other side has closed the connection."""
        if self._until_close and not self._in_head:
            self.whole = True
        self.keeps_open = False

    def _head(self) -> bool:
        """Read the head, if it is there; passes over heads of the kind 1xx."""
        while self._in_head:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0 or end > HEAD_BYTES_MAX:
                if len(self._buffer) > HEAD_BYTES_MAX:
                    raise BadReply("a head without an end")
                return False
            lines = bytes(self._buffer[:end]).split(b"\r\n")
            del self._buffer[: end + 4]
            words = lines[0].split(b" ", 2)
            if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
                raise BadReply("not an HTTP/1 answer")
            self.status = int(words[1])
            if len(words[1]) != 3:
                raise BadReply("not an HTTP status")
            if self.status >= 200:
                self._in_head = False
                self._body(words[0], lines[1:])
        return True

    def _body(self, version: bytes, lines: list[bytes]) -> None:
        headers: dict[bytes, bytes] = {}
        for line in lines:
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip().lower()
        connection = headers.get(b"connection", b"")
        self.keeps_open = b"close" not in connection and (
            version == b"HTTP/1.1" or b"keep-alive" in connection
        )
        length = headers.get(b"content-length")
        if self._head_only or self.status in (204, 304):
            self._left = 0
        elif b"chunked" in headers.get(b"transfer-encoding", b""):
            self._chunked = True
        elif length is not None:
            if not length.isdigit() or len(length) > 12:
                raise BadReply("a length that is no number")
            self._left = int(length)
        else:
            self._until_close, self.keeps_open = True, False

    def _chunks(self) -> None:
        while True:
            if self._left:
                taken = min(self._left, len(self._buffer))
                del self._buffer[:taken]
                self._left -= taken
                self._count(taken)
                if self._left:
                    return
            end = self._buffer.find(b"\r\n")
            if end < 0:
                if len(self._buffer) > HEAD_BYTES_MAX:
                    raise BadReply("a line without an end")
                return
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 2]
            if self._trailer:
                if not line:
                    self.whole = True
                    return
                continue
            size = _chunk_size(line)
            self._trailer = size == 0
            self._left = size + 2 if size else 0

    def _count(self, size_bytes: int) -> None:
        self._body_bytes += size_bytes
        if self._body_bytes > BODY_BYTES_MAX:
            raise BadReply(f"a body of more than {BODY_BYTES_MAX} bytes")


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    try:
        size = int(digits, 16) if 0 < len(digits) <= 8 else -1
    except ValueError:
        size = -1
    if size < 0:
        raise BadReply("a chunk without a size")
    return size
