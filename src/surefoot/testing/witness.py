"""A witness daemon in a process of its own, and a log of numbered leaves to show it, for tests.

Keeps: every process started is ended by its id. Does not: judge.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from surefoot.compose import witness
from surefoot.trust.merkle import Tree, leaf_hash
from surefoot.trust.note import Checkpoint, SignerKey
from surefoot.trust.witnessing import AddCheckpoint

SUREFOOT = (sys.executable, "-m", "surefoot")
_SECONDS = 90


class NumberedLog:
    """Leaves `0`, `1`, ... and after `fork` others, signed by one key."""

    def __init__(self, key: SignerKey, fork: int = 10**9) -> None:
        self.key = key
        self._fork = fork
        self._tree = Tree()

    def note(self, size: int) -> str:
        """The signed checkpoint of this size."""
        while self._tree.size < size:
            number = self._tree.size
            self._tree.append(leaf_hash(f"{number}{'!' if number >= self._fork else ''}".encode()))
        root = self._tree.root(size)
        return self.key.sign(Checkpoint(origin=self.key.verifier.name, size=size, root=root).text())

    def request(self, old: int, size: int) -> bytes:
        """The body of add-checkpoint from one size to the other."""
        note = self.note(size)
        proof = tuple(self._tree.consistency(old, size)) if 0 < old <= size else ()
        return AddCheckpoint(old=old, proof=proof, note=note).body()


class WitnessProcess:
    """`surefoot witness run` on a free port of this machine."""

    def __init__(
        self, folder: Path, name: str = "witness.example/w", *, ml_dsa: bool = False
    ) -> None:
        self.folder = folder
        self.vkey = str(witness.make(folder, name, ml_dsa=ml_dsa)["vkey"])
        self.url = ""
        self._process: subprocess.Popen[str] | None = None

    def ask(self, *words: str) -> dict[str, object]:
        """Run a command that must succeed; its JSON."""
        done = subprocess.run(
            [*SUREFOOT, *words, "-o", "json"],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"surefoot {' '.join(words)}: {done.returncode} {done.stderr}")
        found: dict[str, object] = json.loads(done.stdout)
        return found

    def trust(self, vkey: str) -> None:
        """Take checkpoints of this log."""
        witness.trust(self.folder, vkey)

    def start(self, listen: str = "127.0.0.1:0", kill_at: str = "") -> str:
        """Start it; the address. `kill_at` is a place where it ends itself by SIGKILL."""
        environment = {**os.environ, "SUREFOOT_KILL_AT": kill_at}
        self._process = subprocess.Popen(
            [*SUREFOOT, "witness", "run", str(self.folder), "--listen", listen, "-o", "json"],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError("the witness did not start")
        self.url = str(json.loads(line)["witness"])
        return self.url

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it and wait."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        self._process.wait(timeout=_SECONDS)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None

    def post(self, body: bytes) -> tuple[int, str]:
        """Status and text of one add-checkpoint. Raises `OSError` or `HTTPException`."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=_SECONDS)
        try:
            connection.request("POST", "/add-checkpoint", body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()
