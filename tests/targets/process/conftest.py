"""A process target on a folder of its own, with a stock service to deploy."""

import hashlib
import http.client
import io
import json
import os
import signal
import socket
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from surefoot.core.errors import Failed, Refused
from surefoot.core.target import Outcome, Plain, Step
from surefoot.targets.keeper import control
from surefoot.targets.keeper.keeper import read_state
from surefoot.targets.process import ProcessTarget
from surefoot.testing.claims import Claims
from surefoot.testing.waiting import until
from surefoot.trust.digest import Digest, digest_of

SERVICE = (Path(__file__).parent / "service.py").read_bytes()


class FileBlobs:
    """Artifacts as files of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)

    def path(self, digest: Digest) -> Path:
        path = self.folder / digest[7:]
        if not path.exists():
            raise Failed("blob.missing", digest, expected="a stored blob", found="none")
        return path

    def put(self, content: bytes) -> Digest:
        (self.folder / hashlib.sha256(content).hexdigest()).write_bytes(content)
        return digest_of(content)

    def get(self, digest: Digest) -> bytes:
        return self.path(digest).read_bytes()


class Secrets:
    """An opener with two versions of one secret."""

    def open(self, environment: str, name: str, version: int) -> bytes:
        if name != "session_key":
            raise Refused("secret.read.refused", name, expected="session_key", found=name)
        return f"{environment}-secret-{version}".encode()


def tar_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


class World:
    """One environment: folder, blobs, and the fence that grows with every step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "environment"
        self.blobs = FileBlobs(folder / "blobs")
        self.artifact = self.blobs.put(tar_of({"service.py": SERVICE}))
        self.fence = 0
        self.claims = Claims("test")

    def open(self) -> ProcessTarget:
        return ProcessTarget(
            self.folder,
            "test",
            self.blobs,
            Secrets(),
            lambda: time.time_ns() // 1_000_000,
            interlock=self.claims.interlock(),
        )

    def service(self, **changes: Any) -> Plain:
        service: Plain = {
            "artifact": self.artifact,
            "command": ["python3", "service.py", "{listen}", "{config}", "{secrets}"],
            "values": {"greeting": "one"},
            "secrets": {"session_key": 1},
            "health": {"path": "/health", "timeout_seconds": 90},
            "drain_seconds": 30,
            "open_files": 256,
        }
        return {**service, **changes}

    def apply(self, step: Step) -> Outcome:
        self.fence += 1
        token = self.claims.token(step, f"1/{self.fence}", self.fence)
        return self.open().apply(step, token)

    def step(self, action: str, **arguments: Any) -> Outcome:
        return self.apply(
            Step(id=action, target="process", action=action, component="api", arguments=arguments)
        )

    def deploy(self, **changes: Any) -> list[Step]:
        target = self.open()
        steps = target.plan({"api": self.service(**changes)}, target.observe())
        for step in steps:
            outcome = self.apply(step)
            assert outcome.status == "done", outcome.reason
        return list(steps)

    @property
    def port(self) -> int:
        return int(self.open().address("api").rpartition(":")[2])

    def keeper_pid(self) -> int:
        state = read_state(self.folder / "api")
        assert state is not None and state.identity is not None
        return state.identity.pid

    def pid(self) -> int:
        pid = self.open().observe().volatile["api/process/pid"]
        assert isinstance(pid, int)
        return pid

    def kill_keeper(self) -> None:
        pid = self.keeper_pid()
        os.kill(pid, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{pid}").exists() or b") Z" in stat(pid))

    def status(self) -> dict[str, Any]:
        """What the keeper says of itself."""
        return control.ask(self.folder / "api", {"do": "status"})

    def active(self) -> int:
        """Requests and tunnels under way on all generations."""
        return sum(each["active"] for each in self.status()["generations"].values())

    def get(self, path: str = "/", method: str = "GET") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def raw(self, content: bytes, seconds: float = 90) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), seconds) as connection:
            connection.sendall(content)
            return read_all(connection)

    def forget(self, operation: str) -> None:
        path = self.folder / "receipts.json"
        ledger = msgspec.json.decode(path.read_bytes())
        del ledger["outcomes"][operation]
        path.write_bytes(msgspec.json.encode(ledger))

    def remove(self) -> None:
        step = Step(id="remove", target="process", action="remove")
        self.apply(step)


def read_all(connection: socket.socket) -> bytes:
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        parts.append(b"<reset>")
    return b"".join(parts)


def stat(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return b") Z"


@pytest.fixture(autouse=True, scope="session")
def patient() -> Iterator[None]:
    """However slowly a service starts here, the keepers hold requests for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUREFOOT_KEEPER_LIMITS", json.dumps({"hold_seconds": 90}))
        yield


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.fence = 10**9
    made.remove()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A deployed service that the tests of a module share and leave as it is."""
    made = World(tmp_path_factory.mktemp("shared"))
    made.deploy()
    yield made
    made.remove()
