"""The log's key is rotated, lost or stolen; the tree goes on, and strangers can tell."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from key_house import ACTOR, PEOPLE, House, quiet

from surefoot.compose import folder as folders
from surefoot.compose import key_life, offline, recovery, rooting
from surefoot.core import facts as f
from surefoot.core.errors import Corrupt, Refused
from surefoot.core.interlock import Interlock
from surefoot.core.target import Step
from surefoot.engine.effects import draft
from surefoot.store.blobs import FileBlobs
from surefoot.store.cosignature import CosignatureRows
from surefoot.store.postgres import PostgresDatabase
from surefoot.testing.claims import Claims
from surefoot.trust import envelope, keys
from surefoot.trust.cosignature import CosignerSigner
from surefoot.trust.note import NotANote, SignerKey, open_checkpoint, open_note
from surefoot.trust.root import PAYLOAD_TYPE, LogKey, open_trusted, payload_of, read_root


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_after_a_rotation_both_keys_sign_and_the_old_one_stays_believed(house: House) -> None:
    before = house.write()
    told = key_life.rotate(house.data, 24)
    old, new = house.verifiers()
    assert (told["old"], told["new"]) == (old.text(), new.text())
    after = house.write()
    assert open_checkpoint(before, old).size < open_checkpoint(after, old).size
    assert open_checkpoint(after, new) == open_checkpoint(after, old)
    (fact,) = house.facts("LogKeyRotated")
    for key in (old, new):
        assert open_note(fact["statement"], key).splitlines()[1:] == [old.text(), new.text()]
    root = read_root(house.sign(rooting.draft(house.data)))
    assert [(log.vkey, log.ended) for log in root.logs] == [
        (old.text(), "rotated"),
        (new.text(), ""),
    ]
    assert root.logs[0].until_ms == fact["overlap_until_ms"]
    assert open_trusted(before, root, root.logs[0].from_ms)[1].vkey == old.text()
    assert house.report()["ok"]


def test_without_an_overlap_the_new_key_signs_alone(house: House) -> None:
    house.write()
    key_life.rotate(house.data, 0)
    old, new = house.verifiers()
    note = house.write()
    assert open_checkpoint(note, new)
    with pytest.raises(NotANote, match="no signature by a known key"):
        open_checkpoint(note, old)
    assert house.report()["ok"]


def test_a_rotation_that_a_crash_cut_is_ended_by_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(key_life, "keep_keys", crash)
        key_life.rotate(house.data, 24)
    assert len(house.verifiers()) == 1
    house.write()
    told = key_life.rotate(house.data, 24)
    assert [fact["new"] for fact in house.facts("LogKeyRotated")] == [told["new"]]
    assert house.report()["ok"]


def test_a_running_server_is_in_the_way(house: House) -> None:
    log, database = folders.open_log(house.data, house.settings)
    with pytest.raises(Refused, match=r"store\.directory\.locked"):
        key_life.rotate(house.data, 24)
    assert log.alarm is None
    database.close()


def test_servers_on_the_same_postgresql_are_in_the_way(tmp_path: Path, postgres_dsn: str) -> None:
    house = House(tmp_path, store=postgres_dsn)
    house.write()
    payload = key_life.draft_epoch(house.data, "lost")
    signed = house.sign(payload)
    log, database = folders.open_log(house.data, house.settings)
    for act in (
        lambda: key_life.rotate(house.data, 24),
        lambda: key_life.open_epoch(house.data, "lost", signed),
        lambda: recovery.from_mirror(house.data, tmp_path / "mirror"),
    ):
        with pytest.raises(Refused, match=r"store\.directory\.locked"):
            act()
    assert log.alarm is None and log.size() > 0
    assert len(house.verifiers()) == 1
    database.close()
    key_life.rotate(house.data, 24)
    assert len(house.verifiers()) == 2
    house.write()


@pytest.mark.parametrize("how", ["epoch", "rotation"])
def test_a_server_that_was_cut_off_meanwhile_signs_nothing_with_the_key_before(
    tmp_path: Path, postgres_dsn: str, how: str
) -> None:
    house = House(tmp_path, store=postgres_dsn)
    house.write()
    signed = house.sign(key_life.draft_epoch(house.data, "lost"))
    log, database = folders.open_log(house.data, house.settings)
    assert isinstance(database, PostgresDatabase)
    database._pool.close()
    if how == "epoch":
        key_life.open_epoch(house.data, "lost", signed)
    else:
        key_life.rotate(house.data, 0)
    with pytest.raises(Corrupt):
        log.transact(lambda w: [draft(f.AlarmRaised(code="x.y", subject="old"))], ACTOR, "old key")
    with pytest.raises(Corrupt):
        log.heartbeat()
    database.close()
    with rooting.looked_at(house.data) as looked:
        assert "old key" not in {e.request for e in looked.entries(0, 999)}
    house.write()
    assert house.report()["ok"]


def test_a_lost_key_is_followed_by_another_epoch_of_the_same_tree(house: House) -> None:
    last = house.write()
    (house.data / "keys" / "log").unlink()
    with pytest.raises(Refused, match=r"journal\.key\.missing"):
        house.write()
    signed = house.sign(key_life.draft_epoch(house.data, "lost"))
    told = key_life.open_epoch(house.data, "lost", signed)
    old, new = house.verifiers()
    assert (told["origin"], new.name) == ("surefoot/home@2", "surefoot/home@2")
    (fact,) = house.facts("EpochOpened")
    assert (fact["epoch"], fact["cause"], fact["before"]) == (2, "lost", last)
    size = open_checkpoint(last, old).size
    with rooting.looked_at(house.data) as log:
        assert log.entries(size, 1)[0].kind == "EpochOpened"
        assert log.prove(lambda c: c.tree.root(size)) == open_checkpoint(last, old).root
    note = house.write()
    root = read_root(signed)
    assert open_trusted(note, root)[1].vkey == new.text()
    assert open_trusted(last, root)[1].vkey == old.text()
    assert house.report()["ok"]
    assert (house.data / "root" / "1.json").read_bytes() == signed


def test_the_anchor_goes_on_under_the_epochs_name(house: House) -> None:
    (house.data / "keys" / "anchor").write_bytes(b"a" * 32)
    house.write()
    key_life.rotate(house.data, 1)
    root = read_root(house.sign(key_life.draft_epoch(house.data, "lost")))
    found = [log.anchor.partition("+")[0] for log in root.logs]
    assert found == ["surefoot/home", "", "surefoot/home@2"]


def test_an_epoch_opens_once_and_only_as_the_founders_signed(house: House) -> None:
    house.write()
    payload = key_life.draft_epoch(house.data, "lost")
    for content in (house.sign(payload, "an"), house.sign(rooting.draft(house.data)), b"{}"):
        with pytest.raises(Refused, match=r"journal\.epoch\.input"):
            key_life.open_epoch(house.data, "lost", content)
    with pytest.raises(Refused, match=r"journal\.epoch\.input"):
        key_life.open_epoch(house.data, "compromised", house.sign(payload))
    eve = keys.private_key(b"e" * 32)
    strange = payload.replace(PEOPLE["an"].public.line().encode(), eve.public.line().encode())
    with pytest.raises(Refused, match=r"root\.file\.input"):
        key_life.open_epoch(
            house.data, "lost", envelope.seal(PAYLOAD_TYPE, strange, [eve, PEOPLE["bo"]])
        )
    assert house.facts("EpochOpened") == []
    assert len(house.verifiers()) == 1
    signed = house.sign(payload)
    told = key_life.open_epoch(house.data, "lost", signed)
    assert key_life.open_epoch(house.data, "lost", signed)["log_key"] == told["log_key"]
    assert len(house.facts("EpochOpened")) == len(house.facts("RootPublished")) == 1


def test_an_epoch_that_a_crash_cut_signs_nothing_until_it_is_ended(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    house.write()
    signed = house.sign(key_life.draft_epoch(house.data, "lost"))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(key_life, "keep_keys", crash)
        key_life.open_epoch(house.data, "lost", signed)
    with pytest.raises(Corrupt, match=r"journal\.checkpoint\.signature"):
        house.write()
    key_life.open_epoch(house.data, "lost", signed)
    with rooting.looked_at(house.data) as log:
        assert [e.kind for e in log.entries(0, 99)][-2:] == ["EpochOpened", "RootPublished"]
    house.write()
    assert house.report()["ok"]


def test_a_stolen_key_counts_up_to_the_last_trusted_tree(house: House) -> None:
    trusted = open_checkpoint(house.write(), house.verifiers()[0])
    later = house.write()
    with pytest.raises(Refused, match=r"journal\.epoch\.input"):
        key_life.draft_epoch(house.data, "compromised", 10_000)
    signed = house.sign(key_life.draft_epoch(house.data, "compromised", trusted.size))
    key_life.open_epoch(house.data, "compromised", signed)
    root = read_root(signed)
    assert (root.logs[0].last_size, root.logs[0].last_root) == (trusted.size, trusted.root.hex())
    with pytest.raises(NotANote, match=f"trusted up to {trusted.size} leaves; this"):
        open_trusted(later, root)
    assert open_trusted(house.write(), root)[1].vkey == house.verifiers()[1].text()
    assert house.report()["ok"]


def test_nothing_is_done_for_a_claim_that_the_thief_signs(house: House) -> None:
    """The stolen key can sign a claim of any time; a rotated one's claims are still acted on."""
    trusted = open_checkpoint(house.write(), house.verifiers()[0])
    thief = SignerKey("surefoot/home", (house.data / "keys" / "log").read_bytes())
    forged = Claims("production", thief)
    step = Step(id="fleet-wave-1", target="fleet", action="wave", arguments={"firmware": "evil"})
    token = forged.token(step, "7/fleet-wave-1", 2)

    def interlock() -> Interlock:
        return Interlock("production", folders.claim_keys(house.data, house.settings))

    interlock().check(step, token)
    key_life.rotate(house.data, 0)
    interlock().check(step, token)
    signed = house.sign(key_life.draft_epoch(house.data, "compromised", trusted.size))
    key_life.open_epoch(house.data, "compromised", signed)
    interlock().check(step, token)
    second = SignerKey("surefoot/home", (house.data / "keys" / house.seed_of(1)).read_bytes())
    with pytest.raises(Corrupt, match=r"target\.intent\.unproved"):
        token = Claims("production", second).token(step, "7/fleet-wave-1", 2)
        interlock().check(step, token)


def test_without_a_size_the_last_witnessed_checkpoint_is_trusted(house: House) -> None:
    witness = CosignerSigner("w.example", b"w" * 32, 4)
    (house.data / "witness.policy").write_text(f"witness w1 {witness.key.text()}\nquorum w1\n")
    house.write()
    with pytest.raises(Refused, match="witnesses cosigned"):
        key_life.draft_epoch(house.data, "compromised")
    note = house.write()
    trusted = open_checkpoint(note, house.verifiers()[0])
    house.write()
    database = folders.open_store(house.data, house.settings)
    line = witness.cosign(trusted.text(), 1_790_000_000)
    CosignatureRows(database).add(trusted.size, witness.key.text(), 1_790_000_000, line)
    database.close()
    root = read_root(house.sign(key_life.draft_epoch(house.data, "compromised")))
    assert (root.logs[0].last_size, root.logs[0].last_root) == (trusted.size, trusted.root.hex())
    with pytest.raises(Refused, match="that a checkpoint was signed for"):
        key_life.draft_epoch(house.data, "compromised", trusted.size - 1)


def test_a_stranger_with_the_root_sees_the_end_of_a_stolen_key(
    house: House, tmp_path: Path
) -> None:
    trusted = open_checkpoint(house.write(), house.verifiers()[0])
    stolen = house.write()
    before = tmp_path / "before"
    offline.export(house.data, before, quiet)
    signed = house.sign(key_life.draft_epoch(house.data, "compromised", trusted.size))
    key_life.open_epoch(house.data, "compromised", signed)
    after = tmp_path / "after"
    offline.export(house.data, after, quiet)
    report = offline.verify_export(after, signed, None, quiet)
    assert report["ok"], report["problems"]
    (said,) = report["epochs"]
    assert "opens epoch 2: compromised" in said
    for folder, pinned in ((before, None), (after, stolen)):
        report = offline.verify_export(folder, signed, pinned, quiet)
        assert report["problems"][0]["code"] == "journal.checkpoint.signature"
        assert f"trusted up to {trusted.size} leaves" in report["problems"][0]["found"]
    root = read_root(signed)
    other = msgspec.structs.replace(root.logs[0], last_root="0" * 64)
    wrong = msgspec.structs.replace(root, logs=(other, root.logs[1]))
    report = offline.verify_export(after, house.sign(payload_of(wrong)), None, quiet)
    assert [p["subject"] for p in report["problems"]] == ["last trusted tree of surefoot/home"]


def test_a_rotated_key_does_not_count_after_its_end(house: House, tmp_path: Path) -> None:
    house.write()
    offline.export(house.data, tmp_path / "old", quiet)
    root = read_root(house.sign(rooting.draft(house.data)))
    old = root.logs[0]
    ended = msgspec.structs.replace(old, ended="rotated", until_ms=old.from_ms)
    new = LogKey(vkey=SignerKey("surefoot/home", b"n" * 32).verifier.text(), from_ms=old.from_ms)
    signed = house.sign(payload_of(msgspec.structs.replace(root, logs=(ended, new))))
    report = offline.verify_export(tmp_path / "old", signed, None, quiet)
    assert "time is over (rotated)" in report["problems"][0]["found"]


def test_a_rotation_and_a_root_are_verified_for_their_own_signatures(house: House) -> None:
    house.write()
    key_life.rotate(house.data, 24)
    old, new = house.verifiers()
    forged = f.LogKeyRotated(
        old=old.text(),
        new=new.text(),
        statement=house.facts("LogKeyRotated")[0]["statement"].replace(new.text(), old.text()),
        overlap_until_ms=1,
    )
    blobs = FileBlobs(house.data / "blobs")
    content = house.sign(rooting.draft(house.data), "an")
    published = f.RootPublished(version=1, digest=blobs.put(content))
    opened = f.EpochOpened(epoch=2, key="x", cause="lost", before="", root=published.digest)
    log, database = folders.open_log(house.data, house.settings)
    log.transact(lambda w: [draft(fact) for fact in (forged, published, opened)], ACTOR, "forged")
    database.close()
    report = house.report()
    assert [p["code"] for p in report["problems"]] == ["journal.act.signature"] * 3
    assert report["signatures"] == 4
