"""Findings: what a check saw, by a fingerprint that outlives runs, and how reports move them.

Keeps: a finding is `fixed` only by a conclusive report of the same scope in which it was not seen;
absence in any other report changes nothing; a due date counts from the first time it was seen and
only ever comes earlier; an acceptance ends at its date, when the severity rises, and when the
weakness is known to be exploited. The same report again changes nothing.
Does not: read reports (`insight`), store, or read time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from surefoot.core.device import clean_text
from surefoot.core.errors import Refused

Severity = Literal["info", "low", "medium", "high", "critical"]
Kind = Literal["url", "file", "package", "host", "privilege"]
State = Literal["new", "confirmed", "fixed", "regressed"]

SEVERITIES: tuple[Severity, ...] = ("info", "low", "medium", "high", "critical")
OPEN: frozenset[State] = frozenset({"new", "confirmed", "regressed"})
FINGERPRINT_VERSION = 1
DAY_MS = 86_400_000
DUE_DAYS: dict[Severity, int] = {"critical": 7, "high": 30, "medium": 90, "low": 180, "info": 0}
ACCEPT_DAYS_MAX: dict[Severity, int] = {
    "critical": 30,
    "high": 90,
    "medium": 180,
    "low": 365,
    "info": 365,
}
TITLE_MAX = 200
TEXT_MAX = 1000

_PLACEHOLDER = re.compile(
    r"^(\d+|[0-9a-fA-F]{16,}|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|\{[^}]*\}|:\w+)$"
)
_CWE = re.compile(r"(?i)\bcwe[-_: ]?0*(\d{1,5})\b")
_ADVISORY = re.compile(r"^[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9.:]+)+$")


class Location(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where it is: the fields that its kind uses, the others empty.

    url: method, path as a route, parameter; file: path and `mark`, what the line says, not its
    number; package: name and ecosystem without version; host and privilege: the role or component.
    """

    kind: Kind
    component: str = ""
    method: str = ""
    path: str = ""
    parameter: str = ""
    mark: str = ""
    package: str = ""

    def place(self) -> str:
        """The place in plain words."""
        if self.kind == "url":
            shown = f"{self.method} {self.path}".strip()
            return f"{shown}, parameter {self.parameter}" if self.parameter else shown
        return self.package or self.path or self.component


class Seen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing in one report. `aliases` are names of the same advisory; `exploited`: known to be
    used by attackers; `cleared`: why it is said not to affect the component, by a VEX document."""

    rule: str
    title: str
    severity: Severity
    location: Location
    cwe: str = ""
    aliases: tuple[str, ...] = ()
    version: str = ""
    fixed_in: str = ""
    line: int = 0
    remedy: str = ""
    exploited: bool = False
    cleared: str = ""

    def fingerprint(self) -> str:
        """What makes it the same finding in the next run, as 64 hex digits.

        Versioned and by kind: no host, payload, value, line number or package version is in it.
        """
        at = self.location
        kind = self.cwe or self.rule
        parts: tuple[str, ...] = (at.component, kind, at.method, at.path, at.parameter)
        if at.kind == "file":
            parts = (at.component, self.rule, at.path, at.mark)
        elif at.kind == "package":
            parts = (at.component, at.package, advisory_name((self.rule, *self.aliases)))
        elif at.kind in ("host", "privilege"):
            parts = (at.component, self.rule, at.parameter)
        content = "\0".join((str(FINGERPRINT_VERSION), at.kind, *parts))
        return hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What one report says. Only a conclusive one may show that something is gone.

    `trouble` says why it is not conclusive; `figures` is what it covered, in its own counts.
    """

    form: str
    tool: str
    version: str = ""
    conclusive: bool = False
    trouble: str = ""
    figures: dict[str, int] = {}
    seen: tuple[Seen, ...] = ()


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody lives with it until a time; `severity` is what it had then."""

    person: str
    until_ms: int
    control: str
    severity: Severity


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A finding as it is now."""

    fingerprint: str
    scope: str
    state: State
    seen: Seen
    first_ms: int
    last_ms: int
    due_ms: int
    reports: int = 1
    owner: str = ""
    acceptance: Acceptance | None = None

    def accepted(self, now_ms: int) -> bool:
        """Whether an acceptance holds; it ended when things became worse than what was accepted."""
        found = self.acceptance
        return (
            found is not None
            and now_ms < found.until_ms
            and rank(self.seen.severity) <= rank(found.severity)
            and not self.seen.exploited
        )

    def blocks(self, now_ms: int) -> bool:
        """Whether it keeps a gate from passing."""
        return self.state in OPEN and self.seen.severity != "info" and not self.accepted(now_ms)


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """The records that a report changes, and how many became what."""

    records: tuple[Record, ...]
    counts: dict[str, int]


def rank(severity: Severity) -> int:
    """0 for info to 4 for critical."""
    return SEVERITIES.index(severity)


def merge(held: Mapping[str, Record], report: Report, scope: str, time_ms: int) -> Merged:
    """What a report does to the findings of its scope; `held` are those of this scope alone."""
    seen: dict[str, Seen] = {}
    known = known_names(held)
    for each in report.seen:
        name = known_as(known, each)
        if name not in seen or rank(each.severity) > rank(seen[name].severity):
            seen[name] = each
    changed = [_met(held.get(name), each, name, scope, time_ms) for name, each in seen.items()]
    if report.conclusive:
        gone = [r for name, r in held.items() if name not in seen and r.state in OPEN]
        changed += [msgspec.structs.replace(r, state="fixed") for r in gone]
    counts: dict[str, int] = dict.fromkeys(("new", "confirmed", "fixed", "regressed"), 0)
    for record in changed:
        counts[record.state] += 1
    return Merged(records=tuple(changed), counts=counts)


Names = Mapping[tuple[str, str, str], str]
"""(component, package, name of an advisory) to the fingerprint of what is known by it."""


def known_names(held: Mapping[str, Record]) -> Names:
    """The names under which weaknesses of packages are known; of two, the one seen first counts."""
    found: dict[tuple[str, str, str], str] = {}
    for name, record in sorted(held.items(), key=lambda item: (-item[1].first_ms, item[0])):
        for key in _names(record.seen):
            found[key] = name
    return found


def known_as(known: Names, seen: Seen) -> str:
    """The fingerprint that it is known by: an advisory that is given a CVE later stays the same."""
    return next((known[key] for key in _names(seen) if key in known), seen.fingerprint())


def _names(seen: Seen) -> list[tuple[str, str, str]]:
    at = seen.location
    if at.kind != "package":
        return []
    return [(at.component, at.package, name.upper()) for name in (seen.rule, *seen.aliases)]


def _met(held: Record | None, seen: Seen, name: str, scope: str, time_ms: int) -> Record:
    if held is None:
        return Record(
            fingerprint=name,
            scope=scope,
            state="new",
            seen=seen,
            first_ms=time_ms,
            last_ms=time_ms,
            due_ms=_due(time_ms, seen.severity),
        )
    return msgspec.structs.replace(
        held,
        state="regressed" if held.state in ("fixed", "regressed") else "confirmed",
        seen=seen,
        last_ms=max(time_ms, held.last_ms),
        due_ms=_earlier(held.due_ms, _due(held.first_ms, seen.severity)),
        reports=held.reports + 1,
    )


def _due(first_ms: int, severity: Severity) -> int:
    """When it has to be gone; 0 for what need not be."""
    days = DUE_DAYS[severity]
    return first_ms + days * DAY_MS if days else 0


def _earlier(held_ms: int, due_ms: int) -> int:
    return min(held_ms, due_ms) if held_ms and due_ms else held_ms or due_ms


def check_acceptance(record: Record, acceptance: Acceptance, now_ms: int) -> None:
    """Raises `Refused` for an acceptance that is too long, in the past, or without a control."""
    days = ACCEPT_DAYS_MAX[record.seen.severity]
    latest = now_ms + days * DAY_MS
    subject = f"acceptance of finding {record.fingerprint[:12]}"
    if not now_ms < acceptance.until_ms <= latest:
        raise Refused(
            "finding.acceptance.expiry",
            subject,
            expected=f"an end within {days} days, as its severity is {record.seen.severity}",
            found="an end in the past" if acceptance.until_ms <= now_ms else "a later end",
            remedy="choose an earlier end: nothing is accepted for good",
        )
    if not acceptance.control.strip():
        raise Refused(
            "finding.acceptance.input",
            subject,
            expected="a compensating control: what protects until it is fixed",
            found="none",
            remedy="say it: --control TEXT",
        )
    if record.state == "fixed":
        raise Refused(
            "finding.acceptance.state",
            subject,
            expected="an open finding",
            found="fixed",
            remedy="nothing to do",
        )
    if record.seen.exploited:
        raise Refused(
            "finding.acceptance.exploited",
            subject,
            expected="a weakness that is not known to be exploited",
            found="one that attackers use now",
            remedy="fix it, or take the component out of service",
        )


def route_of(path: str) -> str:
    """A path as a route: numbers, identifiers and parameters are placeholders, no query."""
    path = clean_text(path, 500).split("?")[0].split("#")[0]
    if "://" in path:
        path = "/" + path.split("://", 1)[1].partition("/")[2]
    parts = ["{}" if _PLACEHOLDER.match(part) else part for part in path.split("/")]
    return "/".join(parts) or "/"


def cwe_of(text: str) -> str:
    """The first CWE number in a text, as CWE-89; empty for none."""
    found = _CWE.search(text)
    return f"CWE-{int(found[1])}" if found else ""


def advisory_name(names: Iterable[str]) -> str:
    """One name for an advisory of several: a CVE before the others, the smallest of them."""
    known = sorted({name.upper() for name in names if _ADVISORY.match(name)})
    cves = [name for name in known if name.startswith("CVE-")]
    fallback = sorted({name for name in names if name})
    return (cves or known or fallback or [""])[0]


def severity_of(text: str) -> Severity:
    """The severity that a tool's word or CVSS number means; unknown words are medium."""
    word = text.strip().casefold()
    for severity, words in _WORDS.items():
        if word in words:
            return severity
    try:
        score = float(word)
    except ValueError:
        return "medium"
    levels: tuple[tuple[float, Severity], ...] = (
        (9.0, "critical"),
        (7.0, "high"),
        (4.0, "medium"),
        (0.1, "low"),
    )
    return next((severity for least, severity in levels if score >= least), "info")


_WORDS: dict[Severity, tuple[str, ...]] = {
    "critical": ("critical", "crit", "blocker"),
    "high": ("high", "error", "serious", "important", "major"),
    "medium": ("medium", "moderate", "warning", "warn"),
    "low": ("low", "minor", "negligible"),
    "info": ("info", "informational", "information", "note", "none", "suggestion"),
}
