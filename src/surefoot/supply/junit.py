"""Reads JUnit XML, the lingua franca of test runners, from programs that are not trusted.

Keeps: document types and entities are refused before they are expanded; size, depth and number of
tests are bounded; a report without a single test is not a report.
Does not: decide whether the tests suffice.
"""

from __future__ import annotations

from typing import Literal
from xml.parsers import expat

import msgspec

from surefoot.core.errors import Refused

SIZE_BYTES_MAX = 16 * 1024 * 1024
CASES_MAX = 100_000
_DEPTH_MAX = 64
_NAME_MAX = 300

Result = Literal["passed", "failed", "error", "skipped"]


class Case(msgspec.Struct, frozen=True):
    """One test and what came of it."""

    name: str
    result: Result


class Report(msgspec.Struct, frozen=True):
    """All tests of a run, in the order of the file."""

    cases: tuple[Case, ...]

    def names(self, *results: Result) -> list[str]:
        """The names of the tests with one of these results."""
        return [case.name for case in self.cases if case.result in results]


def parse(content: bytes) -> Report:
    """The report in a JUnit file. Raises `Refused` for anything else, an empty report included."""
    if len(content) > SIZE_BYTES_MAX:
        raise _refused(f"{len(content)} bytes", f"at most {SIZE_BYTES_MAX} bytes")
    reading = _Reading()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _forbid
    parser.EntityDeclHandler = _forbid
    parser.ExternalEntityRefHandler = _forbid
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise _refused(str(error), "well-formed XML") from None
    if not reading.cases:
        raise _refused("no test at all", "at least one test")
    return Report(tuple(reading.cases))


class _Reading:
    def __init__(self) -> None:
        self.cases: list[Case] = []
        self._path: list[str] = []
        self._name = ""
        self._result: Result = "passed"

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._path.append(tag)
        if len(self._path) > _DEPTH_MAX:
            raise _refused("deeper nesting", f"at most {_DEPTH_MAX} levels")
        if len(self._path) == 1 and tag not in ("testsuites", "testsuite"):
            raise _refused(f"<{tag[:40]}>", "<testsuites> or <testsuite>")
        if tag == "testcase":
            place = attributes.get("classname", "")
            name = attributes.get("name", "")
            self._name = (f"{place}.{name}" if place else name)[:_NAME_MAX]
            self._result = "passed"
        elif len(self._path) > 1 and self._path[-2] == "testcase":
            self._worsen(tag)

    def end(self, tag: str) -> None:
        self._path.pop()
        if tag == "testcase":
            self.cases.append(Case(self._name, self._result))
            if len(self.cases) > CASES_MAX:
                raise _refused("more tests", f"at most {CASES_MAX} tests")

    def _worsen(self, tag: str) -> None:
        if tag == "failure" and self._result != "error":
            self._result = "failed"
        elif tag == "error":
            self._result = "error"
        elif tag == "skipped" and self._result == "passed":
            self._result = "skipped"


def _forbid(*_: object) -> int:
    raise _refused("a document type or entity", "plain elements")


def _refused(found: str, expected: str) -> Refused:
    return Refused("build.junit.input", "test report", expected=expected, found=found)
