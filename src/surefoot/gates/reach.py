"""Short, bounded looks at an address: one HTTP request, one TCP connection.

Rules: only loopback addresses and those declared are reached; no redirect is followed; the whole
look ends by its deadline, however slowly the other side answers; bodies are bounded.
Does not: judge.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import threading
import time
from collections.abc import Collection
from contextlib import suppress

import msgspec

BODY_BYTES_MAX = 1024 * 1024
_CHUNK_BYTES = 64 * 1024


class NotAllowed(ValueError):
    """The address is neither loopback nor declared."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. `trouble` says why nothing whole did; `status` 0 then means none."""

    status: int = 0
    body: bytes = b""
    milliseconds: int = 0
    trouble: str = ""


def split_endpoint(endpoint: str, allowed: Collection[str]) -> tuple[str, int]:
    """Host and port of `host:port`. Raises `NotAllowed`."""
    host, _, port = endpoint.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65_535:
        raise NotAllowed(f"{endpoint[:80]!r} is not host:port")
    if endpoint in allowed:
        return host, int(port)
    with suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return host, int(port)
    raise NotAllowed(f"{endpoint[:80]!r} is neither loopback nor declared")


def get(endpoint: tuple[str, int], path: str, timeout_seconds: float) -> Look:
    """One GET over plain HTTP."""
    started = time.monotonic()
    connection = http.client.HTTPConnection(*endpoint, timeout=timeout_seconds)
    # Socket timeouts bound each read, not their sum: the timer ends a body that drips.
    late = threading.Event()
    timer = threading.Timer(timeout_seconds, _cut, (connection, late))
    timer.daemon = True
    timer.start()
    try:
        connection.request("GET", path, headers={"User-Agent": "surefoot-smoke"})
        response = connection.getresponse()
        body, trouble = _body(response)
        if late.is_set():
            trouble = "no whole answer in time"
        look = Look(status=response.status, body=body, trouble=trouble)
    except (OSError, http.client.HTTPException, ValueError) as error:
        in_time = not late.is_set() and not isinstance(error, TimeoutError)
        look = Look(trouble=_words(error) if in_time else "no whole answer in time")
    finally:
        timer.cancel()
        connection.close()
    return msgspec.structs.replace(look, milliseconds=_since(started))


def connect(endpoint: tuple[str, int], timeout_seconds: float) -> Look:
    """One TCP connection, closed at once."""
    started = time.monotonic()
    try:
        socket.create_connection(endpoint, timeout_seconds).close()
    except OSError as error:
        return Look(trouble=_words(error), milliseconds=_since(started))
    return Look(milliseconds=_since(started))


def _body(response: http.client.HTTPResponse) -> tuple[bytes, str]:
    held = bytearray()
    while chunk := response.read(_CHUNK_BYTES):
        held += chunk
        if len(held) > BODY_BYTES_MAX:
            return b"", f"the body is larger than {BODY_BYTES_MAX} bytes"
    if response.length:
        return b"", "the body was cut short"
    return bytes(held), ""


def _cut(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    # Said before the cut, so that the reader who sees the cut knows whose it was.
    late.set()
    held = connection.sock
    if held is not None:
        with suppress(OSError):
            held.shutdown(socket.SHUT_RDWR)


def _since(started: float) -> int:
    return int((time.monotonic() - started) * 1000)


def _words(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"not an HTTP answer ({type(error).__name__})"
