"""XCCDF results (alone or in ARF), Lynis and JUnit: rules of a host, and tests."""

from __future__ import annotations

from surefoot.core.device import clean_text
from surefoot.core.finding import TITLE_MAX, Location, Report, Seen, severity_of
from surefoot.insight.reports.form import SIZE_BYTES_MAX, BadReport, Node, xml_of

EVALUATED_PERCENT_MIN = 80
_EVALUATED = ("pass", "fail", "fixed")
_LEFT_OUT = ("notselected", "informational")
_BAD = ("failure", "error")


def read_xccdf(content: bytes, component: str) -> Report:
    """Conclusive when at least 80 of 100 selected rules were evaluated."""
    root = xml_of(content)
    results = [root] if root.name == "TestResult" else list(root.all("TestResult"))
    if not results:
        raise BadReport("no XCCDF test result")
    titles = {rule.attributes.get("id", ""): rule.child_text("title") for rule in root.all("Rule")}
    counts: dict[str, int] = {}
    seen = []
    for each in (rule for result in results for rule in result.all("rule-result")):
        state = each.child_text("result") or "unknown"
        counts[state] = counts.get(state, 0) + 1
        if state == "fail":
            seen.append(_rule(each, titles, component))
    selected = sum(n for state, n in counts.items() if state not in _LEFT_OUT)
    evaluated = sum(counts.get(state, 0) for state in _EVALUATED)
    enough = selected > 0 and evaluated * 100 >= EVALUATED_PERCENT_MIN * selected
    trouble = f"only {evaluated} of {selected} rules were evaluated"
    return Report(
        form="xccdf",
        tool=clean_text(results[0].attributes.get("test-system", "xccdf"), 100),
        version=clean_text(results[0].attributes.get("version", ""), 60),
        conclusive=enough,
        trouble="" if enough else trouble,
        figures={"selected": selected, "evaluated": evaluated, "failed": len(seen)},
        seen=tuple(seen),
    )


def _rule(result: Node, titles: dict[str, str], component: str) -> Seen:
    name = result.attributes.get("idref", "")
    short = clean_text(name.rpartition("_rule_")[2] or name, 200)
    return Seen(
        rule=short,
        title=clean_text(titles.get(name, "") or short, TITLE_MAX),
        severity=severity_of(result.attributes.get("severity", "medium")),
        location=Location(kind="host", component=component),
    )


def read_lynis(content: bytes, component: str) -> Report:
    """Conclusive when the run says when it ended and which tests it did."""
    if len(content) > SIZE_BYTES_MAX:
        raise BadReport(f"{len(content)} bytes, at most {SIZE_BYTES_MAX}")
    lines = [line.partition("=") for line in content.decode("utf-8", "replace").splitlines()]
    single = {key.strip(): value.strip() for key, mark, value in lines if mark}
    if "lynis_version" not in single:
        raise BadReport("no Lynis report")
    seen = []
    for key, _, value in lines:
        parts = [clean_text(part, 300) for part in value.split("|")] + [""] * 4
        if key in ("warning[]", "suggestion[]"):
            severity = severity_of("warning" if key.startswith("warning") else "low")
            seen.append(_lynis(parts[0], parts[1], severity_word=severity, component=component))
        elif key == "vulnerable_package[]":
            seen.append(
                Seen(
                    rule="lynis-vulnerable-package",
                    title=f"a package with known weaknesses: {parts[0]}"[:TITLE_MAX],
                    severity="high",
                    location=Location(kind="package", component=component, package=parts[0]),
                    version=parts[1],
                )
            )
    tests = len([t for t in single.get("tests_executed", "").split("|") if t.strip()])
    ended = bool(single.get("report_datetime_end"))
    trouble = "" if ended and tests else "the run does not say that it came to its end"
    return Report(
        form="lynis",
        tool="lynis",
        version=clean_text(single["lynis_version"], 60),
        conclusive=not trouble,
        trouble=trouble,
        figures={"tests": tests},
        seen=tuple(seen),
    )


def _lynis(name: str, title: str, *, severity_word: str, component: str) -> Seen:
    return Seen(
        rule=name or "lynis",
        title=title[:TITLE_MAX],
        severity=severity_of(severity_word),
        location=Location(kind="host", component=component),
    )


def read_junit(content: bytes, component: str) -> Report:
    """Each failed test is a finding; conclusive when counts agree and tests ran."""
    root = xml_of(content)
    if root.name not in ("testsuites", "testsuite"):
        raise BadReport("no JUnit report")
    cases = [*root.all("testcase")]
    failed = [c for c in cases if any(child.name in _BAD for child in c.children)]
    skipped = [c for c in cases if any(child.name == "skipped" for child in c.children)]
    suites = [root, *root.all("testsuite")]
    declared = [
        (int(n), len([*s.all("testcase")]))
        for s in suites
        if (n := s.attributes.get("tests", "")).isdecimal() and len(n) < 9
    ]
    trouble = ""
    if any(said != found for said, found in declared):
        trouble = "the report holds another number of tests than it says"
    elif len(cases) == len(skipped):
        trouble = "no test ran"
    return Report(
        form="junit",
        tool="junit",
        conclusive=not trouble,
        trouble=trouble,
        figures={"tests": len(cases), "failed": len(failed), "skipped": len(skipped)},
        seen=tuple(_test(case, component) for case in failed),
    )


def _test(case: Node, component: str) -> Seen:
    names = (case.attributes.get("classname", ""), case.attributes.get("name", ""))
    name = clean_text("::".join(part for part in names if part), 300)
    return Seen(
        rule="test",
        title=f"a test fails: {name}"[:TITLE_MAX],
        severity="high",
        location=Location(kind="file", component=component, path=name),
    )
