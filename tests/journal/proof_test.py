"""Proofs made from a journal: for every time, both databases, any stream; their size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.core.errors import Refused
from surefoot.journal.log import Log
from surefoot.journal.proof import Prover
from surefoot.store.database import Database
from surefoot.store.sqlite import SqliteDatabase
from surefoot.testing.journal import ANN, KEY, TallyWorld, draft, open_log
from surefoot.testing.proof_scene import RELEASES, Scene, moment, running
from surefoot.trust.entry import text_of_time
from surefoot.trust.proof import verify

VKEY = KEY.verifier.text()
START_MS = 1_795_255_200_000
SIZE_BYTES_MAX = 5 * 1024


class Ticking:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = START_MS

    def now_ms(self) -> int:
        return self.now


def fill(log: Log[TallyWorld], clock: Ticking) -> list[int]:
    """Batches of several streams, some in the same millisecond; the times that they got."""
    times = []
    for i in range(30):
        clock.now += (i % 3) * 700
        streams = [f"env/{(i + k) % 4}" for k in range(i % 3)]
        drafts = [draft(stream, x=i) for stream in streams] * 2
        if drafts:
            log.transact(lambda world, drafts=drafts: drafts, ANN, f"r{i}")
        else:
            log.heartbeat()
        times.append(clock.now)
    return times


def test_at_every_time_the_proof_shows_what_the_journal_answers(
    database: Database, checkpoint: Path
) -> None:
    clock = Ticking()
    log = open_log(database, checkpoint, now_ms=clock.now_ms)
    times = fill(log, clock)
    prover = Prover(log, database, VKEY, "test")
    newest = times[-1]
    for at in sorted({t + d for t in times for d in (-1, 0, 1, 350)}):
        for stream in ("env/0", "env/3", "env/none"):
            proved = verify(prover.state(stream, at), VKEY)
            found = log.state_at(stream, min(at, newest))
            assert proved.until_ms == (at if at < newest else newest)
            if found is None:
                assert proved.entry is None and proved.state is None
            else:
                assert proved.entry is not None and proved.entry.index == found[0].index
                assert proved.state == found[1]


def test_a_batch_that_a_crash_left_unsigned_is_proved_later(
    database: Database, checkpoint: Path
) -> None:
    clock = Ticking()
    crashing: list[str] = []

    def fault(place: str) -> None:
        if crashing and place == "append:committed":
            raise RuntimeError("crash")

    log = open_log(database, checkpoint, now_ms=clock.now_ms, fault=fault)
    log.transact(lambda world: [draft(x=0)], ANN, "r0")
    clock.now += 1000
    crashing.append("now")
    with pytest.raises(RuntimeError):
        log.transact(lambda world: [draft(x=1)], ANN, "r1")
    crashing.clear()
    clock.now += 1000
    log.heartbeat()
    prover = Prover(log, database, VKEY, "test")
    proved = verify(prover.state("env/dev", START_MS + 1500), VKEY)
    assert proved.entry is not None and proved.entry.n == 1


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


def test_that_a_release_was_never_there_is_not_proved_when_it_was(scene: Scene) -> None:
    never = scene.true.prover.never
    window = (moment("09:05:00"), moment("10:20:00"))
    with pytest.raises(Refused) as refused:
        never("env/production", *window, RELEASES[0])
    assert refused.value.code == "proof.release.present"
    with pytest.raises(Refused):
        never("env/production", *window, RELEASES[2])
    before = verify(never("env/production", window[0], moment("10:00:00"), RELEASES[2]), VKEY)
    assert before.release == RELEASES[2]
    after = verify(never("env/production", moment("10:05:00"), window[1], RELEASES[0]), VKEY)
    assert after.state is not None and after.state["release"] == RELEASES[2]


def test_never_ends_before_the_newest_seal(scene: Scene) -> None:
    bundle = scene.true.prover.never("env/production", moment("10:05:00"), 2**42, RELEASES[1])
    assert json.loads(bundle)["until"] == text_of_time(moment("10:30:00") - 1)
    with pytest.raises(Refused) as refused:
        scene.true.prover.never("env/production", moment("10:30:00"), 2**42, RELEASES[1])
    assert refused.value.code == "proof.time.input"


def test_an_empty_journal_proves_nothing(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "store")
    log = open_log(database, tmp_path / "checkpoint")
    with pytest.raises(Refused) as refused:
        Prover(log, database, VKEY, "test").state("env/dev", START_MS)
    assert refused.value.code == "proof.journal.empty"
    database.close()


def test_a_proof_of_an_unchanged_environment_is_small(tmp_path: Path) -> None:
    """20,000 leaves, 100 streams, and a state like an environment's."""
    clock = Ticking()
    database = SqliteDatabase(tmp_path / "store")
    log = open_log(database, tmp_path / "checkpoint", now_ms=clock.now_ms)
    log.transact(lambda world: [draft("env/production", **running(0))], ANN, "r")
    for i in range(40):
        clock.now += 1000
        drafts = [draft(f"deployment/{k % 100}", x=i) for k in range(500)]
        log.transact(lambda world, drafts=drafts: drafts, ANN, f"r{i}")
    for _ in range(2):
        clock.now += 300_000
        log.heartbeat()
    content = Prover(log, database, VKEY, "surefoot 0.1.0").state("env/production", clock.now - 1)
    assert log.size() > 20_000
    assert verify(content, VKEY).changes == 0
    assert len(content) <= SIZE_BYTES_MAX
    database.close()
