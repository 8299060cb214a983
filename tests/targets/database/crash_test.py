"""Workers killed between act and receipt, and services that write while a migration fails."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHILD = str(Path(__file__).with_name("child.py"))


def killed(stand: Any, where: str, action: str, operation: str, **arguments: Any) -> None:
    """Run a worker that dies at a place."""
    worker = start(stand, where, action, operation, **arguments)
    _, errors = worker.communicate(timeout=300)
    assert worker.returncode == -9, errors


def start(
    stand: Any, where: str, action: str, operation: str, **arguments: Any
) -> subprocess.Popen[str]:
    plan = {
        "engine": stand.engine,
        "address": stand.driver.address(),
        "blobs": str(stand.blobs.folder),
        "folder": str(stand.folder / "target"),
        "die": where,
        "action": action,
        "arguments": arguments,
        "operation": operation,
        "fence": stand.fence(),
    }
    return subprocess.Popen(
        [sys.executable, CHILD, json.dumps(plan)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def arguments_of(stand: Any, files: dict[str, str]) -> dict[str, Any]:
    return {
        "artifact": stand.artifact(files),
        "classes": ["expand", "backfill"],
        "to": len(files),
    }


def test_killed_between_commit_and_receipt(stand: Any, files: Any) -> None:
    two = dict(list(files.items())[:2])
    killed(stand, "before the receipt", "migrate", "9/1", **arguments_of(stand, two))
    assert stand.target.observe().stable["schema/version"] == 2
    assert not stand.target._receipts.all().get("9/1")
    done = stand.migrate(two, operation="9/1")
    assert (done.status, done.figures["applied"]) == ("done", [1, 2])
    rows = stand.sql("SELECT number, operation FROM surefoot_migration ORDER BY number")
    assert [tuple(row) for row in rows] == [(1, "9/1"), (2, "9/1")]
    assert stand.count("device") == 2


def test_killed_between_two_migrations(stand: Any, files: Any) -> None:
    two = dict(list(files.items())[:2])
    where = "after the first migration"
    killed(stand, where, "migrate", "9/1", **arguments_of(stand, two))
    assert stand.target.observe().stable["schema/version"] == 1
    done = stand.migrate(two, operation="9/1")
    assert (done.status, done.figures["applied"]) == ("done", [1, 2])


def test_killed_in_the_middle_of_a_migration(filled: Any, files: Any) -> None:
    slow = dict(list(files.items())[:2])
    slow["0003_expand_slow.sql"] = (
        "CREATE TABLE big (n INTEGER);\n"
        "INSERT INTO big WITH RECURSIVE c (n) AS"
        " (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000000) SELECT n FROM c;\n"
    )
    before = filled.target.observe()
    worker = start(filled, "", "migrate", "9/1", **arguments_of(filled, slow))
    assert worker.stdout is not None
    worker.stdout.readline()
    time.sleep(0.05)
    worker.kill()
    worker.communicate()
    assert filled.target.observe().digest() == before.digest()
    done = filled.migrate(slow, operation="9/1")
    assert (done.status, done.figures["applied"]) == ("done", [3])
    assert filled.count("big") == 2_000_000


def test_killed_between_restore_and_receipt(filled: Any) -> None:
    backup = filled.act("backup").figures["backup"]
    filled.sql("DELETE FROM telemetry")
    arguments = {"backup": backup, "writers_stopped": True}
    killed(filled, "before the receipt", "restore", "9/1", **arguments)
    assert filled.count("telemetry") == 25
    assert filled.act("restore", "9/1", **arguments).status == "done"
    assert filled.count("telemetry") == 25


def test_killed_between_clone_and_receipt(filled: Any, make: Any) -> None:
    backup = filled.act("backup").figures["backup"]
    other = make("copy")
    arguments = {"backup": backup, "policy": "masked", "masked": ["telemetry.room"]}
    killed(other, "before the receipt", "clone_from", "9/1", **arguments)
    rooms = other.sql("SELECT DISTINCT room FROM telemetry ORDER BY room")
    assert other.act("clone_from", "9/1", **arguments).status == "done"
    assert other.sql("SELECT DISTINCT room FROM telemetry ORDER BY room") == rooms


@contextmanager
def service(stand: Any) -> Iterator[subprocess.Popen[str]]:
    """The old service, which keeps writing."""
    writer = subprocess.Popen(
        [sys.executable, CHILD, "write", stand.engine, stand.driver.address(), "1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline().strip() == "1000"
        yield writer
    finally:
        writer.kill()
        writer.wait()
        assert writer.stdout is not None and writer.stderr is not None
        writer.stdout.close()
        writer.stderr.close()


FAILS = (
    "ALTER TABLE telemetry ADD COLUMN extra TEXT;\n"
    "UPDATE telemetry SET room = 'changed';\n"
    "INSERT INTO device WITH RECURSIVE c (n) AS"
    " (SELECT 100 UNION ALL SELECT n + 1 FROM c WHERE n < 200000) SELECT n, 'd' || n FROM c;\n"
    "INSERT INTO device VALUES (1, 'twice');\n"
)


@pytest.mark.parametrize("fails", [True, False])
def test_no_acknowledged_row_is_lost_beside_a_migration(
    filled: Any, files: Any, fails: bool
) -> None:
    more = dict(list(files.items())[:2])
    more["0003_expand_more.sql"] = FAILS if fails else FAILS.rsplit("\n", 2)[0] + "\n"
    with service(filled) as writer:
        assert writer.stdout is not None and writer.stderr is not None
        acknowledged = [1000, *(int(writer.stdout.readline()) for _ in range(5))]
        outcome = filled.migrate(more)
        last = filled.sql("SELECT max(id) FROM telemetry")[0][0]
        while acknowledged[-1] < last + 5:  # the service writes on afterwards
            acknowledged.append(int(writer.stdout.readline()))
        assert writer.poll() is None
        writer.terminate()
        acknowledged += map(int, writer.stdout.read().split())
        assert not writer.stderr.read()
    assert outcome.status == ("failed" if fails else "done"), outcome.reason
    present = {row[0] for row in filled.sql("SELECT id FROM telemetry WHERE id >= 1000")}
    assert set(acknowledged) <= present
    assert len(acknowledged) > 10
    assert filled.count("device") == (2 if fails else 2 + 199_901)
    changed = filled.sql("SELECT count(*) FROM telemetry WHERE room = 'changed'")[0][0]
    assert (changed == 0) == fails
    assert filled.target.observe().stable["schema/version"] == (2 if fails else 3)


def test_two_workers_apply_each_migration_once(stand: Any, files: Any) -> None:
    two = dict(list(files.items())[:2])
    workers = [start(stand, "", "migrate", f"9/{n}", **arguments_of(stand, two)) for n in (1, 2)]
    errors = [worker.communicate(timeout=300)[1] for worker in workers]
    refused = [error for error in errors if error]
    assert all("target.fence.moved" in error for error in refused), errors
    assert stand.count("surefoot_migration") == 2
    assert stand.count("device") == 2
