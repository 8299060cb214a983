"""Reading reports of other tools without trusting them: bounded JSON and XML, and plain fields.

Keeps: size and depth are bounded; no document types and no entities; a field of another type reads
as missing. Does not: know any tool.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

import msgspec

from surefoot.core.device import clean_text
from surefoot.core.finding import TEXT_MAX

SIZE_BYTES_MAX = 64 * 1024 * 1024
DEPTH_MAX = 64
NODES_MAX = 2_000_000
SEEN_MAX = 100_000


class BadReport(ValueError):
    """The bytes are no report of this form."""


class Node:
    """An element: local name, attributes, text, children."""

    __slots__ = ("attributes", "children", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.text = ""
        self.children: list[Node] = []

    def all(self, name: str) -> Iterator[Node]:
        """Every element of this name below, in order."""
        for child in self.children:
            if child.name == name:
                yield child
            yield from child.all(name)

    def child_text(self, name: str) -> str:
        """The text of the first child of this name, empty for none."""
        return next((c.text.strip() for c in self.children if c.name == name), "")


def json_of(content: bytes) -> Any:
    """Any JSON value. Raises `BadReport`."""
    _check_size(content)
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadReport(f"not JSON: {str(error)[:200]}") from None


def xml_of(content: bytes) -> Node:
    """The root element. Raises `BadReport`."""
    _check_size(content)
    top = Node("", {})
    stack, count = [top], 0
    parser = expat.ParserCreate()

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(stack) > DEPTH_MAX or count > NODES_MAX:
            raise BadReport(f"deeper than {DEPTH_MAX}, or more than {NODES_MAX} elements")
        node = Node(tag.rpartition(":")[2], attributes)
        stack[-1].children.append(node)
        stack.append(node)

    def text(found: str) -> None:
        if len(stack[-1].text) < TEXT_MAX:
            stack[-1].text += found

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda tag: stack.pop()
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise BadReport(f"not whole XML: {expat.ErrorString(error.code)}") from None
    return top.children[0]


def _refuse(*_: object) -> None:
    raise BadReport("a document type or an entity, which is not accepted")


def _check_size(content: bytes) -> None:
    if len(content) > SIZE_BYTES_MAX:
        raise BadReport(f"{len(content)} bytes, at most {SIZE_BYTES_MAX}")
    if not content.strip():
        raise BadReport("an empty file")


def items(value: object, *names: str | int) -> list[dict[str, Any]]:
    """The objects of the list at this path; other things are left out."""
    found = at(value, *names)
    if not isinstance(found, list):
        return []
    if len(found) > SEEN_MAX:
        raise BadReport(f"more than {SEEN_MAX} entries")
    return [each for each in found if isinstance(each, dict)]


def at(value: object, *names: str | int) -> object:
    """What is at this path, None when there is nothing."""
    for name in names:
        if isinstance(value, dict) and isinstance(name, str):
            value = value.get(name)
        elif isinstance(value, list) and isinstance(name, int) and name < len(value):
            value = value[name]
        else:
            return None
    return value


def text(value: object, *names: str | int, length: int = TEXT_MAX) -> str:
    """The text or number at this path as one clean line, empty for anything else."""
    found = at(value, *names)
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return ""
    return clean_text(str(found), length)


def number(value: object, *names: str | int) -> int:
    """The whole number at this path, also written as text; 0 for anything else."""
    found = text(value, *names, length=12)
    return int(found) if found.isdecimal() else 0
