"""Words behind commitments come and go with entries, in both databases, and leave no trace."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from surefoot.core.errors import Corrupt
from surefoot.journal.proof import Prover
from surefoot.journal.tiles import export
from surefoot.journal.verify import verify_export, verify_live
from surefoot.store.database import Database
from surefoot.testing.journal import ANN, KEY, draft, open_log
from surefoot.trust.entry import Draft
from surefoot.trust.payload import Payload
from surefoot.trust.proof import verify

SECRET = "the reason names Zacharias Quillfeather"
WORDS = Payload(salt=bytes(range(32)), text=SECRET)
KEY_TEXT = KEY.verifier.text()


def noted() -> Draft:
    return msgspec.structs.replace(draft(note="n"), reason=WORDS.commitment(), payloads=(WORDS,))


def erasing() -> Draft:
    return msgspec.structs.replace(draft(kind="Erased"), erases=(WORDS.commitment(),))


def holds(folder: Path) -> list[str]:
    """Files with the words in them."""
    found = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return [path for path, held in found.items() if SECRET.encode() in held or WORDS.salt in held]


def test_words_are_kept_with_their_entry_and_erased_with_another(
    database: Database, checkpoint: Path
) -> None:
    log = open_log(database, checkpoint)
    receipt = log.transact(lambda w: [noted()], ANN, "note")
    assert receipt is not None
    (entry,) = log.entries(receipt.first, 1)
    assert SECRET.encode() not in entry.raw and entry.reason == WORDS.commitment()
    assert log.payload(entry.reason) == WORDS
    with pytest.raises(ValueError, match="no"):
        log.transact(lambda w: (_ for _ in ()).throw(ValueError("no")), ANN, "fails")  # type: ignore[arg-type]
    assert log.payload(entry.reason) == WORDS
    log.transact(lambda w: [erasing()], ANN, "erase")
    log.scrub()
    assert log.payload(entry.reason) is None
    assert open_log(database, checkpoint).payload(entry.reason) is None
    log.transact(lambda w: [erasing()], ANN, "erase again: nothing is left to do")


def test_everything_verifies_as_before_and_the_words_are_in_no_file(
    database: Database, checkpoint: Path, tmp_path: Path, store: str
) -> None:
    log = open_log(database, checkpoint)
    for number in range(30):
        log.transact(lambda w: [draft(number=number)], ANN, "before")  # noqa: B023
    receipt = log.transact(lambda w: [noted()], ANN, "note")
    assert receipt is not None
    (entry,) = log.entries(receipt.first, 1)
    log.transact(lambda w: [draft(after=1)], ANN, "after")
    old = Prover(log, database, KEY_TEXT, "test").state("env/dev", entry.time_ms)
    before = log.entries(0, 100)
    export(database, KEY_TEXT, tmp_path / "export-before")
    assert SECRET.encode() not in old and not holds(tmp_path / "export-before")
    if "://" not in store:
        assert holds(Path(store)), "the words must have been there to be erased"
    log.transact(lambda w: [erasing()], ANN, "erase")
    log.scrub()
    assert not holds(tmp_path)
    assert log.entries(0, 100)[: len(before)] == before
    assert verify_live(database, KEY_TEXT, checkpoint).ok
    export(database, KEY_TEXT, tmp_path / "export-after")
    for name in ("export-before", "export-after"):
        assert verify_export(tmp_path / name, KEY_TEXT).ok
    proved = verify(old, KEY_TEXT)
    assert proved.entry is not None and proved.entry.reason == WORDS.commitment()
    if "://" in store:
        with database.read() as session:
            assert session.row("journal.payload", commitment=WORDS.commitment()) is None


def test_words_changed_by_hand_are_not_shown(database: Database, checkpoint: Path) -> None:
    log = open_log(database, checkpoint)
    log.transact(lambda w: [noted()], ANN, "note")
    with database.write() as session:
        session.run("journal.delete_payload", commitment=WORDS.commitment())
        session.run(
            "journal.insert_payload",
            commitment=WORDS.commitment(),
            salt=WORDS.salt,
            content="other words",
        )
    with pytest.raises(Corrupt) as found:
        log.payload(WORDS.commitment())
    assert found.value.code == "journal.payload.differs"
    assert verify_live(database, KEY_TEXT, checkpoint).ok


def test_old_entries_with_plain_words_are_read(database: Database, checkpoint: Path) -> None:
    log = open_log(database, checkpoint)
    old = msgspec.structs.replace(draft(), reason="in plain words")
    log.transact(lambda w: [old], ANN, "old")
    assert log.entries(0, 1)[0].reason == "in plain words"
    assert log.payload("in plain words") is None
