"""SSH: the algorithms that a server offers, read from its first packet."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tls_scene import Serve

from surefoot.core.gate import Evidence, judge
from surefoot.gates.transport.gate import TransportGate
from surefoot.trust.digest import digest_of

SUBJECT = digest_of(b"a release")
GOOD = (
    "curve25519-sha256,kex-strict-s-v00@openssh.com",
    "ssh-ed25519,rsa-sha2-512",
    *("chacha20-poly1305@openssh.com,aes256-gcm@openssh.com",) * 2,
    *("hmac-sha2-256-etm@openssh.com",) * 2,
    *("none", "none", "", ""),
)


def packet(lists: tuple[str, ...], kind: int = 20) -> bytes:
    payload = bytes([kind]) + bytes(16)
    payload += b"".join(struct.pack("!I", len(text)) + text.encode() for text in lists)
    payload += bytes(5)
    padding = 8 - (len(payload) + 5) % 8 + 4
    return struct.pack("!IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


def look(port: int) -> Evidence:
    asked = {"endpoints": [{"address": f"127.0.0.1:{port}", "kind": "ssh"}], "seconds": 60}
    return TransportGate(lambda: 0).run(SUBJECT, asked)


def verdict(evidence: Evidence) -> str:
    return judge(evidence, SUBJECT).verdict


def server(serve: Serve, lists: tuple[str, ...], banner: bytes = b"SSH-2.0-test\r\n") -> int:
    def treat(opened: socket.socket) -> None:
        opened.sendall(banner)
        with suppress(TimeoutError):
            opened.settimeout(60)
            opened.recv(100)
        opened.sendall(packet(lists))

    return serve(treat)


def changed(index: int, text: str) -> tuple[str, ...]:
    rows = list(GOOD)
    rows[index] = text
    return tuple(rows)


def test_a_modern_server_passes(serve: Serve) -> None:
    evidence = look(server(serve, GOOD, b"welcome\r\nto this\r\nSSH-2.0-test\r\n"))
    assert verdict(evidence) == "pass", evidence
    assert "ssh-ed25519" in str(evidence.figures)


@pytest.mark.parametrize(
    ("index", "text", "rule"),
    [
        (0, GOOD[0] + ",diffie-hellman-group1-sha1", "ssh-kex"),
        (0, GOOD[0] + ",diffie-hellman-group14-sha1", "ssh-kex"),
        (0, "curve25519-sha256", "ssh-cipher"),
        (1, "ssh-dss", "ssh-host-key"),
        (1, "ssh-ed25519,ssh-rsa", "ssh-host-key"),
        (2, "aes128-cbc", "ssh-cipher"),
        (3, "3des-cbc", "ssh-cipher"),
        (3, "arcfour256", "ssh-cipher"),
        (4, "hmac-md5", "ssh-mac"),
        (5, "umac-64@openssh.com", "ssh-mac"),
        (5, "hmac-sha1-96", "ssh-mac"),
    ],
)
def test_old_algorithms_are_found(index: int, text: str, rule: str, serve: Serve) -> None:
    evidence = look(server(serve, changed(index, text)))
    assert [finding.rule for finding in evidence.findings] == [rule]
    assert verdict(evidence) == "fail"


def test_version_1_is_found(serve: Serve) -> None:
    for banner in (b"SSH-1.99-old\r\n", b"SSH-1.5-old\r\n"):
        found = look(server(serve, GOOD, banner)).findings
        assert [(f.rule, f.severity) for f in found] == [("ssh-protocol", "critical")]


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"SSH-2.0-test\r\n",
        b"SSH-2.0-test\r\n\x00\x00\x00\x00\x00",
        b"SSH-2.0-test\r\n\xff\xff\xff\xff\x04",
        b"SSH-2.0-test\r\n" + packet(GOOD, kind=21),
        b"SSH-2.0-test\r\n" + packet(GOOD)[:100],
        b"SSH-2.0-test\r\n" + packet(GOOD[:1]),
        b"SSH-2.0-test\r\n" + packet(("", *GOOD[1:])),
        b"x" * 20_000,
        b"x\n" * 10_000,
    ],
)
def test_what_is_no_ssh_is_inconclusive(said: bytes, serve: Serve) -> None:
    def treat(opened: socket.socket) -> None:
        opened.sendall(said)
        opened.shutdown(socket.SHUT_WR)
        opened.settimeout(60)
        with suppress(OSError):
            while opened.recv(100):
                pass

    assert verdict(look(serve(treat))) == "inconclusive"


def test_a_real_server(tmp_path: Path, require_tool: Callable[[str], str]) -> None:
    sshd = require_tool("sshd")
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = tmp_path / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {key}\nPidFile {tmp_path}/pid\n"
        "MACs hmac-sha1\n"
    )
    if os.geteuid() == 0:
        # Its unit would make it; without, the server does not start as root.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    process = subprocess.Popen([sshd, "-D", "-f", str(config)], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            evidence = look(port)
            if evidence.complete:
                break
            time.sleep(0.05)
        assert {finding.rule for finding in evidence.findings} == {"ssh-mac"}
    finally:
        process.terminate()
        process.wait(60)
