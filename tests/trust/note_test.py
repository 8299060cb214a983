"""Signed notes and checkpoints: other authors' vectors, our own, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.trust.note import (
    Checkpoint,
    NotANote,
    SignerKey,
    VerifierKey,
    open_checkpoint,
    open_note,
    parse_checkpoint,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "note.json").read_text())
KEY = SignerKey(VECTORS["own"]["name"], bytes.fromhex(VECTORS["own"]["seed"]))
NOTE = KEY.sign(Checkpoint(origin=KEY.verifier.name, size=7, root=b"r" * 32).text())


def test_a_note_of_another_author_verifies() -> None:
    key = VerifierKey.parse(VECTORS["foreign"]["vkey"])
    assert key.text() == VECTORS["foreign"]["vkey"]
    assert open_note(VECTORS["foreign"]["note"], key) == VECTORS["foreign"]["text"]


def test_own_notes_are_the_kept_bytes() -> None:
    own = VECTORS["own"]
    assert KEY.verifier.text() == own["vkey"]
    checkpoint = Checkpoint(origin=own["name"], size=own["size"], root=bytes.fromhex(own["root"]))
    assert KEY.sign(checkpoint.text()) == own["checkpoint"]
    assert open_checkpoint(own["checkpoint"], VerifierKey.parse(own["vkey"])) == checkpoint


@given(st.integers(0, len(NOTE.encode()) - 1), st.integers(1, 255))
def test_no_changed_byte_verifies(place: int, change: int) -> None:
    changed = bytearray(NOTE.encode())
    changed[place] ^= change
    try:
        text = bytes(changed).decode()
    except UnicodeDecodeError:
        return
    with pytest.raises(NotANote):
        open_checkpoint(text, KEY.verifier)


def test_the_unused_bits_of_base64_must_be_zero() -> None:
    last = NOTE[-3]
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/":
        if other != last:
            with pytest.raises(NotANote):
                open_checkpoint(NOTE[:-3] + other + NOTE[-2:], KEY.verifier)


def test_unknown_signatures_are_ignored_and_wrong_ones_refused() -> None:
    other = SignerKey("other.example", b"o" * 32)
    extra = other.sign(NOTE.partition("\n\n")[0] + "\n").partition("\n\n")[2]
    both = NOTE + extra
    assert open_checkpoint(both, KEY.verifier).size == 7
    with pytest.raises(NotANote, match="no signature by a known key"):
        open_note(NOTE, other.verifier)
    broken = extra[:-6] + ("AAAA=\n" if not extra.endswith("AAAA=\n") else "BBBB=\n")
    with pytest.raises(NotANote):
        open_note(NOTE + broken, KEY.verifier, other.verifier)


@pytest.mark.parametrize("text", VECTORS["not_checkpoints"])
def test_not_a_checkpoint(text: str) -> None:
    with pytest.raises(NotANote):
        parse_checkpoint(text)


@pytest.mark.parametrize("text", VECTORS["not_keys"])
def test_not_a_key(text: str) -> None:
    with pytest.raises(NotANote):
        VerifierKey.parse(text)


def test_a_private_key_does_not_print() -> None:
    assert VECTORS["own"]["seed"] not in f"{KEY!r} {KEY}"
    with pytest.raises(NotANote, match="another log"):
        open_checkpoint(
            KEY.sign(Checkpoint(origin="else", size=1, root=b"r" * 32).text()), KEY.verifier
        )
