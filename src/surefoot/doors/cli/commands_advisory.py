"""Commands on advisories about packages."""

from __future__ import annotations

from surefoot.doors.cli.commands_words import AT, REASON, command, question
from surefoot.doors.cli.tree import Command, Word

_COMPONENT = Word("component", "the component, or the role of the host, like edge-gateway")

ADVISORIES = (
    Command(
        "advisories make",
        "make a signed snapshot, on a machine that has the sources",
        (
            Word("file", "the snapshot's file; it must not exist"),
            Word(
                "--osv",
                "OSV records: a folder, .zip, .jsonl or .json",
                many=True,
                shown_as="PATH",
                required=True,
            ),
            Word("--exploited", "CISA's catalogue of known exploited weaknesses", shown_as="FILE"),
            Word("--likely", "the EPSS table, plain or gzip", shown_as="FILE"),
            Word(
                "--made-at",
                "when the sources were fetched, like 2026-11-17T10:00Z, else now",
                shown_as="TIME",
            ),
        ),
        "advisories:make",
    ),
    Command(
        "advisories import",
        "take a signed snapshot; it judges from then on",
        (
            Word("file", "the snapshot"),
            Word("--less", "it may hold much less than the one in force; say why", flag=True),
            REASON,
        ),
        "advisories:take",
        "POST",
        "/advisories",
        "advisories_taken",
    ),
    question(
        "advisories show",
        "the snapshot in force: its age, what it covers, whether it can judge",
        "/advisories",
        AT,
        view="advisories",
    ),
    command(
        "advisories check",
        "judge a release by the snapshot in force; what is found goes into the lists",
        "/advisories/releases/{version}",
        Word("version", "the release"),
        view="advisories_release",
    ),
    Command(
        "advisories host",
        "judge the packages of this system, or of a root file system in a folder",
        (
            _COMPONENT,
            Word("--root", "the folder, else this system", default="/", shown_as="FOLDER"),
            Word("--sbom", "judge this CycloneDX bill of materials instead", shown_as="FILE"),
        ),
        "advisories:host",
        "POST",
        "/advisories/hosts/{component}",
        "advisories_judged",
    ),
    Command(
        "advisories vex",
        "take what a VEX document says does not affect a component",
        (_COMPONENT, Word("file", "the document: CycloneDX or OpenVEX")),
        "advisories:vex",
        "POST",
        "/advisories/vex/{component}",
    ),
)
