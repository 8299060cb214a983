"""A look at everything names each thing that does not agree, and mends only what is certain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from surefoot.journal.fsck import LISTED_MAX, Examination, Examined
from surefoot.journal.verify import verify_live
from surefoot.store.cosignature import CosignatureRows
from surefoot.store.database import Database
from surefoot.store.postgres import PostgresDatabase
from surefoot.store.sqlite import SqliteDatabase
from surefoot.testing.journal import ANN, KEY, TallyWorld, draft, open_log
from surefoot.trust.cosignature import CosignerSigner
from surefoot.trust.digest import Digest
from surefoot.trust.entry import Plain
from surefoot.trust.note import split_note

VKEY = KEY.verifier.text()
BLOB = Digest("sha256:" + "b" * 64)
WITNESS = CosignerSigner("w.example", b"w" * 32, 4)


def execute(database: Database, sql: str, *values: object) -> int:
    """What an administrator types; rows changed."""
    if isinstance(database, SqliteDatabase):
        return database._writer.execute(sql.replace("%s", "?"), values).rowcount
    assert isinstance(database, PostgresDatabase)
    with database._pool.lend() as connection:
        return int(connection.execute(sql.encode(), values).rowcount)


@pytest.fixture
def journal(database: Database, checkpoint: Path) -> Database:
    """Leaves 0 to 11: six entries of two streams, each with its seal; one cosignature."""
    log = open_log(database, checkpoint)
    for i in range(6):
        said = msgspec.structs.replace(draft(f"env/{i % 2}", x=i), evidence=(BLOB,))
        log.transact(lambda world, said=said: [said], ANN, f"r{i}")
    line = WITNESS.cosign(split_note(log.checkpoint())[0], 7)
    CosignatureRows(database).add(log.size(), WITNESS.key.text(), 7, line)
    return database


def look(database: Database, checkpoint: Path, blobs: bool = True) -> tuple[Examination, Examined]:
    found = Examination(database, VKEY, checkpoint, TallyWorld())
    fault = ("store.blob.unknown", "none")
    return found, found.run(lambda digest: None if blobs else fault, lambda size: None)


def codes(database: Database, checkpoint: Path) -> list[str]:
    return [finding.code for finding in look(database, checkpoint)[1].findings]


def test_a_sound_journal_has_no_findings(journal: Database, checkpoint: Path) -> None:
    _, seen = look(journal, checkpoint)
    assert (seen.findings, seen.counts) == ((), {})
    assert (seen.leaves, seen.states, seen.checkpoints) == (12, 6, 6)
    assert (seen.cosignatures, seen.blobs) == (1, 1)


DAMAGES: dict[str, tuple[str, str]] = {
    "a column": (
        "UPDATE entries SET kind = 'Other' WHERE idx = 2",
        "journal.row.differs",
    ),
    "a state's content": (
        "UPDATE entry_states SET content = (SELECT raw FROM entries WHERE idx = 0) WHERE idx = 2",
        "journal.state.differs",
    ),
    "a state that nobody names": (
        "INSERT INTO entry_states (idx, content) SELECT 1, raw FROM entries WHERE idx = 0",
        "journal.state.unnamed",
    ),
    "a missing state": (
        "DELETE FROM entry_states WHERE idx = 2",
        "journal.state.differs",
    ),
    "a missing leaf": ("DELETE FROM entries WHERE idx = 4", "journal.entry.missing"),
    "a leaf's bytes": (
        "UPDATE entries SET raw = (SELECT raw FROM entries WHERE idx = 0) WHERE idx = 4",
        "journal.root.differs",
    ),
    "the head": ("UPDATE journal_head SET root = 'x'", "journal.head.differs"),
    "a checkpoint": (
        "UPDATE checkpoints SET note = REPLACE(note, 'surefoot', 'otherone') WHERE size = 4",
        "journal.checkpoint.signature",
    ),
    "the newest checkpoint's row": (
        "DELETE FROM checkpoints WHERE size = 12",
        "journal.checkpoint.row",
    ),
    "a cosignature": (
        "UPDATE cosignatures SET time_s = 8",
        "journal.cosignature.differs",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_named(journal: Database, checkpoint: Path, damage: str) -> None:
    sql, code = DAMAGES[damage]
    assert execute(journal, sql) == 1
    assert code in codes(journal, checkpoint)


def test_damages_far_apart_are_all_named(journal: Database, checkpoint: Path) -> None:
    execute(journal, "UPDATE entries SET kind = 'Other' WHERE idx IN (2, 10)")
    execute(journal, "UPDATE cosignatures SET time_s = 8")
    assert codes(journal, checkpoint) == [
        "journal.row.differs",
        "journal.row.differs",
        "journal.cosignature.differs",
    ]


def test_a_missing_blob_is_named(journal: Database, checkpoint: Path) -> None:
    _, seen = look(journal, checkpoint, blobs=False)
    assert [(f.code, f.expected) for f in seen.findings] == [("store.blob.unknown", BLOB)]


def test_a_file_that_is_gone_or_of_another_tree_is_named(
    journal: Database, checkpoint: Path
) -> None:
    good = checkpoint.read_text()
    checkpoint.write_text(good.replace("12", "10", 1))
    assert codes(journal, checkpoint) == ["journal.checkpoint.signature"]
    checkpoint.unlink()
    assert codes(journal, checkpoint) == ["journal.checkpoint.missing"]


def test_what_is_certain_is_mended_once_and_nothing_else(
    journal: Database, checkpoint: Path
) -> None:
    assert execute(journal, "DELETE FROM entry_states") == 6
    execute(journal, "DELETE FROM checkpoints WHERE size = 12")
    looked, seen = look(journal, checkpoint)
    assert {f.mends for f in seen.findings if f.code != "journal.cosignature.differs"} == {True}
    assert len(looked.mend()) == 7
    assert looked.mend() == ()
    assert codes(journal, checkpoint) == []
    assert verify_live(journal, VKEY, checkpoint, make_world=TallyWorld).ok


def test_no_state_is_mended_behind_a_damage(journal: Database, checkpoint: Path) -> None:
    execute(journal, "DELETE FROM entry_states")
    execute(journal, "UPDATE entries SET raw = (SELECT raw FROM entries WHERE idx=0) WHERE idx = 6")
    looked, _ = look(journal, checkpoint)
    assert len(looked.mend()) == 3  # the states after entries 0, 2 and 4


def test_a_look_changes_nothing_and_lists_no_more_than_anybody_reads(
    journal: Database, checkpoint: Path
) -> None:
    for i in range(LISTED_MAX + 5):
        values = (1000 + i, b"x")
        execute(journal, "INSERT INTO entry_states (idx, content) VALUES (%s, %s)", *values)
    _, seen = look(journal, checkpoint)
    assert seen.counts == {"journal.state.unnamed": LISTED_MAX + 5}
    assert len(seen.findings) == LISTED_MAX


class OtherWorld(TallyWorld):
    """A world of other rules than those that wrote."""

    def state(self, stream: str) -> Plain:
        """Something else."""
        return {"other": stream}


def test_a_state_that_the_fold_does_not_give_is_not_made_up(
    journal: Database, checkpoint: Path
) -> None:
    execute(journal, "DELETE FROM entry_states")
    looked = Examination(journal, VKEY, checkpoint, OtherWorld())
    seen = looked.run(lambda digest: None, lambda size: None)
    assert [f.mends for f in seen.findings] == [False] * 6
    assert looked.mend() == ()


def test_an_index_that_gives_less_than_the_table_is_named(
    journal: Database, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = type(journal).read

    @contextmanager
    def damaged(self: Any) -> Iterator[Any]:
        with honest(self) as session:
            rows = session.rows

            def fewer(name: str, **parameters: Any) -> Any:
                found = rows(name, **parameters)
                return found[1:] if name == "journal.stream_oldest" else found

            session.rows = fewer
            yield session

    monkeypatch.setattr(type(journal), "read", damaged)
    assert codes(journal, checkpoint) == ["journal.index.differs", "journal.index.differs"]
