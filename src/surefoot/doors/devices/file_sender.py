"""A file's bytes straight from the kernel to a device's socket, beside uvicorn's transport.

Keeps: nothing is written before the transport's own buffer is empty, so the order of bytes on the
line holds; a slow device slows its own download only, and one that takes nothing for five minutes
is given up. The application finds it under `EXTENSION` in its scope; over TLS it is not there.
Does not: know ranges, or files by name. Source: sendfile(2).
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

EXTENSION = "surefoot.sendfile"
STALL_SECONDS_MAX = 300.0
_PIECE_BYTES = 1024 * 1024
_TURN_BYTES = 8 * _PIECE_BYTES
_LOOK_AGAIN_SECONDS = 0.001


class Gone(Exception):
    """The device went away, or took nothing for too long; the connection is closed."""


class FileSender:
    """Sends parts of open files as the body of one answer."""

    def __init__(self, transport: Any, cycle: Any, stall_seconds_max: float) -> None:
        self._transport = transport
        self._cycle = cycle
        self._stall_seconds_max = stall_seconds_max

    async def __call__(self, file: int, start: int, end: int) -> None:
        """Send bytes `start` to `end` of an open file. Raises `Gone`."""
        try:
            await self._drained()
            # A descriptor of its own: the loop watches one for the transport already.
            line = os.dup(self._transport.get_extra_info("socket").fileno())
            try:
                await self._send(line, file, start, end)
            finally:
                os.close(line)
        except (OSError, TimeoutError):
            self._cycle.disconnected = True
            self._transport.abort()
            raise Gone from None
        self._cycle.expected_content_length -= end - start

    async def _drained(self) -> None:
        """What was written before, the head of the answer, goes first."""
        async with asyncio.timeout(self._stall_seconds_max):
            pause = 0.0
            while self._transport.get_write_buffer_size():
                await asyncio.sleep(pause)
                pause = _LOOK_AGAIN_SECONDS

    async def _send(self, line: int, file: int, start: int, end: int) -> None:
        turn = start + _TURN_BYTES
        while start < end:
            if self._transport.is_closing():
                raise ConnectionAbortedError
            try:
                sent = os.sendfile(line, file, start, min(end - start, _PIECE_BYTES))
            except BlockingIOError:
                await self._writable(line)
                continue
            if not sent:
                raise OSError("the file is shorter than it was")
            start += sent
            if start >= turn:
                turn = start + _TURN_BYTES
                await asyncio.sleep(0)

    async def _writable(self, line: int) -> None:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_writer(line, _settle, ready, None)
        # Dearer means would cost a tenth of the throughput: this is asked for each full buffer.
        stalled = loop.call_later(self._stall_seconds_max, _settle, ready, TimeoutError())
        try:
            await ready
        finally:
            stalled.cancel()
            loop.remove_writer(line)


def _settle(ready: asyncio.Future[None], error: Exception | None) -> None:
    if ready.done():
        return
    if error is not None:
        ready.set_exception(error)
    else:
        ready.set_result(None)
