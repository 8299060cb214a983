"""`journal verify` and `journal export`: on the server, on a data folder, or on an export."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from surefoot.core.errors import Corrupt, Refused
from surefoot.doors import codes
from surefoot.doors.cli import compose, files, show
from surefoot.doors.cli.client import client_for
from surefoot.doors.cli.progress import Progress, progress_for

_RULES_ELSEWHERE = "not checked here; journal verify --data DIR or --full DIR does"
_REMEDY = "keep a copy as it is, compare it with an export or a backup, find out who changed it"


def verify(options: argparse.Namespace) -> None:
    """Verify everything again. Raises `Corrupt` with the first problem."""
    if options.full or options.offline:
        report = _verify_export(options)
    elif options.data:
        report = _verify_folder(options)
    else:
        answer = client_for(options).ask(options.command.method, options.command.path, {})
        report = dict(answer["report"])
    _tell(options, report)


def _verify_export(options: argparse.Namespace) -> dict[str, Any]:
    if bool(options.log_key) == bool(options.root):
        raise Refused(
            "journal.key.input",
            "journal verify",
            expected="--log-key VKEY or --root FILE, whichever you pinned",
            found="both" if options.root else "none",
            remedy="take it from a place you trust, never from the export itself",
        )
    pinned = files.read(Path(options.checkpoint)).decode() if options.checkpoint else None
    trust = files.read(Path(options.root)) if options.root else key_of(options.log_key)
    progress = progress_for(options.output, "journal")
    try:
        report: dict[str, Any] = compose.load("offline").verify_export(
            Path(options.full or options.offline), trust, pinned, progress.at
        )
    finally:
        progress.end()
    return report


def _verify_folder(options: argparse.Namespace) -> dict[str, Any]:
    progress = progress_for(options.output, "journal")
    try:
        report: dict[str, Any] = compose.load("offline").verify_folder(
            Path(options.data), progress.at
        )
    finally:
        progress.end()
    return report


def key_of(text: str) -> str:
    """The key itself, or the first line of a file that holds it."""
    if Path(text).is_file():
        return (files.read(Path(text)).decode("utf-8", "replace").split() or [""])[0]
    return text


def _tell(options: argparse.Namespace, report: dict[str, Any]) -> None:
    problems = report.get("problems") or []
    if options.output == "json":
        print(json.dumps(report, indent=2, sort_keys=True))
    else:
        # No entry that was compared: the server compares none, an export and a folder are.
        said = {**report, "rules": report.get("rules") or _RULES_ELSEWHERE}
        show.fields((k.replace("_", " "), v) for k, v in said.items() if k != "problems")
        show.table(
            ("problem", "subject", "expected", "found"),
            ((p["code"], p["subject"], p["expected"], p["found"]) for p in problems),
            empty="intact: every entry, seal, root and checkpoint agrees",
        )
    if problems:
        first = problems[0]
        raise Corrupt(
            first["code"],
            first["subject"],
            expected=first["expected"],
            found=first["found"],
            remedy=_REMEDY,
        )


def export(options: argparse.Namespace) -> None:
    """Write the journal as C2SP tiles."""
    folder = compose.data_folder(options.data)
    progress: Progress = progress_for(options.output, "export")
    try:
        exported = compose.load("offline").export(
            folder, Path(options.folder), progress.at, evidence=options.evidence
        )
    finally:
        progress.end()
    if options.output == "json":
        show.as_json(exported)
    else:
        show.fields(exported.items())


def fsck(options: argparse.Namespace) -> None:
    """Name what does not agree. Raises `Corrupt` with the first thing that is left."""
    folder = compose.data_folder(options.data)
    progress = progress_for(options.output, "journal")
    try:
        found: dict[str, Any] = compose.load("offline").fsck(
            folder, options.export, options.repair, progress.at
        )
    finally:
        progress.end()
    findings = [_explained(finding) for finding in found["findings"]]
    if options.output == "json":
        show.as_json({**found, "findings": findings})
    else:
        counted = ("leaves", "states", "checkpoints", "cosignatures", "blobs")
        show.fields((name, found[name]) for name in counted)
        for finding in findings:
            show.line(f"{finding['subject']}: {finding['found']}; expected {finding['expected']}")
            show.line(f"  {finding['meaning']} {finding['do']} [{finding['code']}]")
        show.fields(("mended", what) for what in found["mended"])
        if not findings:
            show.line("intact: every row and file agrees")
    if findings:
        first = findings[0]
        raise Corrupt(
            first["code"],
            first["subject"],
            expected=first["expected"],
            found=first["found"],
            remedy=first["do"],
        )


def _explained(finding: dict[str, Any]) -> dict[str, Any]:
    code = codes.find(finding["code"])
    do = "surefoot journal fsck --repair writes it again." if finding["mends"] else code.do
    return {**finding, "meaning": code.meaning, "do": do}
