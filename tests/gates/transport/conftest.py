"""Servers of bytes, and a real nginx, for the tests of this room."""

from __future__ import annotations

import datetime
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

sys.path.insert(0, str(Path(__file__).parent))

from tls_scene import NGINX, Serve, make_certificate


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server that treats each connection by a function; its port."""
    listening: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def started(treat: Callable[[socket.socket], None]) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        listening.append(server)

        def run() -> None:
            while True:
                try:
                    opened, _ = server.accept()
                except OSError:
                    return
                with opened, suppress(OSError):
                    treat(opened)

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        return int(server.getsockname()[1])

    yield started
    for server in listening:
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
    for thread in threads:
        thread.join(60)


@pytest.fixture
def nginx(
    tmp_path: Path, require_tool: Callable[[str], str]
) -> Iterator[Callable[[str], tuple[int, Path]]]:
    """A real nginx with some settings of TLS; its port, and the file of its certificate."""
    running: list[subprocess.Popen[bytes]] = []

    def started(settings: str) -> tuple[int, Path]:
        folder = tmp_path / f"nginx-{len(running)}"
        folder.mkdir()
        start = datetime.datetime.now(datetime.UTC)
        certificate, key = make_certificate(start=start)
        (folder / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        (folder / "key.pem").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        text = NGINX.format(folder=folder, port=port, settings=settings)
        (folder / "nginx.conf").write_text(text)
        words = [require_tool("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
        running.append(subprocess.Popen(words, stderr=subprocess.DEVNULL))
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                return port, folder / "cert.pem"
            assert running[-1].poll() is None, (folder / "error.log").read_text()
            time.sleep(0.02)
        raise AssertionError("nginx does not answer")

    yield started
    for process in running:
        process.terminate()
        process.wait(60)
