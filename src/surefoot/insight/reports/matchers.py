"""Grype and debsecan: other matchers of packages with known weaknesses.

Keeps: a database that was old when it was used is no ground for saying that something is gone.
Source: Grype's JSON output; debsecan(1), "summary" format.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from surefoot.core.device import clean_text
from surefoot.core.finding import TITLE_MAX, Location, Report, Seen, severity_of
from surefoot.insight.reports.form import (
    SEEN_MAX,
    SIZE_BYTES_MAX,
    BadReport,
    at,
    items,
    json_of,
    text,
)
from surefoot.insight.reports.packages import without_version

DATABASE_DAYS_MAX = 7
_NAMES_MAX = 20
_LINE = re.compile(r"(?P<name>(?:CVE|TEMP)-\S{1,60}) (?P<package>\S{1,200})(?: \((?P<notes>.*)\))?")


def read_grype(content: bytes, component: str) -> Report:
    """Conclusive when it names what it looked at, and its database was at most 7 days old."""
    document = json_of(content)
    if text(document, "descriptor", "name") != "grype" or not isinstance(
        at(document, "matches"), list
    ):
        raise BadReport("no report of Grype")
    matches = items(document, "matches")
    trouble = _grype_trouble(document)
    seen = tuple(_grype_one(each, component) for each in matches)
    return Report(
        form="grype",
        tool="grype",
        version=text(document, "descriptor", "version", length=60),
        conclusive=not trouble,
        trouble=trouble,
        figures={"results": len(seen)},
        seen=seen,
    )


def _grype_trouble(document: Any) -> str:
    if not text(document, "source", "type", length=60):
        return "it does not say what it looked at"
    database = at(document, "descriptor", "db")
    built = _time(text(database, "status", "built") or text(database, "built"))
    ended = _time(text(document, "descriptor", "timestamp"))
    if built is None or ended is None:
        return "it does not say when its database was built, or when it looked"
    days = (ended - built).days
    if not 0 <= days <= DATABASE_DAYS_MAX:
        return f"its database was {days} days old, at most {DATABASE_DAYS_MAX} are allowed"
    return ""


def _time(found: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(found)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _grype_one(found: dict[str, Any], component: str) -> Seen:
    name = text(found, "vulnerability", "id", length=100)
    aliases = [text(r, "id", length=100) for r in items(found, "relatedVulnerabilities")]
    package = text(found, "artifact", "purl", length=300)
    fixes = at(found, "vulnerability", "fix", "versions")
    fixed = text({"fix": fixes[0]}, "fix", length=100) if isinstance(fixes, list) and fixes else ""
    exploited = bool(items(found, "vulnerability", "knownExploited"))
    version = text(found, "artifact", "version", length=100)
    shown = text(found, "artifact", "name", length=200)
    said = text(found, "vulnerability", "description", length=TITLE_MAX)
    return Seen(
        rule=name,
        title=clean_text(f"{shown} {version}: {name} {said}", TITLE_MAX),
        severity="critical" if exploited else severity_of(text(found, "vulnerability", "severity")),
        location=Location(
            kind="package", component=component, package=without_version(package) or shown
        ),
        aliases=tuple(sorted({a for a in aliases[:_NAMES_MAX] if a and a != name})),
        version=version,
        fixed_in=fixed,
        exploited=exploited,
    )


def read_debsecan(content: bytes, component: str) -> Report:
    """Never conclusive by itself: it says nothing of what it looked at, or how old its data is."""
    if len(content) > SIZE_BYTES_MAX:
        raise BadReport(f"{len(content)} bytes, at most {SIZE_BYTES_MAX}")
    lines = content.decode("utf-8", "replace").splitlines()
    if not any(line.strip() for line in lines) or len(lines) > SEEN_MAX:
        raise BadReport(f"expected 1 to {SEEN_MAX} lines")
    seen = tuple(_debsecan_one(line, component) for line in lines if line.strip())
    return Report(
        form="debsecan",
        tool="debsecan",
        trouble="it does not say what it looked at, or how old its data is",
        figures={"results": len(seen)},
        seen=seen,
    )


def _debsecan_one(line: str, component: str) -> Seen:
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise BadReport(f"not a line of debsecan's summary: {clean_text(line, 80)!r}")
    notes = match["notes"] or ""
    urgency = re.search(r"(low|medium|high) urgency", notes)
    package = clean_text(match["package"], 200)
    return Seen(
        rule=match["name"],
        title=clean_text(f"{package}: {match['name']}", TITLE_MAX),
        severity=severity_of(urgency[1] if urgency else ""),
        location=Location(kind="package", component=component, package=f"pkg:deb/debian/{package}"),
        remedy="update it: a fixed version is there" if "fixed" in notes else "",
    )
