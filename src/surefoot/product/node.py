"""YAML text as a small tree that remembers where everything stands.

Only plain YAML is read: mappings with text keys, sequences, scalars. Anchors, aliases, merge keys,
tags, directives and several documents are refused, as are duplicate keys; size and depth are
bounded. A scalar keeps its text and whether it was quoted: what it means is decided by the type
that is wanted, never by YAML 1.1's guesses (`no` is text where text is wanted).
Does not: know the definition's shapes.
"""

from __future__ import annotations

import unicodedata
from typing import NoReturn, TypeAlias

import msgspec
import yaml

SIZE_BYTES_MAX = 256 * 1024
DEPTH_MAX = 16
NODES_MAX = 50_000


class Place(msgspec.Struct, frozen=True, order=True):
    """Line and column, counted from 1."""

    line: int
    column: int


class Scalar(msgspec.Struct, frozen=True):
    """Text as written; `quoted` when in quotes or a block."""

    text: str
    quoted: bool
    place: Place


class Sequence(msgspec.Struct, frozen=True):
    """Items in order."""

    items: tuple[Node, ...]
    place: Place


class Mapping(msgspec.Struct, frozen=True):
    """Members in order; keys are unique."""

    members: tuple[tuple[Scalar, Node], ...]
    place: Place


Node: TypeAlias = "Scalar | Sequence | Mapping"


class Trouble(Exception):
    """The text is not YAML that we read: where, what was expected, what was found."""

    def __init__(self, place: Place, expected: str, found: str, remedy: str = "") -> None:
        super().__init__(expected, found)
        self.place = place
        self.expected = expected
        self.found = found
        self.remedy = remedy


def read_tree(content: bytes) -> Node:
    """The tree of one document. Raises `Trouble`."""
    top = Place(1, 1)
    if len(content) > SIZE_BYTES_MAX:
        raise Trouble(top, f"at most {SIZE_BYTES_MAX} bytes", f"{len(content)} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Trouble(Place(line, 1), "UTF-8 text", f"byte {error.start} is not") from None
    return _Composer(text).document()


def place_of(tree: Node, path: tuple[str, ...]) -> Place | None:
    """Where the value at a path of keys stands; None when the text does not have it."""
    node = tree
    for part in path:
        if not isinstance(node, Mapping):
            return None
        found = next((value for key, value in node.members if key.text == part), None)
        if found is None:
            return None
        node = found
    return node.place


class _Composer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._count = 0

    def document(self) -> Node:
        try:
            self._loader = yaml.SafeLoader(self._text)
            return self._document()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
            found = " ".join(str(error.problem or error.context or "broken text").split())
            raise Trouble(place, "well-formed YAML", found[:200]) from None
        except yaml.YAMLError as error:
            found = " ".join(str(error).split())[:200]
            raise Trouble(Place(1, 1), "well-formed YAML", found) from None

    def _document(self) -> Node:
        self._next()
        start = self._next()
        if isinstance(start, yaml.StreamEndEvent):
            raise Trouble(Place(1, 1), "a mapping", "an empty document")
        if getattr(start, "version", None) or getattr(start, "tags", None):
            self._refuse(start, "no directives", "a % directive", "leave it out")
        node = self._node(self._next(), 0)
        self._next()
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            self._refuse(after, "one document", "a second document", "leave out the ---")
        return node

    def _next(self) -> yaml.Event:
        event: yaml.Event = self._loader.get_event()  # type: ignore[no-untyped-call]
        return event

    def _node(self, event: yaml.Event, depth: int) -> Node:
        self._count += 1
        if depth > DEPTH_MAX:
            self._refuse(event, f"at most {DEPTH_MAX} levels", "deeper nesting")
        if self._count > NODES_MAX:
            self._refuse(event, f"at most {NODES_MAX} nodes", "more")
        if getattr(event, "anchor", None) is not None:
            self._refuse(event, "no anchors and aliases", "an anchor or alias", "write it out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._refuse(event, "no tags", f"the tag {tag[:60]}", "leave the tag out")
        place = _place(event)
        if isinstance(event, yaml.ScalarEvent):
            self._check_text(event)
            return Scalar(event.value, event.style is not None, place)
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(self._items(depth), place)
        return Mapping(self._members(depth), place)

    def _items(self, depth: int) -> tuple[Node, ...]:
        found = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            found.append(self._node(event, depth + 1))
        return tuple(found)

    def _members(self, depth: int) -> tuple[tuple[Scalar, Node], ...]:
        found: dict[str, tuple[Scalar, Node]] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, Scalar):
                raise Trouble(key.place, "a key on one line", "a nested key")
            if key.text == "<<" and not key.quoted:
                raise Trouble(key.place, "no merge keys", "<<", "write it out")
            if key.text in found:
                first = found[key.text][0].place.line
                raise Trouble(
                    key.place, f"{key.text[:60]} once", f"it stands in line {first} already"
                )
            found[key.text] = (key, self._node(self._next(), depth + 1))
        return tuple(found.values())

    def _check_text(self, event: yaml.ScalarEvent) -> None:
        """Escapes can write what UTF-8 cannot, and text that only looks equal."""
        if any("\ud800" <= letter <= "\udfff" for letter in event.value):
            self._refuse(event, "text", "a lone surrogate")
        if not unicodedata.is_normalized("NFC", event.value):
            self._refuse(event, "text in NFC", "text that is not", "normalise the file to NFC")

    def _refuse(self, event: yaml.Event, expected: str, found: str, remedy: str = "") -> NoReturn:
        raise Trouble(_place(event), expected, found, remedy)


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    return Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
