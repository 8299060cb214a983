"""Our canonical JSON beside two implementations of RFC 8785 by other authors: `rfc8785` in Python,
`canonicalize` in JavaScript. Inside our profile all three write the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.trust import canonical

HERE = Path(__file__).parent
CORPUS = json.loads((HERE.parent / "vectors" / "canonical.json").read_text())
PACKAGE = Path(sys.prefix) / "npm" / "node_modules" / "canonicalize"

Javascript = Callable[[object], bytes]

CONTROLS = "".join(map(chr, range(32))) + "\x7f\x80\x9f\u2028\u2029\ufeff"
ASTRAL = "\U0001f680\U00010000\U0010ffff\ud7ff\ue000\uffff"
TEXTS = st.one_of(
    st.text(max_size=20),
    st.text(CONTROLS + '"\\/', max_size=8),
    st.text(ASTRAL + "ée\u0301", max_size=8),
)
NAMES = st.text(st.characters(max_codepoint=127), max_size=8)
INTEGERS = st.one_of(
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.sampled_from([0, -1, 10**15, 10**15 - 1, 2**53 - 1, -(2**53) + 1, 2**31, 2**32]),
)


def objects(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inner, max_size=5) | st.dictionaries(NAMES, inner, max_size=6)


VALUES = st.recursive(st.booleans() | INTEGERS | TEXTS, objects, max_leaves=20)


@pytest.fixture(scope="session")
def javascript(require_tool: Callable[[str], str]) -> Iterator[Javascript]:
    """The npm package, as a process that answers line by line."""
    node = require_tool("node")
    # `scripts/setup test` installs it there; its own command stands for all of it.
    require_tool(str(PACKAGE / "bin" / "canonicalize.js"))
    words = [node, str(HERE / "canonical_json" / "canonicalize.mjs"), str(PACKAGE)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def ask(value: object) -> bytes:
            stdin.write(json.dumps(value).encode() + b"\n")
            stdin.flush()
            return stdout.readline().removesuffix(b"\n")

        yield ask


@pytest.mark.parametrize("case", CORPUS["same"], ids=lambda case: case["name"])
def test_the_corpus_is_the_same_for_all(case: dict[str, str], javascript: Javascript) -> None:
    value = json.loads(case["given"])
    expected = case["canonical"].encode()
    assert canonical.encode(value) == expected
    assert canonical.parse(expected) == value
    assert rfc8785.dumps(value) == expected
    assert javascript(value) == expected
    if case["given"] != case["canonical"]:
        with pytest.raises(canonical.NotCanonical):
            canonical.parse(case["given"].encode())


@pytest.mark.parametrize("case", CORPUS["outside"], ids=lambda case: case["name"])
def test_what_is_outside_the_profile_is_refused(case: dict[str, str]) -> None:
    with pytest.raises(canonical.NotCanonical):
        canonical.parse(case["given"].encode())


@pytest.mark.parametrize(
    "value",
    [None, 1.0, float("nan"), 2**53, -(2**53), "e\u0301", "\ud800", {"é": 1}, {1: 1}, {1, 2}, b"x"],
    ids=repr,
)
def test_values_outside_the_profile_are_refused(value: object) -> None:
    for nested in (value, [value], {"x": value}, [{"x": [value]}]):
        with pytest.raises(canonical.NotCanonical):
            canonical.encode(nested)


def test_depth_is_bounded() -> None:
    value: object = []
    for _ in range(32):
        value = [value]
    assert canonical.parse(canonical.encode(value)) == value
    with pytest.raises(canonical.NotCanonical):
        canonical.encode([value])
    for raw in (b"[" * 40 + b"]" * 40, b"[" * 100_000 + b"]" * 100_000, b"[" * 100_000):
        with pytest.raises(canonical.NotCanonical):
            canonical.parse(raw)


@settings(max_examples=400, deadline=None)
@given(value=VALUES)
def test_three_implementations_write_the_same_bytes(value: object, javascript: Javascript) -> None:
    try:
        found = canonical.encode(value)
    except canonical.NotCanonical:
        return
    assert found == rfc8785.dumps(value)  # type: ignore[arg-type]
    assert found == javascript(value)
    assert canonical.parse(found) == value


@settings(max_examples=100, deadline=None)
@given(names=st.lists(NAMES, min_size=2, max_size=40, unique=True), data=st.data())
def test_names_stand_in_the_order_of_utf_16_code_units(
    names: list[str], data: st.DataObject, javascript: Javascript
) -> None:
    ordered = sorted(names, key=lambda name: name.encode("utf-16-be"))
    value = dict.fromkeys(data.draw(st.permutations(names)), 0)
    found = canonical.encode(value)
    assert list(json.loads(found)) == ordered
    assert found == javascript(value)


def test_why_names_are_ascii_alone(javascript: Javascript) -> None:
    """Beyond ASCII, the order by code points and the RFC's order by UTF-16 differ."""
    value = {"\uffff": 1, "\U0001f680": 2}
    assert list(json.loads(javascript(value))) == ["\U0001f680", "\uffff"] != sorted(value)
    with pytest.raises(canonical.NotCanonical):
        canonical.encode(value)


def test_every_character_is_written_as_the_others_write_it(javascript: Javascript) -> None:
    block = 2048
    for first in range(0, 0x110000, block):
        if 0xD800 <= first < 0xE000:
            continue
        texts = [f"<{chr(code)}>" for code in range(first, first + block)]
        inside = [text for text in texts if _inside(text)]
        found = canonical.encode(inside)
        assert found == rfc8785.dumps(inside)
        if first < 0x10000 or first % (block * 32) == 0:
            assert found == javascript(inside)


def _inside(text: str) -> bool:
    try:
        canonical.check(text)
    except canonical.NotCanonical:
        return False
    return True


@settings(max_examples=300)
@given(raw=st.binary(max_size=40) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_canonical_or_refused(raw: bytes) -> None:
    try:
        value = canonical.parse(raw)
    except canonical.NotCanonical:
        return
    assert rfc8785.dumps(value) == raw  # type: ignore[arg-type]
