"""JUnit reports as counts and failed names, read without trusting them.

Rules: no document types and no entities; size, depth and number of cases are bounded; what the
report declares must agree with what it holds, so a report that was cut short or written by a
crashed run does not pass for a whole one.
Does not: keep messages or output, which may hold secrets; the report itself is kept as a blob.
"""

from __future__ import annotations

from xml.parsers import expat

import msgspec

SIZE_BYTES_MAX = 32 * 1024 * 1024
DEPTH_MAX = 32
CASES_MAX = 200_000
_BAD = ("failure", "error")


class BadReport(ValueError):
    """The bytes are no JUnit report that is accepted here."""


class Report(msgspec.Struct, kw_only=True):
    """Counts of one report; `failed` holds (kind, class and name) of each bad test."""

    tests: int = 0
    failures: int = 0
    errors: int = 0
    skipped: int = 0
    failed: list[tuple[str, str]] = []
    disagreements: list[str] = []

    @property
    def ran(self) -> int:
        """Tests that were carried out."""
        return self.tests - self.skipped


class _Suite(msgspec.Struct):
    declared: dict[str, str]
    counted: dict[str, int]


def parse_report(content: bytes) -> Report:
    """The report's counts. Raises `BadReport` for any other document, or one cut short."""
    if len(content) > SIZE_BYTES_MAX:
        raise BadReport(f"{len(content)} bytes, at most {SIZE_BYTES_MAX}")
    if not content.strip():
        raise BadReport("an empty file")
    reader = _Reader()
    try:
        reader.parser.Parse(content, True)
    except expat.ExpatError as error:
        raise BadReport(f"not whole XML: {expat.ErrorString(error.code)}") from None
    return reader.report


class _Reader:
    def __init__(self) -> None:
        self.report = Report()
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = _no_doctype
        self.parser.EntityDeclHandler = _no_entity
        self._open: list[str] = []
        self._suites: list[_Suite] = []
        self._case = ""
        self._case_kinds: set[str] = set()

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._open and tag not in ("testsuites", "testsuite"):
            raise BadReport(f"the root is {tag[:40]}, not testsuites")
        if len(self._open) >= DEPTH_MAX:
            raise BadReport(f"deeper than {DEPTH_MAX}")
        self._open.append(tag)
        if tag in ("testsuites", "testsuite"):
            counted = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
            self._suites.append(_Suite(attributes, counted))
        elif tag == "testcase":
            self._case = f"{attributes.get('classname', '')}::{attributes.get('name', '')}"
            self._case_kinds = set()
        elif tag in (*_BAD, "skipped") and len(self._open) > 1 and self._open[-2] == "testcase":
            self._case_kinds.add(tag)
        elif tag in _BAD and len(self._open) > 1 and self._open[-2] == "testsuite":
            # A suite that broke outside of any test: some tools report collection errors so.
            self._case, self._case_kinds = "the suite itself::", {tag}
            self._count_bad(tag)

    def _end(self, tag: str) -> None:
        self._open.pop()
        if tag == "testcase":
            self._finish_case()
        elif tag in ("testsuites", "testsuite"):
            self._finish_suite(self._suites.pop())

    def _finish_case(self) -> None:
        self.report.tests += 1
        if self.report.tests > CASES_MAX:
            raise BadReport(f"more than {CASES_MAX} tests")
        self._add("tests")
        for kind in _BAD:
            if kind in self._case_kinds:
                self._count_bad(kind)
        if "skipped" in self._case_kinds:
            self.report.skipped += 1
            self._add("skipped")

    def _count_bad(self, kind: str) -> None:
        name = "failures" if kind == "failure" else "errors"
        setattr(self.report, name, getattr(self.report, name) + 1)
        self.report.failed.append((kind, self._case))
        self._add(name)

    def _add(self, name: str) -> None:
        for suite in self._suites:
            suite.counted[name] += 1

    def _finish_suite(self, suite: _Suite) -> None:
        for name, counted in suite.counted.items():
            text = suite.declared.get(name)
            if text is None:
                continue
            if not text.isdecimal() or len(text) > 9:
                raise BadReport(f"{name} is not a number")
            declared = int(text)
            # More bad ones found than declared is already a finding; fewer means some are missing.
            differs = declared != counted if name == "tests" else declared > counted
            if differs:
                self.report.disagreements.append(f"{name}: declared {declared}, found {counted}")


def _no_doctype(*_: object) -> None:
    raise BadReport("a document type, which is not accepted")


def _no_entity(*_: object) -> None:
    raise BadReport("an entity, which is not accepted")
