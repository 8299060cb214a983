"""A burst: every device sends many reports within a moment, without waiting for the answers.

Keeps: real sockets, one a device, a bounded number at a time. Does not: look whether the reports
were kept; the caller does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import NamedTuple

from surefoot.testing.device_door import token_of

REPORTS = 25
SECONDS = 0.1
_SOCKETS_MAX = 400


class Burst(NamedTuple):
    """Reports sent, and those answered with 200."""

    sent: int
    taken: int


def run_burst(url: str, environment: str, devices: Sequence[tuple[str, int]]) -> Burst:
    """25 reports in 0.1 s from each device, given with its open action."""
    return asyncio.run(_burst(url, environment, devices))


async def _burst(url: str, environment: str, devices: Sequence[tuple[str, int]]) -> Burst:
    turns = asyncio.Semaphore(_SOCKETS_MAX)

    async def one(device: str, action: int) -> int:
        async with turns:
            return await _of_one(url, environment, device, action)

    taken = await asyncio.gather(*(one(device, action) for device, action in devices))
    return Burst(len(devices) * REPORTS, sum(taken))


async def _of_one(url: str, environment: str, device: str, action: int) -> int:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    taken = 0
    try:
        for number in range(REPORTS):
            writer.write(_report(environment, device, action, f"step {number}"))
            await asyncio.sleep(SECONDS / REPORTS)
        for _ in range(REPORTS):
            head = await reader.readuntil(b"\r\n\r\n")
            taken += head.startswith(b"HTTP/1.1 200")
    except (OSError, EOFError):
        return taken
    finally:
        writer.close()
    return taken


def _report(environment: str, device: str, action: int, detail: str) -> bytes:
    """One feedback as a client sends it."""
    status = {"execution": "proceeding", "result": {"finished": "none"}, "details": [detail]}
    body = json.dumps({"id": str(action), "status": status}).encode()
    path = f"/{environment}/controller/v1/{device}/deploymentBase/{action}/feedback"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: door\r\nAuthorization: TargetToken {token_of(device)}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
