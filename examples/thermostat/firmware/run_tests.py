"""Runs the tests in tests/ and writes their results as JUnit XML.

Usage: python3 run_tests.py JUNIT
Exit status: 0 when all pass, 1 when not (the file is written either way).
"""

from __future__ import annotations

import sys
import time
import unittest
from pathlib import Path
from xml.etree import ElementTree


class Recorded(unittest.TextTestResult):
    """A result that remembers each test with its seconds and what went wrong."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.cases = []

    def startTest(self, test):  # noqa: N802
        super().startTest(test)
        self._began, self._wrong = time.monotonic(), None

    def addFailure(self, test, error):  # noqa: N802
        super().addFailure(test, error)
        self._wrong = ("failure", self._exc_info_to_string(error, test))

    def addError(self, test, error):  # noqa: N802
        super().addError(test, error)
        self._wrong = ("error", self._exc_info_to_string(error, test))

    def addSubTest(self, test, part, error):  # noqa: N802
        super().addSubTest(test, part, error)
        if error is not None:
            self._wrong = ("failure", self._exc_info_to_string(error, test))

    def addSkip(self, test, reason):  # noqa: N802
        super().addSkip(test, reason)
        self._wrong = ("skipped", reason)

    def stopTest(self, test):  # noqa: N802
        super().stopTest(test)
        self.cases.append((test.id(), time.monotonic() - self._began, self._wrong))


def main(junit: Path) -> int:
    """Run, write, and say how it went."""
    here = Path(__file__).resolve().parent
    sys.path.insert(0, str(here))
    suite = unittest.defaultTestLoader.discover(str(here / "tests"), "*_test.py")
    result = unittest.TextTestRunner(resultclass=Recorded, verbosity=2).run(suite)
    write(junit, here.name, result)
    return 0 if result.wasSuccessful() and result.testsRun else 1


def write(junit: Path, name: str, result: Recorded) -> None:
    """The results as one JUnit test suite. A failed module or class counts as an error."""
    counts = {"tests": result.testsRun, "failures": len(result.failures)}
    counts |= {"errors": len(result.errors), "skipped": len(result.skipped)}
    suite = ElementTree.Element("testsuite", name=name)
    suite.attrib.update({key: str(value) for key, value in counts.items()})
    for identity, seconds, wrong in result.cases:
        classname, _, case_name = identity.rpartition(".")
        case = ElementTree.SubElement(suite, "testcase", classname=classname, name=case_name)
        case.set("time", f"{seconds:.3f}")
        if wrong is not None:
            ElementTree.SubElement(case, wrong[0], message=wrong[1].strip()[-300:])
    junit.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(suite).write(junit, encoding="utf-8", xml_declaration=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
