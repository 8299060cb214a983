"""What a gate of a deployment saw: its evidence, and the report that it kept.

Keeps: the evidence is the one that the journal's entry names; the verdict is judged again from it.
A report is a text, bounded; only those that the evidence names are given out.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from surefoot.app.deployments import Number
from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.app.operation import Arguments, Request, operation
from surefoot.core import deployment as deployments
from surefoot.core.errors import Refused
from surefoot.core.gate import Evidence, judge
from surefoot.core.target import Plain
from surefoot.trust.digest import Digest, parse_digest

REPORT_BYTES_MAX = 64 * 1024 * 1024
_TIMELESS = "evidence never changes: the entry of the step names its digest"
StepId = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[a-z0-9-]+$")]


class EvidenceArguments(Arguments, frozen=True, kw_only=True):
    number: Number
    step: StepId


class ReportArguments(Arguments, frozen=True, kw_only=True):
    number: Number
    step: StepId
    form: Literal["json", "page"]


@operation(
    "deployment evidence",
    "GET",
    "/deployments/{number}/evidence/{step}",
    EvidenceArguments,
    timeless=_TIMELESS,
)
def evidence(app: App, request: Request, arguments: EvidenceArguments) -> Plain:
    """What a gate's step saw, and what follows from it."""
    digest, found = _evidence(app, arguments.number, arguments.step)
    judged = judge(found, found.subject)
    reports = {"json": bool(found.raw), "page": bool(found.figures.get("page"))}
    return {
        "number": arguments.number,
        "step": arguments.step,
        "digest": digest,
        "gate": found.gate,
        "subject": found.subject,
        "verdict": judged.verdict,
        "reason": judged.reason,
        "tool": f"{found.tool} {found.tool_version}",
        "began_at": shown(found.started_at_ms),
        "ended_at": shown(found.ended_at_ms),
        "coverage": found.coverage,
        "figures": found.figures,
        "findings": msgspec.to_builtins(found.findings),
        "reports": [name for name, there in reports.items() if there],
    }


@operation(
    "deployment report",
    "GET",
    "/deployments/{number}/evidence/{step}/{form}",
    ReportArguments,
    timeless=_TIMELESS,
)
def report(app: App, request: Request, arguments: ReportArguments) -> Plain:
    """The report that a gate's step kept, as JSON or as a page."""
    _, found = _evidence(app, arguments.number, arguments.step)
    named = found.raw if arguments.form == "json" else found.figures.get("page")
    if not named:
        raise _absent(arguments.number, arguments.step, f"a report as {arguments.form}")
    content = app.blobs.get(parse_digest(str(named)))
    if len(content) > REPORT_BYTES_MAX:
        raise _absent(arguments.number, arguments.step, f"a report up to {REPORT_BYTES_MAX} bytes")
    return {"digest": str(named), "content": content.decode()}


def _evidence(app: App, number: int, step: str) -> tuple[Digest, Evidence]:
    app.read(lambda w: deployments.find(w, number))
    entries = app.log.stream_entries(f"deployment/{number}", 0, 1000)
    named = [e.evidence[0] for e in entries if e.evidence and e.body.get("step") == step]
    for digest in reversed(named):
        try:
            return digest, msgspec.json.decode(app.blobs.get(digest), type=Evidence)
        except msgspec.DecodeError:
            # Other steps keep documents of their own as evidence: a backup, a clone's report.
            continue
    raise _absent(number, step, "a step with the evidence of a gate")


def _absent(number: int, step: str, expected: str) -> Refused:
    return Refused(
        "evidence.unknown",
        f"deployment {number}, step {step}",
        expected=expected,
        found="none",
        remedy=f"see its steps: surefoot deployment show {number}",
    )
