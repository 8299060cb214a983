"""Commands on findings."""

from __future__ import annotations

from surefoot.doors.cli.commands_words import AT, REASON, command, question
from surefoot.doors.cli.tree import Command, Word

_SCOPE = Word("scope", "what is checked again and again in the same way, like api-sast")
_FINGERPRINT = Word("fingerprint", "its fingerprint, or the beginning of it")

FINDINGS = (
    Command(
        "finding import",
        "take a report of another tool; the same again changes nothing",
        (
            _SCOPE,
            Word("file", "the report"),
            Word("--form", "its form, like sarif, junit, trivy, grype, vex or zap"),
            Word("--component", "the component that it is about"),
            Word("--covered", "you vouch that it covered all, and say how you know", flag=True),
            REASON,
        ),
        "finding:take",
        "POST",
        "/findings/{scope}/reports",
        "findings_taken",
    ),
    question(
        "finding list",
        "findings, the most severe first",
        "/findings",
        Word("--scope", "of this scope alone"),
        Word("--state", "open, accepted, new, confirmed, fixed or regressed"),
        Word("--severity", "of this severity alone"),
        Word("--text", "with this in title, rule or place"),
        Word("--after", "rows after this one, as SCOPE/FINGERPRINT"),
        Word("--limit", "at most so many rows", int, 50),
        AT,
        view="findings",
    ),
    question(
        "finding show",
        "one finding",
        "/findings/{scope}/{fingerprint}",
        _SCOPE,
        _FINGERPRINT,
        AT,
        view="finding",
    ),
    command(
        "finding accept",
        "live with a finding for some days",
        "/findings/{scope}/{fingerprint}/acceptance",
        _SCOPE,
        _FINGERPRINT,
        Word("--days", "for so many days", int, 30),
        Word("--control", "what protects until it is fixed", shown_as="TEXT"),
        view="finding",
    ),
    command(
        "finding assign",
        "say who sees to a finding",
        "/findings/{scope}/{fingerprint}/owner",
        _SCOPE,
        _FINGERPRINT,
        Word("owner", "the person"),
        method="PUT",
        view="finding",
    ),
    question(
        "finding export",
        "a scope's findings for other tools",
        "/findings/{scope}/export/{form}",
        _SCOPE,
        Word("form", "sarif, junit, vex or csv"),
        AT,
        view="content",
    ),
)
