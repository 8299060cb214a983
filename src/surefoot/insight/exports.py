"""Findings for other tools: SARIF 2.1.0, JUnit, CycloneDX VEX, and CSV.

Keeps: what is accepted is marked as such and not left out; a cell of the table never begins as a
formula. Does not: store.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

import msgspec

from surefoot.core.finding import OPEN, Record, Severity
from surefoot.core.vex import CYCLONEDX
from surefoot.trust.entry import text_of_time

_LEVELS: dict[Severity, str] = {
    "critical": "error",
    "high": "error",
    "medium": "warning",
    "low": "note",
    "info": "note",
}
_BASELINE = {"new": "new", "confirmed": "unchanged", "regressed": "updated", "fixed": "absent"}
_COLUMNS = (
    *("scope", "fingerprint", "state", "severity", "title", "rule", "cwe", "component", "place"),
    *("first_at", "last_at", "due_at", "owner", "accepted_until"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def sarif(records: Sequence[Record], now_ms: int) -> str:
    """A SARIF log; fixed findings are `absent`, accepted ones suppressed."""
    rules = {r.seen.rule: r.seen for r in records}
    run = {
        "tool": {
            "driver": {
                "name": "surefoot",
                "rules": [
                    {"id": name, "shortDescription": {"text": seen.title}}
                    for name, seen in sorted(rules.items())
                ],
            }
        },
        "invocations": [{"executionSuccessful": True}],
        "results": [_result(record, now_ms) for record in records],
    }
    return _json({"version": "2.1.0", "runs": [run]})


def _result(record: Record, now_ms: int) -> dict[str, Any]:
    seen = record.seen
    physical: dict[str, Any] = {"artifactLocation": {"uri": seen.location.place() or "unknown"}}
    if seen.line:
        physical["region"] = {"startLine": seen.line}
    found: dict[str, Any] = {
        "ruleId": seen.rule,
        "level": _LEVELS[seen.severity],
        "message": {"text": seen.title},
        "locations": [{"physicalLocation": physical}],
        "partialFingerprints": {"surefoot/v1": record.fingerprint},
        "baselineState": _BASELINE[record.state],
    }
    if record.seen.cleared:
        reason = record.seen.cleared
        found["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": reason}
        ]
    elif record.accepted(now_ms) and record.acceptance is not None:
        until = text_of_time(record.acceptance.until_ms)
        found["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": f"until {until}"}
        ]
    return found


def junit(records: Sequence[Record], now_ms: int) -> str:
    """A test for each finding; it fails when the finding blocks."""
    bad = sum(r.blocks(now_ms) for r in records)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites><testsuite name="findings" tests="{len(records)}" failures="{bad}">',
    ]
    for record in records:
        name = quoteattr(f"{record.seen.title} at {record.seen.location.place()}")
        lines.append(f"<testcase classname={quoteattr(record.seen.rule)} name={name}>")
        if record.blocks(now_ms):
            lines.append(f"<failure message={quoteattr(record.seen.severity)}/>")
        lines.append("</testcase>")
    return "\n".join([*lines, "</testsuite></testsuites>", ""])


def vex(records: Sequence[Record], now_ms: int) -> str:
    """Weaknesses of packages with what is known of each."""
    chosen = [r for r in records if r.seen.location.kind == "package"]
    found = [
        {
            "id": r.seen.rule,
            "ratings": [{"severity": r.seen.severity}],
            "description": r.seen.title,
            "analysis": _analysis(r, now_ms),
            "affects": [{"ref": r.seen.location.package}],
        }
        for r in chosen
    ]
    packages = sorted({r.seen.location.package for r in chosen})
    parts = [{"type": "library", "bom-ref": p, "name": p} for p in packages]
    document = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1}
    return _json(document | {"components": parts, "vulnerabilities": found})


def _analysis(record: Record, now_ms: int) -> dict[str, Any]:
    """What is known: a clearing goes out with the reason that it came in with."""
    if record.state in OPEN and record.seen.cleared in CYCLONEDX:
        return {"state": "not_affected", "justification": record.seen.cleared}
    if record.state in OPEN and record.seen.cleared:
        return {"state": "not_affected", "detail": record.seen.cleared}
    found: dict[str, Any] = {"state": "exploitable" if record.state in OPEN else "resolved"}
    return found | ({"response": ["workaround_available"]} if record.accepted(now_ms) else {})


def table(records: Sequence[Record], now_ms: int) -> str:
    """One line for each finding, with a line of names."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for r in records:
        until = r.acceptance.until_ms if r.accepted(now_ms) and r.acceptance else 0
        times = (r.first_ms, r.last_ms, r.due_ms)
        first, last, due = (text_of_time(t) if t else "" for t in times)
        cells = (r.scope, r.fingerprint, r.state, r.seen.severity, r.seen.title, r.seen.rule)
        where = (r.seen.cwe, r.seen.location.component, r.seen.location.place())
        until_text = text_of_time(until) if until else ""
        row = (*cells, *where, first, last, due, r.owner, until_text)
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in row])
    return out.getvalue()


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


FORMS: dict[str, Callable[[Sequence[Record], int], str]] = {
    "csv": table,
    "junit": junit,
    "sarif": sarif,
    "vex": vex,
}
