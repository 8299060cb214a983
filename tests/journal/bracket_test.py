"""Which checkpoints a proof stands between when witnesses sign, and how large it gets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from surefoot.journal.proof import Prover
from surefoot.store.cosignature import CosignatureRows
from surefoot.store.database import Database
from surefoot.store.sqlite import SqliteDatabase
from surefoot.testing.journal import ANN, KEY, draft, open_log
from surefoot.testing.proof_scene import running
from surefoot.testing.root_scene import ANCHOR, AUDITOR, FIRST, W1, W2, W3
from surefoot.trust.bundle import NotProved
from surefoot.trust.cosignature import CosignerSigner
from surefoot.trust.entry import text_of_time
from surefoot.trust.note import split_note
from surefoot.trust.proof import verify

VKEY = KEY.verifier.text()
START_MS = 1_795_255_200_000
MINUTE_MS = 60_000
EARLY = msgspec.structs.replace(
    FIRST,
    logs=(msgspec.structs.replace(FIRST.logs[0], from_ms=0),),
    witnesses=tuple(msgspec.structs.replace(w, from_ms=0) for w in FIRST.witnesses),
    auditors=tuple(msgspec.structs.replace(a, from_ms=0) for a in FIRST.auditors),
)


class Site:
    """A journal with a clock, and witnesses that are asked by hand."""

    def __init__(self, database: Database, checkpoint: Path) -> None:
        self.now = START_MS
        self.database = database
        self.log = open_log(database, checkpoint, now_ms=lambda: self.now)
        self.prover = Prover(self.log, database, VKEY, "test", policy=EARLY.policy())
        self.rows = CosignatureRows(database)

    def write(self, *values: int) -> None:
        """One batch a minute."""
        self.now += MINUTE_MS
        if values:
            self.log.transact(lambda world: [draft("env/a", x=x) for x in values], ANN, "r")
        else:
            self.log.heartbeat()

    def cosign(self, after_s: int, signers: Sequence[CosignerSigner] = (W1, W2)) -> int:
        """The newest checkpoint is signed so many seconds after its seal; that second in ms."""
        text = split_note(self.log.checkpoint())[0]
        second = self.now // 1000 + after_s
        for signer in signers:
            line = signer.cosign(text, second)
            assert self.rows.add(self.log.size(), signer.key.text(), second, line)
        return second * 1000


@pytest.fixture
def site(database: Database, checkpoint: Path) -> Iterator[Site]:
    yield Site(database, checkpoint)


def test_the_witnesses_times_lie_around_the_time(site: Site) -> None:
    site.write(1)
    first_ms = site.cosign(10)
    site.write()
    late_ms = site.cosign(50)
    site.write(2)
    site.write()
    last_ms = site.cosign(5)
    at_ms = late_ms - 1000
    proved = verify(site.prover.state("env/a", at_ms), EARLY)
    assert proved.before is not None and proved.after is not None
    assert proved.before.witnessed_s * 1000 == first_ms
    assert proved.after.witnessed_s * 1000 == last_ms and proved.witnessed
    assert proved.until_ms == at_ms and proved.changes == 1
    assert proved.state is not None and proved.state["count"] == 1


def test_before_all_witnesses_the_chain_begins_at_the_beginning(site: Site) -> None:
    site.write(1)
    at_ms = site.now + 1
    site.write(2)
    site.cosign(5)
    proved = verify(site.prover.state("env/a", at_ms), EARLY)
    assert proved.before is None and proved.after is not None and proved.changes == 2
    assert proved.state is not None and proved.state["count"] == 1


def test_after_all_witnesses_it_speaks_of_what_they_have_signed(site: Site) -> None:
    site.write(1)
    site.cosign(5)
    sealed_ms = site.now
    site.write(2)
    proved = verify(site.prover.state("env/a", site.now), EARLY)
    assert proved.after is None and proved.until_ms == sealed_ms and proved.witnessed
    assert proved.state is not None and proved.state["count"] == 1


def test_without_enough_of_them_it_is_made_as_before_and_does_not_pass(site: Site) -> None:
    site.write(1)
    site.cosign(5, [W1, AUDITOR, ANCHOR])
    site.write(2)
    content = site.prover.state("env/a", site.now)
    proved = verify(content, VKEY)
    assert proved.until_ms == site.now and proved.backed_by == "log"
    with pytest.raises(NotProved) as refused:
        verify(content, EARLY)
    assert refused.value.code == "proof.quorum.missing"


def test_that_it_was_never_there_ends_where_the_witnesses_end(site: Site) -> None:
    site.write(1)
    site.cosign(5)
    start_ms = site.now + 6000
    site.write()
    site.cosign(5)
    sealed_ms = site.now
    site.write(2)
    content = site.prover.never("env/a", start_ms, site.now, f"sha256:{'0' * 64}")
    assert json.loads(content)["until"] == text_of_time(sealed_ms - 1)
    assert verify(content, EARLY).witnessed


@pytest.mark.parametrize("note_bytes", [0, 10_000])
def test_a_proof_is_small_however_long_the_log(tmp_path: Path, note_bytes: int) -> None:
    """20,000 leaves, 100 streams: two Ed25519 witnesses, then the log's anchor beside them.

    What is counted is all but the state, and all but the note in the entry that made it.
    """
    site = Site(SqliteDatabase(tmp_path / "store"), tmp_path / "checkpoint")
    filled = running(0) | {"note": "x" * note_bytes}
    site.log.transact(lambda world: [draft("env/production", **filled)], ANN, "r")
    for i in range(40):
        site.now += 1000
        drafts = [draft(f"deployment/{k % 100}", x=i) for k in range(500)]
        site.log.transact(lambda world, drafts=drafts: drafts, ANN, f"r{i}")
    assert site.log.size() > 20_000
    for signers, size_max in (((W1, W3), 5 * 1024), ((W1, W3, ANCHOR), 13 * 1024)):
        for _ in range(2):
            site.write()
            site.cosign(5, signers)
        content = site.prover.state("env/production", site.now - 1)
        proved = verify(content, EARLY)
        assert proved.changes == 0 and proved.witnessed
        assert proved.after is not None and proved.after.anchored == (ANCHOR in signers)
        state = len(json.dumps(json.loads(content)["state"]))
        assert state > note_bytes
        weight = len(content) - state - note_bytes
        assert 1024 < weight <= size_max, f"{weight} bytes beside a state of {state}"
    site.database.close()
