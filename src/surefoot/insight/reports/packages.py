"""Trivy and CycloneDX VEX: known weaknesses of packages, and what is said about them."""

from __future__ import annotations

from typing import Any

from surefoot.core.finding import (
    SEVERITIES,
    TITLE_MAX,
    Location,
    Report,
    Seen,
    Severity,
    cwe_of,
    rank,
    severity_of,
)
from surefoot.insight.reports.form import BadReport, at, items, json_of, number, text

_AFFECTED = ("exploitable", "in_triage", "affected", "")
_CLEARED = ("not_affected", "false_positive")


def read_trivy(content: bytes, component: str) -> Report:
    """Conclusive when something was looked at; packages, misconfigurations and secrets."""
    document = json_of(content)
    if number(document, "SchemaVersion") != 2 or not text(document, "ArtifactName"):
        raise BadReport("no Trivy report of schema 2")
    results = items(document, "Results")
    seen: list[Seen] = []
    for result in results:
        target = text(result, "Target", length=500)
        seen += [_vulnerability(v, component) for v in items(result, "Vulnerabilities")]
        failed = [m for m in items(result, "Misconfigurations") if m.get("Status") == "FAIL"]
        seen += [_line(m, "ID", "Resolution", component, target) for m in failed]
        seen += [_line(s, "RuleID", "", component, target) for s in items(result, "Secrets")]
    return Report(
        form="trivy",
        tool="trivy",
        version=text(document, "Trivy", "Version", length=60),
        conclusive=bool(results),
        trouble="" if results else "nothing was recognised, so nothing was looked at",
        figures={"targets": len(results), "results": len(seen)},
        seen=tuple(seen),
    )


def _vulnerability(found: dict[str, Any], component: str) -> Seen:
    name = text(found, "VulnerabilityID", length=100)
    cwes = at(found, "CweIDs")
    package = text(found, "PkgIdentifier", "PURL", length=300) or text(found, "PkgName", length=200)
    return Seen(
        rule=name,
        title=(text(found, "Title", length=TITLE_MAX) or name),
        severity=severity_of(text(found, "Severity")),
        location=Location(kind="package", component=component, package=without_version(package)),
        cwe=cwe_of(" ".join(map(str, cwes[:10]))) if isinstance(cwes, list) else "",
        version=text(found, "InstalledVersion", length=100),
        fixed_in=text(found, "FixedVersion", length=100),
    )


def _line(found: dict[str, Any], rule: str, remedy: str, component: str, path: str) -> Seen:
    start = number(found, "StartLine") or number(found, "CauseMetadata", "StartLine")
    return Seen(
        rule=text(found, rule, length=100),
        title=text(found, "Title", length=TITLE_MAX),
        severity=severity_of(text(found, "Severity")),
        location=Location(kind="file", component=component, path=path),
        line=start,
        remedy=text(found, remedy, length=300) if remedy else "",
    )


def read_vex(content: bytes, component: str) -> Report:
    """What is affected, not yet judged, or cleared without a justification, counts as seen."""
    document = json_of(content)
    if text(document, "bomFormat") != "CycloneDX" or "vulnerabilities" not in document:
        raise BadReport("no CycloneDX document with vulnerabilities")
    names = {
        text(part, "bom-ref", length=300): text(part, "purl", length=300)
        or text(part, "name", length=200)
        for part in items(document, "components")
    }
    seen, cleared = [], 0
    for each in items(document, "vulnerabilities"):
        state = text(each, "analysis", "state")
        reasoned = bool(text(each, "analysis", "justification"))
        if state == "resolved" or state == "resolved_with_pedigree":
            continue
        if state in _CLEARED and (reasoned or state == "false_positive"):
            cleared += 1
            continue
        refs = [text(a, "ref", length=300) for a in items(each, "affects")] or [""]
        seen += [_vex_one(each, names.get(ref, ref), component) for ref in refs]
    return Report(
        form="vex",
        tool=_tool(document),
        trouble="a VEX document says nothing of what it does not name",
        figures={"cleared": cleared, "results": len(seen)},
        seen=tuple(seen),
    )


def _vex_one(found: dict[str, Any], package: str, component: str) -> Seen:
    name = text(found, "id", length=100)
    ratings = [severity_of(text(r, "severity")) for r in items(found, "ratings")]
    worst: Severity = max(ratings, key=rank) if ratings else "medium"
    cwes = at(found, "cwes")
    aliases = [text(r, "id", length=100) for r in items(found, "references")]
    return Seen(
        rule=name,
        title=text(found, "description", length=TITLE_MAX) or name,
        severity=worst if worst in SEVERITIES else "medium",
        location=Location(kind="package", component=component, package=without_version(package)),
        cwe=f"CWE-{cwes[0]}" if isinstance(cwes, list) and cwes and type(cwes[0]) is int else "",
        aliases=tuple(alias for alias in aliases[:20] if alias),
        remedy=text(found, "recommendation", length=300),
    )


def _tool(document: object) -> str:
    tools = at(document, "metadata", "tools")
    first = at(tools, 0) or at(tools, "components", 0)
    return text(first, "name", length=100) or "vex"


def without_version(purl: str) -> str:
    """A package URL without version, qualifiers and path; a plain name as it is."""
    if not purl.startswith("pkg:"):
        return purl
    kept = purl.split("?")[0].split("#")[0]
    head, sep, tail = kept.rpartition("/")
    return f"{head}{sep}{tail.split('@')[0]}"
