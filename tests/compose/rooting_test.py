"""Drafts of root.json: from when a witness counts, and what it means for proofs."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from key_house import ACTOR, House

from surefoot.compose import folder as folders
from surefoot.compose import rooting
from surefoot.compose.witnessing import read_policy
from surefoot.core import facts as f
from surefoot.core.errors import Corrupt, Failed
from surefoot.engine.clock import SystemClock
from surefoot.engine.effects import draft
from surefoot.journal.proof import Prover
from surefoot.store.blobs import FileBlobs
from surefoot.store.cosignature import CosignatureRows
from surefoot.trust.bundle import NotProved
from surefoot.trust.cosignature import ED25519, CosignerSigner
from surefoot.trust.digest import Digest
from surefoot.trust.note import parse_checkpoint, split_note
from surefoot.trust.proof import verify
from surefoot.trust.root import Root, read_payload, read_root

NORTH = CosignerSigner("north.example", b"n" * 32, ED25519)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def cosign(house: House, note: str) -> int:
    """North's line under this checkpoint, kept; its second."""
    text = split_note(note)[0]
    database = folders.open_store(house.data, house.settings)
    try:
        with rooting.looked_at(house.data) as log:
            size = parse_checkpoint(text).size
            second = log.entries(0, 1)[0].time_ms // 1000 + 1
        time.sleep(max(second + 0.01 - time.time(), 0))  # a cosignature of a later second than that
        rows = CosignatureRows(database)
        assert rows.add(size, NORTH.key.text(), second, NORTH.cosign(text, second))
        return second
    finally:
        database.close()


def named(house: House) -> None:
    """North becomes the quorum of the folder's policy."""
    vkey = NORTH.key.text()
    (house.data / "witness.policy").write_text(f"witness north {vkey}\nquorum north\n")


def root_of(house: House) -> Root:
    return read_payload(rooting.draft(house.data))


def publish(house: House) -> None:
    """The next root, as the founders sign it."""
    content = house.sign(rooting.draft(house.data))
    root = read_root(content)
    digest = FileBlobs(house.data / "blobs").put(content)
    log, database = folders.open_log(house.data, house.settings)
    fact = f.RootPublished(version=root.version, digest=digest)
    log.transact(lambda w: [draft(fact)], ACTOR, "publish")
    database.close()


def proof_of(house: House, at_ms: int) -> bytes:
    with rooting.looked_at(house.data) as log:
        database = folders.open_store(house.data, house.settings, read_only=True)
        try:
            vkey = house.verifiers()[0].text()
            prover = Prover(log, database, vkey, "test", policy=read_policy(house.data))
            return prover.state("people", at_ms)
        finally:
            database.close()


def test_a_witness_counts_from_its_first_kept_cosignature(house: House) -> None:
    first = house.write()
    publish(house)
    start_ms = root_of(house).logs[0].from_ms
    assert root_of(house).witnesses == ()
    old = proof_of(house, start_ms)
    begun = cosign(house, first)
    named(house)
    (north,) = root_of(house).witnesses
    assert (north.name, north.from_ms) == ("north", begun * 1000)
    with rooting.looked_at(house.data) as log:
        assert log.first_cosigned_s("nobody+00000000+AAAA") is None
    # A proof from before has nobody else's word for its time; asked for again, it has.
    with pytest.raises(NotProved, match="found none"):
        verify(old, root_of(house))
    proved = verify(proof_of(house, start_ms), root_of(house))
    assert proved.witnessed and proved.until_ms == start_ms


def test_a_cosignature_from_before_the_witness_counted_is_named(house: House) -> None:
    begun = cosign(house, house.write())
    named(house)
    content = proof_of(house, root_of(house).logs[0].from_ms)
    for changed, said in (
        ({"from_ms": (begun + 1) * 1000}, "one by north, before it counted"),
        (
            {"from_ms": 0, "until_ms": (begun - 1) * 1000},
            "one by north, when it no longer counted",
        ),
    ):
        root = root_of(house)
        north = msgspec.structs.replace(root.witnesses[0], **changed)
        with pytest.raises(NotProved) as refused:
            verify(content, msgspec.structs.replace(root, witnesses=(north,)))
        assert (refused.value.code, refused.value.found) == (
            "proof.quorum.missing",
            said,
        )


def test_a_witness_that_never_signed_counts_from_the_draft_on(house: House) -> None:
    house.write()
    publish(house)
    before_ms = SystemClock().now_ms()
    named(house)
    (north,) = root_of(house).witnesses
    assert north.from_ms >= before_ms


def test_an_older_root_put_back_on_disk_is_not_believed(house: House) -> None:
    house.write()
    publish(house)
    first = (FileBlobs(house.data / "blobs")).get(Digest(digest_in(house)))
    named(house)
    publish(house)
    folder = house.data / "root"
    folder.mkdir(exist_ok=True)
    for name in ("1.json", "2.json", "3.json"):
        (folder / name).write_bytes(first)
    assert root_of(house).version == 3, "what lies in root/ is for people; the journal counts"
    digest = digest_in(house)
    blobs = (house.data / "blobs").rglob("*")
    place = next(p for p in blobs if p.is_file() and digest.endswith(p.name))
    place.chmod(0o644)
    place.write_bytes(first)
    with pytest.raises(Corrupt):
        root_of(house)
    place.unlink()
    with pytest.raises(Failed):
        root_of(house)


def digest_in(house: House) -> str:
    """The newest root's digest, as the journal says."""
    with rooting.looked_at(house.data) as log:
        return log.read(lambda w: w.root.digest)
