"""A request's path, query and body become the arguments of one operation, or are refused.

Keeps: a name comes from one place only; an unknown name is refused with the nearest known one; in a
body types are strict, in path and query a number is the number its text says.
Does not: know any operation, or read from a socket.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import msgspec

from surefoot.app.operation import Arguments
from surefoot.core.errors import Refused

_FOUND_CHARACTERS_MAX = 80
_EXPECTED = re.compile(r"[Ee]xpected (.+?)(?:, got (.+?))?(?: - at `\$\.?(.*)`)?")


def read(
    kind: type[Arguments],
    path: Mapping[str, str],
    query: Sequence[tuple[str, str]],
    body: bytes,
) -> Arguments:
    """The arguments. Raises `Refused("request.argument.input")` or `Refused("request.body.input")`.

    `query` is in the order sent; a name that comes twice is refused.
    """
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {}
    for name, text in [*path.items(), *query]:
        _accept(name, values, fields)
        values[name] = _from_text(name, text, fields[name])
    for name, value in _members(body).items():
        _accept(name, values, fields)
        values[name] = value
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        _refuse_value(str(error), values)


def _accept(name: str, values: dict[str, Any], fields: dict[str, Any]) -> None:
    if name in values:
        _refuse(name, "one value", "a second one", "name each argument once")
    if name not in fields:
        near = difflib.get_close_matches(name, fields, 1)
        advice = f"did you mean {near[0]}?" if near else "leave it out"
        known = ", ".join(sorted(fields)) or "no argument"
        _refuse(name, f"one of {known}", f"{name[:_FOUND_CHARACTERS_MAX]}", advice)


def _from_text(name: str, text: str, kind: Any) -> Any:
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        match = _EXPECTED.fullmatch(str(error))
        expected = match[1].replace("`", "") if match else str(error)
        _refuse(name, expected, text, "correct the argument")


def _members(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        value = json.loads(body.decode(), object_pairs_hook=_no_duplicates)
        if b"\\u" in body:
            # A lone half of a surrogate pair is no character: nothing could store or show it.
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        found = str(error)[:_FOUND_CHARACTERS_MAX]
    else:
        if isinstance(value, dict):
            return value
        found = f"JSON of type {type(value).__name__}"
    raise Refused(
        "request.body.input",
        "request body",
        expected="one JSON object in UTF-8",
        found=found,
        remedy="send an object with the operation's arguments",
    )


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member name comes twice")
    return found


def _refuse_value(message: str, values: dict[str, Any]) -> NoReturn:
    missing = re.search(r"missing required field `(.+?)`", message)
    if missing:
        _refuse(missing[1], "a value", "none", "give it")
    match = _EXPECTED.fullmatch(message)
    place = (match[3] or "") if match else ""
    name = re.split(r"[.\[]", place)[0] or "arguments"
    expected = match[1].replace("`", "") if match else message
    got = (match[2] or "").replace("`", "") if match else ""
    if not got and isinstance(values.get(name), str):
        got = values[name]
    _refuse(place or name, expected, got or "another value", "correct the argument")


def _refuse(name: str, expected: str, found: str, remedy: str) -> NoReturn:
    raise Refused(
        "request.argument.input",
        f"argument {name[:_FOUND_CHARACTERS_MAX]}",
        expected=expected,
        found=found[:_FOUND_CHARACTERS_MAX],
        remedy=remedy,
    )
