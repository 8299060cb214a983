"""An image as an answer: whole or in ranges, from this machine's disk or by nginx in front.

Keeps: the ETag is the image's SHA-1, known without reading the file; no range writes a row; a range
asked for is never answered with the whole file unless `If-Range` names another; however many
download, each is slowed and none refused. Does not: choose the image.
Source: RFC 9110, 13 and 14; nginx, X-Accel-Redirect.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from email.utils import formatdate
from pathlib import PurePath
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from surefoot.core.offer import Firmware, Image
from surefoot.doors.devices.asked import spans_of
from surefoot.doors.devices.file_sender import EXTENSION, Gone

_PIECE_BYTES = 1024 * 1024
_TYPE = "application/octet-stream"


class ImageResponse(Response):
    """Head, and then pieces of the file between what stands before and after each."""

    media_type = _TYPE

    def __init__(self, file: int, status: int, parts: Sequence[bytes | tuple[int, int]]) -> None:
        super().__init__(status_code=status)
        self._file = file
        self._parts = parts
        length = sum(len(p) if isinstance(p, bytes) else p[1] - p[0] for p in parts)
        self.headers["content-length"] = str(length)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; the file is closed at the end, whatever the end is."""
        start = {"type": "http.response.start", "status": self.status_code}
        try:
            await send({**start, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                for part in self._parts:
                    await self._send_part(scope, send, part)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except Gone:
            return
        finally:
            os.close(self._file)

    async def _send_part(self, scope: Scope, send: Send, part: bytes | tuple[int, int]) -> None:
        if isinstance(part, bytes):
            await send({"type": "http.response.body", "body": part, "more_body": True})
            return
        begin, end = part
        by_kernel = scope.get("extensions", {}).get(EXTENSION)
        if by_kernel is not None:
            await by_kernel(self._file, begin, end)
            return
        while begin < end:
            count = min(end - begin, _PIECE_BYTES)
            piece = await asyncio.to_thread(os.pread, self._file, count, begin)
            if not piece:
                raise OSError("the image's file is shorter than it was")
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            begin += len(piece)


def etag_of(firmware: Firmware) -> str:
    """The image's entity tag: the same for as long as its bytes are."""
    return f'"{firmware.sha1}"'


def image_response(
    request: Request, image: Image, ranges: Sequence[tuple[str, str]], accel: str
) -> Response:
    """The image, or the ranges of it. 412 when If-Match names another, 416 past the end."""
    named = {
        "etag": etag_of(image.firmware),
        "accept-ranges": "bytes",
        "content-disposition": _disposition(image.firmware.file),
        "x-content-type-options": "nosniff",
    }
    if accel:
        # nginx reads the rest of the request itself: ranges, conditions, HEAD.
        place = "/".join(PurePath(image.path).parts[-3:])
        named["x-accel-redirect"] = f"{accel.rstrip('/')}/{place}"
        return Response(status_code=200, headers=named, media_type=_TYPE)
    if not matches(request.headers.get("if-match"), named["etag"]):
        return Response(status_code=412, headers={"etag": named["etag"]})
    file = os.open(image.path, os.O_RDONLY | os.O_CLOEXEC)
    found = os.fstat(file)
    named["last-modified"] = formatdate(found.st_mtime, usegmt=True)
    held = request.headers.get("if-range")
    if held not in (None, named["etag"], named["last-modified"]) or request.method == "HEAD":
        ranges = []
    response = _whole_or_part(file, found.st_size, ranges, named["etag"])
    response.headers.update(named)
    return response


def _whole_or_part(file: int, size: int, ranges: Sequence[tuple[str, str]], etag: str) -> Response:
    if not ranges:
        return ImageResponse(file, 200, [(0, size)])
    spans = spans_of(ranges, size)
    if not spans:
        os.close(file)
        return Response(status_code=416, headers={"content-range": f"bytes */{size}"})
    if len(spans) == 1:
        begin, end = spans[0]
        response = ImageResponse(file, 206, spans)
        response.headers["content-range"] = f"bytes {begin}-{end - 1}/{size}"
        return response
    boundary = hashlib.blake2b(f"{etag} {spans}".encode(), digest_size=16).hexdigest()
    parts: list[bytes | tuple[int, int]] = []
    for begin, end in spans:
        head = f"--{boundary}\r\nContent-Type: {_TYPE}\r\n"
        head += f"Content-Range: bytes {begin}-{end - 1}/{size}\r\n\r\n"
        parts += [head.encode(), (begin, end), b"\r\n"]
    response = ImageResponse(file, 206, [*parts, f"--{boundary}--\r\n".encode()])
    response.headers["content-type"] = f"multipart/byteranges; boundary={boundary}"
    return response


def matches(wanted: str | None, etag: str) -> bool:
    """Whether If-Match lets a request through; without the header all do."""
    if wanted in (None, "*"):
        return True
    return etag in [each.strip() for each in str(wanted)[:1000].split(",")]


def _disposition(file: str) -> str:
    plain = quote(file)
    return (
        f'attachment; filename="{file}"'
        if plain == file
        else f"attachment; filename*=utf-8''{plain}"
    )
