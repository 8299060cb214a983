"""Latencies in buckets of bounded relative error, in the HdrHistogram V2 form and its log.

Keeps: whole microseconds from 1 to one hour, three significant digits (an error of at most one in a
thousand); what is longer counts as one hour. A log that is read is bounded and checked.
Source: HdrHistogram, V2 encoding (zigzag LEB128 counts, deflate) and histogram log format 1.3.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
import zlib
from collections.abc import Iterable, Iterator

import msgspec

HIGHEST_US = 3_600_000_000
DIGITS = 3
COUNTS_BYTES_MAX = 1024 * 1024
LINES_MAX = 200_000
_HALF_BITS = 10
_HALF = 1 << _HALF_BITS
_COOKIE = 0x1C849313
_COOKIE_COMPRESSED = 0x1C849314
_HEADER = struct.Struct(">iiiiqqd")
_HEADER_COMPRESSED = struct.Struct(">ii")
_LOG_HEAD = (
    "#[Histogram log format version 1.3]\n"
    '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
)


class BadHistogram(ValueError):
    """The text or bytes are no histogram of this form."""


def index_of(microseconds: int) -> int:
    """The bucket of a value, which is taken into the range first."""
    value = min(max(microseconds, 1), HIGHEST_US)
    bucket = max(0, value.bit_length() - _HALF_BITS - 1)
    return ((bucket + 1) << _HALF_BITS) + (value >> bucket) - _HALF


def value_of(index: int) -> int:
    """The middle of a bucket in microseconds; exact up to 2,047."""
    bucket, sub = (index >> _HALF_BITS) - 1, (index & (_HALF - 1)) + _HALF
    if bucket < 0:
        return sub - _HALF
    return (sub << bucket) + ((1 << bucket) >> 1)


class Histogram:
    """Counts of latencies by bucket. `counts` is bucket -> count, never zero."""

    __slots__ = ("counts",)

    def __init__(self, counts: dict[int, int] | None = None) -> None:
        self.counts: dict[int, int] = dict(counts or {})

    def record(self, microseconds: int) -> None:
        """Count one value."""
        index = index_of(microseconds)
        self.counts[index] = self.counts.get(index, 0) + 1

    def add(self, other: Histogram) -> None:
        """Count all that the other has counted."""
        for index, count in other.counts.items():
            self.counts[index] = self.counts.get(index, 0) + count

    @property
    def total(self) -> int:
        """How many values were counted."""
        return sum(self.counts.values())

    @property
    def highest_us(self) -> int:
        """The highest value, 0 when there is none."""
        return value_of(max(self.counts)) if self.counts else 0

    def quantile(self, share: float) -> int:
        """The least value that `share` of all are not above, in microseconds; 0 for none."""
        left = max(1, math.ceil(share * self.total - 1e-9))
        for index in sorted(self.counts):
            left -= self.counts[index]
            if left <= 0:
                return value_of(index)
        return 0

    def encode(self) -> str:
        """The compressed V2 form in base64."""
        payload = b"".join(_counts(self.counts))
        head = _HEADER.pack(_COOKIE, len(payload), 0, DIGITS, 1, HIGHEST_US, 1.0)
        packed = zlib.compress(head + payload, 6)
        whole = _HEADER_COMPRESSED.pack(_COOKIE_COMPRESSED, len(packed)) + packed
        return base64.b64encode(whole).decode()


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """One histogram of all."""
    whole = Histogram()
    for histogram in histograms:
        whole.add(histogram)
    return whole


def _counts(counts: dict[int, int]) -> Iterator[bytes]:
    """Counts from bucket 0 up; a run of empty buckets is its length, negated."""
    at = 0
    for index in sorted(counts):
        if index > at:
            yield _zigzag(at - index)
        yield _zigzag(counts[index])
        at = index + 1


def _zigzag(number: int) -> bytes:
    value = (number << 1) ^ (number >> 63)
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode(text: str) -> Histogram:
    """The histogram of a compressed V2 text. Raises `BadHistogram`."""
    try:
        whole = base64.b64decode(text, validate=True)
        cookie, length = _HEADER_COMPRESSED.unpack_from(whole)
        packed = whole[_HEADER_COMPRESSED.size :]
        if cookie != _COOKIE_COMPRESSED or length != len(packed):
            raise BadHistogram("not a compressed V2 histogram")
        inflater = zlib.decompressobj()
        plain = inflater.decompress(packed, COUNTS_BYTES_MAX)
        if not inflater.eof or inflater.unused_data:
            raise BadHistogram("larger than is accepted, or cut short")
        cookie, length, offset, digits, lowest, highest, _ = _HEADER.unpack_from(plain)
    except (binascii.Error, struct.error, zlib.error, ValueError) as error:
        raise BadHistogram(f"not a histogram: {error}") from None
    if (cookie, offset, digits, lowest) != (_COOKIE, 0, DIGITS, 1) or highest > 1 << 40:
        raise BadHistogram("other bounds or digits than are used here")
    payload = plain[_HEADER.size :]
    if length != len(payload):
        raise BadHistogram("the counts have another length than is said")
    return _decode_counts(payload)


def _decode_counts(payload: bytes) -> Histogram:
    counts: dict[int, int] = {}
    at, position = 0, 0
    index_max = index_of(HIGHEST_US)
    while position < len(payload):
        number, position = _unzigzag(payload, position)
        if number < 0:
            at -= number
            continue
        if number > 0:
            if at > index_max:
                raise BadHistogram("a value above one hour")
            counts[at] = number
        at += 1
    return Histogram(counts)


def _unzigzag(payload: bytes, position: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        if position >= len(payload) or shift > 56:
            raise BadHistogram("a count that does not end")
        byte = payload[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), position
        shift += 7


class Interval(msgspec.Struct, frozen=True):
    """One line of a log: seconds since the run began, length in seconds, tag, values."""

    start_seconds: float
    length_seconds: float
    tag: str
    histogram: Histogram


def write_log(intervals: Iterable[Interval]) -> str:
    """The log of a run; the largest value of each line is in milliseconds."""
    lines = [_LOG_HEAD]
    for one in intervals:
        tag = f"Tag={one.tag}," if one.tag else ""
        largest = one.histogram.highest_us / 1000
        lines.append(
            f"{tag}{one.start_seconds:.3f},{one.length_seconds:.3f},{largest:.3f},"
            f"{one.histogram.encode()}\n"
        )
    return "".join(lines)


def read_log(text: str) -> list[Interval]:
    """The intervals of a log, in its order. Raises `BadHistogram`."""
    found: list[Interval] = []
    for line in text.split("\n"):
        if not line or line.startswith(("#", '"')):
            continue
        if len(found) >= LINES_MAX:
            raise BadHistogram(f"more than {LINES_MAX} lines")
        tag = ""
        if line.startswith("Tag="):
            tag, _, line = line[4:].partition(",")
        parts = line.split(",")
        if len(parts) != 4:
            raise BadHistogram("a line without four parts")
        try:
            start, length = float(parts[0]), float(parts[1])
        except ValueError:
            raise BadHistogram("a time that is no number") from None
        if not (math.isfinite(start) and math.isfinite(length)):
            raise BadHistogram("a time that is no number")
        found.append(Interval(start, length, tag, decode(parts[3])))
    return found
