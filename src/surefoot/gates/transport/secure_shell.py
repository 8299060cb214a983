"""SSH up to the server's list of algorithms, which it sends before anything else.

Keeps: the banner and the packet are bounded in bytes and by a deadline; nothing is agreed, nobody
logs in. Source: RFC 4253, sections 4.2, 6 and 7.1.
"""

from __future__ import annotations

import socket
import struct
import time
from contextlib import closing
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from surefoot.gates.transport.hello import Silent

Severity = Literal["low", "medium", "high", "critical"]

_BANNER = b"SSH-2.0-surefoot_1\r\n"
_LINES_BYTES_MAX = 8_192
_PACKET_BYTES_MAX = 35_000
_KEX_INIT = 20
_LISTS = ("kex", "host_key", "cipher_in", "cipher_out", "mac_in", "mac_out")

FLAWS: dict[str, tuple[tuple[str, Severity, str], ...]] = {
    "kex": (
        ("*group1-sha1", "high", "the group is small enough to be computed"),
        ("*-sha1", "medium", "SHA-1 is broken"),
        ("rsa1024*", "high", "the key is too short"),
    ),
    "host_key": (
        ("ssh-dss*", "high", "its keys are too short"),
        ("ssh-rsa", "medium", "it signs with SHA-1, which is broken"),
        ("ssh-rsa-cert*", "medium", "it signs with SHA-1, which is broken"),
    ),
    "cipher": (
        ("none", "critical", "nothing is encrypted"),
        ("arcfour*", "high", "RC4 is broken"),
        ("*des*", "high", "blocks of 64 bits repeat in long sessions"),
        ("blowfish*", "high", "blocks of 64 bits repeat in long sessions"),
        ("cast128*", "high", "blocks of 64 bits repeat in long sessions"),
        ("*-cbc*", "medium", "in this mode parts of the text can be guessed"),
    ),
    "mac": (
        ("none", "critical", "nobody notices a change"),
        ("*md5*", "high", "MD5 is broken"),
        ("*-96*", "medium", "the checksum is shortened"),
        ("*ripemd*", "low", "hardly anybody examines it any more"),
        ("umac-64*", "low", "the checksum is short"),
        ("hmac-sha1*", "low", "SHA-1 is broken"),
    ),
}


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What a server offers: its banner, and its algorithms by their use."""

    banner: str
    kex: tuple[str, ...] = ()
    host_key: tuple[str, ...] = ()
    cipher: tuple[str, ...] = ()
    mac: tuple[str, ...] = ()


class NotSsh(Exception):
    """What came is no SSH, or not whole."""


def offer(host: str, port: int, seconds: float) -> Offer:
    """Ask a server for its algorithms. Raises `Silent` and `NotSsh`."""
    deadline = time.monotonic() + seconds
    try:
        with closing(socket.create_connection((host, port), seconds)) as opened:
            reader = _Reader(opened, deadline)
            banner = reader.banner()
            if not banner.startswith(b"SSH-"):
                raise NotSsh("no banner of SSH")
            if banner.startswith(b"SSH-1.") and not banner.startswith(b"SSH-1.99"):
                return Offer(banner=banner.decode("ascii", "replace"))
            opened.sendall(_BANNER)
            return _parsed(banner, reader.packet())
    except TimeoutError:
        raise Silent("no whole answer in time") from None
    except (OSError, EOFError) as error:
        words = getattr(error, "strerror", None) or "the connection ended"
        raise Silent(str(words).lower()) from None


class _Reader:
    def __init__(self, opened: socket.socket, deadline: float) -> None:
        self._opened = opened
        self._deadline = deadline
        self._held = b""

    def _more(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._opened.settimeout(left)
        piece = self._opened.recv(4096)
        if not piece:
            raise EOFError
        self._held += piece

    def banner(self) -> bytes:
        """The first line that begins with SSH-; others may stand before it."""
        seen = 0
        while seen <= _LINES_BYTES_MAX:
            while b"\n" not in self._held:
                if len(self._held) > _LINES_BYTES_MAX:
                    raise NotSsh("a line that does not end")
                self._more()
            line, _, self._held = self._held.partition(b"\n")
            seen += len(line) + 1
            if line.startswith(b"SSH-"):
                return line.rstrip(b"\r")
        raise NotSsh("no banner of SSH")

    def packet(self) -> bytes:
        """The payload of a packet that is not encrypted."""
        while len(self._held) < 5:
            self._more()
        size, padding = struct.unpack("!IB", self._held[:5])
        if not 1 <= size <= _PACKET_BYTES_MAX or padding + 1 > size:
            raise NotSsh("no packet of SSH")
        while len(self._held) < 4 + size:
            self._more()
        return self._held[5 : 4 + size - padding]


def _parsed(banner: bytes, payload: bytes) -> Offer:
    if not payload or payload[0] != _KEX_INIT:
        raise NotSsh("no list of algorithms")
    lists, at = {}, 17
    for name in _LISTS:
        if at + 4 > len(payload):
            raise NotSsh("a list of algorithms that is cut short")
        size = int(struct.unpack_from("!I", payload, at)[0])
        if at + 4 + size > len(payload):
            raise NotSsh("a list of algorithms that is cut short")
        text = payload[at + 4 : at + 4 + size].decode("ascii", "replace")
        lists[name] = tuple(part[:100] for part in text.split(",") if part)
        at += 4 + size
    if not all(lists.values()):
        raise NotSsh("an empty list of algorithms")
    return Offer(
        banner=banner[:255].decode("ascii", "replace"),
        kex=lists["kex"],
        host_key=lists["host_key"],
        cipher=tuple(dict.fromkeys(lists["cipher_in"] + lists["cipher_out"])),
        mac=tuple(dict.fromkeys(lists["mac_in"] + lists["mac_out"])),
    )


def flaws(found: Offer) -> list[tuple[str, str, Severity, str]]:
    """Use, algorithm, severity and reason of everything that should not be offered."""
    rows: list[tuple[str, str, Severity, str]] = []
    if not found.banner.startswith("SSH-2.0"):
        why = "version 1 of the protocol is broken"
        rows.append(("protocol", found.banner[:60], "critical", why))
    for use, patterns in FLAWS.items():
        for name in getattr(found, use):
            for pattern, severity, why in patterns:
                if fnmatchcase(name, pattern):
                    rows.append((use, name, severity, why))
                    break
    strict = "kex-strict-s-v00@openssh.com" in found.kex
    prefixed = [n for n in found.cipher if n.startswith("chacha20") or n.endswith("-cbc")]
    if prefixed and found.kex and not strict:
        why = "messages before the first key can be taken away unseen (CVE-2023-48795)"
        rows.append(("cipher", prefixed[0], "medium", why))
    return rows
