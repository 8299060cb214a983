"""TLS up to the server's first messages, by hand: which version and suite it chooses, and why not.

A library would not offer what is old and broken; here only bytes are written and read, and no key
is ever agreed. Keeps: every read is bounded in bytes and by a deadline; what is no TLS is told
apart from a refusal. Source: RFC 8446 (sections 4.1, 4.2, 5.1), RFC 5246 (7.4), RFC 6066 (3).
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Literal

import msgspec

SSL3, TLS10, TLS11, TLS12, TLS13 = 0x0300, 0x0301, 0x0302, 0x0303, 0x0304
VERSIONS = {
    SSL3: "SSL 3.0",
    TLS10: "TLS 1.0",
    TLS11: "TLS 1.1",
    TLS12: "TLS 1.2",
    TLS13: "TLS 1.3",
}
Kind = Literal["hello", "refused", "closed", "late", "foreign"]

_ALERT, _HANDSHAKE = 21, 22
_SERVER_HELLO, _CERTIFICATE, _KEY_EXCHANGE, _DONE = 2, 11, 12, 14
_RECORD_BYTES_MAX = 16_384 + 2_048
_MESSAGES_BYTES_MAX = 256 * 1024
# P-256, P-384, P-521, X25519, X448, and the groups of RFC 7919 for Diffie-Hellman.
_GROUPS = (0x001D, 0x0017, 0x0018, 0x0019, 0x001E, 0x0100, 0x0101, 0x0102)
_SIGNATURES = (
    *(0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080A, 0x080B),
    *(0x0401, 0x0501, 0x0601, 0x0301, 0x0303, 0x0201, 0x0203, 0x0402, 0x0202, 0x0101),
)
_REFUSALS = frozenset({40, 47, 70, 71, 86, 80, 109, 112, 120})
# Any 32 bytes are a point of X25519; nothing is ever agreed with it.
_SHARE = bytes(range(1, 33))
_RANDOM = bytes(range(32))
_POSTGRES_ASK = struct.pack("!II", 8, 80_877_103)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back to a first message. `chain` is there up to TLS 1.2, leaf first, as DER.

    `refused` is an alert that says so; `closed` an end without one; `foreign` is no TLS.
    """

    kind: Kind
    version: int = 0
    suite: int = 0
    alert: int = 0
    chain: tuple[bytes, ...] = ()
    group_bits: int = 0
    why: str = ""


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """Where TLS is asked for, and by which name; `postgresql` asks for it in its own way first."""

    host: str
    port: int
    name: str = ""
    kind: Literal["tls", "postgresql"] = "tls"
    seconds: float = 5.0


class Silent(Exception):
    """No connection, or no way to TLS on it: nothing was asked."""


def connect(peer: Peer) -> socket.socket:
    """A connection on which TLS may begin. Raises `Silent`."""
    try:
        opened = socket.create_connection((peer.host, peer.port), peer.seconds)
    except OSError as error:
        raise Silent((error.strerror or type(error).__name__).lower()) from None
    if peer.kind != "postgresql":
        return opened
    try:
        opened.sendall(_POSTGRES_ASK)
        said = opened.recv(1)
    except OSError as error:
        opened.close()
        raise Silent((error.strerror or type(error).__name__).lower()) from None
    if said != b"S":
        opened.close()
        raise Silent("the server does not offer TLS")
    return opened


def ask(peer: Peer, version: int, suites: Sequence[int]) -> Answer:
    """One connection, one first message that offers one version and these suites.

    Raises `Silent` when there is no connection at all.
    """
    deadline = time.monotonic() + peer.seconds
    with closing(connect(peer)) as opened:
        try:
            opened.sendall(client_hello(version, suites, peer.name))
            return _answer(opened, version, deadline)
        except TimeoutError:
            return Answer(kind="late", why="no whole answer in time")
        except (ConnectionError, _Ended):
            return Answer(kind="closed", why="the connection ended without an answer")
        except OSError as error:
            return Answer(kind="late", why=(error.strerror or type(error).__name__).lower())
        except (_Foreign, struct.error, IndexError) as error:
            return Answer(kind="foreign", why=str(error) or "broken TLS")


def client_hello(version: int, suites: Sequence[int], name: str) -> bytes:
    """The record with the first message of a client."""
    body = struct.pack("!H", min(version, TLS12)) + _RANDOM
    # TLS 1.3 wants the look of a session that is taken up again.
    body += _sized(_RANDOM if version == TLS13 else b"", 1)
    body += _sized(b"".join(struct.pack("!H", suite) for suite in suites), 2) + b"\x01\x00"
    if version > SSL3:
        body += _sized(_extensions(version, name), 2)
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    record = SSL3 if version == SSL3 else TLS10
    return struct.pack("!BHH", _HANDSHAKE, record, len(message)) + message


def _extensions(version: int, name: str) -> bytes:
    found = []
    if name and not name.replace(".", "").replace(":", "").isdecimal():
        host = name.encode("idna")
        found.append((0, _sized(b"\x00" + _sized(host, 2), 2)))
    found.append((10, _sized(_words(_GROUPS), 2)))
    found.append((11, _sized(b"\x00", 1)))
    if version >= TLS12:
        found.append((13, _sized(_words(_SIGNATURES), 2)))
    if version == TLS13:
        found.append((43, _sized(struct.pack("!H", TLS13), 1)))
        share = struct.pack("!H", 0x001D) + _sized(_SHARE, 2)
        found.append((51, _sized(share, 2)))
    else:
        found.append((0xFF01, b"\x00"))
    return b"".join(struct.pack("!H", kind) + _sized(body, 2) for kind, body in found)


def _words(numbers: Sequence[int]) -> bytes:
    return b"".join(struct.pack("!H", number) for number in numbers)


def _sized(body: bytes, size: int) -> bytes:
    return len(body).to_bytes(size, "big") + body


class _Ended(Exception):
    """The other side closed."""


class _Foreign(Exception):
    """What came is no TLS."""


def _answer(opened: socket.socket, version: int, deadline: float) -> Answer:
    held = b""
    hello: Answer | None = None
    while len(held) <= _MESSAGES_BYTES_MAX:
        kind, content = _record(opened, deadline)
        if kind == _ALERT:
            if hello is not None:
                return hello
            return _alerted(content)
        if kind != _HANDSHAKE:
            # After a first message of TLS 1.3 the rest is encrypted.
            if hello is not None:
                return hello
            raise _Foreign(f"a record of kind {kind}")
        held += content
        while len(held) >= 4 and len(held) >= 4 + int.from_bytes(held[1:4], "big"):
            size = int.from_bytes(held[1:4], "big")
            message, body, held = held[0], held[4 : 4 + size], held[4 + size :]
            if hello is None:
                if message != _SERVER_HELLO:
                    raise _Foreign(f"a message of kind {message} before the first")
                hello = _server_hello(body)
                if hello.version == TLS13:
                    return hello
            elif message == _CERTIFICATE:
                hello = msgspec.structs.replace(hello, chain=_chain(body))
            elif message == _KEY_EXCHANGE:
                hello = msgspec.structs.replace(hello, group_bits=_group_bits(body))
            elif message == _DONE:
                return hello
    raise _Foreign("more than can be read")


def _record(opened: socket.socket, deadline: float) -> tuple[int, bytes]:
    kind, version, size = struct.unpack("!BHH", _exactly(opened, 5, deadline))
    if version >> 8 != 3 or size > _RECORD_BYTES_MAX:
        raise _Foreign("an answer that is no TLS")
    return kind, _exactly(opened, size, deadline)


def _exactly(opened: socket.socket, count: int, deadline: float) -> bytes:
    held = bytearray()
    while len(held) < count:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        opened.settimeout(left)
        piece = opened.recv(count - len(held))
        if not piece:
            raise _Ended
        held += piece
    return bytes(held)


def _alerted(content: bytes) -> Answer:
    number = content[1] if len(content) == 2 else 0
    if number in _REFUSALS:
        return Answer(kind="refused", alert=number)
    return Answer(kind="closed", alert=number, why=f"alert {number}")


def _server_hello(body: bytes) -> Answer:
    version = int(struct.unpack_from("!H", body)[0])
    at = 34 + 1 + body[34]
    suite = int(struct.unpack_from("!H", body, at)[0])
    at += 3
    if len(body) >= at + 2:
        end = at + 2 + int(struct.unpack_from("!H", body, at)[0])
        at += 2
        while at + 4 <= min(end, len(body)):
            kind, size = struct.unpack_from("!HH", body, at)
            if kind == 43 and size == 2:
                version = int(struct.unpack_from("!H", body, at + 4)[0])
            at += 4 + size
    return Answer(kind="hello", version=version, suite=suite)


def _chain(body: bytes) -> tuple[bytes, ...]:
    found = []
    at, end = 3, 3 + int.from_bytes(body[:3], "big")
    while at + 3 <= min(end, len(body)):
        size = int.from_bytes(body[at : at + 3], "big")
        found.append(body[at + 3 : at + 3 + size])
        at += 3 + size
    return tuple(found)


def _group_bits(body: bytes) -> int:
    """The size of a Diffie-Hellman group, 0 for curves."""
    size = int.from_bytes(body[:2], "big")
    if body[0] in (1, 2, 3) or not size or size > len(body) - 2:
        return 0
    return int.from_bytes(body[2 : 2 + size], "big").bit_length()
