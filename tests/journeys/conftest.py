"""A stage on PostgreSQL: whole server processes that share one store and one data folder."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from surefoot.demo.stage import SUREFOOT, Stage, Unexpected
from surefoot.demo.voice import Voice

LEASE_SECONDS = 4

# Begins the program of its arguments with standard output in a file.
INTO_FILE = (
    sys.executable,
    "-c",
    "import os, sys; os.dup2(os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_TRUNC), 1);"
    " os.execv(sys.argv[2], sys.argv[2:])",
)


class Shared(Stage):
    """`door` says through which server the commands go: `server`, or a name given to `join`."""

    def __init__(self, folder: Path, product: Path, dsn: str) -> None:
        super().__init__(folder, product, Voice())
        self.dsn = dsn
        self.door = "server"

    def start(self, who: str, *words: str, stdin: str = "") -> Any:
        if words[0] == "init":
            words = (*words, "--store", self.dsn, "--lease-seconds", str(LEASE_SECONDS))
        return super().start(who, *words, stdin=stdin)

    def socket(self, name: str) -> Path:
        return self.data / ("surefoot.sock" if name == "server" else f"{name}.sock")

    def _variables(self, who: str) -> dict[str, str]:
        return super()._variables(who) | {"SUREFOOT_SERVER": f"unix:{self.socket(self.door)}"}

    def start_server(self, **variables: str) -> None:
        addresses = self.join("server", **variables)
        self.address, self.devices_address = addresses["api"], addresses["devices"]

    def join(self, name: str, **variables: str) -> dict[str, str]:
        """Start a server process of this name on the data folder; its addresses."""
        words = [
            *SUREFOOT, "server", "run", "--data", str(self.data), "--listen", "127.0.0.1:0",
            "--devices", "127.0.0.1:0", "-o", "json",
        ]  # fmt: skip
        if name != "server":
            words += ["--socket", str(self.socket(name))]
        ready = self.folder / f"{name}.ready"
        ready.unlink(missing_ok=True)
        self.spawn(name, (*INTO_FILE, str(ready), *words), **variables)

        def found() -> dict[str, str] | None:
            if not self.is_running(name):
                raise Unexpected(f"{name} did not start: {self.tail(name)}")
            text = ready.read_text() if ready.exists() else ""
            return dict(json.loads(text)) if text.endswith("\n") else None

        addresses: dict[str, str] = self.wait(f"server {name}", found)
        return addresses

    @contextlib.contextmanager
    def through(self, door: str) -> Iterator[None]:
        """Commands go through the named server."""
        before, self.door = self.door, door
        try:
            yield
        finally:
            self.door = before

    @contextlib.contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """The process stands still meanwhile, so that another one does the work."""
        self._processes[name].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._processes[name].send_signal(signal.SIGCONT)

    def entries(self) -> list[dict[str, Any]]:
        """What an outsider reads from the store: every entry, in order."""
        with psycopg.connect(self.dsn) as store:
            rows = store.execute("SELECT raw FROM entries WHERE stream IS NOT NULL ORDER BY idx")
            return [json.loads(raw) for (raw,) in rows]

    def cut_connections(self) -> int:
        """End every connection to the store, as a restart of the database server does."""
        with psycopg.connect(self.dsn) as store:
            rows = store.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchall()
        return len(rows)


@pytest.fixture
def shared(tmp_path: Path, postgres_dsn: str) -> Iterator[Callable[[Path], Shared]]:
    """Makes a stage for a product; all its processes end with the test."""
    made: list[Shared] = []

    def make(product: Path) -> Shared:
        made.append(Shared(tmp_path / f"stage{len(made)}", product, postgres_dsn))
        return made[-1]

    yield make
    for stage in made:
        stage.close()
