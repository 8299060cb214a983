"""Cosignatures: the published example, kept vectors of both types, and refusals."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.trust.cosignature import (
    ED25519,
    ML_DSA_44,
    CosignerKey,
    CosignerSigner,
    cosignatures,
    message,
    with_lines,
)
from surefoot.trust.note import Checkpoint, NotANote, SignerKey, split_line, split_note

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "cosignature.json").read_text())
KINDS = (ED25519, ML_DSA_44)
LOG = SignerKey("surefoot.example/journal", b"l" * 32)
TEXT = Checkpoint(origin=LOG.verifier.name, size=7, root=b"r" * 32).text()
NOTE = LOG.sign(TEXT)
SIGNERS = {kind: CosignerSigner("witness.example/w", b"w" * 32, kind) for kind in KINDS}
COSIGNED = {kind: with_lines(NOTE, [SIGNERS[kind].cosign(TEXT, 1_700_000_000)]) for kind in KINDS}


def test_the_published_example_is_read_as_it_says() -> None:
    published = VECTORS["published"]
    _, lines = split_note(published["note"])
    name, key_id, content = split_line(lines[1])
    assert (name, key_id.hex()) == (published["name"], published["key_id"])
    assert int.from_bytes(content[:8], "big") == published["time_s"]
    assert len(content) == 8 + 64
    assert cosignatures(published["note"], [SIGNERS[ED25519].key]) == ()


def test_the_ed25519_message_is_two_lines_and_the_checkpoint() -> None:
    published = VECTORS["published"]
    text, _ = split_note(published["note"])
    assert message(SIGNERS[ED25519].key, text, published["time_s"]) == (
        b"cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
        b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )


def test_the_ml_dsa_message_is_the_structure_written_out_by_hand() -> None:
    wanted = VECTORS["ml_dsa_message"]
    key = CosignerSigner(wanted["name"], b"s" * 32, ML_DSA_44).key
    checkpoint = Checkpoint(
        origin=wanted["origin"], size=wanted["size"], root=bytes.fromhex(wanted["root"])
    )
    found = message(key, checkpoint.text(), wanted["time_s"])
    assert found.hex() == "".join(wanted["parts"])


@pytest.mark.parametrize("kind", sorted(VECTORS["own"]))
def test_kept_cosignatures_verify(kind: str) -> None:
    own = VECTORS["own"][kind]
    signer = CosignerSigner(own["name"], bytes.fromhex(own["seed"]), own["kind"])
    assert signer.key.text() == own["vkey"]
    key = CosignerKey.parse(own["vkey"])
    assert key == signer.key
    assert message(key, own["text"], own["time_s"]).hex() == own["message"]
    note = f"{own['text']}\n{own['line']}"
    (found,) = cosignatures(note, [key])
    assert (found.name, found.key, found.kind) == (own["name"], own["vkey"], own["kind"])
    assert found.time_s == own["time_s"]
    if key.kind == ED25519:
        assert signer.cosign(own["text"], own["time_s"]) == own["line"]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(st.data())
def test_no_changed_bit_of_a_cosignature_verifies(kind: int, data: st.DataObject) -> None:
    line = COSIGNED[kind].rpartition("\n— ")[2].strip("\n")
    name, _, encoded = line.partition(" ")
    content = bytearray(base64.b64decode(encoded))
    place = data.draw(st.integers(4, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    changed = with_lines(NOTE, [f"— {name} {base64.b64encode(content).decode()}"])
    with pytest.raises(NotANote):
        cosignatures(changed, [SIGNERS[kind].key])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(
    size=st.integers(0, 10**15),
    time_s=st.integers(1, 2**63 - 1),
    root=st.binary(min_size=32, max_size=32),
)
def test_what_is_cosigned_verifies_and_for_nothing_else(
    kind: int, size: int, time_s: int, root: bytes
) -> None:
    text = Checkpoint(origin="o", size=size, root=root).text()
    line = SIGNERS[kind].cosign(text, time_s)
    (found,) = cosignatures(f"{text}\n{line}", [SIGNERS[kind].key])
    assert found.time_s == time_s
    for other in (
        Checkpoint(origin="o", size=size + 1, root=root),
        Checkpoint(origin="p", size=size, root=root),
        Checkpoint(origin="o", size=size, root=bytes(32 * [root[0] ^ 1])),
    ):
        with pytest.raises(NotANote):
            cosignatures(f"{other.text()}\n{line}", [SIGNERS[kind].key])


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_keys_are_ignored(kind: int) -> None:
    other = CosignerSigner("witness.example/w", b"o" * 32, kind).key
    renamed = CosignerKey("witness.example/x", kind, SIGNERS[kind].key.public)
    assert cosignatures(COSIGNED[kind], [other, renamed]) == ()
    assert len(cosignatures(COSIGNED[kind], [other, SIGNERS[kind].key])) == 1


def test_a_time_of_zero_or_beyond_the_end_is_not_counted() -> None:
    signer = SIGNERS[ED25519]
    for time_s in (0, -1, 2**63):
        with pytest.raises(NotANote, match="time of a cosignature"):
            signer.cosign(TEXT, time_s)
    line = signer.cosign(TEXT, 5).strip("\n")
    content = base64.b64decode(line.rpartition(" ")[2])
    late = content[:4] + (2**63).to_bytes(8, "big") + content[12:]
    note = with_lines(NOTE, [f"— witness.example/w {base64.b64encode(late).decode()}"])
    with pytest.raises(NotANote):
        cosignatures(note, [signer.key])


def test_thirty_two_cosigners_of_the_longer_kind_have_room_under_one_checkpoint() -> None:
    signers = [
        CosignerSigner(f"witness.example/{n}", bytes([n]) * 32, ML_DSA_44) for n in range(32)
    ]
    note = with_lines(NOTE, [signer.cosign(TEXT, 5) for signer in signers])
    assert len(cosignatures(note, [signer.key for signer in signers])) == 32


def test_lines_are_added_once_and_only_lines() -> None:
    line = SIGNERS[ED25519].cosign(TEXT, 5)
    once = with_lines(NOTE, [line, line])
    assert once == NOTE + line
    assert with_lines(once, [line]) == once
    for bad in ("", "x", "— name", "— name !!!", line + line, f"{line}\n"):
        with pytest.raises(NotANote):
            with_lines(NOTE, [bad])


@pytest.mark.parametrize("text", VECTORS["not_keys"])
def test_not_a_cosigners_key(text: str) -> None:
    with pytest.raises(NotANote):
        CosignerKey.parse(text)


def test_a_key_of_small_order_a_wrong_length_or_type_is_refused() -> None:
    for kind, public in ((ED25519, bytes(32)), (ED25519, b"p" * 31), (1, b"p" * 32), (6, b"p")):
        with pytest.raises(NotANote):
            CosignerKey("w", kind, public)
    with pytest.raises(NotANote):
        CosignerSigner("w", b"short", ED25519)
    with pytest.raises(NotANote):
        CosignerSigner("w", b"s" * 32, 1)


def test_a_private_key_does_not_print() -> None:
    assert (b"w" * 32).hex() not in f"{SIGNERS[ED25519]!r} {SIGNERS[ML_DSA_44]}"


def test_only_a_checkpoint_is_cosigned() -> None:
    for text in ("", "a\n", "o\n1\nAAAA\n", f"{TEXT}extension\n"):
        for kind in KINDS:
            with pytest.raises(NotANote):
                SIGNERS[kind].cosign(text, 5)
