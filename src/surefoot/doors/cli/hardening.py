"""Hardening on this machine without a server, and the page that lists the rules.

Keeps: it ends with status 0 only when the rules were evaluated and nothing was found.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from surefoot.core.errors import Refused
from surefoot.core.gate import Evidence, judge
from surefoot.core.target import Plain
from surefoot.doors.cli import show
from surefoot.engine.clock import SystemClock
from surefoot.gates.hardening.gate import HardeningGate
from surefoot.gates.hardening.rule import standard
from surefoot.trust.digest import digest_of

_HEAD = """# Hardening rules

Generated from the rules in the package. What they mean for a release and a deployment is said in
[Harden a host](../guides/hardening.md); the numbers are those of the documents that are named.
"""


def check(options: argparse.Namespace) -> None:
    """Print what was found and what was not evaluated. Raises `Refused` unless all is well."""
    root = str(Path(options.root).expanduser().absolute()) if options.root else "/"
    subject = digest_of(root.encode("utf-8", "surrogateescape"))
    asked: Plain = {
        "root": root,
        "groups": [*(options.group or ())],
        "evaluated_percent_min": options.least,
    }
    evidence = HardeningGate(None, SystemClock().now_ms).run(subject, asked)
    found = judge(evidence, subject)
    if options.output == "json":
        show.as_json(msgspec.to_builtins(evidence) | {"verdict": found.verdict})
    else:
        _shown(evidence)
    if found.verdict != "pass":
        raise Refused(
            f"gate.hardening.{found.verdict}",
            f"hardening of {root}",
            expected="every rule kept, and enough of them evaluated",
            found=found.reason,
            remedy="put right what is named, or make readable what was not evaluated",
        )


def _shown(evidence: Evidence) -> None:
    for finding in evidence.findings:
        show.line(f"{finding.severity}  {finding.rule}  {finding.place}")
        show.paragraph(finding.title.partition(": ")[2])
        show.paragraph(f"fix: {finding.remedy}")
    figures = evidence.figures.get("host")
    for row in figures if isinstance(figures, list) else []:
        if isinstance(row, dict) and row.get("state") == "unseen":
            show.line(f"not evaluated  {row['rule']}  {row.get('why', '')}")
    counts = evidence.coverage.get("host")
    show.fields(counts.items() if isinstance(counts, dict) else ())


def page() -> str:
    """`docs/reference/hardening-rules.md`."""
    parts = [_HEAD]
    group = ""
    for rule in standard():
        if rule.group != group:
            group = rule.group
            parts.append(f"\n## {group}\n")
        references = f" {'; '.join(rule.references)}." if rule.references else ""
        parts.append(f"\n### {rule.id}\n\n*{rule.title}.* {rule.severity.capitalize()}.")
        parts.append(f"{references}\n\n{rule.reason}\n\nPut it right: `{rule.fix}`\n")
    return "".join(parts)
