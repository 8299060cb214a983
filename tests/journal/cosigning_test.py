"""A log and its witnesses, which are real processes: quorum, deaths, forks, put-back copies."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from surefoot.core.errors import Corrupt, Failed, Refused
from surefoot.journal.checkpoint import CheckpointSigner
from surefoot.journal.cosigning import Cosigning, Standing
from surefoot.journal.log import Log
from surefoot.journal.witness_client import WitnessClient, witness_sizes
from surefoot.store.database import Database
from surefoot.store.sqlite import SqliteDatabase
from surefoot.testing.control_plane import wait_for
from surefoot.testing.journal import ANN, CLOCK, KEY, TallyWorld, draft, open_log
from surefoot.testing.witness import WitnessProcess
from surefoot.trust.cosignature import ED25519, CosignerSigner, cosignatures, with_lines
from surefoot.trust.note import parse_checkpoint, split_note
from surefoot.trust.quorum import TrustPolicy, parse_policy

ORIGIN = KEY.verifier.name


@pytest.fixture
def witnesses(tmp_path: Path) -> Iterator[list[WitnessProcess]]:
    """Two of them, one of each kind of key."""
    found = [
        WitnessProcess(tmp_path / "north", "witness.example/north"),
        WitnessProcess(tmp_path / "south", "witness.example/south", ml_dsa=True),
    ]
    for witness in found:
        witness.trust(KEY.verifier.text())
        witness.start()
    yield found
    for witness in found:
        witness.stop()


def policy_of(witnesses: list[WitnessProcess]) -> TrustPolicy:
    names = [witness.folder.name for witness in witnesses]
    lines = [f"witness {w.folder.name} {w.vkey} {w.url}" for w in witnesses]
    return parse_policy("\n".join([*lines, f"group all all {' '.join(names)}", "quorum all", ""]))


@contextmanager
def running(log: Log[Any], database: Database, policy: TrustPolicy) -> Iterator[Cosigning]:
    retry, now_ms = (0.1, 0.5), CLOCK.now_ms
    cosigning = Cosigning(log, database, policy, [KEY.verifier], retry, now_ms=now_ms)
    cosigning.start()
    try:
        yield cosigning
    finally:
        cosigning.stop()


def write(log: Log[TallyWorld], count: int = 1) -> int:
    receipt = log.transact(lambda world: [draft(x=i) for i in range(count)], ANN, "r")
    assert receipt is not None
    return receipt.size


def quorum(log: Log[TallyWorld], policy: TrustPolicy, size: int) -> int | None:
    keys = [witness.key for witness in policy.witnesses.values()]
    return policy.quorum_time(cosignatures(log.cosigned(size), keys))


def standing(cosigning: Cosigning, name: str) -> Standing:
    (found,) = (s for s in cosigning.standings() if s.name == name)
    return found


def test_both_cosign_each_newest_checkpoint_and_one_may_die(
    database: Database, checkpoint: Path, witnesses: list[WitnessProcess]
) -> None:
    log, policy = open_log(database, checkpoint), policy_of(witnesses)
    first = write(log)
    with running(log, database, policy) as cosigning:
        wait_for("a quorum", lambda: quorum(log, policy, first))
        second = write(log, 300)
        wait_for("the next quorum", lambda: quorum(log, policy, second))
        address = witnesses[0].url.removeprefix("http://")
        witnesses[0].stop(9)
        third = write(log)
        wait_for("the other's line", lambda: standing(cosigning, "south").size == third)
        wait_for("an error", lambda: standing(cosigning, "north").error)
        error = standing(cosigning, "north").error
        assert isinstance(error, Failed) and error.code == "journal.witness.failed"
        assert cosigning.alarm() is None
        assert quorum(log, policy, third) is None
        assert standing(cosigning, "north").size == second
        witnesses[0].start(address)
        wait_for("the quorum again", lambda: quorum(log, policy, third))
        wait_for("no error", lambda: standing(cosigning, "north").error is None)


def test_many_appends_are_few_requests(
    database: Database, checkpoint: Path, witnesses: list[WitnessProcess]
) -> None:
    log, policy = open_log(database, checkpoint), policy_of(witnesses)
    with running(log, database, policy):
        sizes = [write(log) for _ in range(60)]
        wait_for("the newest", lambda: quorum(log, policy, sizes[-1]))
    cosigned = [size for size in sizes if len(split_note(log.cosigned(size))[1]) > 1]
    assert sizes[-1] in cosigned
    assert len(cosigned) < 40


def test_a_copy_put_back_signs_nothing(tmp_path: Path, witnesses: list[WitnessProcess]) -> None:
    """The copy holds an older checkpoint file as well: only the witnesses know better."""
    store, outside = tmp_path / "store", tmp_path / "outside" / "last"
    policy = policy_of(witnesses)

    def opened() -> tuple[SqliteDatabase, Log[TallyWorld]]:
        database = SqliteDatabase(store)
        asked: Callable[[str], dict[str, int]] = lambda note: {  # noqa: E731
            name: found.size for name, found in witness_sizes(policy, ORIGIN, note).items()
        }
        signer = CheckpointSigner(KEY, outside)
        signer.witnessed = asked
        made = Log(database, signer, TallyWorld, CLOCK.now_ms, free_bytes_min=1)
        return database, made

    database, log = opened()
    small = write(log)
    database.close()
    for place in (store, outside.parent):
        shutil.copytree(place, tmp_path / "copy" / place.name)
    database, log = opened()
    assert log.alarm is None
    with running(log, database, policy):
        large = write(log, 5)
        wait_for("a quorum", lambda: quorum(log, policy, large))
    database.close()
    for place in (store, outside.parent):
        shutil.rmtree(place)
        shutil.copytree(tmp_path / "copy" / place.name, place)
    database, log = opened()
    assert log.alarm is not None and log.alarm.code == "journal.witness.ahead"
    assert f"{large} leaves" in log.alarm.found
    with pytest.raises(Corrupt, match=r"journal\.witness\.ahead"):
        write(log)
    with pytest.raises(Corrupt, match=r"journal\.witness\.ahead"):
        log.heartbeat()
    assert parse_checkpoint(split_note(outside.read_text())[0]).size == small
    assert log.read(lambda world: len(world.requests)) == 1
    database.close()


def test_a_witness_whose_file_was_put_back_is_told(
    tmp_path: Path, witnesses: list[WitnessProcess], caplog: pytest.LogCaptureFixture
) -> None:
    """It would sign another tree now: nothing in it knows, but the log has its own signature."""
    witness, policy = witnesses[0], policy_of(witnesses[:1])
    place = witness.folder / "store"
    with closing(SqliteDatabase(tmp_path / "db")) as database:
        log = open_log(database, tmp_path / "last")
        for number in range(3):
            size = write(log, 3)
            if number == 2:
                witness.stop()
                shutil.rmtree(place)
                shutil.copytree(tmp_path / "copy", place)
                witness.start(urlsplit(witness.url).netloc)
            with running(log, database, policy):
                wait_for("a quorum", lambda: quorum(log, policy, size))  # noqa: B023
            if number == 0:
                shutil.copytree(place, tmp_path / "copy")
            assert ("forgot" in caplog.text) == (number == 2)


def test_a_witness_that_is_ahead_or_saw_other_leaves_is_an_alarm(
    tmp_path: Path, witnesses: list[WitnessProcess]
) -> None:
    policy = policy_of(witnesses[:1])
    logs = []
    for name in ("honest", "fork"):
        database = SqliteDatabase(tmp_path / name / "store")
        logs.append((database, open_log(database, tmp_path / name / "last")))
    (honest_store, honest), (fork_store, fork) = logs
    size = write(honest, 4)
    with running(honest, honest_store, policy):
        wait_for("a quorum", lambda: quorum(honest, policy, size))
    write(fork)
    with running(fork, fork_store, policy) as cosigning:
        wait_for("an alarm", cosigning.alarm)
        assert str(cosigning.alarm()).endswith("[journal.witness.ahead]")
        same = write(fork, 2)
        assert same <= size
        write(fork, 2)
        wait_for("another", lambda: "witness.differs" in str(cosigning.alarm()))
    assert standing(cosigning, "north").size == 0
    for database, _ in logs:
        database.close()


class _Liar(http.server.BaseHTTPRequestHandler):
    """Answers with what the test says."""

    answer: tuple[int, bytes] = (200, b"")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        status, content = self.answer
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Nothing."""


def test_what_does_not_verify_is_not_stored(database: Database, checkpoint: Path) -> None:
    signer = CosignerSigner("witness.example/liar", b"l" * 32, ED25519)
    other = CosignerSigner("witness.example/liar", b"o" * 32, ED25519)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Liar)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    log = open_log(database, checkpoint)
    size = write(log)
    text, _ = split_note(log.checkpoint())
    url = f"http://127.0.0.1:{server.server_address[1]}"
    policy = parse_policy(f"witness liar {signer.key.text()} {url}\nquorum liar\n")
    wrong = signer.cosign(text.replace(str(size), str(size + 1)), 5)
    answers = [
        (200, b""),
        (200, b"\xff"),
        (200, b"no line\n"),
        (200, wrong.encode()),
        (200, other.cosign(text, 5).encode()),
        (200, signer.cosign(text, CLOCK.now_ms() // 1000 + 400).encode()),
        (404, b""),
        (409, b"x"),
        (409, b"1\n2\n"),
        (200, b"x" * 100_000),
    ]
    try:
        for answer in answers:
            _Liar.answer = answer
            with running(log, database, policy) as cosigning:
                wait_for("an error", lambda c=cosigning: standing(c, "liar").error)
                assert cosigning.alarm() is None
            assert log.cosigned(size) == log.checkpoint()
        _Liar.answer = (200, (other.cosign(text, 5) + signer.cosign(text, 6)).encode())
        with running(log, database, policy) as cosigning:
            wait_for("the line", lambda: standing(cosigning, "liar").size == size)
        assert log.cosigned(size) == with_lines(log.checkpoint(), [signer.cosign(text, 6)])
        _Liar.answer = (409, b"999\n")
        write(log)
        with running(log, database, policy) as cosigning:
            wait_for("an alarm", cosigning.alarm)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_cosignatures_that_come_as_files_are_verified(database: Database, checkpoint: Path) -> None:
    signer = CosignerSigner("witness.example/far", b"f" * 32, ED25519)
    policy = parse_policy(f"witness far {signer.key.text()}\nquorum far\n")
    log = open_log(database, checkpoint)
    cosigning = Cosigning(log, database, policy, [KEY.verifier], now_ms=CLOCK.now_ms)
    with pytest.raises(Refused, match=r"journal\.request\.input"):
        cosigning.request(-1)
    size = write(log, 3)
    assert (cosigning.request(-1).old, cosigning.request(-1).proof) == (0, ())
    asked = cosigning.request(2)
    assert asked.old == 2 and asked.proof and asked.note == log.checkpoint()
    with pytest.raises(Refused, match=r"journal\.request\.input"):
        cosigning.request(size + 1)
    text, _ = split_note(asked.note)
    stranger = CosignerSigner("witness.example/x", b"x" * 32, ED25519)
    forged = KEY.sign(text.replace(f"\n{size}\n", f"\n{size - 1}\n"))
    for note in (
        "",
        asked.note,
        with_lines(asked.note, [stranger.cosign(text, 5)]),
        with_lines(asked.note, [signer.cosign(text, CLOCK.now_ms() // 1000 + 400)]),
        f"{text}\n{signer.cosign(text, 5)}",
        with_lines(asked.note, [signer.cosign(text, 5).replace("A", "B", 1)]),
        with_lines(forged, [signer.cosign(split_note(forged)[0], 5)]),
    ):
        with pytest.raises(Refused, match=r"journal\.cosignature\.input"):
            cosigning.keep(note)
    with pytest.raises(Refused, match=r"name the witness in the data folder's witness\.policy"):
        cosigning.keep(with_lines(asked.note, [stranger.cosign(text, 5)]))
    assert log.cosigned(size) == asked.note
    log.heartbeat()
    kept = cosigning.keep(with_lines(asked.note, [signer.cosign(text, 5)]))
    assert (kept[0], [c.name for c in kept[1]]) == (size, ["witness.example/far"])
    assert standing(cosigning, "far").size == size
    assert cosigning.request(-1).old == size
    assert quorum(log, policy, size) == 5


def test_a_database_that_is_away_for_a_while_ends_no_thread(
    database: Database, checkpoint: Path, witnesses: list[WitnessProcess]
) -> None:
    log, policy = open_log(database, checkpoint), policy_of(witnesses[:1])
    away = Failed("store.database.unreachable", "database")
    with running(log, database, policy) as cosigning:
        newest, cosigning._rows.newest = cosigning._rows.newest, _raising(away)  # type: ignore[method-assign]
        size = write(log)
        wait_for("an error", lambda: standing(cosigning, "north").error is away)
        cosigning._rows.newest = newest  # type: ignore[method-assign]
        wait_for("a quorum", lambda: quorum(log, policy, size))
        wait_for("no error", lambda: standing(cosigning, "north").error is None)


def _raising(error: Exception) -> Any:
    def call(*_: Any) -> Any:
        raise error

    return call


def test_an_address_that_is_none_stops_nothing(database: Database, checkpoint: Path) -> None:
    for url in ("ftp://x", "http://", "http://u@h/", "http://h:x/", "http://h/?q", "nonsense"):
        with pytest.raises(Failed):
            WitnessClient("w", url)
    key = CosignerSigner("w", b"w" * 32, ED25519).key.text()
    policy = parse_policy(f"witness w {key} http://127.0.0.1:9/\nquorum w\n")
    log = open_log(database, checkpoint)
    write(log)
    found = witness_sizes(policy, ORIGIN, log.checkpoint(), timeout_seconds=2)
    assert found["w"].size == -1 and found["w"].error
    assert witness_sizes(policy, "another", log.checkpoint()) == {}
    assert witness_sizes(policy, ORIGIN, "") == {}
