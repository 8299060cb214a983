"""Figures of the engine: facts folded, a state at a moment, the overhead of a step; prints JSON.

Every figure stands beside a reference on the same entries in the same run, alternating with it:
folding beside `json.loads`, a state at a moment beside a bare SQLite look-up of the same bytes,
a step beside the fake target alone. `python benchmarks/engine.py [DIR]`.
"""

from __future__ import annotations

import json
import logging
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

from surefoot.core import facts as f
from surefoot.core.fold import new_world
from surefoot.core.target import Step
from surefoot.engine.effects import draft
from surefoot.journal.checkpoint import CheckpointSigner
from surefoot.journal.log import Log
from surefoot.store.sqlite import FILE_NAME, SqliteDatabase
from surefoot.testing.claims import Claims
from surefoot.testing.fake_marks import FakeMarks
from surefoot.testing.journal import ANN, KEY
from surefoot.testing.simulator import ENVIRONMENT, Node
from surefoot.trust.digest import digest_of
from surefoot.trust.entry import read_stored

FACTS = 100_000
BATCH = 1_000
LOOKS = 2_000
ROUNDS = 3
RUNS = 10
_START_MS = 1_790_000_000_000


def timed(work: Callable[[], Any]) -> float:
    """Seconds that the work took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def fill(folder: Path) -> None:
    """A journal of 100,000 facts about one environment."""
    now = [_START_MS]
    database = SqliteDatabase(folder / "store")
    signer = CheckpointSigner(KEY, folder / "last-checkpoint")
    log = Log(database, signer, new_world, lambda: now[0], free_bytes_min=1)
    log.transact(lambda w: [draft(f.EnvironmentDeclared(environment=ENVIRONMENT))], ANN, "declare")
    for batch in range(FACTS // BATCH):
        now[0] += 60_000
        facts = [
            draft(
                f.SecretSet(
                    environment=ENVIRONMENT,
                    name=f"key-{number % 7}",
                    version=batch * BATCH + number + 1,
                    fingerprint=digest_of(str(number).encode()),
                )
            )
            for number in range(BATCH)
        ]
        log.transact(lambda w, facts=facts: facts, ANN, f"batch {batch}")  # type: ignore[misc]
    database.close()


def raw_entries(folder: Path) -> list[tuple[int, bytes]]:
    """The stored bytes of all entries."""
    with sqlite3.connect(folder / "store" / FILE_NAME) as connection:
        return connection.execute(
            "SELECT idx, raw FROM entries WHERE stream IS NOT NULL ORDER BY idx"
        ).fetchall()


def folding(folder: Path) -> dict[str, Any]:
    """Facts folded a second, beside `json.loads` of the same bytes."""
    rows = raw_entries(folder)

    def fold() -> None:
        world = new_world()
        for index, raw in rows:
            world.apply(read_stored(index, raw))  # type: ignore[arg-type]

    def reference() -> None:
        for _, raw in rows:
            json.loads(raw)

    pairs = [(timed(fold), timed(reference)) for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {
        "facts": len(rows),
        "folded_per_second": round(len(rows) / ours),
        "json_loads_per_second": round(len(rows) / theirs),
        "times_json_loads": round(ours / theirs, 2),
    }


def state_at(folder: Path) -> dict[str, Any]:
    """`environment show --at` over all facts, beside a bare look-up of the same two rows."""
    database = SqliteDatabase(folder / "store", read_only=True)
    from_disk = Log(
        database,
        CheckpointSigner(KEY, folder / "last-checkpoint"),
        new_world,
        lambda: _START_MS,
        free_bytes_min=1,
    )
    stream, span = f"env/{ENVIRONMENT}", FACTS // BATCH * 60_000
    moments = [_START_MS + (number * 7919 % LOOKS) * span // LOOKS for number in range(LOOKS)]
    bare = sqlite3.connect(folder / "store" / FILE_NAME)

    def looked(moment: int) -> None:
        from_disk.state_at(stream, moment)

    def reference(moment: int) -> None:
        row = bare.execute(
            "SELECT raw FROM entries WHERE stream = ? AND time_ms <= ?"
            " ORDER BY time_ms DESC, n DESC LIMIT 1",
            (stream, moment),
        ).fetchone()
        state = json.loads(row[0])["state"]
        json.loads(
            bare.execute("SELECT content FROM states WHERE digest = ?", (state,)).fetchone()[0]
        )

    pairs = [(timed(lambda: looked(m)), timed(lambda: reference(m))) for m in moments]  # noqa: B023
    bare.close()
    database.close()
    ours, theirs = (sorted(column) for column in zip(*pairs, strict=True))
    return {
        "facts": FACTS,
        "p50_ms": round(statistics.median(ours) * 1000, 3),
        "p99_ms": round(ours[int(LOOKS * 0.99)] * 1000, 3),
        "bare_p50_ms": round(statistics.median(theirs) * 1000, 3),
        "times_bare": round(statistics.median(ours) / statistics.median(theirs), 2),
    }


def stepping(folder: Path) -> dict[str, Any]:
    """Seconds of one step with claim, signature and record, beside the fake target alone."""
    prepared = folder / "prepared"
    node = Node(prepared, "first")
    node.prepare()
    node.close()
    ours, theirs = [], []
    for number in range(RUNS):
        run = Path(shutil.copytree(prepared, folder / f"run-{number}"))
        node = Node(run, "worker")
        node.request(2, "1.1.0")
        for name in ("pia", "quin"):
            node.approve(2, name)
        claims = Claims()
        alone = FakeMarks(run / "alone.json", claims.interlock(), name="alone")
        for turn in range(40):
            step = node.effects.look(2)
            if step.what == "finish":
                break
            seconds = timed(lambda: node.advance(2))  # noqa: B023
            if step.what == "act":
                ours.append(seconds)
                act = Step(id=f"s{turn}", target="alone", action="wave", component="x")
                token = claims.token(act, f"{number + 1}/{turn}", turn)
                theirs.append(timed(lambda: alone.apply(act, token)))  # noqa: B023
            elif step.what == "wait":
                node.seal()
        node.close()
    median, bare = statistics.median(ours), statistics.median(theirs)
    return {
        "steps": len(ours),
        "step_p50_ms": round(median * 1000, 2),
        "target_alone_p50_ms": round(bare * 1000, 2),
        "overhead_p50_ms": round((median - bare) * 1000, 2),
        "times_target_alone": round(median / bare, 2),
    }


def main(arguments: list[str]) -> int:
    """Run all in a new directory below the given one, and print the figures."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(dir=arguments[0] if arguments else None) as name:
        folder = Path(name)
        fill(folder)
        figures = {
            "python": platform.python_version(),
            "folding": folding(folder),
            "state_at": state_at(folder),
            "stepping": stepping(folder / "stepping"),
        }
    print(json.dumps(figures, indent=2))  # the figures are the output
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
