"""SARIF 2.1.0: static analysis. Source: OASIS SARIF 2.1.0, sections 3.14, 3.20, 3.27."""

from __future__ import annotations

import hashlib
from typing import Any

from surefoot.core.finding import TITLE_MAX, Location, Report, Seen, cwe_of, severity_of
from surefoot.insight.reports.form import BadReport, at, items, json_of, number, text

_ABSENT = ("absent",)


def read(content: bytes, component: str) -> Report:
    """Conclusive when every run says that it was executed with success, and had rules."""
    document = json_of(content)
    if text(document, "version") != "2.1.0":
        raise BadReport("no SARIF 2.1.0")
    runs = items(document, "runs")
    if not runs:
        raise BadReport("a SARIF log without runs")
    seen = [each for run in runs for each in _seen(run, component)]
    troubles = [trouble for run in runs if (trouble := _trouble(run))]
    rules = sum(len(items(run, "tool", "driver", "rules")) for run in runs)
    return Report(
        form="sarif",
        tool=text(runs[0], "tool", "driver", "name", length=100),
        version=text(runs[0], "tool", "driver", "version", length=60)
        or text(runs[0], "tool", "driver", "semanticVersion", length=60),
        conclusive=not troubles,
        trouble=troubles[0] if troubles else "",
        figures={"runs": len(runs), "rules": rules, "results": len(seen)},
        seen=tuple(seen),
    )


def _trouble(run: dict[str, Any]) -> str:
    calls = items(run, "invocations")
    if not calls:
        return "the report does not say that the tool came to its end"
    if any(call.get("executionSuccessful") is not True for call in calls):
        return "the tool did not end with success"
    notes = [n for c in calls for n in items(c, "toolExecutionNotifications")]
    errors = [n for n in notes if n.get("level") == "error"]
    if errors:
        return f"the tool had an error: {text(errors[0], 'message', 'text', length=200)}"
    if not items(run, "tool", "driver", "rules") and not items(run, "results"):
        return "no rule was loaded"
    return ""


def _seen(run: dict[str, Any], component: str) -> list[Seen]:
    rules = items(run, "tool", "driver", "rules")
    by_id = {text(rule, "id"): rule for rule in rules}
    marks: dict[tuple[str, str], int] = {}
    found = []
    for result in items(run, "results"):
        if result.get("kind", "fail") != "fail" or result.get("baselineState") in _ABSENT:
            continue
        if any(s.get("status", "accepted") == "accepted" for s in items(result, "suppressions")):
            continue
        index = at(result, "ruleIndex")
        rule = by_id.get(text(result, "ruleId"), {})
        if not rule and isinstance(index, int) and 0 <= index < len(rules):
            rule = rules[index]
        found.append(_one(result, rule, component, marks))
    return found


def _one(
    result: dict[str, Any], rule: dict[str, Any], component: str, marks: dict[tuple[str, str], int]
) -> Seen:
    name = text(result, "ruleId", length=200) or text(rule, "id", length=200) or "unnamed"
    where = at(result, "locations", 0, "physicalLocation")
    path = text(where, "artifactLocation", "uri", length=500).removeprefix("file://")
    message = text(result, "message", "text")
    title = text(rule, "shortDescription", "text") or text(rule, "name") or message or name
    return Seen(
        rule=name,
        title=title[:TITLE_MAX],
        severity=severity_of(_level(result, rule)),
        location=Location(
            kind="file", component=component, path=path, mark=_mark(where, name, path, marks)
        ),
        cwe=_cwe(rule, name),
        line=number(where, "region", "startLine"),
        remedy=text(rule, "help", "text", length=300),
    )


def _mark(where: object, name: str, path: str, marks: dict[tuple[str, str], int]) -> str:
    """What stands there, or which of the same kind it is: lines move when others are added."""
    snippet = " ".join(text(where, "region", "snippet", "text").split())
    if snippet:
        return hashlib.sha256(snippet.encode()).hexdigest()[:16]
    marks[name, path] = marks.get((name, path), 0) + 1
    return str(marks[name, path])


def _level(result: dict[str, Any], rule: dict[str, Any]) -> str:
    return (
        text(result, "properties", "security-severity")
        or text(rule, "properties", "security-severity")
        or text(result, "level")
        or text(rule, "defaultConfiguration", "level")
        or "warning"
    )


def _cwe(rule: dict[str, Any], name: str) -> str:
    tags = at(rule, "properties", "tags")
    words = [str(tag) for tag in tags] if isinstance(tags, list) else []
    links = [text(link, "target", "id") for link in items(rule, "relationships")]
    return cwe_of(" ".join((*words[:50], *links[:50], name)))
