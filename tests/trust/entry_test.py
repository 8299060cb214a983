"""Entries and seals: kept bytes, and refusal of everything outside the format."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.trust import canonical, merkle
from surefoot.trust.digest import digest_of
from surefoot.trust.entry import (
    SIZE_BYTES_MAX,
    Actor,
    Entry,
    NotAnEntry,
    Seal,
    build,
    build_seal,
    parse,
    read_stored,
    text_of_time,
    time_of_text,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "entry.json").read_text())
ENTRY = Entry(
    index=3,
    kind="DeploymentStarted",
    stream="env/production",
    n=0,
    time_ms=1_795_255_200_123,
    actor=Actor(type="person", id="ann", auth="SHA256:abc"),
    request="r-1",
    body={"release": "1.0.0", "steps": [1, 2], "loud": True},
    state=digest_of(b"{}"),
)


@pytest.mark.parametrize("case", VECTORS["leaves"], ids=lambda case: case["name"])
def test_kept_leaves_parse_and_build_to_the_same_bytes(case: dict[str, str]) -> None:
    raw = case["raw"].encode()
    leaf = parse(int(case["index"]), raw)
    assert (build(leaf) if isinstance(leaf, Entry) else build_seal(leaf)) == raw
    assert merkle.leaf_hash(raw).hex() == case["leaf_hash"]
    assert read_stored(int(case["index"]), raw) == leaf


@pytest.mark.parametrize("case", VECTORS["refused"], ids=lambda case: case["name"])
def test_kept_bad_leaves_are_refused(case: dict[str, str]) -> None:
    with pytest.raises(NotAnEntry):
        parse(int(case["index"]), case["raw"].encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stream", ""),
        ("stream", "Env/x"),
        ("stream", "env/"),
        ("stream", "env/../x"),
        ("stream", "env/" + "x" * 200),
        ("kind", "seal"),
        ("kind", "two words"),
        ("n", -1),
        ("n", 1),
        ("prev", "0" * 64),
        ("v", 2),
        ("time_ms", -1),
        ("actor", Actor(type="person", id="", auth="x")),
        ("request", "r" * 201),
        ("state", "sha256:00"),
        ("state", ""),
        ("state_schema", 0),
        ("evidence", ("sha256:zz",)),
        ("reason", "r" * 4001),
        ("reason", "e\u0301"),
        ("body", {"x": 1.5}),
        ("body", {"x": None}),
        ("body", {"x": 2**53}),
        ("body", {"x": "y" * SIZE_BYTES_MAX}),
    ],
)
def test_a_field_outside_the_format_is_refused(field: str, value: object) -> None:
    with pytest.raises(NotAnEntry):
        build(msgspec.structs.replace(ENTRY, **{field: value}))


def test_16_kib_fit_and_one_byte_more_does_not() -> None:
    room = SIZE_BYTES_MAX - len(build(msgspec.structs.replace(ENTRY, body={"x": ""})))
    fits = build(msgspec.structs.replace(ENTRY, body={"x": "y" * room}))
    assert len(fits) == SIZE_BYTES_MAX
    with pytest.raises(NotAnEntry, match="more than 16384"):
        build(msgspec.structs.replace(ENTRY, body={"x": "y" * (room + 1)}))


JSON = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_canonical_bytes_are_those_of_rfc_8785(value: object) -> None:
    try:
        found = canonical.encode(value)
    except canonical.NotCanonical:
        return
    assert found == rfc8785.dumps(value)  # type: ignore[arg-type]
    assert canonical.parse(found) == value


@given(st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=8), JSON, max_size=4))
def test_what_is_built_parses_to_the_same(body: dict[str, object]) -> None:
    try:
        raw = build(msgspec.structs.replace(ENTRY, body=body))
    except NotAnEntry:
        return
    found = parse(3, raw)
    assert isinstance(found, Entry)
    assert found == msgspec.structs.replace(ENTRY, body=body, raw=raw) == read_stored(3, raw)


RAW = build(msgspec.structs.replace(ENTRY, n=1, prev="0" * 64, reason="größer \x01 \U0001f680"))
SEAL = build_seal(Seal(index=4, covers=4, root="0" * 64, heads="1" * 64, streams=1, time_ms=0))
PIECES = [
    b'"',
    b",",
    b":",
    b"{",
    b"}",
    b"[",
    b"]",
    b" ",
    b"null",
    b"1.0",
    b"1e0",
    b"-0",
    b"0",
    b"01",
]
PIECES += [b"true", b"\\u0041", b"\\u00e9", b"\\n", b"\\/", b"e\xcc\x81", b"\xed\xa0\x80", b"\xff"]
PIECES += [b'"v":1,', b'"n":1,', b'"prev":null,', b'"kind":"seal",', b'"x":1,', b'"body":{},']


def _slow_parse(index: int, raw: bytes) -> Entry | Seal | None:
    """Canonical JSON first, then what the fields give when they are built again."""
    try:
        fields = canonical.parse(raw)
        leaf = read_stored(index, raw)
        built = build(leaf) if isinstance(leaf, Entry) else build_seal(leaf)
    except (canonical.NotCanonical, NotAnEntry):
        return None
    assert isinstance(fields, dict)
    return leaf if built == raw else None


@settings(max_examples=1000)
@given(raw=st.sampled_from([RAW, SEAL]), data=st.data())
def test_edited_bytes_are_what_building_makes_or_refused(raw: bytes, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(raw)))
    last = data.draw(st.integers(first, min(len(raw), first + 12)))
    edited = raw[:first] + data.draw(st.sampled_from(PIECES)) + raw[last:]
    try:
        found = parse(4, edited)
    except NotAnEntry:
        found = None
    assert found == _slow_parse(4, edited)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"n":1', b'"n":1.0'),
        (b'"n":1', b'"n":1,"n":1'),
        (b'"n":1', b'"n":true'),
        (b'"n":1', b'"n":"1"'),
        (b'"n":1', b'"n":9007199254740992'),
        (b'"v":1', b'"v":1,"w":1'),
        (b'"v":1', b'"v":2'),
        (b'{"actor"', b'{ "actor"'),
        (b'"loud":true', b'"loud":null'),
        (b'"loud":true', b'"loud":0.5'),
        (b'"loud":true', b'"loud":9007199254740992'),
        (b'"loud":true', b'"loud":"e\xcc\x81"'),
        (b'"loud":true', b'"loud":{"\xc3\xa9":1}'),
        (b'"loud":true', b'"loud":' + b"[" * 32 + b"]" * 32),
        (b'"id":"ann"', b'"id":"e\xcc\x81"'),
        (b'"id":"ann"', b'"id":"\\u0061nn"'),
        (b'"id":"ann"', b'"id":"ann","jd":""'),
        (b'"request":"r-1"', b'"request":"e\xcc\x81"'),
        (b'"prev":"' + b"0" * 64 + b'",', b'"prev":null,'),
        (b'"prev":"' + b"0" * 64 + b'",', b""),
    ],
)
def test_bytes_that_only_look_like_an_entry_are_refused(old: bytes, new: bytes) -> None:
    assert old in RAW
    with pytest.raises(NotAnEntry):
        parse(3, RAW.replace(old, new, 1))


@given(st.binary(max_size=200))
def test_any_bytes_are_an_entry_or_refused(raw: bytes) -> None:
    for read in (parse, read_stored):
        with pytest.raises(NotAnEntry):
            read(0, raw)


@given(st.integers(0, 253402300799999))
def test_time_and_text_agree(time_ms: int) -> None:
    assert time_of_text(text_of_time(time_ms)) == time_ms


def test_a_seal_outside_the_format_is_refused() -> None:
    seal = Seal(index=4, covers=4, root="0" * 64, heads="0" * 64, streams=1, time_ms=0)
    for change in ({"root": "0" * 63}, {"heads": "X" * 64}, {"streams": 5}, {"clamped_ms": -1}):
        with pytest.raises(NotAnEntry):
            build_seal(msgspec.structs.replace(seal, **change))
