"""Queries over devices: what they mean, against a slow evaluator of their own, and bad input."""

from __future__ import annotations

import re
import time
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.core.errors import Refused
from surefoot.core.fiql import (
    DEPTH_MAX,
    LENGTH_MAX,
    TERMS_MAX,
    VALUES_MAX,
    All,
    AnyOf,
    Comparison,
    Expression,
    fields_of,
    parse,
)
from surefoot.core.fiql_match import DeviceView, matcher

Tree: TypeAlias = tuple[Any, ...]

DAY_MS = 86_400_000
NOW_MS = 100 * DAY_MS
DEVICE = DeviceView(
    device="SN-0042",
    hardware="rev-b",
    runs="1.10.0",
    standing="",
    client="swupdate",
    seen_ms=NOW_MS - 2 * DAY_MS,
    tags=("lab", "Beta"),
    attributes={"region": "eu-north", "slots": "12", "note": "it's here; now", "star": "a*b"},
)


@pytest.mark.parametrize(
    "text",
    [
        "name==sn-0042",
        "controllerId==SN-*",
        "id==*42",
        "name==S*0*2",
        "attribute.region==eu*",
        "attribute.region!=us*",
        "attribute.absent!=*",
        "attribute.absent==''",
        "tag==lab",
        "tag==beta and tag==LAB",
        "tag!=gone",
        "tag=in=(gone,lab)",
        "tag=out=(gone,other)",
        "type==rev-b",
        "hardware=in=(rev-a, rev-b)",
        "version==1.10",
        "version=ge=1.9 ; version=lt=1.11",
        "version>1.9.9 and version<=1.10.0",
        "attribute.slots=gt=9",
        'attribute.note=="it\'s here; now"',
        "attribute.note=='it\\'s here*'",
        'attribute.star=="a\\*b"',
        "standing==accepted",
        "client==swupdate",
        "lastseen=lt=3d and lastseen=gt=47h",
        "name==nobody or (tag==lab;version=gt=1)",
        "name==nobody,name==sn-0042",
        "name==nobody and name==nobody or tag==lab",
        "location==''",
    ],
)
def test_matches(text: str) -> None:
    assert matcher(parse(text), NOW_MS)(DEVICE)


@pytest.mark.parametrize(
    "text",
    [
        "name==sn-004",
        "attribute.absent==*",
        "attribute.absent<5",
        "attribute.REGION==eu*",
        "tag==la",
        "tag!=lab",
        "tag=out=(gone,lab)",
        "version==1.1",
        "version=gt=1.10",
        "version<1.9",
        "attribute.slots=gt=100",
        "lastseen=gt=3d",
        "name==S*0*2*2",
        "name==SN-0042*0042",
        "(name==sn-0042 or tag==lab) and version=lt=1",
    ],
)
def test_does_not_match(text: str) -> None:
    assert not matcher(parse(text), NOW_MS)(DEVICE)


def test_a_device_never_seen_is_older_than_any_age() -> None:
    unseen = DeviceView(device="new")
    assert matcher(parse("lastseen=gt=365d"), NOW_MS)(unseen)
    assert not matcher(parse("lastseen=lt=365d"), NOW_MS)(unseen)


def test_a_version_without_order_is_neither_below_nor_above() -> None:
    odd = DeviceView(device="odd", runs="nightly")
    assert not matcher(parse("version=lt=9"))(odd)
    assert not matcher(parse("version=ge=0"))(odd)
    assert matcher(parse("version==Nightly"))(odd)


@pytest.mark.parametrize(
    ("text", "character", "expected"),
    [
        ("", 1, "a field"),
        ("   ", 4, "a field"),
        ("nam==x", 1, "one of the fields"),
        ("attribute.==x", 1, "one of the fields"),
        ("name=x", 5, "an operator"),
        ("name=~x", 5, "an operator"),
        ("name==", 7, "a value"),
        ("name==a b==c", 9, "`and`, `or`, or the end"),
        ("name==a and", 12, "a field"),
        ("name==a;", 9, "a field"),
        ("name==a,,name==b", 9, "a field"),
        ("(name==a", 9, "')'"),
        ("name==a)", 8, "`and`, `or`, or the end"),
        ("name=in=a", 9, "'('"),
        ("name=in=()", 10, "a value"),
        ("name=in=(a,)", 12, "a value"),
        ("name=='a", 7, "a closing '"),
        ("name=='\\n'", 9, "after a backslash"),
        ("name=='\x00'", 8, "printable text"),
        ("name==\x00", 7, "a value"),
        ("name=lt=a", 5, "name has no order"),
        ("version=lt=1*", 12, "a value without *"),
        ("version<new", 9, "a version like"),
        ("lastseen==3d", 9, "an age"),
        ("lastseen<yesterday", 10, "an age like"),
        ("standing==gone", 11, "one of accepted"),
        ("name==" + "a" * 257, 7, "at most 256"),
        ("name==" + "a*" * 11, 7, "at most 10 wildcards"),
        ("(" * (DEPTH_MAX + 1) + "name==a", DEPTH_MAX + 1, "brackets inside"),
        (";".join(["id==a"] * (TERMS_MAX + 1)), 6 * TERMS_MAX + 1, f"at most {TERMS_MAX} comp"),
        ("id=in=(" + ",".join("a" * (VALUES_MAX + 1)) + ")", 408, f"at most {VALUES_MAX} values"),
        ("x" * (LENGTH_MAX + 1), LENGTH_MAX + 1, "at most 2000 characters"),
    ],
)
def test_bad_input_is_refused_with_its_place(text: str, character: int, expected: str) -> None:
    with pytest.raises(Refused) as caught:
        parse(text)
    assert caught.value.code == "device.query.input"
    assert expected in caught.value.expected
    assert caught.value.subject == f"query, character {character}"


@settings(max_examples=300)
@given(st.text(max_size=80) | st.text(alphabet="na=me!<>()*;,'\"\\ andorversionlt1.", max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except Refused as refused:
        assert refused.code == "device.query.input"
    else:
        assert isinstance(matcher(found)(DEVICE), bool)


_WORDS = ("eu", "eu-north", "1.2", "1.10", "1.9.1", "a", "A", "9", "12", "")
_VERSIONS = ("1.2", "1.10", "1.9.1", "9")
_PATTERNS = (*_WORDS, "eu*", "*", "*o*", "1*0", "*a", "a**a", "*1*1*")
_VIEWS = st.builds(
    DeviceView,
    device=st.sampled_from(("eu", "a1", "eu-north-1")),
    hardware=st.sampled_from(_WORDS),
    runs=st.sampled_from(_WORDS),
    tags=st.lists(st.sampled_from(_WORDS[:-1]), max_size=3).map(tuple),
    attributes=st.dictionaries(st.sampled_from(("x", "y")), st.sampled_from(_WORDS), max_size=2),
)
_SIMPLE = st.tuples(
    st.sampled_from(("name", "hardware", "version", "tag", "attribute.x", "attribute.y")),
    st.sampled_from(("==", "!=")),
    st.sampled_from(_PATTERNS),
)
_ORDERED = st.tuples(
    st.just("version"),
    st.sampled_from(("=lt=", "=le=", "=gt=", "=ge=")),
    st.sampled_from(_VERSIONS),
) | st.tuples(
    st.just("attribute.x"),
    st.sampled_from(("=lt=", "=le=", "=gt=", "=ge=")),
    st.sampled_from(_WORDS),
)
_SETS = st.tuples(
    st.sampled_from(("tag", "version", "attribute.x")),
    st.sampled_from(("=in=", "=out=")),
    st.lists(st.sampled_from(_PATTERNS), min_size=1, max_size=3).map(tuple),
)
_TREES = st.recursive(
    _SIMPLE | _ORDERED | _SETS,
    lambda inner: st.tuples(st.sampled_from(("and", "or")), inner, inner),
    max_leaves=6,
)


@settings(max_examples=400)
@given(_TREES, _VIEWS)
def test_answers_as_the_naive_evaluator(tree: Tree, view: DeviceView) -> None:
    assert matcher(parse(_written(tree)))(view) == _naive(tree, view)


def _written(tree: Tree) -> str:
    if tree[0] in ("and", "or"):
        return f"({_written(tree[1])}) {tree[0]} ({_written(tree[2])})"
    field, operator, value = tree
    if isinstance(value, tuple):
        return f"{field}{operator}({','.join(_quoted(one) for one in value)})"
    return f"{field}{operator}{_quoted(value)}"


def _quoted(value: str) -> str:
    return f"'{value}'"


def _naive(tree: Tree, view: DeviceView) -> bool:
    if tree[0] == "and":
        return _naive(tree[1], view) & _naive(tree[2], view)
    if tree[0] == "or":
        return _naive(tree[1], view) | _naive(tree[2], view)
    field, operator, value = tree
    own = {"name": view.device, "hardware": view.hardware, "version": view.runs}
    texts = [own.get(field, view.attributes.get(field.removeprefix("attribute."), ""))]
    if field == "tag":
        texts = list(view.tags) or [""]
    wanted = value if isinstance(value, tuple) else (value,)
    if operator in ("==", "!=", "=in=", "=out="):
        equal = any(_naive_equal(t, w, field == "version") for t in texts for w in wanted)
        return equal == (operator in ("==", "=in="))
    text, limit = texts[0], value
    if not text:
        return False
    one: list[int] | str | None = _naive_key(text)
    other: list[int] | str | None = _naive_key(limit)
    if one is None or other is None:
        if field == "version":
            return False
        one, other = text.lower(), limit.lower()
    below, same = bool(one < other), one == other  # type: ignore[operator]
    return {"=lt=": below, "=le=": below or same, "=gt=": not (below or same)}.get(
        operator, not below
    )


def _naive_key(text: str) -> list[int] | None:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)*", text):
        return None
    return [*(int(part) for part in text.split(".")), 0, 0, 0][:3]


def _naive_equal(text: str, wanted: str, version: bool) -> bool:
    if "*" in wanted:
        form = ".*".join(re.escape(piece) for piece in wanted.split("*"))
        return text != "" and re.fullmatch(form, text, re.IGNORECASE) is not None
    if version and text and wanted and _naive_key(text) and _naive_key(wanted):
        return _naive_key(text) == _naive_key(wanted)
    return text.lower() == wanted.lower()


def test_what_a_query_asks_for_is_known_beforehand() -> None:
    assert fields_of(parse("tag==a and (version<2 or lastseen<1d)")) == {
        "tag",
        "version",
        "lastseen",
    }


def test_precedence_and_names() -> None:
    found: Expression = parse("id==a or id==b and metadata.x==c")
    assert isinstance(found, AnyOf)
    second = found.parts[1]
    assert isinstance(second, All)
    assert second.parts[1] == Comparison(
        field="attribute", operator="==", values=(("c",),), attribute="x"
    )


def test_a_hundred_thousand_devices_take_less_than_two_seconds() -> None:
    match = matcher(parse("attribute.region==eu* and version<1.10 and tag!=lab"))
    views = [
        DeviceView(
            device=f"d{n}",
            runs=f"1.{n % 20}.0",
            attributes={"region": "eu-north" if n % 2 else "us"},
        )
        for n in range(100_000)
    ]
    start = time.process_time()
    found = sum(map(match, views))
    assert found == 25_000
    assert time.process_time() - start < 20
