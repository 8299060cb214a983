"""A backup that was put back is older than what was signed: an alarm, and the way out of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from surefoot.core.errors import Corrupt, Refused
from surefoot.journal.checkpoint import CheckpointFile
from surefoot.journal.log import Log
from surefoot.journal.recover import Recovered, recover
from surefoot.journal.tiles import export
from surefoot.journal.verify import verify_live
from surefoot.store.database import Database
from surefoot.store.payload import keep_words
from surefoot.store.postgres import PostgresDatabase
from surefoot.store.sqlite import SqliteDatabase
from surefoot.testing.journal import ANN, KEY, TallyWorld, draft, open_database, open_log
from surefoot.trust import tiles
from surefoot.trust.chain import Chain
from surefoot.trust.entry import parse
from surefoot.trust.note import Checkpoint, open_checkpoint
from surefoot.trust.payload import Payload

VKEY = KEY.verifier.text()
PLACES = ("recover:before", "recover:taken", "recover:written", "recover:committed")
KILLED = """
import os, signal, sys
from pathlib import Path
from surefoot.journal.recover import recover
from surefoot.testing.journal import KEY, TallyWorld, open_database
store, mirror, kill = sys.argv[1:]
def fault(place):
    if place == kill:
        os.kill(os.getpid(), signal.SIGKILL)
recover(open_database(store), [KEY.verifier], None, Path(mirror), TallyWorld, fault=fault)
"""


def execute(database: Database, sql: str, *values: object) -> None:
    if isinstance(database, SqliteDatabase):
        database._writer.execute(sql.replace("%s", "?"), values)
    else:
        assert isinstance(database, PostgresDatabase)
        with database._pool.lend() as connection:
            connection.execute(sql.encode(), values)


def put_back(database: Database, size: int) -> None:
    """The tables as a backup had them when the tree had this size."""
    chain = Chain()
    with database.read() as session:
        for index, raw, *_ in session.rows("journal.leaves_from", first=0, limit=size):
            chain.add(parse(index, bytes(raw)))
    execute(database, "DELETE FROM entries WHERE idx >= %s", size)
    execute(database, "DELETE FROM checkpoints WHERE size > %s", size)
    root = chain.tree.root().hex()
    execute(database, "UPDATE journal_head SET size = %s, root = %s", size, root)
    execute(database, "DELETE FROM entry_states WHERE idx >= %s", size)


def write(log: Log[TallyWorld], count: int) -> None:
    for number in range(count):
        log.transact(lambda world, n=number: [draft(f"env/{n % 3}", n=n)], ANN, "r")


def last(path: Path) -> Checkpoint | None:
    return CheckpointFile(KEY.verifier, path).last()


def put_right(database: Database, checkpoint: Path, mirror: Path) -> Recovered:
    return recover(database, [KEY.verifier], last(checkpoint), mirror, TallyWorld)


@pytest.fixture
def mirror(database: Database, checkpoint: Path, tmp_path: Path) -> Path:
    """An export of 40 leaves; then the database is back at 10."""
    write(open_log(database, checkpoint), 20)
    export(database, VKEY, tmp_path / "mirror")
    shutil.rmtree(tmp_path / "mirror" / "states")
    put_back(database, 10)
    return tmp_path / "mirror"


def sound(database: Database, checkpoint: Path, size: int) -> None:
    """Opened again, it signs on from where it was; an outside verifier finds nothing."""
    log = open_log(database, checkpoint)
    assert log.alarm is None
    assert log.size() == open_checkpoint(log.checkpoint(), KEY.verifier).size == size
    write(log, 1)
    report = verify_live(database, VKEY, checkpoint, make_world=TallyWorld)
    assert report.ok, report.problems


def unchanged(database: Database, checkpoint: Path) -> None:
    """Still the alarm of a database that is late, and no leaf more than before."""
    log = open_log(database, checkpoint)
    assert log.alarm is not None
    assert log.alarm.code == "journal.tail.missing"
    assert "surefoot journal recover" in log.alarm.remedy
    assert log.size() == 10
    with database.read() as session:
        assert len(session.rows("journal.leaves_from", first=0, limit=99)) == 10


def test_files_put_back_are_an_alarm_until_the_mirror_made_them_whole(tmp_path: Path) -> None:
    checkpoint = tmp_path / "outside" / "last"
    database = SqliteDatabase(tmp_path / "store")
    write(open_log(database, checkpoint), 5)
    database.close()
    shutil.copytree(tmp_path / "store", tmp_path / "backup")
    database = SqliteDatabase(tmp_path / "store")
    log = open_log(database, checkpoint)
    write(log, 15)
    root = log.prove(lambda chain: chain.tree.root()).hex()
    states = [log.state(entry) for entry in log.entries(0, 99)]
    export(database, VKEY, tmp_path / "mirror")
    database.close()
    shutil.rmtree(tmp_path / "store")
    shutil.copytree(tmp_path / "backup", tmp_path / "store")

    database = SqliteDatabase(tmp_path / "store")
    signed = checkpoint.read_bytes()
    unchanged(database, checkpoint)
    assert checkpoint.read_bytes() == signed
    found = put_right(database, checkpoint, tmp_path / "mirror")
    assert (found.size_before, found.size, found.root, found.leaves) == (10, 40, root, 30)
    log = open_log(database, checkpoint)
    assert [log.state(entry) for entry in log.entries(0, 99)] == states
    assert checkpoint.read_bytes() == signed
    sound(database, checkpoint, 40)
    database.close()


def test_a_mirror_puts_back_what_is_missing_once(
    database: Database, checkpoint: Path, mirror: Path
) -> None:
    unchanged(database, checkpoint)
    assert put_right(database, checkpoint, mirror).leaves == 30
    assert put_right(database, checkpoint, mirror).leaves == 0
    sound(database, checkpoint, 40)
    assert put_right(database, checkpoint, mirror).leaves == 0


def test_words_that_were_erased_since_the_backup_are_erased_again(
    database: Database, checkpoint: Path, tmp_path: Path
) -> None:
    log = open_log(database, checkpoint)
    words = Payload(salt=b"s" * 32, text="somebody's words")
    there, gone = words.commitment(), Payload(salt=b"t" * 32, text="others").commitment()
    noted = msgspec.structs.replace(draft(words=there), payloads=(words,))
    log.transact(lambda world: [noted], ANN, "r")
    size = log.size()
    erased = draft(kind="PayloadErased", commitment=there)
    log.transact(lambda w: [msgspec.structs.replace(erased, erases=(there,))], ANN, "r")
    log.transact(lambda w: [draft(kind="PayloadErased", commitment=gone)], ANN, "r")
    export(database, VKEY, tmp_path / "mirror")
    put_back(database, size)
    with database.write() as session:
        keep_words(session, [noted])
    assert put_right(database, checkpoint, tmp_path / "mirror").leaves == 4
    assert open_log(database, checkpoint).payload(there) is None


def _bundle(mirror: Path) -> Path:
    return mirror / tiles.bundle_path(0, 40)


def _byte(mirror: Path) -> None:
    content = _bundle(mirror).read_bytes()
    _bundle(mirror).write_bytes(content.replace(b'"n":15', b'"n":16', 1))


def _late_byte(mirror: Path) -> None:
    content = _bundle(mirror).read_bytes()
    at = content.rindex(b'"clamped_ms":0')
    _bundle(mirror).write_bytes(content[:at] + b'"clamped_ms":1' + content[at + 14 :])


def _signature(mirror: Path) -> None:
    other = Checkpoint(origin=KEY.verifier.name, size=40, root=b"r" * 32)
    head, _, line = (mirror / "checkpoint").read_text().partition("\n\n")
    assert head
    (mirror / "checkpoint").write_text(f"{other.text()}\n{line}")


@pytest.mark.parametrize("change", [_byte, _late_byte, _signature])
def test_a_mirror_that_differs_in_one_thing_is_refused(
    database: Database, checkpoint: Path, mirror: Path, change: Callable[[Path], None]
) -> None:
    change(mirror)
    with pytest.raises(Corrupt, match=r"journal\.mirror\.differs"):
        put_right(database, checkpoint, mirror)
    unchanged(database, checkpoint)


def test_a_mirror_of_another_history_is_refused(
    database: Database, checkpoint: Path, mirror: Path
) -> None:
    """The log signed another tree meanwhile, as when database and checkpoint were both put back."""
    late = checkpoint.with_name("late")
    log = open_log(database, late, adopt=True)
    assert log.alarm is None
    write(log, 1)
    with pytest.raises(Corrupt, match=r"journal\.mirror\.differs"):
        recover(database, [KEY.verifier], last(late), mirror, TallyWorld)
    assert open_log(database, late).alarm is None


@pytest.mark.parametrize("gone", ["checkpoint", "bundle", "all"])
def test_what_a_mirror_lacks_is_said_and_nothing_changes(
    database: Database, checkpoint: Path, mirror: Path, gone: str
) -> None:
    if gone == "checkpoint":
        (mirror / "checkpoint").unlink()
    elif gone == "bundle":
        _bundle(mirror).unlink()
    else:
        shutil.rmtree(mirror)
    with pytest.raises(Refused, match=r"journal\.mirror\.missing"):
        put_right(database, checkpoint, mirror)
    unchanged(database, checkpoint)


def test_an_older_mirror_lacks_the_newest_leaves(
    database: Database, checkpoint: Path, tmp_path: Path
) -> None:
    log = open_log(database, checkpoint)
    write(log, 10)
    export(database, VKEY, tmp_path / "mirror")
    write(log, 1)
    put_back(database, 10)
    with pytest.raises(Refused, match="leaves 20 to 21 are missing, 2 in all"):
        put_right(database, checkpoint, tmp_path / "mirror")
    unchanged(database, checkpoint)


@pytest.mark.parametrize("place", PLACES)
def test_killed_while_putting_back(
    store: str, checkpoint: Path, tmp_path: Path, place: str
) -> None:
    database = open_database(store)
    write(open_log(database, checkpoint), 20)
    export(database, VKEY, tmp_path / "mirror")
    put_back(database, 10)
    database.close()
    words = [sys.executable, "-c", KILLED, store, str(tmp_path / "mirror"), place]
    assert subprocess.run(words, check=False, timeout=300).returncode == -9
    database = open_database(store)
    if place == PLACES[-1]:
        assert open_log(database, checkpoint).alarm is None
    else:
        unchanged(database, checkpoint)
    put_right(database, checkpoint, tmp_path / "mirror")
    sound(database, checkpoint, 40)
    database.close()
