"""Reports of other tools: what is found in them, when they say too little, and re-imports."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.core.errors import Refused
from surefoot.core.finding import Record, Report, merge
from surefoot.insight.exports import FORMS as OUT
from surefoot.insight.reports import FORMS, read_report

NOW = 1_790_000_000_000


def sarif(**run: Any) -> Any:
    driver = {
        "name": "checker",
        "version": "1.2",
        "rules": [
            {
                "id": "S1",
                "shortDescription": {"text": "SQL from a variable"},
                "properties": {"tags": ["external/cwe/cwe-089"], "security-severity": "9.1"},
            },
            {"id": "S2", "defaultConfiguration": {"level": "note"}},
        ],
    }
    results = [
        result("S1", "app/db.py", 12),
        result("S1", "app/db.py", 40),
        result("S2", "app/x.py", 1),
        {**result("S1", "old.py", 1), "baselineState": "absent"},
        {**result("S1", "kept.py", 1), "suppressions": [{"kind": "inSource"}]},
        {**result("S1", "fine.py", 1), "kind": "pass"},
    ]
    whole = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": True}],
        "results": results,
        **run,
    }
    return {"version": "2.1.0", "runs": [whole]}


def result(rule: str, path: str, line: int) -> dict[str, Any]:
    region = {"startLine": line, "snippet": {"text": f"line {path} {line}"}}
    where = {"physicalLocation": {"artifactLocation": {"uri": path}, "region": region}}
    return {"ruleId": rule, "message": {"text": "m"}, "locations": [where]}


def zap() -> Any:
    alert = {
        "pluginid": "40018",
        "name": "SQL Injection",
        "riskcode": "3",
        "confidence": "2",
        "cweid": "89",
        "solution": "bind",
        "instances": [{"uri": "http://h/u/12?q=1", "method": "get", "param": "q"}],
    }
    false = {**alert, "pluginid": "1", "confidence": "0"}
    return {"@version": "2.14", "site": [{"@name": "http://h", "alerts": [alert, false]}]}


def wapiti(pages: int = 9, errors: int = 0) -> Any:
    hole = {"method": "GET", "path": "/u/12", "level": 3, "parameter": "q", "module": "sql"}
    return {
        "vulnerabilities": {"SQL Injection": [hole], "CRLF Injection": []},
        "anomalies": {"Internal Server Error": [{"path": "/"}] * errors},
        "infos": {"version": "Wapiti 3.2.3", "crawled_pages_nbr": pages, "target": "http://h"},
    }


def trivy(results: Any = None) -> Any:
    weakness = {
        "VulnerabilityID": "CVE-2024-1",
        "PkgName": "jinja2",
        "PkgIdentifier": {"PURL": "pkg:pypi/jinja2@3.0.0"},
        "InstalledVersion": "3.0.0",
        "FixedVersion": "3.1.4",
        "Severity": "HIGH",
        "CweIDs": ["CWE-79"],
    }
    default = [
        {
            "Target": "requirements.txt",
            "Vulnerabilities": [weakness],
            "Misconfigurations": [
                {"ID": "DS002", "Title": "root user", "Severity": "LOW", "Status": "FAIL"},
                {"ID": "DS003", "Title": "fine", "Severity": "LOW", "Status": "PASS"},
            ],
            "Secrets": [{"RuleID": "key", "Title": "a key", "Severity": "CRITICAL"}],
        }
    ]
    return {
        "SchemaVersion": 2,
        "ArtifactName": "app",
        "Results": default if results is None else results,
    }


def vex() -> Any:
    def one(name: str, **analysis: str) -> dict[str, Any]:
        return {
            "id": name,
            "analysis": analysis,
            "ratings": [{"severity": "high"}],
            "affects": [{"ref": "a"}],
        }

    return {
        "bomFormat": "CycloneDX",
        "components": [{"bom-ref": "a", "purl": "pkg:npm/left@1.0"}],
        "vulnerabilities": [
            one("CVE-1-1", state="exploitable"),
            one("CVE-1-2", state="not_affected", justification="code_not_reachable"),
            one("CVE-1-3", state="not_affected"),
            one("CVE-1-4", state="resolved"),
        ],
    }


def xccdf(states: tuple[str, ...] = ("pass", "fail", "pass", "pass", "pass")) -> str:
    rules = "".join(
        f'<rule-result idref="xccdf_org_rule_r{n}" severity="high"><result>{s}</result>'
        "</rule-result>"
        for n, s in enumerate(states)
    )
    body = f'<TestResult test-system="cpe:/a:scap:1" version="1">{rules}</TestResult>'
    return (
        f'<Benchmark><Rule id="xccdf_org_rule_r1"><title>No root</title></Rule>{body}</Benchmark>'
    )


def lynis(*, ended: bool = True) -> str:
    lines = [
        "lynis_version=3.0.8",
        "tests_executed=SSH-7408|FILE-6310|",
        "warning[]=SSH-7408|Root may log in|-|-|",
        "suggestion[]=FILE-6310|Separate /tmp|-|-|",
        "vulnerable_package[]=openssl|1.1|",
    ]
    return "\n".join([*lines, *(["report_datetime_end=2026-11-24 10:00:00"] if ended else [])])


def junit(declared: int = 3) -> str:
    cases = (
        '<testcase classname="a" name="one"/><testcase classname="a" name="two"><failure/>'
        '</testcase><testcase classname="a" name="three"><skipped/></testcase>'
    )
    return f'<testsuites><testsuite tests="{declared}">{cases}</testsuite></testsuites>'


def kube_bench(states: tuple[str, ...] = ("PASS", "FAIL", "PASS", "PASS"), said: int = 1) -> Any:
    results = [
        {"test_number": f"1.1.{n}", "test_desc": "a mode", "status": s, "type": ""}
        for n, s in enumerate(states)
    ]
    manual = {"test_number": "1.2.1", "status": "WARN", "type": "manual"}
    control = {
        "id": "1",
        "version": "cis-1.8",
        "node_type": "master",
        "tests": [{"section": "1.1", "results": [*results, manual]}],
        "total_pass": states.count("PASS"),
        "total_fail": said,
    }
    return {"Controls": [control], "Totals": {"total_fail": said}}


def grype(built: str = "2026-01-01T00:00:00Z", **more: Any) -> Any:
    artifact = {"name": "openssl", "version": "3.0.11-1", "purl": "pkg:deb/debian/openssl@3.0.11-1"}
    found = {
        "vulnerability": {
            "id": "GHSA-1",
            "severity": "High",
            "fix": {"versions": ["3.0.12-1"], "state": "fixed"},
        },
        "relatedVulnerabilities": [{"id": "CVE-2026-1"}],
        "artifact": artifact,
    }
    used = {"vulnerability": {"id": "CVE-2026-2", "knownExploited": [{}]}, "artifact": artifact}
    descriptor = {
        "name": "grype",
        "version": "0.90",
        "db": {"status": {"built": built}},
        "timestamp": "2026-01-05T00:00:00.123456789Z",
    }
    whole = {"matches": [found, used], "source": {"type": "image"}, "descriptor": descriptor}
    return whole | more


DEBSECAN = """CVE-2026-1 openssl (fixed, remotely exploitable, high urgency)
CVE-2026-2 bash (low urgency)
TEMP-0841856-B18BAF bash
"""


def raw(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


WHOLE: dict[str, tuple[Any, int, bool]] = {
    "sarif": (sarif(), 3, True),
    "zap": (zap(), 1, False),
    "wapiti": (wapiti(), 1, True),
    "trivy": (trivy(), 3, True),
    "grype": (grype(), 2, True),
    "debsecan": (DEBSECAN, 3, False),
    "vex": (vex(), 2, False),
    "xccdf": (xccdf(), 1, True),
    "kube-bench": (kube_bench(), 1, True),
    "lynis": (lynis(), 3, True),
    "junit": (junit(), 1, True),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_a_report_says(form: str) -> None:
    content, count, conclusive = WHOLE[form]
    report = read_report(form, raw(content), "api")
    assert (len(report.seen), report.conclusive) == (count, conclusive), report.trouble
    assert bool(report.trouble) is not conclusive
    assert len({each.fingerprint() for each in report.seen}) == count
    assert all(each.location.component == "api" for each in report.seen)


FAILS_OPEN: dict[str, tuple[str, Any]] = {
    "no rule applies to this system": ("xccdf", xccdf(("notapplicable",) * 44)),
    "half of the rules were not checked": ("xccdf", xccdf(("pass", "notchecked") * 5)),
    "the application was broken": ("wapiti", wapiti(errors=58)),
    "no page was reached": ("wapiti", wapiti(pages=0)),
    "the database was old": ("grype", grype("2025-12-01T00:00:00Z")),
    "the database has no date": ("grype", grype("")),
    "it does not say of what": ("grype", grype(source={})),
    "nothing was recognised": ("trivy", trivy([])),
    "no rule was loaded": ("sarif", sarif(tool={"driver": {"name": "x"}}, results=[])),
    "the tool broke": ("sarif", sarif(invocations=[{"executionSuccessful": False}])),
    "the tool says nothing of its end": ("sarif", sarif(invocations=[])),
    "a failed check was left out": ("kube-bench", kube_bench(("PASS",) * 9, said=1)),
    "half of the checks were not made": ("kube-bench", kube_bench(("FAIL", "WARN"))),
    "no check was made": ("kube-bench", kube_bench((), said=0)),
    "the run was cut short": ("lynis", lynis(ended=False)),
    "a test is missing": ("junit", junit(declared=4)),
    "no test ran": ("junit", '<testsuites><testsuite tests="0"/></testsuites>'),
    "nobody logged in, perhaps": ("zap", zap()),
}


@pytest.mark.parametrize("why", FAILS_OPEN)
def test_a_report_that_covered_too_little_fixes_nothing(why: str) -> None:
    form, content = FAILS_OPEN[why]
    report = read_report(form, raw(content), "api")
    assert not report.conclusive and report.trouble


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "content", [b"", b"  ", b"{", b"[]", b"<a/>", b"null", b"\xff\xfe", b"{}" * 3, b"[" * 100_000]
)
def test_other_bytes_are_refused(form: str, content: bytes) -> None:
    with pytest.raises(Refused, match=r"finding\.report\.input"):
        read_report(form, content, "api")


@pytest.mark.parametrize("form", ["junit", "xccdf"])
def test_entities_are_refused(form: str) -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "c">]><testsuites>&b;</testsuites>'
    with pytest.raises(Refused, match="document type"):
        read_report(form, bomb, "api")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("form", ["kube-bench", "sarif", "zap", "wapiti", "trivy", "grype", "vex"])
@given(data=st.data())
@settings(max_examples=60)
def test_a_field_of_another_kind_breaks_nothing(form: str, data: st.DataObject) -> None:
    """Any part of a whole report may be anything: a clear refusal, or a report."""
    content = json.loads(raw(WHOLE[form][0]))
    _spoil(content, data)
    try:
        read_report(form, raw(content), "api")
    except Refused as refused:
        assert refused.code == "finding.report.input"


def _spoil(value: Any, data: st.DataObject) -> None:
    while isinstance(value, dict | list) and value:
        keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = data.draw(st.sampled_from(keys))
        if data.draw(st.booleans()):
            value[key] = data.draw(JSON)
            return
        value = value[key]


def held_after(report: Report, held: dict[str, Record], time_ms: int) -> dict[str, Record]:
    merged = merge(held, report, "s", time_ms)
    return held | {record.fingerprint: record for record in merged.records}


@pytest.mark.parametrize("form", FORMS)
@given(order=st.randoms(use_true_random=False))
@settings(max_examples=25)
def test_the_order_inside_a_report_says_nothing(form: str, order: Any) -> None:
    """The same findings in another order are the same findings."""
    content, _, _ = WHOLE[form]
    report = read_report(form, raw(content), "api")
    shuffled = list(report.seen)
    order.shuffle(shuffled)
    again = Report(form=form, tool="t", conclusive=report.conclusive, seen=tuple(shuffled))
    once = held_after(report, {}, NOW)
    assert held_after(again, {}, NOW) == once
    confirmed = held_after(again, once, NOW + 1)
    assert {r.state for r in confirmed.values()} == {"confirmed"}
    assert confirmed.keys() == once.keys()


RECORDS = [
    record
    for form, (content, _, _) in sorted(WHOLE.items())
    for record in held_after(read_report(form, raw(content), "api"), {}, NOW).values()
]


@pytest.mark.parametrize("form", OUT)
def test_what_is_written_is_read_by_others(form: str) -> None:
    content = OUT[form](RECORDS, NOW)
    checks: dict[str, Callable[[], int]] = {
        "sarif": lambda: len(read_report("sarif", content.encode(), "api").seen),
        "junit": lambda: len(read_report("junit", content.encode(), "api").seen),
        "vex": lambda: len(read_report("vex", content.encode(), "api").seen),
        "csv": lambda: len(content.strip().splitlines()) - 1,
    }
    wanted = {
        "sarif": len(RECORDS),
        "junit": sum(r.blocks(NOW) for r in RECORDS),
        "vex": sum(r.seen.location.kind == "package" for r in RECORDS),
        "csv": len(RECORDS),
    }
    assert checks[form]() == wanted[form]


def test_a_cell_is_no_formula() -> None:
    report = sarif(results=[result("=cmd|' /C calc'!A0", "a.py", 1)])
    (record,) = held_after(read_report("sarif", raw(report), "api"), {}, NOW).values()
    assert "\"'=cmd" in OUT["csv"]([record], NOW) or "'=cmd" in OUT["csv"]([record], NOW)
    assert ",=cmd" not in OUT["csv"]([record], NOW)


def test_a_weakness_that_two_matchers_see_is_one() -> None:
    """Whatever name a matcher gives it: by the package and the CVE."""
    seen = {s.rule: s for s in read_report("grype", raw(grype()), "api").seen}
    other = read_report("debsecan", raw(DEBSECAN), "api").seen[0]
    assert seen["GHSA-1"].fingerprint() == other.fingerprint()
    assert (seen["GHSA-1"].fixed_in, seen["GHSA-1"].severity) == ("3.0.12-1", "high")
    assert (seen["CVE-2026-2"].severity, seen["CVE-2026-2"].exploited) == ("critical", True)
