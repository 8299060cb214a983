"""Queries over devices, in the form hawkBit's users know: text in, one checked expression out.

    query       = all *( ("," / "or") all )
    all         = term *( (";" / "and") term )
    term        = "(" query ")" / comparison
    comparison  = field operator ( value / "(" value *("," value) ")" )
    operator    = "==" "!=" "=lt=" "<" "=le=" "<=" "=gt=" ">" "=ge=" ">=" "=in=" "=out="
    value       = word / quoted, with * for any text and, in quotes, \\* for a star

Keeps: length, depth, terms and values are bounded; an error says at which character; what a field
cannot be asked is refused here, never answered wrongly later. Does not: look at devices
(`fiql_match`). Source: FIQL (draft-nottingham-atompub-fiql-00) and RSQL as hawkBit 0.8 takes them.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

import msgspec

from surefoot.core.errors import Refused
from surefoot.core.version import key_of

LENGTH_MAX = 2_000
DEPTH_MAX = 10
TERMS_MAX = 100
VALUES_MAX = 200
VALUE_LENGTH_MAX = 256
WILDCARDS_MAX = 10

Operator = Literal["==", "!=", "<", "<=", ">", ">=", "in", "out"]
Field = Literal["name", "attribute", "tag", "hardware", "version", "standing", "client", "lastseen"]

_OPERATORS: dict[str, Operator] = {
    "==": "==",
    "!=": "!=",
    "=lt=": "<",
    "<": "<",
    "=le=": "<=",
    "<=": "<=",
    "=gt=": ">",
    ">": ">",
    "=ge=": ">=",
    ">=": ">=",
    "=in=": "in",
    "=out=": "out",
}
_FIELDS: dict[str, Field] = {
    "name": "name",
    "id": "name",
    "controllerid": "name",
    "tag": "tag",
    "hardware": "hardware",
    "type": "hardware",
    "version": "version",
    "standing": "standing",
    "client": "client",
    "lastseen": "lastseen",
}
_ATTRIBUTES = ("attribute.", "metadata.")
_ORDERED: tuple[Field, ...] = ("version", "attribute", "lastseen")
_STANDINGS = ("accepted", "pending", "rejected", "revoked")
_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,140}")
_OPERATOR = re.compile(r"=(?:lt|le|gt|ge|in|out)=|==|!=|<=|>=|<|>")
_WORD = re.compile(r"""[^\s"'();,=<>!~\\\x00-\x1f\x7f]+""")
_SPACE = re.compile(r"[ \t\r\n]*")
_AGE = re.compile(r"([0-9]{1,9})([smhd]?)", re.ASCII)
_AND = re.compile(r";|and(?=[\s(]|$)", re.IGNORECASE)
_OR = re.compile(r",|or(?=[\s(]|$)", re.IGNORECASE)

# What a value is between its wildcards: one piece has none, ("a", "") is `a*`.
Pieces: TypeAlias = tuple[str, ...]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One field against values; `attribute` is the attribute's name; `age_ms` that of lastseen."""

    field: Field
    operator: Operator
    values: tuple[Pieces, ...]
    attribute: str = ""
    age_ms: int = 0


class All(msgspec.Struct, frozen=True):
    """Each part holds."""

    parts: tuple[Expression, ...]


class AnyOf(msgspec.Struct, frozen=True):
    """One part holds, or more."""

    parts: tuple[Expression, ...]


Expression: TypeAlias = Comparison | All | AnyOf


def parse(text: str) -> Expression:
    """The query as an expression. Raises `Refused("device.query.input")`."""
    if len(text) > LENGTH_MAX:
        raise _refused(LENGTH_MAX, f"at most {LENGTH_MAX} characters", str(len(text)))
    reader = _Reader(text)
    found = reader.any_of(0)
    reader.end()
    return found


def fields_of(expression: Expression) -> frozenset[Field]:
    """Which fields the expression asks for."""
    if isinstance(expression, Comparison):
        return frozenset({expression.field})
    return frozenset().union(*(fields_of(part) for part in expression.parts))


class _Reader:
    """One pass over the text, from left to right, without going back."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._terms = 0
        self._skip()

    def any_of(self, depth: int) -> Expression:
        parts = [self._all(depth)]
        while self._take(_OR):
            parts.append(self._all(depth))
        return AnyOf(tuple(parts)) if len(parts) > 1 else parts[0]

    def _all(self, depth: int) -> Expression:
        parts = [self._term(depth)]
        while self._take(_AND):
            parts.append(self._term(depth))
        return All(tuple(parts)) if len(parts) > 1 else parts[0]

    def _term(self, depth: int) -> Expression:
        if not self._sees("("):
            return self._comparison()
        if depth >= DEPTH_MAX:
            raise self._wrong(f"at most {DEPTH_MAX} brackets inside each other")
        self._literal("(")
        found = self.any_of(depth + 1)
        self._literal(")")
        return found

    def _comparison(self) -> Comparison:
        self._terms += 1
        if self._terms > TERMS_MAX:
            raise self._wrong(f"at most {TERMS_MAX} comparisons")
        field, attribute = self._field()
        at_operator = self._at
        word = self._take(_OPERATOR)
        if not word:
            raise self._wrong("an operator: == != < <= > >= =lt= =le= =gt= =ge= =in= =out=")
        operator = _OPERATORS[word.lower()]
        ordered = operator in ("<", "<=", ">", ">=")
        if ordered and field not in _ORDERED:
            raise _refused(at_operator, f"== != =in= or =out=: {field} has no order", word)
        if field == "lastseen" and not ordered:
            raise _refused(at_operator, "an age: lastseen=lt=2d or lastseen=gt=2d", word)
        at_value = self._at
        values = self._values(operator)
        if ordered and len(values[0]) > 1:
            raise _refused(at_value, "a value without * where order is asked", "a wildcard")
        if ordered and field == "version" and not key_of(values[0][0]):
            raise _refused(at_value, "a version like 1.10 or 2.0-rc1", repr(values[0][0][:20]))
        age_ms = _age_of(values[0], at_value) if field == "lastseen" else 0
        if field == "standing":
            _check_standings(values, at_value)
        return Comparison(
            field=field, operator=operator, values=values, attribute=attribute, age_ms=age_ms
        )

    def _field(self) -> tuple[Field, str]:
        start = self._at
        word = self._take(_FIELD)
        if not word:
            raise self._wrong("a field")
        low = word.lower()
        if low == "location":
            return "attribute", "location"
        for prefix in _ATTRIBUTES:
            if low.startswith(prefix) and len(word) > len(prefix):
                return "attribute", word[len(prefix) :]
        if low not in _FIELDS:
            known = ", ".join((*_FIELDS, "location", "attribute.NAME"))
            raise _refused(start, f"one of the fields {known}", word)
        return _FIELDS[low], ""

    def _values(self, operator: Operator) -> tuple[Pieces, ...]:
        if operator not in ("in", "out"):
            return (self._value(),)
        self._literal("(")
        values = [self._value()]
        while self._sees(","):
            self._literal(",")
            if len(values) >= VALUES_MAX:
                raise self._wrong(f"at most {VALUES_MAX} values")
            values.append(self._value())
        self._literal(")")
        return tuple(values)

    def _value(self) -> Pieces:
        start = self._at
        if self._sees('"') or self._sees("'"):
            pieces = self._quoted()
        else:
            word = self._take(_WORD)
            if not word:
                raise self._wrong("a value; with spaces or signs in it, in quotes")
            pieces = tuple(word.split("*"))
        if sum(map(len, pieces)) > VALUE_LENGTH_MAX:
            raise _refused(start, f"a value of at most {VALUE_LENGTH_MAX} characters", "more")
        if len(pieces) > WILDCARDS_MAX + 1:
            raise _refused(start, f"at most {WILDCARDS_MAX} wildcards", str(len(pieces) - 1))
        return tuple(piece.casefold() for piece in pieces)

    def _quoted(self) -> Pieces:
        quote, start = self._text[self._at], self._at
        self._at += 1
        pieces = [""]
        while self._at < len(self._text) and (sign := self._text[self._at]) != quote:
            if sign == "\\":
                self._at += 1
                sign = self._text[self._at : self._at + 1]
                if sign not in ("\\", "*", '"', "'"):
                    raise self._wrong("after a backslash: a quote, a star or a backslash")
                pieces[-1] += sign
            elif sign == "*":
                pieces.append("")
            elif sign < " " or sign == "\x7f":
                raise self._wrong("printable text")
            else:
                pieces[-1] += sign
            self._at += 1
        if self._at >= len(self._text):
            raise _refused(start, f"a closing {quote}", "the end")
        self._at += 1
        self._skip()
        return tuple(pieces)

    def end(self) -> None:
        if self._at < len(self._text):
            raise self._wrong("`and`, `or`, or the end")

    def _sees(self, sign: str) -> bool:
        return self._text.startswith(sign, self._at)

    def _literal(self, sign: str) -> None:
        if not self._sees(sign):
            raise self._wrong(repr(sign))
        self._at += 1
        self._skip()

    def _take(self, form: re.Pattern[str]) -> str:
        found = form.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        self._skip()
        return found[0]

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        assert found is not None
        self._at = found.end()

    def _wrong(self, expected: str) -> Refused:
        rest = self._text[self._at : self._at + 20]
        return _refused(self._at, expected, repr(rest) if rest else "the end")


def _age_of(pieces: Pieces, at: int) -> int:
    found = _AGE.fullmatch(pieces[0])
    if found is None:
        raise _refused(at, "an age like 90s, 15m, 12h or 7d", repr(pieces[0][:20]))
    return int(found[1]) * _UNITS[found[2] or "s"]


def _check_standings(values: tuple[Pieces, ...], at: int) -> None:
    for pieces in values:
        if len(pieces) == 1 and pieces[0] not in _STANDINGS:
            raise _refused(at, f"one of {', '.join(_STANDINGS)}", repr(pieces[0][:20]))


def _refused(at: int, expected: str, found: str) -> Refused:
    return Refused(
        "device.query.input",
        f"query, character {at + 1}",
        expected=expected,
        found=found,
        remedy='write for example: attribute.region==eu* and version=lt=1.10 and tag!="lab"',
    )
