"""A checkpoint with its cosignature lines, on both databases."""

from __future__ import annotations

from pathlib import Path

from surefoot.journal.tiles import export
from surefoot.journal.verify import verify_export
from surefoot.store.cosignature import CosignatureRows
from surefoot.store.database import Database
from surefoot.testing.journal import ANN, KEY, TallyWorld, draft, open_log
from surefoot.trust.cosignature import ED25519, ML_DSA_44, CosignerSigner, cosignatures
from surefoot.trust.note import open_checkpoint, split_note

SIGNERS = (
    CosignerSigner("witness.example/a", b"a" * 32, ED25519),
    CosignerSigner("witness.example/b", b"b" * 32, ML_DSA_44),
)


def test_lines_stand_under_the_checkpoint_of_their_size(
    database: Database, checkpoint: Path
) -> None:
    log = open_log(database, checkpoint)
    assert log.cosigned(0) == ""
    receipt = log.transact(lambda world: [draft()], ANN, "r")
    assert receipt is not None
    size = receipt.size
    assert log.cosigned(size) == receipt.checkpoint
    rows = CosignatureRows(database)
    text, _ = split_note(receipt.checkpoint)
    for time_s, signer in zip((20, 10), SIGNERS, strict=True):
        assert rows.newest(signer.key.text()) is None
        line = signer.cosign(text, time_s)
        assert rows.add(size, signer.key.text(), time_s, line)
        assert not rows.add(size, signer.key.text(), 30, signer.cosign(text, 30))
        assert rows.newest(signer.key.text()) == (size, time_s)
    note = log.cosigned(size)
    assert open_checkpoint(note, KEY.verifier).size == size
    found = cosignatures(note, [signer.key for signer in SIGNERS])
    assert [(c.name, c.time_s) for c in found] == [
        ("witness.example/b", 10),
        ("witness.example/a", 20),
    ]
    log.heartbeat()
    assert log.cosigned(size) == note
    assert log.cosigned(size + 99) == log.cosigned(1) == ""
    assert rows.newest(SIGNERS[0].key.text()) == (size, 20)


def test_an_export_carries_the_lines_of_its_checkpoint(
    database: Database, checkpoint: Path, tmp_path: Path
) -> None:
    log = open_log(database, checkpoint)
    receipt = log.transact(lambda world: [draft()], ANN, "r")
    assert receipt is not None
    text, _ = split_note(receipt.checkpoint)
    for signer in SIGNERS:
        line = signer.cosign(text, 5)
        CosignatureRows(database).add(receipt.size, signer.key.text(), 5, line)
    export(database, KEY.verifier.text(), tmp_path / "export")
    assert (tmp_path / "export" / "checkpoint").read_text() == log.cosigned(receipt.size)
    report = verify_export(tmp_path / "export", KEY.verifier.text(), make_world=TallyWorld)
    assert report.ok
