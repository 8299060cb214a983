"""The journal's contract, on both databases; after each case an outside verifier reads it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.core.errors import Corrupt, Failed, Refused
from surefoot.journal.checkpoint import CheckpointFile, CheckpointSigner
from surefoot.journal.log import Log
from surefoot.journal.verify import verify_live
from surefoot.store.database import Database
from surefoot.store.sqlite import SqliteDatabase
from surefoot.testing.journal import ANN, KEY, TallyWorld, draft, open_log
from surefoot.trust.entry import Draft
from surefoot.trust.note import open_checkpoint

VKEY = KEY.verifier.text()


@pytest.fixture
def log(database: Database, checkpoint: Path) -> Iterator[Log[TallyWorld]]:
    found = open_log(database, checkpoint)
    yield found
    report = verify_live(database, VKEY, checkpoint, make_world=TallyWorld)
    assert report.ok, report.problems


def write(log: Log[TallyWorld], *drafts: Draft, request: str = "r") -> int:
    receipt = log.transact(lambda world: drafts, ANN, request)
    assert receipt is not None
    return receipt.size


def test_a_receipt_is_signed_and_names_the_batch(log: Log[TallyWorld]) -> None:
    receipt = log.transact(lambda world: [draft("env/a"), draft("env/b")], ANN, "r1")
    assert receipt is not None
    assert (receipt.first, receipt.size, receipt.indices) == (0, 3, (0, 1))
    found = open_checkpoint(receipt.checkpoint, KEY.verifier)
    assert (found.size, found.root.hex()) == (3, receipt.root)
    assert log.checkpoint() == receipt.checkpoint
    assert log.size() == 3
    again = log.transact(lambda world: [draft("env/a")], ANN, "r2")
    assert again is not None
    assert (again.first, again.indices) == (3, (3,))


def test_entries_carry_place_actor_and_state(log: Log[TallyWorld]) -> None:
    write(log, draft("env/a", x=1), draft("env/a", x=2), draft("env/b"), request="r1")
    write(log, draft("env/a", x=3), request="r2")
    entries = log.stream_entries("env/a", 0, 10)
    assert [(e.n, e.index, e.request, e.body["x"]) for e in entries] == [
        (0, 0, "r1", 1),
        (1, 1, "r1", 2),
        (2, 4, "r2", 3),
    ]
    assert entries[0].prev is None
    assert [log.state(e)["count"] for e in entries] == [1, 2, 3]
    assert [e.n for e in log.stream_entries("env/a", 1, 10)] == [1, 2]
    assert [e.n for e in log.stream_entries("env/a", 0, 2, newest=True)] == [2, 1]
    assert [e.index for e in log.entries(1, 2)] == [1, 2]
    assert [e.index for e in log.entries_before(4, 2)] == [2, 1]
    assert log.streams() == ["env/a", "env/b"]
    assert entries[0].actor == ANN


def test_decide_sees_what_was_written_and_may_decline(log: Log[TallyWorld]) -> None:
    write(log, draft("env/a"))
    size = log.size()
    assert log.transact(lambda world: [], ANN, "r") is None
    assert log.read(lambda world: world.streams["env/a"]["count"]) == 1

    def refuse(world: TallyWorld) -> list[Draft]:
        assert world.streams["env/a"]["count"] == 1
        raise Refused("policy.own-work", "deployment 1")

    with pytest.raises(Refused, match=r"policy\.own-work"):
        log.transact(refuse, ANN, "r")
    assert log.size() == size


@pytest.mark.parametrize(
    "bad",
    [
        draft("no stream"),
        draft("env/a", kind="seal"),
        draft(x="y" * 20_000),
        draft(x=1.5),  # type: ignore[arg-type]
    ],
)
def test_a_draft_outside_the_format_is_refused(log: Log[TallyWorld], bad: Draft) -> None:
    write(log, draft("env/a"))
    with pytest.raises(Refused, match=r"journal\.entry\.input"):
        log.transact(lambda world: [draft("env/a"), bad], ANN, "r")
    assert log.read(lambda world: world.streams["env/a"]["count"]) == 1
    write(log, draft("env/a"))


def test_a_world_that_fails_to_fold_writes_nothing(log: Log[TallyWorld]) -> None:
    write(log, draft("env/a"))
    with pytest.raises(RuntimeError, match="explodes"):
        log.transact(lambda world: [draft("env/a"), draft(explode=True)], ANN, "r")
    assert log.read(lambda world: world.streams["env/a"]["count"]) == 1
    write(log, draft("env/a"))
    assert log.read(lambda world: world.streams["env/a"]["count"]) == 2


def test_state_at_a_time(database: Database, checkpoint: Path) -> None:
    clock = iter([1000, 2000, 2000, 3000])
    log = open_log(database, checkpoint, now_ms=lambda: next(clock))
    for x in range(4):
        write(log, draft("env/a", x=x))
    found = {}
    for time_ms in (999, 1000, 1999, 2000, 2999, 3000, 9999):
        answer = log.state_at("env/a", time_ms)
        found[time_ms] = None if answer is None else answer[1]["last"]["x"]  # type: ignore
    assert found == {999: None, 1000: 0, 1999: 0, 2000: 2, 2999: 2, 3000: 3, 9999: 3}
    assert log.state_at("env/none", 9999) is None


def test_time_never_decreases_and_a_clamp_is_visible(database: Database, checkpoint: Path) -> None:
    clock = iter([5000, 4000, 6000])
    log = open_log(database, checkpoint, now_ms=lambda: next(clock))
    for _ in range(3):
        write(log, draft("env/a"))
    assert [e.time_ms for e in log.entries(0, 9)] == [5000, 5000, 6000]
    with database.read() as session:
        rows = session.rows("journal.leaves_from", first=0, limit=9)
    assert [b'"clamped_ms":1000' in bytes(row[1]) for row in rows][1::2] == [False, True, False]


def test_a_heartbeat_seals_and_signs(log: Log[TallyWorld]) -> None:
    write(log, draft("env/a"))
    receipt = log.heartbeat()
    assert receipt.indices == ()
    assert open_checkpoint(log.checkpoint(), KEY.verifier).size == receipt.size == 3


def test_waiting_for_a_change(log: Log[TallyWorld]) -> None:
    size = write(log, draft("env/a"))
    assert log.wait_for_change(size - 1, 5) == size
    started = time.monotonic()
    assert log.wait_for_change(size, 0.05) == size
    assert time.monotonic() - started < 60
    found: list[int] = []
    waiter = threading.Thread(target=lambda: found.append(log.wait_for_change(size, 90)))
    waiter.start()
    write(log, draft("env/a"))
    waiter.join(90)
    assert found == [size + 2]


def test_threads_write_one_after_the_other(log: Log[TallyWorld]) -> None:
    def work() -> None:
        for _ in range(10):
            log.transact(lambda world: [draft(total=len(world.requests))], ANN, "r")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [e.body["total"] for e in log.stream_entries("env/dev", 0, 100)] == list(range(40))


def test_opening_again_folds_the_same(log: Log[TallyWorld], database: Database) -> None:
    for i in range(5):
        write(log, draft(f"env/{i % 2}", i=i))
    again = open_log(database, log._signer.path)
    assert again.alarm is None
    expected = log.read(lambda world: (world.streams, world.requests))
    assert again.read(lambda world: (world.streams, world.requests)) == expected
    assert again.checkpoint() == log.checkpoint()


def test_a_reader_answers_and_cannot_write(log: Log[TallyWorld], database: Database) -> None:
    write(log, draft("env/a"))
    signed = CheckpointFile(KEY.verifier, log._signer.path)
    reader = Log(database, signed, TallyWorld, lambda: 0)
    assert reader.read(lambda world: world.streams["env/a"]["count"]) == 1
    with pytest.raises(Refused, match=r"journal\.reader\.only"):
        reader.transact(lambda world: [draft()], ANN, "r")


def test_a_full_disk_stops_before_acting(tmp_path: Path, checkpoint: Path) -> None:
    database = SqliteDatabase(tmp_path / "store")
    signer = CheckpointSigner(KEY, checkpoint)
    log = Log(database, signer, TallyWorld, lambda: 0, free_bytes_min=2**62)
    with pytest.raises(Failed, match=r"store\.disk\.full"):
        log.transact(lambda world: pytest.fail("must not decide"), ANN, "r")
    database.close()


def test_a_disk_that_fills_up_while_writing_loses_nothing(tmp_path: Path, checkpoint: Path) -> None:
    database = SqliteDatabase(tmp_path / "store")
    log = open_log(database, checkpoint)
    write(log, draft("env/a"))
    pages = database._writer.execute("PRAGMA page_count").fetchone()[0]
    database._writer.execute(f"PRAGMA max_page_count={pages + 1}")
    with pytest.raises(Failed, match=r"store\.disk\.full"):
        for _ in range(20):
            log.transact(lambda world: [draft("env/b", x="y" * 9000)], ANN, "r")
    database._writer.execute("PRAGMA max_page_count=100000")
    before = log.read(lambda world: len(world.requests))
    write(log, draft("env/a"))
    assert log.read(lambda world: len(world.requests)) == before + 1
    assert verify_live(database, VKEY, checkpoint, make_world=TallyWorld).ok
    database.close()


def test_the_signer_never_equivocates(tmp_path: Path) -> None:
    signer = CheckpointSigner(KEY, tmp_path / "last")
    note = signer.sign(5, b"a" * 32)
    assert signer.sign(5, b"a" * 32) == note
    for size, root in ((5, b"b" * 32), (4, b"a" * 32)):
        with pytest.raises(Corrupt, match=r"journal\.checkpoint\.equivocation"):
            CheckpointSigner(KEY, tmp_path / "last").sign(size, root)
    assert open_checkpoint((tmp_path / "last").read_text(), KEY.verifier).size == 5


def test_a_checkpoint_file_of_another_key_is_an_alarm(
    log: Log[TallyWorld], database: Database, tmp_path: Path
) -> None:
    write(log, draft("env/a"))
    other = tmp_path / "other"
    other.write_text("surefoot.example/journal\n1\nAAAA\n\n— x AAAAAAAA\n")
    again = open_log(database, other)
    assert again.alarm is not None
    assert again.alarm.code == "journal.checkpoint.signature"


def test_a_state_left_over_from_lost_entries_gives_way(
    database: Database, checkpoint: Path
) -> None:
    """A backup may hold states whose entries it has not: they must not stay for other entries."""
    with database.write() as session:
        session.run("journal.insert_state", idx=0, content=b"{}")
    log = open_log(database, checkpoint)
    log.transact(lambda world: [draft("env/a", x=1)], ANN, "r")
    (entry,) = log.entries(0, 9)
    assert log.state(entry)["count"] == 1
