"""One pinned root is followed to the newest, and nothing else gets in on the way."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import msgspec
import pytest

from surefoot.testing.root_scene import FIRST
from surefoot.trust import canonical, envelope, keys, sshsig
from surefoot.trust.note import Checkpoint, NotANote, SignerKey
from surefoot.trust.root import (
    PAYLOAD_TYPE,
    BadRoot,
    CosignerEntry,
    KeyEntry,
    LogKey,
    Root,
    follow,
    follow_all,
    open_trusted,
    payload_of,
    read_payload,
    read_root,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "root.json").read_text())
ANN, BOB, CID, EVE = (keys.private_key(bytes([n]) * 32) for n in (1, 2, 3, 4))
OLD_KEY = SignerKey("surefoot/try", b"o" * 32)
NEW_KEY = SignerKey("surefoot/try@2", b"n" * 32)
OLD, NEW = OLD_KEY.verifier.text(), NEW_KEY.verifier.text()


def cosigner(name: str, public: bytes, kind: int = 4) -> str:
    content = bytes([kind]) + public
    key_id = hashlib.sha256(name.encode() + b"\n" + content).digest()[:4].hex()
    return f"{name}+{key_id}+{base64.b64encode(content).decode()}"


def root(**changed: object) -> Root:
    first = Root(
        version=1,
        installation="try",
        threshold=2,
        signers={"ann": ANN.public.line(), "bob": BOB.public.line()},
        logs=(LogKey(vkey=OLD, from_ms=1000),),
        witnesses=(
            CosignerEntry(name="w1", vkey=cosigner("w.example", b"w" * 32), from_ms=1000),
            CosignerEntry(name="w2", vkey=cosigner("x.example", b"x" * 1312, 6), from_ms=1000),
        ),
        auditors=(CosignerEntry(name="a1", vkey=cosigner("a.example", b"a" * 32), from_ms=1000),),
        quorum="group all all w1 w2\nquorum all\n",
        release_keys=(KeyEntry(key=CID.public.line(), from_ms=1000),),
    )
    return msgspec.structs.replace(first, **changed)


def sealed(made: Root, *signers: envelope.Signer) -> bytes:
    return envelope.seal(PAYLOAD_TYPE, payload_of(made), signers)


@pytest.mark.parametrize("vector", VECTORS["roots"], ids=lambda v: v["name"])
def test_vectors_are_kept_for_ever(vector: dict[str, str]) -> None:
    found = read_root(vector["envelope"].encode())
    assert payload_of(found).decode() == vector["payload"]


def test_the_vectors_follow_each_other() -> None:
    first, *later = (v["envelope"].encode() for v in VECTORS["roots"])
    newest = follow_all(read_root(first), later)
    assert newest.version == len(later) + 1
    assert [log.ended for log in newest.logs] == ["compromised", ""]


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda v: v["name"])
def test_what_is_no_root_stays_none(vector: dict[str, str]) -> None:
    with pytest.raises(BadRoot):
        read_payload(vector["payload"].encode())


def test_a_root_needs_a_threshold_of_its_own_signers() -> None:
    assert read_root(sealed(root(), ANN, BOB)) == root()
    assert read_root(sealed(root(), ANN, BOB, EVE)) == root()
    for signers in ((ANN,), (ANN, EVE), (EVE,)):
        with pytest.raises(BadRoot, match="known keys, expected 2"):
            read_root(sealed(root(), *signers))


def test_a_person_signs_with_ssh_keygen() -> None:
    one = sealed(root(), ANN)
    message = envelope.pae(PAYLOAD_TYPE, payload_of(root()))
    both = envelope.attach(one, sshsig.sign(BOB, message, envelope.NAMESPACE))
    assert read_root(both) == root()


def test_an_envelope_of_another_type_is_no_root() -> None:
    with pytest.raises(BadRoot, match="payload type"):
        read_root(envelope.seal("application/json", payload_of(root()), [ANN, BOB]))


def test_the_next_version_is_signed_by_the_old_threshold_too() -> None:
    people = {"bob": BOB.public.line(), "cid": CID.public.line()}
    second = root(version=2, signers=people)
    assert follow(root(), sealed(second, ANN, BOB, CID)) == second
    with pytest.raises(BadRoot, match="1 known keys, expected 2"):
        follow(root(), sealed(second, BOB, CID))
    with pytest.raises(BadRoot, match="1 known keys, expected 2"):
        follow(root(), sealed(second, ANN, BOB))


def test_versions_follow_one_by_one_in_one_installation() -> None:
    for version in (1, 3):
        with pytest.raises(BadRoot, match="expected 2"):
            follow(root(), sealed(root(version=version), ANN, BOB))
    with pytest.raises(BadRoot, match="expected one of try"):
        follow(root(), sealed(root(version=2, installation="other"), ANN, BOB))


def test_a_compromised_key_stays_so() -> None:
    bad = LogKey(
        vkey=OLD, from_ms=1, until_ms=2, ended="compromised", last_size=3, last_root="0" * 64
    )
    first = root(logs=(bad, LogKey(vkey=NEW, from_ms=2)))
    for logs in (
        (LogKey(vkey=NEW, from_ms=2),),
        (LogKey(vkey=OLD, from_ms=1), LogKey(vkey=NEW, from_ms=2)),
        (msgspec.structs.replace(bad, last_size=9), LogKey(vkey=NEW, from_ms=2)),
    ):
        with pytest.raises(BadRoot, match="told otherwise"):
            follow(first, sealed(root(version=2, logs=logs), ANN, BOB))
    second = root(version=2, logs=first.logs)
    assert follow(first, sealed(second, ANN, BOB)) == second


@pytest.mark.parametrize(
    "changed",
    [
        {"threshold": 3},
        {"signers": {"ann": ANN.public.line(), "bob": ANN.public.line()}},
        {"signers": {"ann": ANN.public.line(), "bob": BOB.public.line("a comment")}},
        {"signers": {"ann": ANN.public.line(), "b b": BOB.public.line()}},
        {"logs": ()},
        {"logs": (LogKey(vkey=OLD, from_ms=1), LogKey(vkey=OLD, from_ms=2))},
        {"logs": (LogKey(vkey=OLD[:-4] + "AAA=", from_ms=1),)},
        {"logs": (LogKey(vkey=OLD, from_ms=2, until_ms=1, ended="rotated"),)},
        {"logs": (LogKey(vkey=OLD, from_ms=1, until_ms=2),)},
        {"logs": (LogKey(vkey=OLD, from_ms=1, ended="lost"),)},
        {"logs": (LogKey(vkey=OLD, from_ms=1, until_ms=2, ended="compromised"),)},
        {"logs": (LogKey(vkey=OLD, from_ms=1, last_size=3),)},
        {"logs": tuple(LogKey(vkey=OLD, from_ms=n) for n in range(65))},
        {"witnesses": (CosignerEntry(name="w", vkey=OLD, from_ms=1),)},
        {"auditors": (CosignerEntry(name="w1", vkey=cosigner("b.example", b"b" * 32), from_ms=1),)},
        {"auditors": (CosignerEntry(name="a2", vkey=cosigner("b.example", b"w" * 32), from_ms=1),)},
        {"release_keys": (KeyEntry(key="ssh-ed25519 AAAA", from_ms=1),)},
        {"installation": "../x"},
    ],
)
def test_what_cannot_be_is_not_written(changed: dict[str, object]) -> None:
    with pytest.raises(BadRoot):
        payload_of(root(**changed))


def test_every_byte_of_a_payload_counts() -> None:
    payload = payload_of(root())
    members = json.loads(payload)
    for wrong in (
        payload + b"\n",
        payload.replace(b'"v":1,', b'"v":2,').replace(b'"v":1}', b'"v":2}'),
        canonical.encode({**members, "more": 1}),
        canonical.encode({k: m for k, m in members.items() if k != "v"}),
        canonical.encode({**members, "logs": [{**members["logs"][0], "until_ms": 0}]}),
        b"{" * 50_000,
        b'{"pad":"' + b"x" * 300_000 + b'"}',
    ):
        with pytest.raises(BadRoot):
            read_payload(wrong)


def test_when_a_log_key_counts() -> None:
    tree = Checkpoint(origin="surefoot/try", size=7, root=b"r" * 32)
    good = LogKey(vkey=OLD, from_ms=10)
    assert good.fault(tree) == good.fault(tree, 10) == ""
    assert "before" in good.fault(tree, 9)
    rotated = LogKey(vkey=OLD, from_ms=10, until_ms=20, ended="rotated")
    assert rotated.fault(tree, 20) == rotated.fault(tree) == ""
    assert "rotated" in rotated.fault(tree, 21)


def test_a_compromised_key_counts_up_to_the_last_trusted_tree() -> None:
    def fault(size: int, of: bytes) -> str:
        return key.fault(Checkpoint(origin="surefoot/try", size=size, root=of), 10**6)

    key = LogKey(
        vkey=OLD,
        from_ms=10,
        until_ms=20,
        ended="compromised",
        last_size=7,
        last_root=(b"r" * 32).hex(),
    )
    assert fault(7, b"r" * 32) == fault(6, b"q" * 32) == ""
    assert fault(8, b"r" * 32) == (
        "the key is compromised and trusted up to 7 leaves; this checkpoint has 8"
    )
    assert "another root" in fault(7, b"q" * 32)


def test_a_checkpoint_is_opened_by_a_key_that_counts_for_it() -> None:
    tree = Checkpoint(origin="surefoot/try", size=8, root=b"r" * 32)
    note = OLD_KEY.sign(tree.text())
    assert open_trusted(note, root(), 1000) == (tree, root().logs[0])
    with pytest.raises(NotANote, match="before the key's time"):
        open_trusted(note, root(), 999)
    bad = LogKey(
        vkey=OLD, from_ms=1, until_ms=2, ended="compromised", last_size=7, last_root="0" * 64
    )
    ended = root(logs=(bad, LogKey(vkey=NEW, from_ms=2)))
    with pytest.raises(NotANote, match="trusted up to 7 leaves; this checkpoint has 8"):
        open_trusted(note, ended)
    later = Checkpoint(origin="surefoot/try@2", size=8, root=b"r" * 32)
    both = NEW_KEY.sign(later.text()) + OLD_KEY.line(later.text())
    assert open_trusted(both, ended)[1].vkey == NEW
    with pytest.raises(NotANote, match="another log"):
        open_trusted(OLD_KEY.sign(later.text()), root())
    with pytest.raises(NotANote, match="no signature by a known key"):
        open_trusted(NEW_KEY.sign(later.text()), root())


def test_a_root_answers_for_its_keys() -> None:
    found = root(logs=(LogKey(vkey=OLD, from_ms=1), LogKey(vkey=NEW, from_ms=2)))
    assert [key.text() for key in found.verifiers()] == [OLD, NEW]
    assert found.log(NEW) == found.logs[1]
    assert found.log("other") is None
    assert found.logs[1].origin == "surefoot/try@2"


def test_what_is_there_twice_is_named() -> None:
    twice = msgspec.structs.replace(FIRST.witnesses[0], name="auditor")
    for changed, said in (
        ({"auditors": (*FIRST.auditors, twice)}, "one cosigner's name twice: auditor"),
        (
            {"witnesses": (*FIRST.witnesses, msgspec.structs.replace(twice, name="w9"))},
            "one cosigner key twice: w9",
        ),
        ({"logs": FIRST.logs * 2}, f"one log key twice: {FIRST.logs[0].vkey[:60]}"),
    ):
        with pytest.raises(BadRoot) as refused:
            payload_of(msgspec.structs.replace(FIRST, **changed))
        assert said in str(refused.value)
