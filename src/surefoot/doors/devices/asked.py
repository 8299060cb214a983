"""What a DDI request says before its body: the device's own address, the action, how many messages.

Keeps: a number that is no action's is 0, which no device has; only a well-formed Host header
becomes part of a link. Does not: decide who may speak.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

from starlette.requests import Request

from surefoot.core.errors import Refused
from surefoot.core.offer import ACTION_MAX

HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_MESSAGES_MAX = 50
_RANGE = re.compile(r"([0-9]{0,18})-([0-9]{0,18})")
_RANGE_LENGTH_MAX = 2_000
_RANGES_MAX = 100


def root_of(request: Request) -> str:
    """The device's own address, as it wrote it: host, scheme and spelling of the tenant."""
    host = request.headers.get("host", "")
    if not HOST.fullmatch(host):
        raise Refused(
            "device.host.input",
            "request",
            expected="a Host header with a name or address",
            found=repr(host[:80]),
            remedy="send the server's address as the Host header",
        )
    tenant = quote(request.path_params["tenant"], safe="")
    device = quote(request.path_params["device"], safe="")
    return f"{request.url.scheme}://{host}/{tenant}/controller/v1/{device}"


def action_of(request: Request) -> int:
    """The action of the path; 0, which no device has, when it is not a number of one."""
    text = request.path_params["action"]
    plain = text.isascii() and text.isdecimal() and len(text) <= 10
    return int(text) if plain and int(text) <= ACTION_MAX else 0


def messages_of(request: Request) -> int:
    """How many messages are asked for: at most 50, none by default, all for less than 0."""
    text = request.query_params.get("actionHistory", "0")
    if text.startswith("-") and text[1:].isdecimal():
        return _MESSAGES_MAX
    return min(int(text[:6]), _MESSAGES_MAX) if text.isascii() and text.isdecimal() else 0


def ranges_of(text: str | None) -> list[tuple[str, str]]:
    """The pairs of a Range header, as text; none without it.

    Raises `Refused` for a header that is none: clients fail on a 200 to a range they asked for.
    """
    if text is None:
        return []
    parts = [_RANGE.fullmatch(part.strip()) for part in text.partition("=")[2].split(",")]
    pairs = [(part[1], part[2]) for part in parts if part is not None]
    fine = text.startswith("bytes=") and len(text) <= _RANGE_LENGTH_MAX
    fine = fine and len(pairs) == len(parts) <= _RANGES_MAX
    if not fine or any(not (first or last) or _falls(first, last) for first, last in pairs):
        raise Refused(
            "device.range.input",
            "Range header",
            expected=f"bytes=FROM-TO, with one of them or both, rising; at most {_RANGES_MAX}",
            found=repr(text[:60]),
            remedy="ask for the whole file, or for a range of it",
        )
    return pairs


def spans_of(pairs: Sequence[tuple[str, str]], size: int) -> list[tuple[int, int]]:
    """Where the ranges lie in a file of `size` bytes, end exclusive: rising, none touching another.

    Empty when no range has a byte of it. Source: RFC 9110, 14.1.2 and 15.3.7.2.
    """
    found: list[tuple[int, int]] = []
    for first, last in pairs:
        start = int(first) if first else max(size - int(last), 0)
        end = min(int(last) + 1, size) if first and last else size
        if start < end:
            found.append((start, end))
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _falls(start: str, end: str) -> bool:
    return bool(start and end) and int(start) > int(end)


def no_action(request: Request) -> Refused:
    """The device has no such action."""
    return Refused(
        "device.action.unknown",
        f"action {request.path_params['action'][:20]!r}",
        expected="an action offered to this device",
        found="none of that number",
        remedy="poll again and follow the links",
    )


def ended(request: Request) -> Refused:
    """The action is not under way."""
    return Refused(
        "device.action.ended",
        f"action {request.path_params['action'][:20]}",
        expected="an action that is under way",
        found="one that has ended, or is not being cancelled",
        remedy="poll again",
    )
