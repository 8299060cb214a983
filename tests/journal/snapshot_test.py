"""The snapshot: a start from it is a start from nothing, and whatever is odd in it is not used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from surefoot.core.errors import Corrupt
from surefoot.journal import snapshot as rooms
from surefoot.journal.log import Log
from surefoot.journal.snapshot import SnapshotFile, code_version
from surefoot.journal.source import DatabaseSource
from surefoot.journal.verify import verify_live
from surefoot.store.database import Database
from surefoot.store.sqlite import SqliteDatabase
from surefoot.testing.journal import ANN, KEY, TallyWorld, draft, open_log, snapshot_in
from surefoot.trust.merkle import Tree

VKEY = KEY.verifier.text()
START = len(rooms._MAGIC) + rooms._MAC_BYTES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "snapshot"


def fill(log: Log[TallyWorld], batches: int, first: int = 0) -> None:
    for i in range(first, first + batches):
        drafts = [draft(f"env/{i % 3}", x=i), draft(f"env/{i % 2}", y=i)]
        log.transact(lambda world, drafts=drafts: drafts, ANN, f"r{i}")


def unread(log: Log[TallyWorld]) -> int:
    """How many leaves the start took from the snapshot."""
    assert log._memory is not None
    return log._memory.unread


def seen(log: Log[TallyWorld]) -> list[Any]:
    """All that anybody can ask of a memory."""
    memory = log._memory
    assert memory is not None
    chain = memory.chain
    found: list[Any] = [memory.world.streams, memory.world.requests, chain.time_ms]
    found += [chain.tree.levels, chain.heads.heads, chain.heads.root(), chain.last_seal]
    return found


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    sizes=st.lists(st.lists(st.integers(0, 6), max_size=6), min_size=1, max_size=12),
    data=st.data(),
)
def test_a_start_from_a_snapshot_at_any_cut_is_a_start_from_nothing(
    sizes: list[list[int]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    cut = data.draw(st.integers(0, len(sizes) - 1))
    database = SqliteDatabase(folder / "store")
    file = snapshot_in(folder / "snapshot")
    log = open_log(database, folder / "last", snapshot=file)
    for number, streams in enumerate(sizes):
        drafts = [draft(f"env/{stream}", n=number) for stream in streams]
        if drafts:
            log.transact(lambda world, drafts=drafts: drafts, ANN, f"r{number}")
        else:
            log.heartbeat()
        if number == cut:
            size = log.size()
            assert log.keep_snapshot()
    again = open_log(database, folder / "last", snapshot=snapshot_in(folder / "snapshot"))
    plain = open_log(database, folder / "last")
    assert unread(again) == size
    assert unread(plain) == 0
    assert seen(again) == seen(plain) == seen(log)
    for opened in (again, plain):
        assert opened.alarm is None
    fill(again, 2)
    assert verify_live(database, VKEY, folder / "last", make_world=TallyWorld).ok
    assert seen(open_log(database, folder / "last")) == seen(again)
    database.close()


def test_both_databases_start_from_it(database: Database, checkpoint: Path, path: Path) -> None:
    log = open_log(database, checkpoint, snapshot=snapshot_in(path))
    fill(log, 5)
    assert log.keep_snapshot()
    fill(log, 2, first=5)
    again = open_log(database, checkpoint, snapshot=snapshot_in(path))
    assert unread(again) == 15
    assert seen(again) == seen(log)


@pytest.fixture
def kept(tmp_path: Path, checkpoint: Path, path: Path) -> Any:
    """A journal with a snapshot, and a function that says what a start takes from it."""
    database = SqliteDatabase(tmp_path / "store")
    log = open_log(database, checkpoint, snapshot=snapshot_in(path))
    fill(log, 6)
    assert log.keep_snapshot()

    def start(file: SnapshotFile[TallyWorld] | None = None) -> int:
        again = open_log(database, checkpoint, snapshot=file or snapshot_in(path))
        assert again.alarm is None
        assert seen(again) == seen(log)
        return unread(again)

    assert start() == 18
    start.file = snapshot_in(path)  # type: ignore[attr-defined]
    start.asked = DatabaseSource(database), [KEY.verifier]  # type: ignore[attr-defined]
    yield start
    database.close()


def test_a_damaged_file_is_ignored(kept: Any, path: Path) -> None:
    content = path.read_bytes()
    for place in [*range(START + 40), *range(START + 40, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert kept.file.load(*kept.asked) is None, place
        path.write_bytes(content[:place])
        assert kept.file.load(*kept.asked) is None, place
    for odd in (b"", content + b"x", content * 2, b"\0" * 100):
        path.write_bytes(odd)
        assert kept() == 0
    path.unlink()
    assert kept() == 0
    path.mkdir()
    assert kept() == 0
    path.rmdir()
    path.write_bytes(content)
    assert kept() == 18


def test_a_file_of_another_installation_or_version_is_ignored(kept: Any, path: Path) -> None:
    assert kept(snapshot_in(path, key=b"another")) == 0
    assert kept(snapshot_in(path, version="2")) == 0
    assert kept(snapshot_in(path, version="")) == 0
    assert kept() == 18


def test_a_file_of_another_journal_of_the_installation_is_ignored(
    kept: Any, path: Path, tmp_path: Path
) -> None:
    """A copy of the folder went on by itself: same keys, same code, longer, and another story."""
    other = SqliteDatabase(tmp_path / "other")
    log = open_log(other, tmp_path / "elsewhere", snapshot=snapshot_in(path))
    fill(log, 9)
    assert log.keep_snapshot()
    assert path.stat().st_mode & 0o777 == 0o600
    other.close()
    assert kept() == 0


def changed_world(content: rooms._Content) -> rooms._Content:
    streams, requests = msgspec.msgpack.decode(content.world)
    streams["env/0"]["count"] += 1
    return msgspec.structs.replace(content, world=msgspec.msgpack.encode((streams, requests)))


def lost_stream(content: rooms._Content) -> rooms._Content:
    streams, requests = msgspec.msgpack.decode(content.world)
    del streams["env/2"]
    heads = {name: head for name, head in content.heads.items() if name != "env/2"}
    world = msgspec.msgpack.encode((streams, requests))
    return msgspec.structs.replace(content, world=world, heads=heads)


def older_head(content: rooms._Content) -> rooms._Content:
    head = msgspec.structs.replace(content.heads["env/1"], n=0)
    return msgspec.structs.replace(content, heads={**content.heads, "env/1": head})


def other_leaves(content: rooms._Content) -> rooms._Content:
    leaves = content.leaves[32:64] + content.leaves[:32] + content.leaves[64:]
    return msgspec.structs.replace(content, leaves=leaves, root=Tree.of_leaves(leaves).root())


def fewer_leaves(content: rooms._Content) -> rooms._Content:
    leaves = content.leaves[: 17 * 32]
    return msgspec.structs.replace(content, leaves=leaves, root=Tree.of_leaves(leaves).root())


def no_leaves(content: rooms._Content) -> rooms._Content:
    return msgspec.structs.replace(content, leaves=b"", heads={})


def odd_leaves(content: rooms._Content) -> rooms._Content:
    return msgspec.structs.replace(content, leaves=content.leaves + b"x")


def other_root(content: rooms._Content) -> rooms._Content:
    return msgspec.structs.replace(content, root=b"r" * 32)


def other_origin(content: rooms._Content) -> rooms._Content:
    return msgspec.structs.replace(content, origin="other.example/journal")


def no_world(content: rooms._Content) -> rooms._Content:
    return msgspec.structs.replace(content, world=b"")


@pytest.mark.parametrize(
    "forge",
    [
        changed_world,
        lost_stream,
        older_head,
        other_leaves,
        fewer_leaves,
        no_leaves,
        odd_leaves,
        other_root,
        other_origin,
        no_world,
    ],
)
def test_who_has_the_key_still_changes_nothing_that_is_signed(
    kept: Any, path: Path, forge: Any
) -> None:
    file = snapshot_in(path)
    body = msgspec.msgpack.encode(forge(file._read()))
    path.write_bytes(rooms._MAGIC + file._mac(body) + body)
    file._read()  # the seal over it is right
    assert kept() == 0


def test_an_older_snapshot_of_a_journal_that_was_rewritten_is_ignored(
    tmp_path: Path, checkpoint: Path, path: Path
) -> None:
    database = SqliteDatabase(tmp_path / "store")
    log = open_log(database, checkpoint, snapshot=snapshot_in(path))
    fill(log, 3)
    assert log.keep_snapshot()
    database.close()
    other = SqliteDatabase(tmp_path / "other")
    fill(open_log(other, tmp_path / "other-last"), 4, first=90)
    again = open_log(other, tmp_path / "other-last", snapshot=snapshot_in(path))
    assert again.alarm is None
    assert unread(again) == 0
    other.close()


def test_rows_of_a_large_journal_are_compared_after_the_start(
    tmp_path: Path, checkpoint: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "COMPARED_AT_ONCE", 0)
    database = SqliteDatabase(tmp_path / "store")
    log = open_log(database, checkpoint, snapshot=snapshot_in(path))
    fill(log, 10)
    assert log.keep_snapshot()
    good = open_log(database, checkpoint, snapshot=snapshot_in(path))
    assert [good.recheck(7) for _ in range(6)] == [True, True, True, True, False, False]
    assert good.alarm is None
    changes = ("raw = CAST(REPLACE(raw, 'ann', 'bob') AS BLOB)", "time_ms = 1", "stream = 'env/9'")
    for change in changes:
        database._writer.execute("BEGIN")
        database._writer.execute("CREATE TABLE saved AS SELECT * FROM entries WHERE idx = 18")
        database._writer.execute(f"UPDATE entries SET {change} WHERE idx = 18")
        database._writer.execute("COMMIT")
        late = open_log(database, checkpoint, snapshot=snapshot_in(path))
        assert late.alarm is None
        assert [late.recheck(9) for _ in range(4)] == [True, True, False, False]
        assert late.alarm is not None, change
        with pytest.raises(Corrupt):
            fill(late, 1)
        assert late.keep_snapshot() is False
        database._writer.execute("DELETE FROM entries WHERE idx = 18")
        database._writer.execute("INSERT INTO entries SELECT * FROM saved")
        database._writer.execute("DROP TABLE saved")
    assert verify_live(database, VKEY, checkpoint, make_world=TallyWorld).ok
    database.close()


def test_it_is_kept_when_the_journal_grew(tmp_path: Path, checkpoint: Path, path: Path) -> None:
    database = SqliteDatabase(tmp_path / "store")
    log = open_log(database, checkpoint, snapshot=snapshot_in(path))
    assert not log.keep_snapshot()
    fill(log, 3)
    assert not log.keep_snapshot(10)
    assert log.keep_snapshot(9)
    assert not log.keep_snapshot()
    fill(log, 3)
    assert not log.keep_snapshot(10)
    assert log.keep_snapshot()
    assert not open_log(database, checkpoint, snapshot=snapshot_in(path)).keep_snapshot(1)
    assert not open_log(database, checkpoint).keep_snapshot()
    path.unlink()
    path.mkdir()
    fill(log, 1)
    assert not log.keep_snapshot()  # a folder stands there: the journal goes on without
    fill(log, 1)
    database.close()


def test_the_version_is_that_of_the_code() -> None:
    found = code_version("surefoot.core", "surefoot.trust")
    assert found == code_version("surefoot.core", "surefoot.trust")
    assert len({found, code_version("surefoot.core"), code_version("surefoot.store")}) == 3
    assert code_version("surefoot.doors.web.templates") == ""
