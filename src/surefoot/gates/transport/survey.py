"""Everything that a TLS endpoint offers: versions, suites, and its certificates.

Keeps: that a version or suite is not offered is known only from a refusal, or from a connection
that is closed while another, before and after, is answered; otherwise it is unknown. The number
of connections is bounded. Does not: judge.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import closing

import msgspec

from surefoot.gates.transport.hello import (
    SSL3,
    TLS12,
    TLS13,
    VERSIONS,
    Answer,
    Peer,
    Silent,
    ask,
    connect,
)
from surefoot.gates.transport.suites import SUITES, SUITES_13

CONNECTIONS_MAX = 200


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint offers. `unknown` says what could not be found out, and why."""

    suites: dict[int, tuple[int, ...]] = {}
    chain: tuple[bytes, ...] = ()
    group_bits: int = 0
    trust: str = ""
    unknown: tuple[str, ...] = ()
    connections: int = 0


class _Surveying:
    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.connections = 0
        self.unknown: list[str] = []
        self.suites: dict[int, tuple[int, ...]] = {}
        self.chain: tuple[bytes, ...] = ()
        self.group_bits = 0
        self.closed: list[int] = []

    def ask(self, version: int, suites: list[int]) -> Answer:
        self.connections += 1
        if self.connections > CONNECTIONS_MAX:
            raise Silent(f"more than {CONNECTIONS_MAX} connections were needed")
        return ask(self.peer, version, suites)

    def version(self, version: int) -> None:
        """Every suite that is chosen, by offering all and taking the chosen one away."""
        names = SUITES_13 if version == TLS13 else SUITES
        left, found = list(names), list[int]()
        while left:
            answer = self.ask(version, left)
            if answer.kind == "hello" and answer.version == version and answer.suite in left:
                found.append(answer.suite)
                left.remove(answer.suite)
                self.chain = self.chain or answer.chain
                bits = answer.group_bits
                self.group_bits = min(self.group_bits or bits, bits) if bits else self.group_bits
                continue
            if answer.kind in ("refused", "closed"):
                self.suites[version] = tuple(found)
                if answer.kind == "closed" and not found:
                    self.closed.append(version)
                return
            if answer.kind == "hello" and answer.version < version:
                # The server answers with an older version, which is asked for by itself.
                self.suites[version] = tuple(found)
                return
            why = answer.why or f"an answer with {VERSIONS.get(answer.version, 'another version')}"
            self.unknown.append(f"{VERSIONS[version]}: {why}")
            return
        self.suites[version] = tuple(found)


def survey(peer: Peer, authorities: str = "") -> Survey:
    """Ask for all versions and suites. Raises `Silent` when nothing can be asked at all.

    `authorities` is a file of certificates that are trusted, else the system's.
    """
    found = _Surveying(peer)
    for version in (TLS13, TLS12, *sorted(set(VERSIONS) - {TLS12, TLS13}, reverse=True)):
        found.version(version)
    answered = [version for version, suites in found.suites.items() if suites]
    if not answered:
        found.unknown.append("no version of TLS was answered")
    elif found.closed:
        _again(found, max(answered))
    trust, leaf = "", b""
    if answered and max(answered) > SSL3:
        trust, leaf = _trusted(peer, authorities, found)
    return Survey(
        suites={version: suites for version, suites in found.suites.items() if suites},
        chain=found.chain or ((leaf,) if leaf else ()),
        group_bits=found.group_bits,
        trust=trust,
        unknown=tuple(found.unknown),
        connections=found.connections,
    )


def _again(found: _Surveying, answered: int) -> None:
    """What was closed without a word is a refusal only while the endpoint still answers others."""
    answer = found.ask(answered, list(found.suites[answered]))
    if answer.kind != "hello":
        names = ", ".join(VERSIONS[version] for version in found.closed)
        found.unknown.append(f"{names}: closed, and nothing else is answered any more")


def _trusted(peer: Peer, authorities: str, found: _Surveying) -> tuple[str, bytes]:
    """Why the chain is not trusted, empty when it is; and the certificate itself."""
    leaf = b""
    modern = bool(found.suites.get(TLS12) or found.suites.get(TLS13))
    for verify in (False, True):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
        # The library judges the strength of authorities that nobody sees in TLS 1.3.
        context.set_ciphers("ALL:@SECLEVEL=2" if verify and modern else "ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        try:
            if verify and authorities:
                context.load_verify_locations(authorities)
            elif verify:
                context.load_default_certs()
            with closing(connect(peer)) as opened, _secured(context, opened, peer) as secured:
                leaf = secured.getpeercert(binary_form=True) or leaf
        except ssl.SSLCertVerificationError as error:
            return error.verify_message or "not trusted", leaf
        except (Silent, OSError, ValueError) as error:
            what = "chain" if verify else "certificate"
            found.unknown.append(f"{what}: {error}"[:200])
            return "", leaf
    return "", leaf


def _secured(context: ssl.SSLContext, opened: socket.socket, peer: Peer) -> ssl.SSLSocket:
    opened.settimeout(peer.seconds)
    return context.wrap_socket(opened, server_hostname=peer.name or peer.host)
