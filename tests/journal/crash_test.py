"""Crashes of the writer: nothing promised is lost, and the next start signs what was committed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from surefoot.core.errors import Failed
from surefoot.journal.verify import verify_live
from surefoot.store.database import Database
from surefoot.testing.journal import ANN, KEY, TallyWorld, draft, open_database, open_log
from surefoot.trust.note import open_checkpoint

PLACES = ("append:before", "append:written", "append:committed", "append:signed", "append:stored")
PERSISTED = ("append:committed", "append:signed", "append:stored")


def run(store: str, checkpoint: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "surefoot.testing.journal", store, str(checkpoint), *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )


def check(database: Database, checkpoint: Path) -> list[str]:
    """The requests in the journal, after an outside look at all of it."""
    log = open_log(database, checkpoint)
    assert log.alarm is None
    signed = open_checkpoint(log.checkpoint(), KEY.verifier)
    assert signed.size == log.size()
    report = verify_live(database, KEY.verifier.text(), checkpoint, make_world=TallyWorld)
    assert report.ok, report.problems
    return [entry.request for entry in log.entries(0, 10_000)]


@pytest.mark.parametrize("place", PLACES)
def test_killed_at_a_place(store: str, checkpoint: Path, place: str) -> None:
    with run(store, checkpoint, "4", place, "2") as process:
        assert process.stdout is not None
        promised = [line.split()[0] for line in process.stdout]
        assert process.wait(300) == -9
    assert len(promised) == 2
    database = open_database(store)
    found = check(database, checkpoint)
    assert found[:2] == promised
    assert len(found) == (3 if place in PERSISTED else 2)
    log = open_log(database, checkpoint)
    assert log.transact(lambda world: [draft(total=len(world.requests))], ANN, "next") is not None
    assert check(database, checkpoint) == [*found, "next"]
    database.close()


@pytest.mark.parametrize("failure", [OSError, Failed, KeyboardInterrupt])
@pytest.mark.parametrize("place", PLACES)
def test_failing_at_a_place(
    database: Database, checkpoint: Path, place: str, failure: type[BaseException]
) -> None:
    armed = False

    def fault(name: str) -> None:
        if armed and name == place:
            raise failure("store.test", "test") if failure is Failed else failure("test")

    log = open_log(database, checkpoint, fault=fault)
    log.transact(lambda world: [draft(x=1)], ANN, "one")
    armed = True
    with pytest.raises(failure):
        log.transact(lambda world: [draft(x=2)], ANN, "two")
    armed = False
    expected = ["one", "two"] if place in PERSISTED else ["one"]
    assert log.read(lambda world: list(world.requests)) == expected
    log.transact(lambda world: [draft(x=3)], ANN, "three")
    assert log.read(lambda world: list(world.requests)) == [*expected, "three"]
    assert check(database, checkpoint) == [*expected, "three"]


def test_two_processes_race_on_postgres(postgres_dsn: str, checkpoint: Path) -> None:
    """Each entry says how many there were when it was decided: no decision on an old world."""
    racers = [run(postgres_dsn, checkpoint, "25", "never", "0") for _ in range(2)]
    promised = []
    for racer in racers:
        assert racer.stdout is not None
        with racer.stdout as lines:
            promised += [line.split()[0] for line in lines]
        assert racer.wait(300) == 0
    database = open_database(postgres_dsn)
    assert sorted(check(database, checkpoint)) == sorted(promised)
    log = open_log(database, checkpoint)
    totals = [entry.body["total"] for entry in log.stream_entries("env/dev", 0, 100)]
    assert totals == list(range(50))
    database.close()


def test_a_process_that_joins_with_a_checkpoint_file_of_its_own(
    postgres_dsn: str, tmp_path: Path
) -> None:
    one, two = open_database(postgres_dsn), open_database(postgres_dsn)
    first = open_log(one, tmp_path / "one")
    first.transact(lambda world: [draft()], ANN, "one")
    assert open_log(two, tmp_path / "two").alarm is not None
    second = open_log(two, tmp_path / "two", adopt=True)
    second.transact(lambda world: [draft()], ANN, "two")
    assert first.read(lambda world: list(world.requests)) == ["one", "two"]
    first.transact(lambda world: [draft()], ANN, "three")
    assert second.wait_for_change(4, 90) == 6
    assert second.read(lambda world: list(world.requests)) == ["one", "two", "three"]
    assert open_checkpoint(second.checkpoint(), KEY.verifier).size == 6
    one.close()
    two.close()
