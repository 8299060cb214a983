"""Bodies of HTTP/1.1 messages: where they end, and their bytes without the framing.

Keeps: chunks are decoded and framed anew, so no byte of one side's framing reaches the other;
chunk extensions and trailers end here (RFC 9112 section 7.1). Sizes and lines are bounded.
Does not: hold more than the bytes of one unfinished chunk-size line.
"""

from __future__ import annotations

import re

from surefoot.targets.keeper.heads import Bad

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_LINE_MAX = 1024
_TRAILER_BYTES_MAX = 8 * 1024


class Counted:
    """A body of a known length."""

    __slots__ = ("left",)

    def __init__(self, length: int) -> None:
        self.left = length

    def feed(self, arrived: bytes) -> tuple[bytes, bytes, bool]:
        """Payload, bytes after the body, and whether the body is complete."""
        if len(arrived) < self.left:
            self.left -= len(arrived)
            return arrived, b"", False
        payload, rest = arrived[: self.left], arrived[self.left :]
        self.left = 0
        return payload, rest, True


class UntilClose:
    """A response body that ends with the connection."""

    __slots__ = ()

    def feed(self, arrived: bytes) -> tuple[bytes, bytes, bool]:
        """Everything is payload; the end is told by the connection."""
        return arrived, b"", False


class Chunked:
    """A chunked body, decoded."""

    __slots__ = ("_held", "_left", "_phase", "_trailer")

    def __init__(self) -> None:
        self._held = b""
        self._left = 0
        self._phase = "size"
        self._trailer = 0

    def feed(self, arrived: bytes) -> tuple[bytes, bytes, bool]:
        """Payload, bytes after the body, and whether it is complete. Raises `Bad`."""
        data = self._held + arrived if self._held else arrived
        self._held = b""
        payload: list[bytes] = []
        while data:
            if self._phase == "payload":
                piece = data[: self._left]
                payload.append(piece)
                self._left -= len(piece)
                data = data[len(piece) :]
                if not self._left:
                    self._phase = "end"
                continue
            line, data, whole = self._line(data)
            if not whole:
                break
            if self._after(line):
                return b"".join(payload), data, True
        return b"".join(payload), b"", False

    def _line(self, data: bytes) -> tuple[bytes, bytes, bool]:
        end = data.find(b"\n", 0, _LINE_MAX + 2)
        if end < 0:
            if len(data) > _LINE_MAX:
                raise Bad(400, f"a chunk line is longer than {_LINE_MAX} bytes")
            self._held = data
            return b"", b"", False
        if end == 0 or data[end - 1] != 13:
            raise Bad(400, "a chunk line ends in a bare line feed")
        return data[: end - 1], data[end + 1 :], True

    def _after(self, line: bytes) -> bool:
        """Take one line of framing; True at the end of the body."""
        if self._phase == "end":
            if line:
                raise Bad(400, "a chunk is longer than its size")
            self._phase = "size"
            return False
        if self._phase == "trailer":
            self._trailer += len(line)
            if self._trailer > _TRAILER_BYTES_MAX:
                raise Bad(431, f"trailers are longer than {_TRAILER_BYTES_MAX} bytes")
            return not line
        found = _SIZE_LINE.fullmatch(line)
        if found is None:
            raise Bad(400, "a chunk size is malformed")
        self._left = int(found.group(1), 16)
        self._phase = "payload" if self._left else "trailer"
        return False


Body = Counted | Chunked | UntilClose


def body_of(length: int) -> Body:
    """The reader for a length as heads state it: bytes, -1 chunked, -2 until close."""
    if length == -1:
        return Chunked()
    if length == -2:
        return UntilClose()
    return Counted(length)


def chunk(payload: bytes) -> bytes:
    """One chunk on the wire."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


LAST_CHUNK = b"0\r\n\r\n"
