"""Figures of the journal: durable appends, replay, full verification; prints JSON.

Every figure that depends on the disk stands beside a bare SQLite insert of the same bytes, made in
the same run, alternating with it, in the same directory. `python benchmarks/journal.py [DIR]`.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from surefoot.journal.verify import verify_live
from surefoot.store.sqlite import SqliteDatabase
from surefoot.testing.journal import ANN, KEY, TallyWorld, draft, open_log
from surefoot.trust.heads import Head, HeadsMap

SINGLE = 1000
BATCH = 250
BATCHES = 400
STREAMS = 20
NEW_STREAMS = (1_000, 10_000, 100_000)


def disk_of(folder: Path) -> str:
    """The mount that holds the folder, as the kernel names it."""
    best = ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        device, mount, kind = line.split()[:3]
        inside = mount == "/" or str(folder.resolve()).startswith(mount.rstrip("/") + "/")
        if inside and len(mount) > len(best[0]):
            best = (mount, f"{device} {kind}")
    return best[1]


def percentiles(milliseconds: list[float]) -> dict[str, float]:
    """p50 and p99 of a list of durations."""
    ordered = sorted(milliseconds)
    return {
        "p50_ms": round(statistics.median(ordered), 3),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)], 3),
    }


def timed(work: Callable[[], Any]) -> float:
    """Milliseconds that the work took."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def bare(folder: Path) -> Callable[[], None]:
    """One durable insert of 500 bytes, without any journal."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, content BLOB)")

    def insert() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t (content) VALUES (?)", (b"x" * 500,))
        connection.execute("COMMIT")

    return insert


def head_ms(streams: int) -> dict[str, float]:
    """Processor time of the heads map's root after a changed head, and after a new stream."""
    heads, changed, new = HeadsMap(), [], []
    head = Head(i=1, leaf="0" * 64, n=1, state="sha256:" + "0" * 64)
    for number in range(streams):
        heads.set(f"deployment/{number}", head)
    heads.root()
    for number in range(20):
        heads.set(f"deployment/{number}", msgspec.structs.replace(head, i=number + 2))
        changed.append(timed(heads.root))
        heads.set(f"release/{number}", head)
        new.append(timed(heads.root))
    middle = statistics.median
    return {"changed_ms": round(middle(changed), 3), "new_ms": round(middle(new), 3)}


def measure(folder: Path) -> dict[str, Any]:
    """All figures."""
    database = SqliteDatabase(folder / "store")
    checkpoint = folder / "last-checkpoint"
    log = open_log(database, checkpoint)
    insert = bare(folder)
    streams = iter(range(10**9))

    def drafts(count: int) -> list[Any]:
        places = [next(streams) for _ in range(count)]
        return [draft(f"env/{at % STREAMS}", note="n" * 100, x=at) for at in places]

    singles, inserts = [], []
    for _ in range(SINGLE):
        inserts.append(timed(insert))
        singles.append(timed(lambda: log.transact(lambda world: drafts(1), ANN, "r")))
    batch_ms = timed(
        lambda: [log.transact(lambda world: drafts(BATCH), ANN, "r") for _ in range(BATCHES)]
    )
    leaves = log.size()
    replay_ms = timed(lambda: open_log(database, checkpoint))
    verify_ms = timed(lambda: verify_live(database, KEY.verifier.text(), checkpoint))
    fold_ms = timed(
        lambda: verify_live(database, KEY.verifier.text(), checkpoint, make_world=TallyWorld)
    )
    database.close()
    one, two = percentiles(singles), percentiles(inserts)
    return {
        "single_durable_append": one,
        "bare_sqlite_insert": two,
        "append_over_insert_p50": round(one["p50_ms"] / two["p50_ms"], 1),
        "batched_entries_per_second": round(BATCH * BATCHES / batch_ms * 1000),
        "batch": BATCH,
        "streams": STREAMS,
        "leaves": leaves,
        "start_with_replay_seconds": round(replay_ms / 1000, 2),
        "full_verify_seconds": round(verify_ms / 1000, 2),
        "full_verify_with_fold_seconds": round(fold_ms / 1000, 2),
        "heads_root_by_streams": {str(count): head_ms(count) for count in NEW_STREAMS},
    }


def main() -> int:
    """Measure in the given directory, or in a temporary one."""
    base = sys.argv[1] if len(sys.argv) > 1 else None
    folder = Path(tempfile.mkdtemp(prefix="surefoot-bench-", dir=base))
    try:
        place = {
            "disk": disk_of(folder),
            "durability": "SQLite WAL synchronous=FULL; checkpoint file and directory fsynced",
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
        }
        print(json.dumps(place | measure(folder), indent=2))
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
