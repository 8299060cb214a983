"""Queries over devices, answered: an expression becomes one function from a device to yes or no.

Keeps: versions compare as numbers (1.10 after 1.9), never as text; text is compared without regard
to case; what a device has not is the empty text, which no wildcard and no order matches; `!=` is
exactly not `==`, and `=out=` not `=in=`. Does not: parse (`fiql`), read devices or the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias

import msgspec

from surefoot.core.enrolment import shown
from surefoot.core.fiql import All, AnyOf, Comparison, Expression, Operator, Pieces
from surefoot.core.version import compare, key_of

# Devices share values: what was found for one is kept for the others, up to so many.
_KEPT = 4_096

TextTest: TypeAlias = Callable[[str], bool]


class DeviceView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a query sees of a device; `seen_ms` 0: never seen."""

    device: str
    hardware: str = ""
    runs: str = ""
    standing: str = ""
    client: str = ""
    seen_ms: int = 0
    tags: tuple[str, ...] = ()
    attributes: Mapping[str, str] = {}


Match: TypeAlias = Callable[[DeviceView], bool]


def matcher(expression: Expression, now_ms: int = 0) -> Match:
    """The function that answers for one device; `now_ms` is what ages are counted from."""
    if isinstance(expression, All):
        return _all([matcher(part, now_ms) for part in expression.parts])
    if isinstance(expression, AnyOf):
        return _any([matcher(part, now_ms) for part in expression.parts])
    return _field(expression, now_ms)


def _all(parts: list[Match]) -> Match:
    if len(parts) == 2:  # the usual case, without a loop
        first, second = parts
        return lambda view: first(view) and second(view)
    return lambda view: all(part(view) for part in parts)


def _any(parts: list[Match]) -> Match:
    return lambda view: any(part(view) for part in parts)


def _field(asked: Comparison, now_ms: int) -> Match:
    if asked.field == "lastseen":
        return _age(asked, now_ms)
    test: TextTest = lru_cache(_KEPT)(_text_test(asked))
    if asked.field == "attribute":
        name = asked.attribute
        return lambda view: test(view.attributes.get(name, ""))
    if asked.field == "tag":
        return _tags(asked)
    if asked.field == "version":
        return lambda view: test(view.runs)
    if asked.field == "hardware":
        return lambda view: test(view.hardware)
    if asked.field == "standing":
        return lambda view: test(shown(view.standing))
    if asked.field == "client":
        return lambda view: test(view.client)
    return lambda view: test(view.device)


def _text_test(asked: Comparison) -> TextTest:
    if asked.operator in ("<", "<=", ">", ">="):
        return _order(asked.operator, asked.values[0][0], strict=asked.field == "version")
    alike = [_alike(pieces, version=asked.field == "version") for pieces in asked.values]
    wanted = asked.operator in ("==", "in")
    return lambda text: any(one(text) for one in alike) == wanted


def _alike(pieces: Pieces, *, version: bool) -> TextTest:
    if len(pieces) > 1:
        return lambda text: _glob(pieces, text.casefold())
    whole = pieces[0]
    if version:
        return lambda text: compare(text.casefold(), whole) == 0
    return lambda text: text.casefold() == whole


def _glob(pieces: Pieces, text: str) -> bool:
    """Whether the pieces stand in the text in this order, the first and the last at its ends."""
    first, *middle, last = pieces
    if not text or len(text) < len(first) + len(last) or not text.startswith(first):
        return False
    at, end = len(first), len(text) - len(last)
    if not text.endswith(last):
        return False
    for piece in middle:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _order(operator: Operator, limit: str, *, strict: bool) -> TextTest:
    """By version where both have an order; other attributes by text; other versions not at all."""

    def test(text: str) -> bool:
        if not text:
            return False
        low = text.casefold()
        sign = compare(low, limit)
        if strict and key_of(low) is None:
            return False
        if sign is None:
            sign = (low > limit) - (low < limit)
        return _holds(operator, sign)

    return test


def _holds(operator: Operator, sign: int) -> bool:
    if operator == "<":
        return sign < 0
    if operator == "<=":
        return sign <= 0
    return sign > 0 if operator == ">" else sign >= 0


def _tags(asked: Comparison) -> Match:
    alike = [_alike(pieces, version=False) for pieces in asked.values]
    wanted = asked.operator in ("==", "in")

    def has(tags: tuple[str, ...]) -> bool:
        # Without a tag there is the empty text, as with an attribute that is not there.
        return any(one(tag) for tag in tags or ("",) for one in alike) == wanted

    kept = lru_cache(_KEPT)(has)
    return lambda view: kept(view.tags)


def _age(asked: Comparison, now_ms: int) -> Match:
    """A device that was never seen is older than any age."""
    operator, limit = asked.operator, asked.age_ms

    def test(view: DeviceView) -> bool:
        if not view.seen_ms:
            return operator in (">", ">=")
        age = max(now_ms - view.seen_ms, 0)
        return _holds(operator, (age > limit) - (age < limit))

    return test
