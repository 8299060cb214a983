"""Histograms keep three digits, and their form is the one other programs read."""

import base64
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.core.histogram import (
    HIGHEST_US,
    BadHistogram,
    Histogram,
    Interval,
    decode,
    index_of,
    merged,
    read_log,
    value_of,
    write_log,
)

# Made with the HdrHistogram library for Python, 1 us to one hour, three digits: the values of
# `theirs` below, recorded one by one.
THEIRS = (
    "HISTFAAAAIV4nJNpmSzMwMDxlgECmKE0I4i4NnkJg/0HqAATE9N9dqan7EzaTEziTO44oDKTIk45EBRmYhEFK6IXlmXi"
    "B0NBomkmXhI1DCTNycQOhKxwknWUP0T4rEyMTMxAjEpiExuVH5UflaeWPBCACTiFxsUuOqpo+Cu6Lcp0NYXpdzsjEwD6"
    "CzPK"
)
theirs = [1, 2, 3, 500, 1023, 1024, 1500, 2047, 2048, 2049, 5000, 123456, 9876543, 3599999999]
theirs += list(range(1000, 50000, 37))

values = st.lists(st.integers(min_value=1, max_value=HIGHEST_US), max_size=200)


def histogram(of: list[int]) -> Histogram:
    made = Histogram()
    for value in of:
        made.record(value)
    return made


def test_what_the_library_wrote_is_read() -> None:
    assert decode(THEIRS).counts == histogram(theirs).counts


def test_what_is_written_is_what_the_library_writes() -> None:
    inside = zlib.decompress(base64.b64decode(histogram(theirs).encode())[8:])
    assert inside == zlib.decompress(base64.b64decode(THEIRS)[8:])


@given(st.integers(min_value=1, max_value=HIGHEST_US))
def test_a_value_keeps_three_digits(value: int) -> None:
    assert abs(value_of(index_of(value)) - value) <= max(0, value // 1000)


@given(values)
def test_what_is_written_is_read(of: list[int]) -> None:
    made = histogram(of)
    assert decode(made.encode()).counts == made.counts


@given(values.filter(bool), st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_the_one_of_the_sorted_values(of: list[int], share: float) -> None:
    rank = max(1, -(-round(share * 1000) * len(of) // 1000))
    exact = sorted(of)[rank - 1]
    assert index_of(histogram(of).quantile(share)) == index_of(exact)


@given(values, values)
def test_two_parts_are_the_whole(one: list[int], other: list[int]) -> None:
    both = merged([histogram(one), histogram(other)])
    assert both.counts == histogram([*one, *other]).counts
    assert both.total == len(one) + len(other)


def test_what_is_out_of_range_is_taken_into_it() -> None:
    assert index_of(0) == index_of(1)
    assert index_of(HIGHEST_US + 10**9) == index_of(HIGHEST_US)


def test_a_log_is_read_as_it_was_written() -> None:
    written = [
        Interval(0.0, 0.25, "GET /", histogram([1000, 2000])),
        Interval(0.25, 0.25, "", histogram([5])),
    ]
    found = read_log(write_log(written))
    assert [(i.start_seconds, i.length_seconds, i.tag) for i in found] == [
        (0.0, 0.25, "GET /"),
        (0.25, 0.25, ""),
    ]
    assert [i.histogram.counts for i in found] == [i.histogram.counts for i in written]


def _packed(payload: bytes, *, cookie: int = 0x1C849313, cut: int = 0) -> str:
    head = struct.pack(">iiiiqqd", cookie, len(payload) - cut, 0, 3, 1, HIGHEST_US, 1.0)
    packed = zlib.compress(head + payload)
    return base64.b64encode(struct.pack(">ii", 0x1C849314, len(packed)) + packed).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "HIST",
        "####",
        THEIRS[:-12],
        _packed(b"", cookie=1),
        _packed(b"\x02", cut=1),
        _packed(b"\xff" * 12),
        _packed(b"\x80"),
        _packed(b"\xff\xff\xff\x7f\x02"),
        _packed(bytes(2 * 1024 * 1024)),
    ],
)
def test_what_is_no_histogram_is_refused(text: str) -> None:
    with pytest.raises(BadHistogram):
        decode(text)


@pytest.mark.parametrize("line", ["1.0,2.0,3.0", "x,1,1," + THEIRS, "nan,1,1," + THEIRS])
def test_a_bad_line_is_refused(line: str) -> None:
    with pytest.raises(BadHistogram):
        read_log(line)
