"""The gate `tests`: only a whole, green report of this very build passes."""

from typing import Any

import pytest

from surefoot.core.gate import Evidence, Judgement, judge
from surefoot.gates import tests as gate
from surefoot.gates.junit import BadReport, parse_report
from surefoot.store.blobs import FileBlobs
from surefoot.supply import provenance
from surefoot.supply.junit import parse as supply_parse
from surefoot.trust import envelope
from surefoot.trust.digest import Digest, digest_of
from surefoot.trust.keys import PrivateKey

SUBJECT = digest_of(b"a release")
CASE = '<testcase classname="a.b" name="works"/>'
GREEN = f'<testsuites><testsuite tests="2" failures="0">{CASE}{CASE}</testsuite></testsuites>'


class Desk:
    """Builds arguments around one report."""

    def __init__(self, blobs: FileBlobs, builder: PrivateKey) -> None:
        self.blobs = blobs
        self.builder = builder
        self.artifact = blobs.put(b"artifact")
        self.gate = gate.TestsGate(blobs, lambda: 1_700_000_000_000, [builder.public])

    def provenance(self, artifact: Digest, report: Digest) -> Digest:
        by = [{"name": "junit.xml", "digest": {"sha256": report.removeprefix("sha256:")}}]
        payload = envelope.statement(
            [("api", artifact)],
            "https://slsa.dev/provenance/v1",
            {"runDetails": {"byproducts": by}},
        )
        return self.blobs.put(envelope.seal(envelope.IN_TOTO_TYPE, payload, [self.builder]))

    def row(self, report: str | bytes, **changed: str) -> dict[str, Any]:
        content = report if isinstance(report, bytes) else report.encode()
        digest = self.blobs.put(content)
        row = {
            "name": "api",
            "artifact": self.artifact,
            "provenance": self.provenance(self.artifact, digest),
            "tests": digest,
        }
        return row | changed

    def run(self, *rows: dict[str, Any]) -> tuple[Evidence, Judgement]:
        evidence = self.gate.run(SUBJECT, {"components": list(rows)})
        return evidence, judge(evidence, SUBJECT)

    def verdict(self, *rows: dict[str, Any]) -> str:
        return self.run(*rows)[1].verdict


@pytest.fixture
def desk(blobs: FileBlobs, builder: PrivateKey) -> Desk:
    return Desk(blobs, builder)


def test_a_green_report_of_this_build_passes(desk: Desk) -> None:
    evidence, judgement = desk.run(desk.row(GREEN))
    assert judgement.verdict == "pass"
    assert evidence.figures["reports"] == [
        {
            "component": "api",
            "tests": 2,
            "ran": 2,
            "failures": 0,
            "errors": 0,
            "skipped": 0,
            "disagreements": [],
        }
    ]
    assert evidence.inputs == (desk.row(GREEN)["tests"],)


def test_evidence_about_another_release_is_an_error(desk: Desk) -> None:
    evidence, _ = desk.run(desk.row(GREEN))
    assert judge(evidence, digest_of(b"another release")).verdict == "error"


BOMB = (
    '<!DOCTYPE t [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    '<testsuite tests="1"><testcase name="&b;"/></testsuite>'
)
REPORTS = [
    # (report, verdict, what fails open in other tools)
    ('<testsuites tests="0"/>', "inconclusive"),
    ("<testsuite/>", "inconclusive"),
    ('<testsuite tests="1"><testcase name="a"><skipped/></testcase></testsuite>', "inconclusive"),
    (f'<testsuite tests="3">{CASE}{CASE}</testsuite>', "inconclusive"),
    (f'<testsuite tests="1">{CASE}{CASE}</testsuite>', "inconclusive"),
    (f'<testsuite tests="1" failures="1">{CASE}</testsuite>', "inconclusive"),
    (f'<testsuite tests="1" errors="1">{CASE}</testsuite>', "inconclusive"),
    ('<testsuite><testcase name="a"><failure/></testcase></testsuite>', "fail"),
    ('<testsuite><testcase name="a"><error/></testcase></testsuite>', "fail"),
    (f"<testsuite>{CASE}<error/></testsuite>", "fail"),
    (
        f'<testsuites><testsuite tests="1">{CASE}</testsuite><testsuite tests="1">'
        '<testcase name="b"><failure/></testcase></testsuite></testsuites>',
        "fail",
    ),
    ("", "error"),
    ("  \n", "error"),
    (GREEN[:-5], "error"),
    (GREEN + "x", "error"),
    ("not xml", "error"),
    ("<html><body>502 Bad Gateway</body></html>", "error"),
    (BOMB, "error"),
    ('<!DOCTYPE t SYSTEM "file:///etc/passwd"><testsuite/>', "error"),
    (f'<testsuite tests="many">{CASE}</testsuite>', "error"),
    ("<testsuite>" * 50 + "</testsuite>" * 50, "error"),
]


@pytest.mark.parametrize(
    ("report", "verdict"), REPORTS, ids=[r[:40] or "empty" for r, _ in REPORTS]
)
def test_only_whole_green_reports_pass(desk: Desk, report: str, verdict: str) -> None:
    assert desk.verdict(desk.row(report)) == verdict


def test_the_failed_test_is_named_and_its_message_is_not_kept(desk: Desk) -> None:
    report = (
        '<testsuite tests="1"><testcase classname="t.door" name="opens">'
        '<failure message="token=abc123">token=abc123</failure></testcase></testsuite>'
    )
    evidence, judgement = desk.run(desk.row(report))
    assert judgement.reason == "a test failed: t.door::opens at component api"
    assert "abc123" not in str(evidence)


def test_a_report_of_another_build_fails(desk: Desk) -> None:
    other = desk.provenance(digest_of(b"another artifact"), digest_of(GREEN.encode()))
    evidence, judgement = desk.run(desk.row(GREEN, provenance=other))
    assert judgement.verdict == "fail" and evidence.findings[0].rule == "tests.other-build"
    stale = desk.provenance(desk.artifact, digest_of(b"yesterday's report"))
    assert desk.verdict(desk.row(GREEN, provenance=stale)) == "fail"
    assert desk.verdict(desk.row(GREEN, provenance="")) == "fail"


def test_nothing_to_check_is_inconclusive(desk: Desk) -> None:
    assert desk.verdict() == "inconclusive"
    assert (
        desk.verdict(desk.row(GREEN), desk.row(GREEN, name="firmware", tests="")) == "inconclusive"
    )


def test_a_missing_or_damaged_report_is_an_error(desk: Desk, blobs: FileBlobs) -> None:
    assert desk.verdict(desk.row(GREEN, tests=digest_of(b"nowhere"))) == "error"
    assert desk.verdict(desk.row(GREEN, tests="sha1:abc")) == "error"
    row = desk.row(GREEN)
    path = blobs.path(row["tests"])
    path.chmod(0o600)
    path.write_bytes(b"<testsuite/>")
    assert desk.verdict(row) == "error"


def test_bad_arguments_are_an_error(desk: Desk) -> None:
    for arguments in ({}, {"components": [{"name": "api"}]}, {"components": "all"}):
        evidence = desk.gate.run(SUBJECT, arguments)  # type: ignore[arg-type]
        assert judge(evidence, SUBJECT).verdict == "error"


def signed(desk: Desk, report: str, status: int, key: PrivateKey, artifact: Digest) -> Digest:
    junit = desk.blobs.put(report.encode())
    content = provenance.test_result_of(
        "api", artifact, junit, supply_parse(report.encode()), status, [key]
    )
    return desk.blobs.put(content)


def test_a_signed_test_result_is_opened_and_counted_again(desk: Desk, stranger: PrivateKey) -> None:
    good = signed(desk, GREEN, 0, desk.builder, desk.artifact)
    assert desk.verdict(desk.row(GREEN, tests=good, provenance="")) == "pass"
    crashed = signed(desk, GREEN, 139, desk.builder, desk.artifact)
    evidence, judgement = desk.run(desk.row(GREEN, tests=crashed))
    assert judgement.verdict == "fail" and evidence.findings[0].rule == "tests.not-passed"
    other = signed(desk, GREEN, 0, desk.builder, digest_of(b"other"))
    assert desk.verdict(desk.row(GREEN, tests=other)) == "fail"
    forged = signed(desk, GREEN, 0, stranger, desk.artifact)
    assert desk.verdict(desk.row(GREEN, tests=forged)) == "error"


def test_a_provenance_in_the_place_of_a_test_result_is_an_error(desk: Desk) -> None:
    row = desk.row(GREEN)
    assert desk.verdict(row | {"tests": row["provenance"]}) == "error"


def test_sizes_are_bounded() -> None:
    with pytest.raises(BadReport, match="at most"):
        parse_report(b" " * (32 * 1024 * 1024 + 1))
