"""Commitments open to their own words alone, and to nothing without the salt."""

from __future__ import annotations

import hashlib

import pytest

from surefoot.trust.payload import Payload, is_commitment, opening, read_opening

SALT = bytes(range(32))
WORDS = Payload(salt=SALT, text="Ann Example asked for it, ann@example.test")


def test_a_commitment_is_the_hash_of_salt_and_words() -> None:
    digest = hashlib.sha256(SALT + WORDS.text.encode()).hexdigest()
    assert WORDS.commitment() == f"committed:sha256:{digest}"
    assert is_commitment(WORDS.commitment()) and WORDS.opens(WORDS.commitment())


@pytest.mark.parametrize(
    ("salt", "text"),
    [(SALT, "other"), (bytes(32), WORDS.text), (SALT[:-1], WORDS.text), (SALT, ""), (b"", "a")],
)
def test_other_words_or_another_salt_do_not_open_it(salt: bytes, text: str) -> None:
    assert not Payload(salt=salt, text=text).opens(WORDS.commitment())


@pytest.mark.parametrize("salt", [b"", SALT[:31], SALT + b"x"])
def test_a_salt_has_32_bytes(salt: bytes) -> None:
    with pytest.raises(ValueError, match="salt"):
        Payload(salt=salt, text="a").commitment()


def test_words_have_a_bound_in_bytes() -> None:
    assert Payload(salt=SALT, text="é" * 2_000).commitment()
    with pytest.raises(ValueError, match="4000"):
        Payload(salt=SALT, text="é" * 2_001).commitment()


@pytest.mark.parametrize(
    "text", ["", "because", "committed:sha256:", "committed:sha256:" + "A" * 64, "x" * 81]
)
def test_plain_words_of_older_entries_are_no_commitments(text: str) -> None:
    assert not is_commitment(text)


def test_an_opening_is_read_back_and_nothing_else_is() -> None:
    content = opening([WORDS])
    assert read_opening(content) == (WORDS,)
    for bad in (
        b"",
        b"[]",
        content[:-1],
        content.replace(b"surefoot-words/1", b"other"),
        b"x" * 70_000,
    ):
        with pytest.raises(ValueError, match=r"."):
            read_opening(bad)
    with pytest.raises(ValueError, match="salt"):
        read_opening(content.replace(b'"salt":"00', b'"salt":"'))
