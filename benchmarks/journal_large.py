"""Figures of a journal of a million facts, with the real world of rules; prints JSON.

    make bench-journal        or        .venv/bin/python benchmarks/journal_large.py [FACTS [DIR]]

Every append is durable. What depends on the disk stands beside bare SQLite transactions in the
same run and folder; what depends on the processor has its own seconds beside the clock's, for a
machine that does other work as well. Files are in the system's cache when they are read: cold means
a process that has nothing in memory. Takes several minutes and about 2 GB.
"""

from __future__ import annotations

import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from journal import bare, disk_of, percentiles, timed
from surefoot.compose.leaf_process import LeafChecks
from surefoot.core import facts as f
from surefoot.core.fold import new_world
from surefoot.core.world import World
from surefoot.core.world_form import world_bytes, world_of
from surefoot.engine.effects import draft
from surefoot.journal.checkpoint import CheckpointSigner
from surefoot.journal.log import Log
from surefoot.journal.proof import Prover
from surefoot.journal.snapshot import SnapshotFile, code_version
from surefoot.journal.source import DatabaseSource
from surefoot.journal.verify import verify_live
from surefoot.store.sqlite import SqliteDatabase
from surefoot.testing.journal import ANN, KEY
from surefoot.testing.root_scene import ANCHOR, FIRST, W1, W3
from surefoot.trust import canonical
from surefoot.trust.cosignature import CosignerSigner, with_lines
from surefoot.trust.digest import digest_of
from surefoot.trust.entry import time_of_text
from surefoot.trust.note import split_note
from surefoot.trust.proof import verify
from surefoot.trust.root import Root

FACTS = 1_000_000
BATCH = 250
ENVIRONMENTS = 200
DEPLOYMENTS = 800
STEPS = ("build", "migrate", "switch", "smoke")
SINGLES = 500
QUESTIONS = 1_000
PROOFS = 300
BEGUN_MS = 1_790_000_000_000
VKEY = KEY.verifier.text()
DIGESTS = [digest_of(str(number).encode()) for number in range(1_000)]


def opened(folder: Path, now: list[int], *, snapshot: bool) -> tuple[SqliteDatabase, Log[World]]:
    """The journal in a folder, its clock in `now[0]`."""
    database = SqliteDatabase(folder / "store")
    version = code_version("surefoot.core", "surefoot.trust")
    path = folder / "store" / "snapshot"
    file = SnapshotFile(path, b"key", version, world_bytes, world_of) if snapshot else None
    signer = CheckpointSigner(KEY, folder / "last-checkpoint")
    return database, Log(database, signer, new_world, lambda: now[0], snapshot=file)


def first_facts() -> list[f.Fact]:
    """What all others are about: environments and deployments, a stream each."""
    facts: list[f.Fact] = [
        f.EnvironmentDeclared(environment=f"e{number}", protected=False, source="")
        for number in range(ENVIRONMENTS)
    ]
    for number in range(DEPLOYMENTS):
        facts.append(
            f.DeploymentRequested(
                deployment=number,
                environment=f"e{number % ENVIRONMENTS}",
                purpose="deploy",
                release=DIGESTS[0],
                release_version="1.0.0",
                plan=DIGESTS[1],
                requester="ann",
                approvals_needed=1,
                approver_role="approver",
                excluded=(),
                availability_percent="99",
                undo_of=-1,
                steps=STEPS,
            )
        )
    return facts


def fact(number: int) -> f.Fact:
    """The next fact: a claim, its result, or what an environment's component is now."""
    turn, kind = divmod(number, 4)
    deployment = turn % DEPLOYMENTS
    step = STEPS[turn // DEPLOYMENTS % len(STEPS)]
    where = f"e{deployment % ENVIRONMENTS}"
    if kind == 0:
        worker = f"w{turn % 7}"
        return f.StepClaimed(deployment=deployment, environment=where, step=step, worker=worker)
    if kind == 1:
        return f.StepFinished(deployment=deployment, environment=where, step=step, status="done")
    return f.ComponentChanged(
        environment=f"e{(2 * turn + kind) % ENVIRONMENTS}",
        component=("api", "web", "worker")[turn % 3],
        kind="service",
        artifact=DIGESTS[number % 1000],
        version=f"1.{number}.0",
        release=DIGESTS[(number + 1) % 1000],
        deployment=deployment,
    )


class Spent:
    """Seconds of the clock and of the processor since it was made."""

    def __init__(self) -> None:
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def seconds(self) -> dict[str, float]:
        """Both, rounded."""
        wall, processor = time.perf_counter() - self.wall, time.process_time() - self.processor
        return {"seconds": round(wall, 2), "processor_seconds": round(processor, 2)}


def fill(log: Log[World], now: list[int], facts: int) -> dict[str, Any]:
    """Entries a second, in durable batches; facts are made between them, and not counted."""
    for first in range(0, ENVIRONMENTS + DEPLOYMENTS, BATCH):
        part = [draft(each) for each in first_facts()[first : first + BATCH]]
        log.transact(lambda world, part=part: part, ANN, "begin")
    spent, processor = 0.0, 0.0
    for first in range(0, facts, BATCH):
        now[0] += 1_000
        part = [draft(fact(number)) for number in range(first, first + BATCH)]
        begun = time.process_time()
        spent += timed(lambda part=part: log.transact(lambda world: part, ANN, "r"))
        processor += time.process_time() - begun
    return {
        "batch": BATCH,
        "entries_per_second": round(facts / spent * 1000),
        "processor_us_per_entry": round(processor / facts * 1e6, 1),
    }


def singles(log: Log[World], now: list[int], folder: Path, facts: int) -> dict[str, Any]:
    """One fact, one durable batch, alternating with a bare insert."""
    insert, ours, inserts = bare(folder), [], []
    for number in range(facts, facts + SINGLES):
        now[0] += 1_000
        part = [draft(fact(number))]
        inserts.append(timed(insert))
        ours.append(timed(lambda part=part: log.transact(lambda world: part, ANN, "r")))
    one, two = percentiles(ours), percentiles(inserts)
    ratio = round(one["p50_ms"] / two["p50_ms"], 1)
    return {"append": one, "bare_sqlite_insert": two, "append_over_insert_p50": ratio}


def questions(log: Log[World], now: list[int]) -> dict[str, Any]:
    """What an environment was at random times: the entry, and the state that it proves."""
    chance, spent = random.Random(1), []
    for _ in range(QUESTIONS):
        stream = f"env/e{chance.randrange(ENVIRONMENTS)}"
        at = chance.randrange(BEGUN_MS + 60_000, now[0])
        spent.append(timed(lambda stream=stream, at=at: log.state_at(stream, at)))
    return {"first_ms": round(spent[0], 2), **percentiles(spent[1:])}


def proofs(log: Log[World], database: SqliteDatabase, now: list[int]) -> dict[str, Any]:
    """Portable proofs of environments at random times, between which and the next seal they stood
    as they were: alone, with two witnesses, and with post-quantum anchors as well."""
    prover, chance = Prover(log, database, VKEY, "surefoot 0.1.0"), random.Random(2)
    root = msgspec.structs.replace(
        FIRST,
        logs=tuple(msgspec.structs.replace(each, from_ms=0) for each in FIRST.logs),
        witnesses=tuple(msgspec.structs.replace(each, from_ms=0) for each in FIRST.witnesses),
    )
    kinds: dict[str, tuple[list[CosignerSigner], Root | str]] = {
        "alone": ([], VKEY),
        "two_witnesses": ([W1, W3], root),
        "two_witnesses_and_anchors": ([W1, W3, ANCHOR], root),
    }
    made: dict[str, list[bytes]] = {kind: [] for kind in kinds}
    for _ in range(PROOFS):
        stream = f"env/e{chance.randrange(ENVIRONMENTS)}"
        content = prover.state(stream, chance.randrange(BEGUN_MS + 60_000, now[0]))
        if verify(content, VKEY).changes == 0:
            for kind, (signers, _) in kinds.items():
                made[kind].append(cosigned(content, signers))
    making = [timed(lambda: prover.state("env/e7", (BEGUN_MS + now[0]) // 2)) for _ in range(50)]
    found: dict[str, Any] = {"make_p50_ms": round(statistics.median(making), 2)}
    for kind, (_, trust) in kinds.items():
        sizes = [len(content) for content in made[kind]]
        spent = [timed(partial(verify, each, trust)) for each in made[kind] * 3]
        found[kind] = {
            "proofs": len(sizes),
            "bytes_mean": round(statistics.mean(sizes)),
            "bytes_max": max(sizes),
            "verify_p50_ms": round(statistics.median(spent), 3),
        }
    return found


def cosigned(content: bytes, signers: list[CosignerSigner]) -> bytes:
    """The proof with cosignatures of its seals' times, the later ones a second afterwards."""
    bundle: dict[str, Any] = json.loads(content)
    for name, side in ((name, bundle[name]) for name in ("before", "after") if name in bundle):
        second = time_of_text(side["seal"]["time"]) // 1000 + (name == "after")
        text = split_note(side["checkpoint"])[0]
        lines = [signer.cosign(text, second) for signer in signers]
        side["checkpoint"] = with_lines(side["checkpoint"], lines)
    return canonical.encode(bundle)


def resident_mb() -> int:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


def start(folder: Path, how: str) -> dict[str, Any]:
    """In a process of its own: how long a start takes, and what it holds then."""
    before = resident_mb()
    spent = Spent()
    database, log = opened(folder, [BEGUN_MS * 2], snapshot=how == "snapshot")
    seconds = spent.seconds()
    assert log.alarm is None
    assert log._memory is not None
    found: dict[str, Any] = {
        **seconds,
        "leaves_from_snapshot": log._memory.unread,
        "resident_mb": resident_mb(),
        "resident_mb_before": before,
    }
    spent = Spent()
    while log.recheck(5_000):
        pass
    found["recheck"] = spent.seconds()
    assert log.alarm is None
    database.close()
    return found


def source_of(folder: Path) -> DatabaseSource:
    """The journal once more, for the second process of a verification."""
    return DatabaseSource(SqliteDatabase(folder / "store", read_only=True))


def elsewhere(folder: Path, how: str) -> dict[str, Any]:
    """`start` in another process."""
    words = [sys.executable, __file__, "start", str(folder), how]
    answer = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(answer)
    return found


def measure(folder: Path, facts: int) -> dict[str, Any]:
    """All figures."""
    now = [BEGUN_MS]
    database, log = opened(folder, now, snapshot=True)
    found: dict[str, Any] = {"batched": fill(log, now, facts)}
    found["single"] = singles(log, now, folder, facts)
    found["at"] = questions(log, now)
    found["proof"] = proofs(log, database, now)
    found["resident_mb_of_the_writer"] = resident_mb()
    found["snapshot_kept_seconds"] = round(timed(log.keep_snapshot) / 1000, 2)
    found["snapshot_mb"] = (folder / "store" / "snapshot").stat().st_size // 2**20
    found["database_mb"] = (folder / "store" / "surefoot.db").stat().st_size // 2**20
    database.close()
    found["start_from_snapshot"] = elsewhere(folder, "snapshot")
    found["start_by_folding"] = elsewhere(folder, "fold")
    database = SqliteDatabase(folder / "store", read_only=True)
    for name, make_world in (("verify", None), ("verify_with_fold", new_world)):
        spent = Spent()
        path = folder / "last-checkpoint"
        begin = partial(LeafChecks, partial(source_of, folder))
        report = verify_live(database, VKEY, path, make_world=make_world, begin=begin)
        found[name] = spent.seconds()
        assert report.ok, report.problems
    found |= {"entries": report.entries, "seals": report.seals, "streams": report.streams}
    found["states"] = report.states
    database.close()
    return found


def main(arguments: list[str]) -> int:
    """Measure in a temporary directory, or be the process that starts."""
    if arguments[:1] == ["start"]:
        print(json.dumps(start(Path(arguments[1]), arguments[2])))
        return 0
    facts = int(arguments[0]) if arguments else FACTS
    base = arguments[1] if len(arguments) > 1 else None
    folder = Path(tempfile.mkdtemp(prefix="surefoot-bench-", dir=base))
    try:
        place = {
            "disk": disk_of(folder),
            "durability": "SQLite WAL synchronous=FULL; checkpoint file and directory fsynced",
            "cpus": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
            "python": platform.python_version(),
        }
        print(json.dumps(place | measure(folder, facts), indent=2))
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
