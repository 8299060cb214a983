"""A worker in a process of its own, killed at a chosen place: `child.py PLAN` with JSON.

Also the service that keeps writing during a migration: `child.py write ...`.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import psycopg

from surefoot.core.target import Step
from surefoot.targets.database import DatabaseTarget
from surefoot.targets.database.postgres import PostgresDriver
from surefoot.targets.database.sqlite import SqliteDriver
from surefoot.targets.words import Receipts
from surefoot.testing.claims import Claims


class Blobs:
    """Blobs of the parent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        return self.folder / digest.removeprefix("sha256:")

    def get(self, digest: str) -> bytes:
        return self.path(digest).read_bytes()


def die(*_ignored: object) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def work(plan: dict[str, Any]) -> None:
    """Apply one step, and die where the plan says."""
    address = plan["address"]
    driver: Any
    if plan["engine"] == "sqlite":
        driver = SqliteDriver(Path(address))
    else:
        driver = PostgresDriver(address)
    target = DatabaseTarget(
        "main",
        driver,
        Blobs(Path(plan["blobs"])),  # type: ignore[arg-type]
        Path(plan["folder"]),
        interlock=Claims("test").interlock(),
        now_ms=lambda: 0,
        random=os.urandom,
    )
    if plan["die"] == "before the receipt":
        Receipts.record = die  # type: ignore[method-assign]
    if plan["die"] == "after the first migration":
        real = driver.migrate

        def once(*arguments: Any) -> int:
            real(*arguments)
            driver.migrate = die
            return 0

        driver.migrate = once
    print("started", flush=True)
    step = Step(id="s", target="main", action=plan["action"], arguments=plan["arguments"])
    target.apply(step, Claims("test").token(step, plan["operation"], plan["fence"]))


def write(engine: str, address: str, first: str) -> None:
    """Insert rows for ever; print each number once it is acknowledged."""
    connection: Any
    if engine == "sqlite":
        connection = sqlite3.connect(address, timeout=60, isolation_level=None)
        insert = "INSERT INTO telemetry (id, device, room) VALUES (?, 'one; two', 'w')"
    else:
        connection = psycopg.connect(address, autocommit=True)
        insert = "INSERT INTO telemetry (id, device, room) VALUES (%s, 'one; two', 'w')"
    for number in range(int(first), 10_000_000):
        connection.execute(insert, (number,))
        print(number, flush=True)
        time.sleep(0.002)


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(*sys.argv[2:])
    else:
        work(json.loads(sys.argv[1]))
