"""kube-bench's JSON: checks of a cluster's node."""

from __future__ import annotations

from surefoot.core.finding import TITLE_MAX, Location, Report, Seen
from surefoot.insight.reports.form import BadReport, items, json_of, number, text

EVALUATED_PERCENT_MIN = 80
_STATES = ("PASS", "FAIL", "WARN", "INFO")


def read(content: bytes, component: str) -> Report:
    """Conclusive when at least 80 of 100 checks that are no manual ones were evaluated, and the
    report holds as many passed and failed checks as it says."""
    whole = json_of(content)
    if isinstance(whole, list):
        whole = {"Controls": whole}
    controls = items(whole, "Controls")
    if not controls or not all(text(each, "id") for each in controls):
        raise BadReport("no report of kube-bench")
    counts = dict.fromkeys((*_STATES, "manual", "other"), 0)
    said = {"PASS": 0, "FAIL": 0}
    seen = []
    for control in controls:
        said["PASS"] += number(control, "total_pass")
        said["FAIL"] += number(control, "total_fail")
        for group in items(control, "tests"):
            for each in items(group, "results"):
                state = text(each, "status").upper()
                manual = state == "WARN" and text(each, "type") == "manual"
                counts["manual" if manual else state if state in _STATES else "other"] += 1
                if state == "FAIL":
                    seen.append(_check(each, control, component))
    evaluated = counts["PASS"] + counts["FAIL"]
    selected = evaluated + counts["WARN"] + counts["other"]
    trouble = ""
    if {state: counts[state] for state in said} != said:
        trouble = "the report holds another number of checks than it says"
    elif not selected or evaluated * 100 < EVALUATED_PERCENT_MIN * selected:
        trouble = f"only {evaluated} of {selected} checks were evaluated"
    return Report(
        form="kube-bench",
        tool="kube-bench",
        version=text(controls[0], "version", length=60),
        conclusive=not trouble,
        trouble=trouble,
        figures={"selected": selected, "evaluated": evaluated, "failed": len(seen)},
        seen=tuple(seen),
    )


def _check(result: object, control: object, component: str) -> Seen:
    number_of = text(result, "test_number", length=60)
    title = text(result, "test_desc", length=TITLE_MAX)
    return Seen(
        rule=f"kube-bench-{number_of}",
        title=title or number_of,
        severity="medium",
        location=Location(
            kind="host", component=component, parameter=text(control, "node_type", length=60)
        ),
        remedy=text(result, "remediation"),
    )
