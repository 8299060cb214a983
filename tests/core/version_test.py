"""The order of versions."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.core.version import compare, key_of

RISING = [
    "0.9",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.9",
    "v1.10",
    "1.10.0.1",
    "2",
    "2024.06.1",
]


def test_versions_rise_as_the_specification_says() -> None:
    for (low, one), (high, other) in itertools.product(enumerate(RISING), repeat=2):
        assert compare(one, other) == (low > high) - (low < high), (one, other)


@pytest.mark.parametrize("pair", [("1.0", "1.0.0"), ("v2", "2.0"), ("1.0+a", "1.0+b")])
def test_spellings_of_one_version_are_equal(pair: tuple[str, str]) -> None:
    assert compare(*pair) == 0


@pytest.mark.parametrize("text", ["", "main", "1..2", "1.0-", "²", "1.0 ", "1." * 70 + "1", "-1"])
def test_what_has_no_form_has_no_order(text: str) -> None:
    assert key_of(text) is None and compare(text, "1.0") is None
    assert compare(text, text) == 0


@given(st.text(max_size=200), st.text(max_size=200))
def test_the_order_is_total_where_there_is_one(one: str, other: str) -> None:
    found = compare(one, other)
    assert found == (None if (back := compare(other, one)) is None else -back)
