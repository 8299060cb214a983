"""The contract of a gate, and the judgement of its evidence.

A gate collects evidence and never decides; `judge` decides from the evidence and says why. There
are four verdicts; only `pass` passes. Evidence that is missing, empty, of another subject or of
a tool that did not finish is never a pass.
"""

from __future__ import annotations

import unicodedata
from typing import Literal, Protocol

import msgspec

from surefoot.core.target import Plain
from surefoot.trust.digest import Digest

Verdict = Literal["pass", "fail", "inconclusive", "error"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing found, in plain words. `fingerprint` is stable over runs and holds no secret."""

    rule: str
    title: str
    place: str
    severity: Literal["info", "low", "medium", "high", "critical"]
    fingerprint: str
    remedy: str = ""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate saw. Times are UTC milliseconds; `raw` is the tool's own output as a blob.

    `complete` is True only when the gate covered all it set out to cover; `coverage` states it, and
    `gap` says in words what is missing.
    """

    gate: str
    subject: Digest
    tool: str
    tool_version: str
    inputs: tuple[Digest, ...] = ()
    started_at_ms: int = 0
    ended_at_ms: int = 0
    complete: bool = False
    gap: str = ""
    coverage: Plain = {}
    figures: Plain = {}
    findings: tuple[Finding, ...] = ()
    raw: Digest | None = None
    trouble: str = ""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """The decision about one piece of evidence and its reason, on one line."""

    verdict: Verdict
    reason: str


class Gate(Protocol):
    """Runs a check. Must be repeatable; raises `Failed` only when it could not even start."""

    @property
    def name(self) -> str:
        """The gate's name in the pipeline definition."""

    def run(self, subject: Digest, arguments: Plain) -> Evidence:
        """Look and report. `arguments` come from the pipeline definition and the plan."""


def judge(evidence: Evidence, subject: Digest) -> Judgement:
    """Decide: wrong subject or trouble is an error, incomplete is inconclusive, findings fail."""
    if evidence.subject != subject:
        return Judgement(
            verdict="error", reason=f"evidence is about {evidence.subject}, not {subject}"
        )
    if evidence.trouble:
        trouble = unicodedata.normalize("NFC", evidence.trouble)
        return Judgement(verdict="error", reason=trouble)
    blocking = [f for f in evidence.findings if f.severity != "info"]
    if blocking:
        first = blocking[0]
        more = f" (and {len(blocking) - 1} more)" if len(blocking) > 1 else ""
        # An entry of the journal takes no other form, and tools quote names as they find them.
        reason = unicodedata.normalize("NFC", f"{first.title} at {first.place}{more}")
        return Judgement(verdict="fail", reason=reason)
    if evidence.gap or not evidence.complete:
        reason = evidence.gap or "the gate did not cover all it had to"
        return Judgement(verdict="inconclusive", reason=unicodedata.normalize("NFC", reason))
    return Judgement(verdict="pass", reason="nothing found, coverage complete")
