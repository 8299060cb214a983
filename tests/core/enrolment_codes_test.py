"""Codes as a rule: what they look like, and what each use of one is."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.core import enrolment as e

HOUR = 3_600_000
NEW = e.Knock(device="d1", token_hash=b"t" * 32, repeatable=True)
CODE = e.Code(environment="production", hardware="", device="", expires_ms=HOUR)
USED = e.Code(
    **{
        **{n: getattr(CODE, n) for n in CODE.__struct_fields__},
        "used_by": "d1",
        "used_ms": 1000,
        "token_hash": b"t" * 32,
        "number": 7,
    }
)


def changed(code: e.Code, **fields: object) -> e.Code:
    return e.Code(**{**{n: getattr(code, n) for n in code.__struct_fields__}, **fields})


def knock(**fields: object) -> e.Knock:
    return e.Knock(**{**{n: getattr(NEW, n) for n in NEW.__struct_fields__}, **fields})


@given(st.binary(min_size=13, max_size=13))
def test_a_code_is_known_however_it_was_typed(random: bytes) -> None:
    text = e.code_text(random)
    assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{5}-){3}[0-9A-HJKMNP-TV-Z]{5}", text)
    kept = e.code_hash(text)
    assert kept is not None and len(kept) == 32
    typed = (text.lower(), text.replace("-", ""), text.replace("-", " "), text.replace("0", "o"))
    assert {e.code_hash(each) for each in typed} == {kept}
    assert {e.code_hash(text.replace("1", each)) for each in "IlL"} == {kept}
    assert text.replace("-", "") not in e.code_name(kept) and len(e.code_name(kept)) == 12


@given(st.text(max_size=60))
def test_any_text_is_a_code_of_twenty_letters_or_none(text: str) -> None:
    kept = e.code_hash(text)
    assert kept is None or len(kept) == 32


def test_what_is_no_code_is_none() -> None:
    for text in ("", "A" * 19, "A" * 21, "U" * 20, "é" * 20, "A" * 20 + "-" * 21, "A" * 10_000):
        assert e.code_hash(text) is None


@pytest.mark.parametrize(
    ("code", "said", "now", "number", "use"),
    [
        (CODE, NEW, 0, 0, "first"),
        (CODE, NEW, HOUR - 1, 0, "first"),
        (CODE, NEW, HOUR, 0, "void"),
        (changed(CODE, withdrawn=True), NEW, 0, 0, "void"),
        (changed(CODE, tries=4), NEW, 0, 0, "first"),
        (changed(CODE, tries=5), NEW, 0, 0, "void"),
        (CODE, NEW, 0, 3, "other"),
        (changed(CODE, device="d1"), NEW, 0, 3, "first"),
        (changed(CODE, device="d2"), NEW, 0, 0, "other"),
        (changed(CODE, hardware="a"), NEW, 0, 0, "first"),
        (changed(CODE, hardware="a"), knock(hardware="a"), 0, 0, "first"),
        (changed(CODE, hardware="a"), knock(hardware="b"), 0, 0, "other"),
        (USED, NEW, 2000, 7, "again"),
        (USED, NEW, 2000 + e.AGAIN_MS, 7, "void"),
        (USED, NEW, 999, 7, "void"),
        (USED, NEW, 2000, 8, "void"),
        (USED, knock(token_hash=b"u" * 32), 2000, 7, "void"),
        (USED, knock(device="d2"), 2000, 7, "void"),
        (USED, knock(repeatable=False), 2000, 7, "void"),
        (changed(USED, withdrawn=True), NEW, 2000, 7, "void"),
    ],
)
def test_what_a_use_is(code: e.Code, said: e.Knock, now: int, number: int, use: str) -> None:
    assert e.use_of(code, said, now, number) == use


def test_a_token_takes_the_secret_the_code_and_all_words() -> None:
    kept = hashlib.sha256(b"code").digest()
    made = e.token_for(b"s" * 32, kept, ("a", "b", "", "r"))
    assert made == e.token_for(b"s" * 32, kept, ("a", "b", "", "r")) and len(made) == 48
    others = [
        e.token_for(b"t" * 32, kept, ("a", "b", "", "r")),
        e.token_for(b"s" * 32, b"k" * 32, ("a", "b", "", "r")),
        e.token_for(b"s" * 32, kept, ("ab", "", "", "r")),
        e.token_for(b"s" * 32, kept, ("a", "b", "r", "")),
    ]
    assert len({made, *others}) == 5
