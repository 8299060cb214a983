"""Figures of proofs: size, time to make, time to verify, and the single file as a process; JSON.

Verification stands beside two bare Ed25519 verifications, the least that any verifier must do, made
in the same run, alternating with it. `python benchmarks/proof.py [ENTRIES]`.
"""

from __future__ import annotations

import gzip
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from surefoot.journal.proof import Prover
from surefoot.store.sqlite import SqliteDatabase
from surefoot.testing.journal import ANN, KEY, draft, open_log
from surefoot.testing.proof_scene import running
from surefoot.trust.note import open_checkpoint
from surefoot.trust.proof import verify

ENTRIES = 100_000
STREAMS = 200
BATCH = 500
MOVED = 48
TIMES = 300
VKEY = KEY.verifier.text()
FILE = Path(__file__).resolve().parents[1] / "tools" / "surefoot_verify.py"


def timed(work: Callable[[], Any]) -> float:
    """Milliseconds that the work took."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def middle(durations: list[float]) -> float:
    """The median, rounded."""
    return round(statistics.median(durations), 3)


def measured(content: bytes, note: str) -> dict[str, Any]:
    """Size and verification of a bundle, alternating with the bare signatures."""
    ours, bare = [], []
    for _ in range(TIMES):
        ours.append(timed(lambda: verify(content, VKEY)))
        bare.append(timed(lambda: [open_checkpoint(note, KEY.verifier) for _ in range(2)]))
    return {
        "bytes": len(content),
        "bytes_gzip": len(gzip.compress(content)),
        "verify_p50_ms": middle(ours),
        "two_signatures_p50_ms": middle(bare),
        "verify_over_signatures": round(statistics.median(ours) / statistics.median(bare), 1),
    }


def process(content: bytes, folder: Path) -> float:
    """Milliseconds of the single file from start to end, the interpreter's start included."""
    file = folder / "bundle.json"
    file.write_bytes(content)
    words = [sys.executable, "-I", str(FILE), str(file), "--log-key", VKEY]
    run = partial(subprocess.run, words, check=True, capture_output=True)
    return middle([timed(run) for _ in range(5)])


def measure(folder: Path, entries: int) -> dict[str, Any]:
    """All figures."""
    database = SqliteDatabase(folder / "store")
    now = [1_795_255_200_000]
    log = open_log(database, folder / "checkpoint", now_ms=lambda: now[0])
    log.transact(lambda world: [draft("env/production", **running(0))], ANN, "r")
    moved_at = 0
    for batch in range(entries // BATCH):
        now[0] += 60_000
        if batch == entries // BATCH // 2:
            moved_at = now[0] - 1
            changes = [draft("env/production", x=i) for i in range(MOVED)]
            log.transact(lambda world, changes=changes: changes, ANN, "moved")
        drafts = [draft(f"deployment/{i % STREAMS}", x=batch) for i in range(BATCH)]
        log.transact(lambda world, drafts=drafts: drafts, ANN, "r")
    prover = Prover(log, database, VKEY, "surefoot")
    note = log.checkpoint()
    quiet_at = now[0] - 600_001
    cold = timed(lambda: prover.state("env/production", quiet_at))
    quiet, moved = (
        prover.state("env/production", quiet_at),
        prover.state("env/production", moved_at),
    )
    making = middle([timed(lambda: prover.state("env/production", quiet_at)) for _ in range(TIMES)])
    figures = {
        "leaves": log.size(),
        "streams": STREAMS + 1,
        "make_first_ms": round(cold, 1),
        "make_again_p50_ms": making,
        "unchanged": measured(quiet, note),
        f"with_{MOVED}_entries_between": measured(moved, note),
        "single_file_process_ms": process(quiet, folder),
    }
    database.close()
    return figures


def main() -> int:
    """Measure in a temporary directory."""
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES
    folder = Path(tempfile.mkdtemp(prefix="surefoot-bench-"))
    try:
        place = {"cpus": os.cpu_count(), "python": platform.python_version()}
        print(json.dumps(place | measure(folder, entries), indent=2))
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
