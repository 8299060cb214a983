"""The body of add-checkpoint: what is written is read, and what is not of the form is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.trust.note import NotANote
from surefoot.trust.witnessing import REQUEST_BYTES_MAX, AddCheckpoint, parse_request, parse_size

HASH = "A" * 43 + "="


@given(st.integers(0, 10**15), st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_what_is_written_is_read(old: int, proof: list[bytes]) -> None:
    asked = AddCheckpoint(old=old, proof=tuple(proof), note="o\n1\nr\n\n— n s\n")
    assert parse_request(asked.body()) == asked


def test_the_form_is_the_published_one() -> None:
    asked = AddCheckpoint(old=7, proof=(bytes(32), bytes(32)), note="note\n")
    assert asked.body().decode() == f"old 7\n{HASH}\n{HASH}\n\nnote\n"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n\nnote\n",
        b"old 7\n",
        b"old 07\n\nnote\n",
        b"old -1\n\nnote\n",
        b"old  7\n\nnote\n",
        b"Old 7\n\nnote\n",
        b"old 7 \n\nnote\n",
        b"old 99999999999999999\n\nnote\n",
        "old \u0667\n\nnote\n".encode(),
        b"old 7\r\n\r\nnote\r\n",
        b"old 7\nAAAA\n\nnote\n",
        f"old 7\n{HASH} \n\nnote\n".encode(),
        f"old 7\n{HASH[:-2]}B=\n\nnote\n".encode(),
        ("old 7\n" + f"{HASH}\n" * 64 + "\nnote\n").encode(),
        b"old 7\n\n\xff\n",
        b"old 7\n\n" + b"x" * REQUEST_BYTES_MAX,
    ],
)
def test_what_is_not_of_the_form_is_refused(body: bytes) -> None:
    with pytest.raises(NotANote):
        parse_request(body)


def test_a_size_is_one_decimal_line() -> None:
    assert parse_size(b"0\n") == 0
    assert parse_size(b"20852014\n") == 20852014
    for bad in (b"", b"1", b"01\n", b"1\n\n", b"-1\n", b" 1\n", b"x\n", b"9" * 17 + b"\n"):
        assert parse_size(bad) is None
