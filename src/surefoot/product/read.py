"""From a tree to records: strict, and with every mistake, not only the first.

Rules: an unknown key is a mistake and names the nearest known one; a missing key is a mistake at
its parent; a scalar is read by the type that is wanted: `no` and `010` are text where text is
wanted, and refused where a boolean, a number or a free value is. Nothing is guessed.
Does not: compare fields with each other (`check.py`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import inspect

from surefoot.product.node import Mapping, Node, Place, Scalar, Sequence

Path = tuple[str | int, ...]
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,15})")
_LOOKS_LIKE_NUMBER = re.compile(r"[-+.]?[0-9][0-9_.,:eExXoOa-fA-F+-]*")
_FRACTION = re.compile(r"(0|[1-9][0-9]{0,2})(\.[0-9]{1,4})?")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?Z")
_SURPRISES = {"yes", "no", "on", "off", "y", "n", "true", "false"}
_NULLS = {"", "~", "null"}
_INTEGER_MAX = 2**53 - 1


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """One mistake: where in the file, under which key, and what to do."""

    place: Place
    path: Path
    expected: str
    found: str
    remedy: str = ""


class _Bad:
    """Marks a part that could not be read; its mistake is already noted."""


BAD = _Bad()


class Reader:
    """Reads one tree; collects `mistakes` and the `places` of everything read."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self.places: dict[Path, Place] = {}

    def read(self, node: Node, wanted: type) -> Any:
        """The record, or `BAD` when there is a mistake anywhere in it."""
        return self._read(node, inspect.type_info(wanted), ())

    def _read(self, node: Node, info: inspect.Type, path: Path) -> Any:
        self.places.setdefault(path, node.place)
        if isinstance(info, inspect.Metadata) and not _is_leaf(info.type):
            return self._read(node, info.type, path)
        if isinstance(info, inspect.UnionType):
            return self._union(node, info, path)
        if isinstance(info, inspect.StructType):
            return self._struct(node, info, path)
        if isinstance(info, inspect.DictType):
            return self._dict(node, info, path)
        if isinstance(info, inspect.VarTupleType | inspect.TupleType):
            return self._items(node, info, path)
        return self._scalar(node, info, path)

    def _bad(self, node: Node, path: Path, expected: str, found: str, remedy: str = "") -> _Bad:
        self.mistakes.append(
            Mistake(place=node.place, path=path, expected=expected, found=found, remedy=remedy)
        )
        return BAD

    # --- mappings

    def _union(self, node: Node, info: inspect.UnionType, path: Path) -> Any:
        types = [t for t in info.types if not isinstance(t, inspect.NoneType)]
        if len(types) == 1:
            return self._read(node, types[0], path)
        kinds = {str(t.tag): t for t in types if isinstance(t, inspect.StructType)}
        if len(kinds) == len(types):
            return self._tagged(node, kinds, path)
        return self._free_value(node, path)

    def _tagged(self, node: Node, kinds: dict[str, inspect.StructType], path: Path) -> Any:
        if not isinstance(node, Mapping):
            return self._bad(node, path, "a mapping", describe(node))
        known = ", ".join(kinds)
        for key, value in node.members:
            if key.text != "kind":
                continue
            if isinstance(value, Scalar) and value.text in kinds:
                rest = tuple(m for m in node.members if m[0] is not key)
                return self._struct(Mapping(rest, node.place), kinds[value.text], path)
            near = _nearest(value.text, kinds) if isinstance(value, Scalar) else ""
            remedy = f"did you mean {near}?" if near else ""
            return self._bad(value, (*path, "kind"), f"one of {known}", describe(value), remedy)
        return self._bad(node, path, f"the key kind: one of {known}", "no such key")

    def _struct(self, node: Node, info: inspect.StructType, path: Path) -> Any:
        if not isinstance(node, Mapping):
            return self._bad(node, path, "a mapping", describe(node))
        fields = {field.encode_name: field for field in info.fields}
        read: dict[str, Any] = {}
        misspelt: set[str] = set()
        for key, value in node.members:
            field = fields.get(key.text)
            if field is None:
                misspelt.add(self._unknown(key, fields, path))
                read[key.text] = BAD
                continue
            self.places[(*path, key.text)] = key.place
            read[field.name] = self._read(value, field.type, (*path, key.text))
        for name, field in fields.items():
            if field.required and field.name not in read and name not in misspelt:
                read[field.name] = self._bad(node, (*path, name), f"the key {name}", "no such key")
        if any(value is BAD for value in read.values()):
            return BAD
        return info.cls(**read)

    def _unknown(self, key: Scalar, known: Iterable[str], path: Path) -> str:
        """Note the key; the known one that was probably meant, else nothing."""
        names = sorted(known)
        expected = "one of " + ", ".join(names) if names else "no keys"
        near = _nearest(key.text, names)
        remedy = f"did you mean {near}?" if near else ""
        self._bad(key, (*path, key.text), expected, shown(key.text), remedy)
        return near

    def _dict(self, node: Node, info: inspect.DictType, path: Path) -> Any:
        if not isinstance(node, Mapping):
            return self._bad(node, path, "a mapping", describe(node))
        read: dict[Any, Any] = {}
        whole = True
        for key, value in node.members:
            inner = (*path, key.text)
            self.places[inner] = key.place
            name = self._scalar(key, info.key_type, inner)
            member = self._read(value, info.value_type, inner)
            whole = whole and name is not BAD and member is not BAD
            read[key.text] = member
        return read if whole else BAD

    # --- sequences

    def _items(self, node: Node, info: inspect.VarTupleType | inspect.TupleType, path: Path) -> Any:
        if not isinstance(node, Sequence):
            return self._bad(node, path, "a list", describe(node))
        count = len(node.items)
        if isinstance(info, inspect.TupleType):
            types = info.item_types
            if count != len(types):
                return self._bad(node, path, f"a list of {len(types)}", f"{count} items")
        else:
            types = (info.item_type,) * count
            low, high = info.min_length or 0, info.max_length or 10_000
            if not low <= count <= high:
                return self._bad(node, path, f"{low} to {high} items", f"{count} items")
        read = [
            self._read(item, wanted, (*path, index))
            for index, (item, wanted) in enumerate(zip(node.items, types, strict=True))
        ]
        return BAD if any(value is BAD for value in read) else tuple(read)

    # --- scalars

    def _scalar(self, node: Node, info: inspect.Type, path: Path) -> Any:
        if isinstance(info, inspect.Metadata):
            title = (info.extra_json_schema or {}).get("title")
            note = (info.extra_json_schema or {}).get("description", "")
            return self._leaf(node, info.type, path, str(title or ""), str(note))
        return self._leaf(node, info, path, "", "")

    def _leaf(self, node: Node, info: inspect.Type, path: Path, title: str, note: str) -> Any:
        if not isinstance(node, Scalar):
            return self._bad(node, path, note or expected_of(info), describe(node))
        if not node.quoted and node.text.lower() in _NULLS:
            return self._bad(node, path, note or expected_of(info), "nothing", "leave the key out")
        value = _SCALARS[title or type(info).__name__](node, info)
        if isinstance(value, _Bad):
            remedy = "write true or false" if isinstance(info, inspect.BoolType) else ""
            return self._bad(node, path, _wanted(info, note), shown(node.text), remedy)
        return value

    def _free_value(self, node: Node, path: Path) -> Any:
        expected = "text, a whole number, true or false"
        if not isinstance(node, Scalar):
            return self._bad(node, path, expected, describe(node))
        if node.quoted:
            return node.text
        if node.text in ("true", "false"):
            return node.text == "true"
        if _INTEGER.fullmatch(node.text):
            number = int(node.text)
            return number if abs(number) <= _INTEGER_MAX else self._surprise(node, path)
        lowered = node.text.lower()
        if lowered in _SURPRISES | _NULLS or _LOOKS_LIKE_NUMBER.fullmatch(node.text):
            return self._surprise(node, path)
        return node.text

    def _surprise(self, node: Scalar, path: Path) -> _Bad:
        remedy = "put it in quotes if it is text"
        expected = "text, a whole number, true or false"
        return self._bad(node, path, expected, shown(node.text) or "nothing", remedy)


def _is_leaf(info: inspect.Type) -> bool:
    return type(info).__name__ in _SCALARS or isinstance(info, inspect.DecimalType)


def _text(node: Scalar, info: Any) -> Any:
    low, high = info.min_length or 0, info.max_length or 4000
    fits = low <= len(node.text) <= high
    if not fits or (info.pattern and not _pattern(info.pattern).fullmatch(node.text)):
        return BAD
    return node.text


def _integer(node: Scalar, info: Any) -> Any:
    if node.quoted or not _INTEGER.fullmatch(node.text):
        return BAD
    number = int(node.text)
    low = info.ge if info.ge is not None else -_INTEGER_MAX
    high = info.le if info.le is not None else _INTEGER_MAX
    return number if low <= number <= high else BAD


def _boolean(node: Scalar, _info: Any) -> Any:
    if node.quoted or node.text not in ("true", "false"):
        return BAD
    return node.text == "true"


def _literal(node: Scalar, info: Any) -> Any:
    for value in info.values:
        if str(value) == node.text:
            return value
    return BAD


def _percent(node: Scalar, _info: Any) -> Any:
    if node.quoted or not _FRACTION.fullmatch(node.text) or Decimal(node.text) > 100:
        return BAD
    return Decimal(node.text)


def _moment(node: Scalar, _info: Any) -> Any:
    if not _MOMENT.fullmatch(node.text):
        return BAD
    try:
        return int(datetime.fromisoformat(node.text).timestamp()) * 1000
    except ValueError:
        return BAD


_SCALARS: dict[str, Callable[[Scalar, Any], Any]] = {
    "StrType": _text,
    "IntType": _integer,
    "BoolType": _boolean,
    "LiteralType": _literal,
    "percent": _percent,
    "moment": _moment,
}


@lru_cache(maxsize=64)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _wanted(info: inspect.Type, note: str) -> str:
    base = expected_of(info)
    pattern = getattr(info, "pattern", None)
    if note and pattern:
        return f"{note} ({pattern})" if len(pattern) < 40 else note
    return note or base


def expected_of(info: inspect.Type) -> str:
    """The wanted form of a scalar in words."""
    if isinstance(info, inspect.IntType):
        low, high = info.ge, info.le
        return f"a whole number from {low} to {high}" if low is not None else "a whole number"
    if isinstance(info, inspect.BoolType):
        return "true or false"
    if isinstance(info, inspect.LiteralType):
        return "one of " + ", ".join(str(v) for v in info.values)
    if isinstance(info, inspect.DecimalType):
        return "a percentage from 0 to 100"
    if isinstance(info, inspect.StrType) and info.max_length:
        return f"text of {info.min_length or 0} to {info.max_length} characters"
    return "text"


def describe(node: Node) -> str:
    """What a node is, for `found`."""
    if isinstance(node, Scalar):
        return shown(node.text) or "nothing"
    return "a list" if isinstance(node, Sequence) else "a mapping"


def shown(text: str) -> str:
    """Text for an error: one line, bounded, control characters escaped."""
    short = text if len(text) <= 80 else text[:77] + "..."
    return short if short.isprintable() else ascii(short)


def _nearest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return close[0] if close else ""
