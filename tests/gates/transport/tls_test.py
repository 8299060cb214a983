"""TLS as servers offer it: real ones, and bytes that are no answer."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tls_scene import Serve

from surefoot.core.gate import Evidence, judge
from surefoot.core.target import Plain
from surefoot.gates.transport.gate import TransportGate
from surefoot.gates.transport.hello import TLS12, TLS13, Peer, ask, client_hello
from surefoot.gates.transport.suites import SUITES, SUITES_13, flaw
from surefoot.testing.gate_conformance import GateConformance
from surefoot.trust.digest import digest_of

SUBJECT = digest_of(b"a release")
OLD = "ssl_protocols TLSv1 TLSv1.1 TLSv1.2; ssl_ciphers ALL:COMPLEMENTOFALL:@SECLEVEL=0;"
MODERN = (
    "ssl_protocols TLSv1.2 TLSv1.3; "
    "ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305;"
)
NEWEST = "ssl_protocols TLSv1.3;"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def look(*endpoints: Plain, **more: Any) -> Evidence:
    # Long, for a machine that is busy; what answers is done at once.
    asked = {"endpoints": [*endpoints], "seconds": 60, **more}
    return TransportGate(now_ms).run(SUBJECT, asked)


def verdict(evidence: Evidence) -> str:
    return judge(evidence, SUBJECT).verdict


def tls(port: int, **more: Any) -> Plain:
    return {"address": f"127.0.0.1:{port}", "name": "example.test", **more}


@pytest.mark.parametrize("settings", [MODERN, NEWEST])
def test_a_modern_server_passes(settings: str, nginx: Callable[[str], tuple[int, Path]]) -> None:
    port, certificate = nginx(settings)
    evidence = look(tls(port, authorities=str(certificate)))
    assert verdict(evidence) == "pass", evidence
    offers = evidence.figures["endpoints"][0]["offers"]  # type: ignore[call-overload,index]
    assert "TLS 1.3" in offers and set(offers) <= {"TLS 1.2", "TLS 1.3"}


def test_an_old_server_fails_with_each_thing_that_is_wrong(
    nginx: Callable[[str], tuple[int, Path]],
) -> None:
    port, certificate = nginx(OLD)
    evidence = look(tls(port, authorities=str(certificate)))
    rules = sorted({finding.rule for finding in evidence.findings})
    assert rules == ["tls-suite-clear", "tls-suite-nobody", "tls-version"]
    versions = [f.title for f in evidence.findings if f.rule == "tls-version"]
    assert len(versions) == 2 and "TLS 1.0" in versions[0] and "TLS 1.1" in versions[1]
    assert evidence.findings[0].severity == "critical"
    assert verdict(evidence) == "fail"


def test_a_chain_that_nobody_trusts_and_a_wrong_name(
    nginx: Callable[[str], tuple[int, Path]],
) -> None:
    port, _ = nginx(NEWEST)
    evidence = look(tls(port) | {"name": "other.test"})
    rules = sorted(finding.rule for finding in evidence.findings)
    assert rules == ["tls-certificate-chain", "tls-certificate-name"]
    pinned = look(tls(port, pin="0" * 64))
    assert [finding.rule for finding in pinned.findings] == ["tls-certificate-pin"]
    seen = pinned.findings[0].title.rpartition(" ")[2]
    assert verdict(look(tls(port, pin=seen))) == "pass"


def test_an_exception_holds_until_its_end(nginx: Callable[[str], tuple[int, Path]]) -> None:
    port, _ = nginx(NEWEST)
    for until, expected in ((now_ms() + 60_000, "pass"), (now_ms() - 1, "fail")):
        exception = {"rule": "tls-certificate-chain", "reason": "ours", "until": until}
        assert verdict(look(tls(port), **{"except": [exception]})) == expected


class Case:
    """A modern server, with the authority that it needs and without."""

    subject = SUBJECT

    def __init__(self, good: Plain, bad: Plain) -> None:
        self.good = good
        self.bad = bad
        self.malformed: Plain = {"endpoints": [{"address": "x"}]}

    def open_good(self) -> TransportGate:
        return TransportGate(now_ms)

    def open_bad(self) -> TransportGate:
        return TransportGate(now_ms)


class TestTransport(GateConformance):
    @pytest.fixture
    def case(self, nginx: Callable[[str], tuple[int, Path]]) -> Case:
        port, certificate = nginx(NEWEST)
        good = {"endpoints": [tls(port, authorities=str(certificate))], "seconds": 60}
        return Case(good, {"endpoints": [tls(port)], "seconds": 60})


def _alert(number: int) -> bytes:
    return struct.pack("!BHHBB", 21, 0x0303, 2, 2, number)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no TLS"),
        (b"\x16\x03\x03\x40\x00", "no version of TLS"),
        (b"\x16\x03\x03\xff\xff" + b"x" * 100, "no TLS"),
        (b"\x17\x03\x03\x00\x01x", "kind 23"),
        (b"\x16\x03\x03\x00\x04\x0b\x00\x00\x00", "before the first"),
        (b"", "no version of TLS"),
        (_alert(40), "no version of TLS"),
        (_alert(0), "no version of TLS"),
    ],
)
def test_what_is_no_answer_is_inconclusive(said: bytes, why: str, serve: Serve) -> None:
    def treat(opened: socket.socket) -> None:
        opened.recv(65_536)
        opened.sendall(said)

    evidence = look(tls(serve(treat)))
    assert verdict(evidence) == "inconclusive"
    assert why in str(evidence.coverage["not_found_out"])


def test_a_server_that_drips_ends_by_the_deadline(serve: Serve) -> None:
    def treat(opened: socket.socket) -> None:
        opened.recv(65_536)
        for byte in b"\x16\x03\x03\x20\x00" + b"x" * 4000:
            opened.sendall(bytes([byte]))
            time.sleep(0.01)

    evidence = look(tls(serve(treat)), seconds=1)
    assert verdict(evidence) == "inconclusive"
    assert "in time" in str(evidence.coverage["not_found_out"])


def test_nothing_there_is_inconclusive() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert verdict(look(tls(port))) == "inconclusive"
    assert verdict(look()) == "inconclusive"


def _relay(first: socket.socket, second: socket.socket) -> None:
    """Bytes both ways until one side ends."""
    other = {first: second, second: first}
    while True:
        ready, _, _ = select.select([first, second], [], [], 60)
        for each in ready or [first]:
            piece = each.recv(65_536) if ready else b""
            if not piece:
                return
            other[each].sendall(piece)


def test_closing_on_old_versions_is_a_refusal_only_while_others_are_answered(
    nginx: Callable[[str], tuple[int, Path]], serve: Serve
) -> None:
    """In front of a modern server: one that drops old versions, and one that then drops all."""
    port, certificate = nginx(MODERN)
    dropped: list[int] = []

    def front(forever: bool) -> Callable[[socket.socket], None]:
        def treat(opened: socket.socket) -> None:
            hello = opened.recv(65_536)
            old = hello[9:11] != b"\x03\x03"
            if old or (forever and dropped):
                dropped.append(1)
                return
            with socket.create_connection(("127.0.0.1", port), 60) as behind:
                behind.sendall(hello)
                _relay(opened, behind)

        return treat

    pinned = look(tls(serve(front(False)), pin="0" * 64))
    unknown = str(pinned.coverage.get("not_found_out", ""))
    assert "closed, and nothing else" not in unknown
    dropped.clear()
    evidence = look(tls(serve(front(True)), pin="0" * 64))
    assert "closed, and nothing else is answered" in str(evidence.coverage["not_found_out"])
    assert certificate.exists()


def test_the_group_of_an_exchange_is_measured(serve: Serve) -> None:
    """A server that chooses DHE in a group of 1,024 bits."""
    hello = b"\x03\x03" + bytes(32) + b"\x00" + struct.pack("!H", 0x009E) + b"\x00"
    exchange = struct.pack("!H", 128) + b"\xff" * 128 + struct.pack("!HB", 1, 2)

    def message(kind: int, body: bytes) -> bytes:
        return bytes([kind]) + len(body).to_bytes(3, "big") + body

    def treat(opened: socket.socket) -> None:
        asked = opened.recv(65_536)
        if struct.pack("!H", 0x009E) not in asked or b"\x00\x2b\x00\x03\x02\x03\x04" in asked:
            opened.sendall(_alert(40))
            return
        whole = message(2, hello) + message(11, b"\x00\x00\x00")
        whole += message(12, exchange) + message(14, b"")
        opened.sendall(struct.pack("!BHH", 22, 0x0303, len(whole)) + whole)

    peer = Peer(host="127.0.0.1", port=serve(treat))
    answer = ask(peer, TLS12, [0x009E])
    assert (answer.kind, answer.version, answer.group_bits) == ("hello", TLS12, 1024)
    evidence = look({"address": f"127.0.0.1:{peer.port}"})
    assert "tls-group" in {finding.rule for finding in evidence.findings}


def test_postgresql_is_asked_for_tls_in_its_own_way(serve: Serve) -> None:
    said: list[bytes] = []

    def treat(opened: socket.socket) -> None:
        said.append(opened.recv(8))
        opened.sendall(b"N")

    port = serve(treat)
    evidence = look({"address": f"127.0.0.1:{port}", "kind": "postgresql"})
    assert said[0] == struct.pack("!II", 8, 80_877_103)
    assert verdict(evidence) == "inconclusive"
    assert "does not offer TLS" in str(evidence.coverage["not_found_out"])


@pytest.mark.parametrize(
    "asked",
    [
        {"endpoints": [{"address": "nowhere"}]},
        {"endpoints": [{"address": "127.0.0.1:0"}]},
        {"endpoints": [{"address": "127.0.0.1:1", "kind": "http"}]},
        {"endpoints": [{"address": "127.0.0.1:1"}] * 101},
        {"endpoints": [{"address": "127.0.0.1:1"}], "seconds": 0},
        {},
    ],
)
def test_bad_arguments_are_an_error(asked: Plain) -> None:
    assert verdict(TransportGate(now_ms).run(SUBJECT, asked)) == "error"


def test_a_first_message_offers_one_version_and_the_name() -> None:
    sent = client_hello(TLS13, list(SUITES_13), "example.test")
    assert sent[0] == 22 and int.from_bytes(sent[3:5], "big") == len(sent) - 5
    assert b"example.test" in sent and b"\x00\x2b\x00\x03\x02\x03\x04" in sent
    assert b"127.0.0.1" not in client_hello(TLS12, list(SUITES), "127.0.0.1")


def test_suites_are_told_apart() -> None:
    found = {name: flaw(name) for name in SUITES.values()}
    good = {name for name, what in found.items() if what is None}
    assert len(good) > 40
    assert all(name.startswith(("DHE_", "ECDHE_")) for name in good)
    assert not any(mark in name for name in good for mark in ("RC4", "NULL", "anon", "DES_CBC"))
    assert found["RSA_WITH_AES_128_GCM_SHA256"] is not None
