"""Real blobs in a folder, keys of a builder and of a stranger, and a small service."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.store.blobs import FileBlobs
from surefoot.trust.keys import PrivateKey


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "blobs")


@pytest.fixture
def builder() -> PrivateKey:
    return PrivateKey(hashlib.sha256(b"builder").digest())


@pytest.fixture
def stranger() -> PrivateKey:
    return PrivateKey(hashlib.sha256(b"stranger").digest())


class _Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Nothing is written."""


@pytest.fixture
def answering() -> Iterator[str]:
    """`host:port` of a service on loopback that answers 200 to every GET."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(60)
