"""The administrator as attacker: every edit is found, beside a naive hash chain that passes some.

The naive chain is what most home-made audit tables are: each row holds the hash of the row before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from surefoot.core.errors import Corrupt
from surefoot.journal.leaf_checks import columns_of
from surefoot.journal.report import Report
from surefoot.journal.seal import write_up
from surefoot.journal.snapshot import SnapshotFile
from surefoot.journal.source import DatabaseSource
from surefoot.journal.tiles import export
from surefoot.journal.verify import verify_export, verify_live
from surefoot.store.database import Database
from surefoot.store.postgres import PostgresDatabase
from surefoot.store.sqlite import SqliteDatabase
from surefoot.testing.journal import ANN, KEY, SameProcess, TallyWorld, draft, open_log, snapshot_in
from surefoot.trust.chain import Chain
from surefoot.trust.entry import Entry, parse

VKEY = KEY.verifier.text()
BATCHES = 6


class NaiveChain:
    """A row is its content and the hash of the row before it."""

    def __init__(self, contents: list[str]) -> None:
        self.rows: list[tuple[str, str]] = []
        for content in contents:
            self.rows.append((content, self._hash_of_last()))

    def _hash_of_last(self) -> str:
        return hashlib.sha256(json.dumps(self.rows[-1:]).encode()).hexdigest()

    def verify(self) -> bool:
        again = NaiveChain([content for content, _ in self.rows])
        return again.rows == self.rows


def execute(database: Database, sql: str, *values: object) -> None:
    """What an administrator types."""
    if isinstance(database, SqliteDatabase):
        database._writer.execute(sql.replace("%s", "?"), values)
    else:
        assert isinstance(database, PostgresDatabase)
        with database._pool.lend() as connection:
            connection.execute(sql.encode(), values)


def raw(database: Database, index: int) -> bytes:
    with database.read() as session:
        return bytes(session.rows("journal.leaves_from", first=index, limit=1)[0][1])


def fill(
    database: Database, checkpoint: Path, snapshot: SnapshotFile[TallyWorld] | None = None
) -> None:
    """Leaves 0 to 11: entries of two streams at even places, seals at odd ones."""
    log = open_log(database, checkpoint, snapshot=snapshot)
    for i in range(BATCHES):
        log.transact(lambda world, i=i: [draft(f"env/{i % 2}", x=i)], ANN, f"r{i}")
    assert log.keep_snapshot() == (snapshot is not None)


def edit_row(database: Database) -> None:
    changed = raw(database, 4).replace(b'"x":2', b'"x":9')
    execute(database, "UPDATE entries SET raw = %s WHERE idx = 4", changed)


def edit_newest_row(database: Database) -> None:
    changed = raw(database, 10).replace(b'"id":"ann"', b'"id":"bob"')
    execute(database, "UPDATE entries SET raw = %s WHERE idx = 10", changed)


def edit_seal(database: Database) -> None:
    changed = raw(database, 5).replace(b'"streams":2', b'"streams":1')
    execute(database, "UPDATE entries SET raw = %s WHERE idx = 5", changed)


def garble_row(database: Database) -> None:
    execute(database, "UPDATE entries SET raw = %s WHERE idx = 4", b"\x00garbage")


def drop_row(database: Database) -> None:
    execute(database, "DELETE FROM entries WHERE idx = 4")


def drop_batch_and_renumber(database: Database) -> None:
    execute(database, "DELETE FROM entries WHERE idx IN (4, 5)")
    for old in range(6, 12):
        execute(database, "UPDATE entries SET idx = %s WHERE idx = %s", old - 2, old)
    execute(database, "DELETE FROM entry_states WHERE idx = 4")
    for old in range(6, 12, 2):
        execute(database, "UPDATE entry_states SET idx = %s WHERE idx = %s", old - 2, old)


def swap_rows(database: Database) -> None:
    for old, new in ((4, 100), (8, 4), (100, 8)):
        for table in ("entries", "entry_states"):
            execute(database, f"UPDATE {table} SET idx = %s WHERE idx = %s", new, old)


def move_column(database: Database) -> None:
    execute(database, "UPDATE entries SET time_ms = time_ms - 1 WHERE idx = 4")


def rename_stream_column(database: Database) -> None:
    execute(database, "UPDATE entries SET stream = 'env/hidden' WHERE idx = 8")


def cut_tail(database: Database) -> None:
    """As a database put back from a backup: consistent in itself."""
    execute(database, "DELETE FROM entries WHERE idx >= 8")
    execute(database, "DELETE FROM checkpoints WHERE size > 8")
    seal = json.loads(raw(database, 7))
    assert seal["covers"] == 7
    chain = Chain()
    for index in range(8):
        chain.add(parse(index, raw(database, index)))
    execute(database, "UPDATE journal_head SET size = 8, root = %s", chain.tree.root().hex())


def rewrite_all(database: Database) -> None:
    """The owner writes the whole log again, with one entry changed and everything recomputed."""
    chain, world, rows, states = Chain(), TallyWorld(), [], {}
    for i in range(BATCHES):
        one = draft(f"env/{i % 2}", x=9 if i == 2 else i)
        time_ms = json.loads(raw(database, i * 2))["time"]
        old = parse(i * 2, raw(database, i * 2))
        assert time_ms
        batch = write_up(chain, world, [one], ANN, f"r{i}", old.time_ms)
        rows += [*batch.entries, batch.seal]
        states |= batch.states
    execute(database, "DELETE FROM entries")
    for leaf in rows:
        execute(
            database,
            "INSERT INTO entries (idx, stream, n, kind, time_ms, raw)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            leaf.index,
            *columns_of(leaf),
            leaf.raw,
        )
    for index, content in states.items():
        execute(
            database,
            "UPDATE entry_states SET content = %s WHERE idx = %s",
            content,
            index,
        )
    execute(database, "UPDATE journal_head SET root = %s", chain.tree.root().hex())
    execute(database, "DELETE FROM checkpoints")


def forge_checkpoint(database: Database) -> None:
    cut_tail(database)
    execute(database, "UPDATE checkpoints SET note = REPLACE(note, '8', '7') WHERE size = 8")


def append_beyond_the_head(database: Database) -> None:
    """A row that no seal covers and no head counts."""
    content = raw(database, 10)
    execute(
        database,
        "INSERT INTO entries (idx, stream, n, kind, time_ms, raw) VALUES (12, 'x', 0, 'X', 0, %s)",
        content,
    )


def drop_head_and_tail(database: Database) -> None:
    execute(database, "DELETE FROM entries WHERE idx >= 4")
    execute(database, "DELETE FROM journal_head")


def in_two(monkeypatch: pytest.MonkeyPatch, database: Database, checkpoint: Path) -> Report:
    """The same verification when another process looks at each leaf alone."""
    monkeypatch.setattr("surefoot.journal.leaf_checks.WORTH_LEAVES", 1)
    return verify_live(
        database,
        VKEY,
        checkpoint,
        make_world=TallyWorld,
        begin=lambda: SameProcess(lambda: DatabaseSource(database)),
    )


ATTACKS: list[tuple[Callable[[Database], None], str, int]] = [
    (edit_row, "journal.seal.root", 4),
    (edit_newest_row, "journal.seal.root", 10),
    (edit_seal, "journal.seal.streams", 4),
    (garble_row, "journal.entry.malformed", 4),
    (drop_row, "journal.entry.missing", 4),
    (drop_batch_and_renumber, "journal.seal.covers", 5),
    (swap_rows, "journal.stream.gap", 4),
    (move_column, "journal.row.differs", 4),
    (rename_stream_column, "journal.row.differs", 8),
    (cut_tail, "journal.tail.missing", 8),
    (rewrite_all, "journal.root.differs", 11),
    (append_beyond_the_head, "journal.head.differs", 12),
    (drop_head_and_tail, "journal.tail.missing", 4),
    (forge_checkpoint, "journal.checkpoint.signature", -1),
]


@pytest.mark.parametrize("start", ["fold", "snapshot"])
@pytest.mark.parametrize(
    ("attack", "code", "index"), ATTACKS, ids=lambda x: getattr(x, "__name__", "")
)
def test_the_first_bad_thing_is_named_and_the_journal_is_read_only(
    database: Database,
    checkpoint: Path,
    tmp_path: Path,
    attack: Callable[[Database], None],
    code: str,
    index: int,
    start: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    snapshot = snapshot_in(tmp_path / "snapshot") if start == "snapshot" else None
    fill(database, checkpoint, snapshot)
    attack(database)
    report = verify_live(database, VKEY, checkpoint, make_world=TallyWorld)
    assert not report.ok
    assert (report.problems[0].code, report.problems[0].index) == (code, index), report.problems
    assert in_two(monkeypatch, database, checkpoint) == report
    log = open_log(database, checkpoint, snapshot=snapshot)
    assert log.alarm is not None
    assert log.alarm.code == code
    with pytest.raises(Corrupt) as caught:
        log.transact(lambda world: [draft()], ANN, "r")
    assert caught.value.code == code
    with pytest.raises(Corrupt):
        log.heartbeat()
    before_the_bad_one = log.read(lambda world: list(world.requests))
    assert before_the_bad_one[:2] == ["r0", "r1"]


def test_a_running_journal_sees_another_head(database: Database, checkpoint: Path) -> None:
    fill(database, checkpoint)
    log = open_log(database, checkpoint)
    cut_tail(database)
    with pytest.raises(Corrupt):
        log.transact(lambda world: [draft()], ANN, "r")
    assert log.alarm is not None
    assert log.alarm.code == "journal.tail.missing"


def test_an_edited_or_lost_state_is_found(database: Database, checkpoint: Path) -> None:
    fill(database, checkpoint)
    entry = parse(4, raw(database, 4))
    assert isinstance(entry, Entry)
    execute(database, "UPDATE entry_states SET content = %s WHERE idx = 4", b"{}")
    report = verify_live(database, VKEY, checkpoint)
    assert (report.problems[0].code, report.problems[0].index) == ("journal.state.differs", 4)
    log = open_log(database, checkpoint)
    with pytest.raises(Corrupt, match=r"journal\.state\.differs"):
        log.state(entry)
    execute(database, "DELETE FROM entry_states WHERE idx = 4")
    report = verify_live(database, VKEY, checkpoint)
    assert report.problems[0].found == "missing"


def test_a_state_that_the_entries_do_not_give_is_found(
    database: Database, checkpoint: Path
) -> None:
    """A server that proves a wrong state: only folding again shows it."""
    fill(database, checkpoint)

    class Other(TallyWorld):
        def state(self, stream: str) -> dict:  # type: ignore[type-arg]
            return super().state(stream) | {"count": 1}

    assert verify_live(database, VKEY, checkpoint, make_world=TallyWorld).ok
    report = verify_live(database, VKEY, checkpoint, make_world=Other)
    assert (report.problems[0].code, report.problems[0].index) == ("journal.state.fold", 4)


def test_the_naive_chain_passes_what_the_checkpoint_outside_shows(
    database: Database, checkpoint: Path
) -> None:
    fill(database, checkpoint)
    naive = NaiveChain([raw(database, i).decode() for i in range(0, BATCHES * 2, 2)])
    edited = NaiveChain([content for content, _ in naive.rows])
    edited.rows[2] = (edited.rows[2][0].replace('"x":2', '"x":9'), edited.rows[2][1])
    assert not edited.verify()  # so much it can do

    del naive.rows[4:]
    assert naive.verify()  # the tail is cut off and it sees nothing
    rewritten = NaiveChain([c.replace('"x":2', '"x":9') for c, _ in naive.rows])
    assert rewritten.verify()  # nor does it when its owner writes it again

    cut_tail(database)
    inside = verify_live(database, VKEY, None)
    assert inside.ok  # without the checkpoint outside, we would not either
    report = verify_live(database, VKEY, checkpoint)
    assert report.problems[0].code == "journal.tail.missing"
    assert "4 are missing" in report.problems[0].found


def test_a_lost_checkpoint_file_is_an_alarm(database: Database, checkpoint: Path) -> None:
    fill(database, checkpoint)
    checkpoint.unlink()
    log = open_log(database, checkpoint)
    assert log.alarm is not None
    assert log.alarm.code == "journal.checkpoint.missing"


@pytest.fixture
def exported(database: Database, checkpoint: Path, tmp_path: Path) -> Path:
    fill(database, checkpoint)
    directory = tmp_path / "export"
    export(database, VKEY, directory)
    return directory


def verified(directory: Path, pinned: str | None = None) -> Report:
    return verify_export(directory, VKEY, pinned=pinned, make_world=TallyWorld)


def test_an_export_is_verified_with_the_key_alone(exported: Path, checkpoint: Path) -> None:
    report = verified(exported, checkpoint.read_text())
    assert report.ok, report.problems
    assert (report.size, report.entries, report.seals, report.streams) == (12, 6, 6, 2)
    assert (exported / "root.json").is_file()


@pytest.mark.parametrize("place", range(0, 2000, 197))
def test_one_changed_byte_of_an_export_is_found(exported: Path, place: int) -> None:
    files = [p for p in sorted(exported.rglob("*")) if p.is_file()]
    files = [p for p in files if p.name not in ("vkey", "root.json")]  # for people; not believed
    total = sum(p.stat().st_size for p in files)
    place = place * total // 2000
    for path in files:
        content = bytearray(path.read_bytes())
        if place < len(content):
            content[place] ^= 1
            path.write_bytes(content)
            break
        place -= len(content)
    assert not verified(exported).ok


def test_a_lost_file_of_an_export_is_found(exported: Path) -> None:
    for path in [p for p in sorted(exported.rglob("*")) if p.is_file()]:
        if path.name in ("vkey", "root.json"):
            continue
        content = path.read_bytes()
        path.unlink()
        assert not verified(exported).ok, path
        path.write_bytes(content)
    assert verified(exported).ok


def test_an_older_export_shows_against_a_newer_checkpoint(
    exported: Path, database: Database, checkpoint: Path
) -> None:
    log = open_log(database, checkpoint)
    log.heartbeat()
    assert verified(exported).ok
    report = verified(exported, checkpoint.read_text())
    assert report.problems[0].code == "journal.tail.missing"


def test_another_key_verifies_nothing(exported: Path) -> None:
    other = "other.example+" + VKEY.split("+", 1)[1]
    with pytest.raises(ValueError, match="key hash differs"):
        verify_export(exported, other)


def test_a_journal_that_grows_meanwhile_verifies(database: Database, checkpoint: Path) -> None:
    fill(database, checkpoint)
    log = open_log(database, checkpoint)

    class Busy(TallyWorld):
        def apply(self, entry: Entry) -> None:
            super().apply(entry)
            if len(self.requests) < 4:
                log.transact(lambda world: [draft("env/new")], ANN, "meanwhile")

    report = verify_live(database, VKEY, checkpoint, make_world=Busy)
    assert report.ok, report.problems
    assert report.size == BATCHES * 2
    assert log.size() == BATCHES * 2 + 6
