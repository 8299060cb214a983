"""TLS of the device door by the settings of a real installation, and settings that cannot be."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from surefoot.compose.door_tls import proxies_of, server_tls
from surefoot.compose.folder import Settings
from surefoot.core.errors import Refused
from surefoot.testing.issuer import Issuer

SETTINGS = Settings(installation="home", product="lamp", repository="repository")


def settings(**changes: Any) -> Settings:
    named = {name: getattr(SETTINGS, name) for name in SETTINGS.__struct_fields__}
    return Settings(**{**named, **changes})


@pytest.fixture
def folder() -> Iterator[Path]:
    # A short path: a Unix socket's may have 107 bytes only.
    with tempfile.TemporaryDirectory(prefix="surefoot-") as name:
        yield Path(name)


def run(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "surefoot.doors.cli.main", *words],
        cwd=folder,
        env={**os.environ, "SUREFOOT_CONFIG": str(folder / "config.json")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(folder: Path, *words: str) -> None:
    process = run(folder, *words)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told


def test_a_server_ends_tls_itself(folder: Path) -> None:
    done(folder, "key", "generate", "ann")
    done(folder, "key", "generate", "bob")
    subprocess.run(["git", "init", "-q", "repository"], cwd=folder, check=True)
    founders = ["--founder", "ann=ann.pub", "--founder", "bob=bob.pub"]
    done(folder, "init", "data", *founders, "--repository", "repository", "--product", "lamp")
    issuer = Issuer(folder, "issuer")
    issuer.issue("127.0.0.1", file="data/door", server=True)
    path = folder / "data" / "settings.json"
    held = json.loads(path.read_text())
    path.write_text(json.dumps({**held, "device_certificate": "door.crt", "device_key": "none"}))
    ports = ["--listen", "127.0.0.1:0", "--devices", "127.0.0.1:0", "-o", "json"]
    refused = run(folder, "server", "run", "--data", "data", *ports)
    _, told = refused.communicate(timeout=300)
    assert refused.returncode == 3 and "server.tls.input" in told
    path.write_text(
        json.dumps({**held, "device_certificate": "door.crt", "device_key": "door.key"})
    )
    server = run(folder, "server", "run", "--data", "data", *ports)
    try:
        assert server.stdout is not None
        address = urlsplit(json.loads(server.stdout.readline())["devices"])
        assert address.scheme == "https"
        port = address.port or 0
        first = shown(port, issuer)
        # Replaced in place, as a renewal does; and then by files that do not belong together.
        issuer.issue("127.0.0.1", file="data/door", server=True)
        second = awaited(port, issuer, first)
        (folder / "data" / "door.key").write_text("no key")
        time.sleep(2.5)  # it looks every second; the next assertion holds however late it looks
        assert shown(port, issuer) == second
        issuer.issue("127.0.0.1", file="data/door", server=True)
        awaited(port, issuer, second)
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=300)
    assert server.returncode == 0


def shown(port: int, issuer: Issuer) -> bytes:
    """The certificate that the door shows to who comes now, after it answered."""
    context = ssl.create_default_context(cafile=str(issuer.file))
    context.check_hostname = False
    raw = socket.create_connection(("127.0.0.1", port), 60)
    with context.wrap_socket(raw) as line:
        line.sendall(b"GET /production/controller/v1/dev1 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert line.recv(65_536)[9:12] == b"401"
        return line.getpeercert(True) or b""


def awaited(port: int, issuer: Issuer, before: bytes) -> bytes:
    """Another certificate than before, as soon as it is shown."""
    deadline = time.monotonic() + 180
    while (found := shown(port, issuer)) == before:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {"device_certificate": "none.crt", "device_key": "none.key"},
        {"device_certificate": "issuer.crt"},
        {"device_certificate": "issuer.crt", "device_key": "issuer.crt"},
    ],
)
def test_a_certificate_that_cannot_be_used_is_refused(
    tmp_path: Path, changes: dict[str, str]
) -> None:
    Issuer(tmp_path, "issuer")
    with pytest.raises(Refused, match=r"server\.tls\.input"):
        server_tls(tmp_path, settings(**changes))
    assert server_tls(tmp_path, SETTINGS) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"device_proxies": ("10.0.0.0/33",)},
        {"device_proxies": ("a name",)},
        {"device_proxies": ("10.0.0.1",), "device_proxy_secret": "none"},
        {"device_proxies": ("10.0.0.1",), "device_proxy_secret": "short"},
    ],
)
def test_proxies_that_cannot_be_believed_are_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    (tmp_path / "short").write_text("short")
    with pytest.raises(Refused, match=r"server\.tls\.input"):
        proxies_of(tmp_path, settings(**changes))
