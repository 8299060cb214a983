"""Keys of the log change, and what was signed by the old one goes on being the log's."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from surefoot.core.errors import Corrupt
from surefoot.journal.checkpoint import CheckpointFile, CheckpointSigner
from surefoot.journal.log import Log
from surefoot.journal.proof import Prover
from surefoot.journal.tiles import export
from surefoot.journal.verify import verify_export, verify_live
from surefoot.store.database import Database
from surefoot.testing.journal import ANN, CLOCK, KEY, TallyWorld, draft, open_log
from surefoot.trust.bundle import NotProved
from surefoot.trust.digest import digest_of
from surefoot.trust.note import SignerKey, open_checkpoint
from surefoot.trust.proof import verify
from surefoot.trust.root import unsigned_root

NEW = SignerKey(KEY.verifier.name, b"another seed of thirty-two bytes")
EPOCH = SignerKey(f"{KEY.verifier.name}@2", b"the seed of the epoch after it..")
VKEY = KEY.verifier.text()


def opened(
    database: Database, signer: CheckpointFile, now_ms: Callable[[], int] = CLOCK.now_ms
) -> Log[TallyWorld]:
    return Log(database, signer, TallyWorld, now_ms, free_bytes_min=1)


def write(log: Log[TallyWorld]) -> str:
    receipt = log.transact(lambda world: [draft()], ANN, "r")
    assert receipt is not None
    return receipt.checkpoint


def test_both_keys_sign_until_the_overlap_ends(
    database: Database, checkpoint: Path, tmp_path: Path
) -> None:
    first = write(open_log(database, checkpoint))
    signing = [KEY]
    log = opened(
        database, CheckpointSigner(NEW, checkpoint, [KEY.verifier], lambda: tuple(signing))
    )
    assert log.alarm is None
    both = write(log)
    for key in (KEY.verifier, NEW.verifier):
        assert open_checkpoint(both, key).size == 4
    export(database, f"{NEW.verifier.text()}\n{VKEY}", tmp_path / "out")
    assert verify_export(tmp_path / "out", VKEY, pinned=first).ok
    signing.clear()
    last = write(log)
    assert open_checkpoint(last, NEW.verifier).size == 6
    export(database, f"{NEW.verifier.text()}\n{VKEY}", tmp_path / "out")
    old_only = verify_export(tmp_path / "out", VKEY)
    assert [p.code for p in old_only.problems][:1] == ["journal.checkpoint.signature"]
    keys = f"{NEW.verifier.text()}\n{VKEY}"
    assert verify_export(tmp_path / "out", keys, pinned=first).ok
    assert verify_live(database, keys, checkpoint, make_world=TallyWorld).ok
    assert opened(database, CheckpointSigner(NEW, checkpoint, [KEY.verifier])).alarm is None


def test_a_key_that_nobody_named_is_an_alarm(database: Database, checkpoint: Path) -> None:
    write(open_log(database, checkpoint))
    log = opened(database, CheckpointSigner(NEW, checkpoint))
    assert log.alarm is not None
    assert log.alarm.code == "journal.checkpoint.signature"


def test_another_epoch_goes_on_with_the_same_tree(database: Database, checkpoint: Path) -> None:
    old = open_checkpoint(write(open_log(database, checkpoint)), KEY.verifier)
    log = opened(database, CheckpointSigner(EPOCH, checkpoint, [KEY.verifier]))
    found = open_checkpoint(write(log), EPOCH.verifier)
    assert (found.origin, found.size) == (EPOCH.verifier.name, 4)
    assert log.prove(lambda chain: chain.tree.root(old.size)) == old.root
    assert opened(database, CheckpointSigner(EPOCH, checkpoint, [KEY.verifier])).alarm is None


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("after", [NEW, EPOCH])
def test_proofs_reach_across_the_change_of_a_key(
    database: Database, checkpoint: Path, after: SignerKey, overlap: bool
) -> None:
    clock = itertools.count(1_790_000_000_000, 1000)
    log = open_log(database, checkpoint, now_ms=lambda: next(clock))
    write(log)
    then = log.entries(0, 1)[0].time_ms
    write(log)
    beside = (KEY,) if overlap and after is NEW else ()
    signer = CheckpointSigner(after, checkpoint, [KEY.verifier], lambda: beside)
    log = opened(database, signer, lambda: next(clock))
    write(log)
    now = log.entries(4, 1)[0].time_ms
    keys = f"{after.verifier.text()}\n{VKEY}"
    prover = Prover(log, database, keys, "test")
    assert verify(prover.state("env/dev", then), VKEY).entry is not None
    present = verify(prover.state("env/dev", now + 1), after.verifier.text())
    assert present.key == after.verifier.text()
    across = prover.never("env/dev", then, now - 1, digest_of(b"release"))
    root = unsigned_root([after.verifier, KEY.verifier])
    assert verify(across, root).changes >= 1
    if beside:
        assert verify(across, VKEY).key == VKEY
    else:
        with pytest.raises(NotProved):
            verify(across, after.verifier.text())


def test_in_its_epoch_a_key_never_signs_two_trees(tmp_path: Path) -> None:
    CheckpointSigner(KEY, tmp_path / "last").sign(9, b"a" * 32)
    rotated = CheckpointSigner(NEW, tmp_path / "last", [KEY.verifier])
    for size, root in ((9, b"b" * 32), (8, b"a" * 32)):
        with pytest.raises(Corrupt, match=r"journal\.checkpoint\.equivocation"):
            rotated.sign(size, root)
    epoch = CheckpointSigner(EPOCH, tmp_path / "last", [KEY.verifier])
    epoch.sign(5, b"c" * 32)
    with pytest.raises(Corrupt, match=r"journal\.checkpoint\.equivocation"):
        epoch.sign(4, b"c" * 32)
