"""Test reports are read from programs that are not trusted."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.core.errors import Refused
from surefoot.supply import junit

BOMB = b"""<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>
<testsuite><testcase name="&b;"/></testsuite>"""


def test_a_report_of_pytest_is_read(tmp_path):
    import subprocess
    import sys

    (tmp_path / "x_test.py").write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert 0\n"
        "@pytest.mark.skip\ndef test_left(): pass\n"
        "@pytest.fixture\ndef f(): 1 / 0\n"
        "def test_broken(f): pass\n"
    )
    words = [
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir=.",
        "--junitxml=j.xml",
        "x_test.py",
    ]
    subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True)
    report = junit.parse((tmp_path / "j.xml").read_bytes())
    assert {c.name: c.result for c in report.cases} == {
        "x_test.test_good": "passed",
        "x_test.test_bad": "failed",
        "x_test.test_left": "skipped",
        "x_test.test_broken": "error",
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<testsuite>",
        b"<testsuite/>",
        b"<html><testcase/></html>",
        BOMB,
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuite><testcase/></testsuite>',
        b"<testsuite>" * 100 + b"<testcase/>" + b"</testsuite>" * 100,
        b" " * (junit.SIZE_BYTES_MAX + 1),
    ],
    ids=range(8),
)
def test_anything_else_is_refused(content):
    with pytest.raises(Refused):
        junit.parse(content)


@given(st.text(alphabet='<>/testcasui ="&;!', max_size=60))
def test_any_text_is_a_report_or_refused(text):
    with contextlib.suppress(Refused):
        assert junit.parse(text.encode()).cases
