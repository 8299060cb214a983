"""The waits and sizes that bound every client, and the keeper's own short answers."""

from __future__ import annotations

from typing import NamedTuple

_PHRASES = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class Limits(NamedTuple):
    """Waits in seconds, sizes in bytes, `clients_max` open client connections."""

    head_seconds: float = 10.0
    idle_seconds: float = 75.0
    body_seconds: float = 30.0
    answer_seconds: float = 60.0
    hold_seconds: float = 10.0
    write_seconds: float = 60.0
    linger_seconds: float = 2.0
    clients_max: int = 4000
    body_bytes_max: int = 4 * 1024**3


def own_answer(status: int, reason: str, bodiless: bool) -> bytes:
    """A complete answer of the keeper's own; the connection closes after it."""
    body = f"{reason}\n".encode()
    again = "Retry-After: 1\r\n" if status == 503 else ""
    head = (
        f"HTTP/1.1 {status} {_PHRASES[status]}\r\nContent-Type: text/plain\r\n{again}"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if bodiless else body)
