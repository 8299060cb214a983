"""Request and response heads of HTTP/1.1, read strictly and written anew.

Keeps: one reading only. What two programs could read differently (a bare line feed, a folded
line, a space before the colon, two lengths, a length beside chunks) is refused, never repaired
(RFC 9112 sections 2.2, 5.1, 5.2, 6.3). Hop-by-hop fields end here (RFC 9110 section 7.6.1), and
what a client says about forwarding is replaced, not extended.
Does not: read bodies, hold connections.
"""

from __future__ import annotations

import re
from typing import NamedTuple

HEAD_BYTES_MAX = 32 * 1024
FIELDS_MAX = 100
TARGET_BYTES_MAX = 8 * 1024

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/1\.([01])")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: [^\x00-\x08\x0a-\x1f\x7f]*)?")
_FIELDS = re.compile(rb"(?:" + _TOKEN + rb":[^\x00-\x08\x0a-\x1f\x7f]*\r\n)*")
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_ABSOLUTE = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?#]*)([^#]*)")

_HOP = frozenset(
    b"connection keep-alive proxy-connection te trailer upgrade transfer-encoding content-length"
    b" proxy-authenticate proxy-authorization".split()
)
_REPLACED = frozenset((b"host", b"forwarded", b"x-real-ip"))


class Bad(Exception):
    """A head that is refused: the status to answer with, and the reason in words."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Request(NamedTuple):
    """A request head. `length` is the body's bytes, -1 when chunked; `kept` are whole lines."""

    method: bytes
    target: bytes
    host: bytes
    kept: tuple[bytes, ...]
    length: int
    keep_alive: bool
    modern: bool
    expects: bool
    websocket: bool


class Response(NamedTuple):
    """A response head. `length` -1 means chunked, -2 means until the connection closes."""

    status: int
    line: bytes
    kept: tuple[bytes, ...]
    length: int
    keep_alive: bool


def parse_request(head: bytes) -> Request:
    """Read a head without its final empty line, ending in CRLF. Raises `Bad`."""
    line, _, block = head.partition(b"\r\n")
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        raise Bad(400, "the request line is not HTTP/1.1")
    method, target, minor = found.groups()
    if len(target) > TARGET_BYTES_MAX:
        raise Bad(414, f"the target is longer than {TARGET_BYTES_MAX} bytes")
    special, kept = _split(block, 431)
    modern = minor == b"1"
    target, host = _target_and_host(method, target, special.get(b"host"), modern)
    options = _options(special)
    length = _length(special, modern)
    upgrades = [value.lower() for value in special.get(b"upgrade", [])]
    return Request(
        method=method,
        target=target,
        host=host,
        kept=_without(kept, options),
        length=0 if length is None else length,
        keep_alive=modern and b"close" not in options,
        modern=modern,
        expects=any(value.lower() == b"100-continue" for value in special.get(b"expect", [])),
        websocket=(
            modern
            and upgrades == [b"websocket"]
            and b"upgrade" in options
            and method == b"GET"
            and length is None
        ),
    )


def parse_response(head: bytes, method: bytes) -> Response:
    """Read a service's head, ending in CRLF; `method` is what was asked. Raises `Bad`."""
    line, _, block = head.partition(b"\r\n")
    found = _STATUS_LINE.fullmatch(line)
    if found is None:
        raise Bad(502, "the status line is not HTTP/1.1")
    status = int(found.group(2))
    special, kept = _split(block, 502)
    options = _options(special)
    modern = found.group(1) == b"1"
    try:
        length = _length(special, modern)
    except Bad as bad:
        raise Bad(502, bad.reason) from None
    bodiless = method == b"HEAD" or status < 200 or status in (204, 304)
    declared = special.get(b"content-length")
    if bodiless and declared and status >= 200 and status != 204:
        kept.append(b"Content-Length: " + declared[0])
    return Response(
        status=status,
        line=b"HTTP/1.1" + line[8:],
        kept=_without(kept, options),
        length=0 if bodiless else (-2 if length is None else length),
        keep_alive=modern and b"close" not in options,
    )


def forwarded(request: Request, peer: bytes) -> bytes:
    """The head to send to the service: same meaning, client address set by us."""
    quoted = b'"[' + peer + b']"' if b":" in peer else peer
    parts = [
        request.method + b" " + request.target + b" HTTP/1.1\r\nHost: " + request.host,
        *request.kept,
        b"X-Forwarded-For: " + peer,
        b"X-Forwarded-Proto: http",
        b"X-Forwarded-Host: " + request.host,
        b"Forwarded: for=" + quoted + b';host="' + request.host + b'";proto=http',
    ]
    if request.expects:
        parts.append(b"Expect: 100-continue")
    if request.length == -1:
        parts.append(b"Transfer-Encoding: chunked")
    elif request.length or request.method in (b"POST", b"PUT", b"PATCH"):
        parts.append(b"Content-Length: %d" % request.length)
    if request.websocket:
        parts.append(b"Connection: Upgrade\r\nUpgrade: websocket")
    return b"\r\n".join(parts) + b"\r\n\r\n"


def answered(response: Response, *, chunked: bool, close: bool) -> bytes:
    """The head to send to the client."""
    parts = [response.line, *response.kept]
    if chunked:
        parts.append(b"Transfer-Encoding: chunked")
    elif response.length > 0 or (response.length == 0 and _says_nothing(response)):
        parts.append(b"Content-Length: %d" % response.length)
    if response.status == 101:
        parts.append(b"Connection: Upgrade\r\nUpgrade: websocket")
    elif close:
        parts.append(b"Connection: close")
    return b"\r\n".join(parts) + b"\r\n\r\n"


def _says_nothing(response: Response) -> bool:
    """True for a response with an empty body whose head must still say so."""
    if response.status < 200 or response.status in (204, 304):
        return False
    return not any(line.startswith(b"Content-Length: ") for line in response.kept)


def _split(block: bytes, too_many: int) -> tuple[dict[bytes, list[bytes]], list[bytes]]:
    if _FIELDS.fullmatch(block) is None:
        raise Bad(400 if too_many == 431 else 502, "a header line is malformed")
    lines = block.split(b"\r\n")[:-1]
    if len(lines) > FIELDS_MAX:
        raise Bad(too_many, f"more than {FIELDS_MAX} header lines")
    special: dict[bytes, list[bytes]] = {}
    kept: list[bytes] = []
    for line in lines:
        name, _, value = line.partition(b":")
        key = name.lower()
        if b"_" in key:
            # A gateway of the CGI family reads X_Forwarded_For as X-Forwarded-For.
            if _is_ours(key.replace(b"_", b"-")):
                continue
        elif _is_ours(key):
            special.setdefault(key, []).append(value.strip(b" \t"))
            continue
        kept.append(line)
    return special, kept


def _is_ours(key: bytes) -> bool:
    return key in _HOP or key in _REPLACED or key == b"expect" or key.startswith(b"x-forwarded-")


def _options(special: dict[bytes, list[bytes]]) -> frozenset[bytes]:
    values = special.get(b"connection")
    if not values:
        return frozenset()
    return frozenset(part.strip(b" \t").lower() for value in values for part in value.split(b","))


def _without(kept: list[bytes], options: frozenset[bytes]) -> tuple[bytes, ...]:
    """Leave out the lines that the Connection field names as its own."""
    named = options - {b"close", b"keep-alive", b"upgrade", b""}
    if not named:
        return tuple(kept)
    return tuple(line for line in kept if line.partition(b":")[0].lower() not in named)


def _length(special: dict[bytes, list[bytes]], modern: bool) -> int | None:
    """Body length in bytes, -1 for chunked, None when nothing is said. Raises `Bad`."""
    lengths = special.get(b"content-length")
    codings = special.get(b"transfer-encoding")
    if codings is not None:
        if lengths is not None:
            raise Bad(400, "both Content-Length and Transfer-Encoding")
        if not modern:
            raise Bad(400, "Transfer-Encoding in HTTP/1.0")
        if len(codings) != 1 or codings[0].lower() != b"chunked":
            raise Bad(501, "a transfer coding other than chunked")
        return -1
    if lengths is None:
        return None
    if len(lengths) != 1 or _LENGTH.fullmatch(lengths[0]) is None:
        raise Bad(400, "Content-Length is not one decimal number")
    return int(lengths[0])


def _target_and_host(
    method: bytes, target: bytes, hosts: list[bytes] | None, modern: bool
) -> tuple[bytes, bytes]:
    if hosts is not None and len(hosts) != 1:
        raise Bad(400, "more than one Host")
    if hosts is None and modern:
        raise Bad(400, "no Host")
    host = hosts[0] if hosts else b""
    if method == b"CONNECT":
        raise Bad(501, "CONNECT is not offered")
    if target[:1] != b"/" and not (target == b"*" and method == b"OPTIONS"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            raise Bad(400, "the target is neither a path nor an absolute address")
        host, path = absolute.groups()
        target = path if path[:1] == b"/" else b"/" + path
    if len(host) > 255 or _HOST.fullmatch(host) is None:
        raise Bad(400, "Host is malformed")
    return target, host
