"""Gates as steps of a deployment: run, keep the evidence, judge, and say why on one line."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from surefoot.core.gate import Evidence, Gate, judge
from surefoot.core.plan import Plan
from surefoot.core.target import Blobs, Outcome, Plain, Step
from surefoot.core.world import Waiver
from surefoot.trust.digest import Digest
from surefoot.trust.entry import text_of_time

Waived = Callable[[Plan, str], Waiver | None]
"""Who has taken an inconclusive verdict of a gate, by name, in a deployment upon themselves."""


def gate_step(
    gate: Callable[[Plan], Gate],
    blobs: Blobs,
    arguments: Callable[[Plan, Step], Plain],
    waived: Waived = lambda plan, gate: None,
) -> Callable[[Plan, Step], Outcome]:
    """A step's run of a gate whose subject is the release."""

    def run(plan: Plan, step: Step) -> Outcome:
        evidence = gate(plan).run(plan.release, arguments(plan, step))
        return judged(evidence, plan.release, blobs, waived(plan, evidence.gate))

    return run


def judged(
    evidence: Evidence, subject: Digest, blobs: Blobs, waiver: Waiver | None = None
) -> Outcome:
    """The outcome of a step: done when the verdict is pass, or inconclusive and waived."""
    kept = blobs.put(msgspec.json.encode(evidence))
    found = judge(evidence, subject)
    reason = f"{evidence.gate}: {found.verdict}, {found.reason}"[:900]
    figures: Plain = {"verdict": found.verdict, "checks": len(evidence.inputs)}
    done = found.verdict == "pass"
    if found.verdict == "inconclusive" and waiver is not None:
        done, figures["waived_by"] = True, waiver.person
        reason += f"; waived by {waiver.person} until {text_of_time(waiver.until_ms)}"
    return Outcome(
        status="done" if done else "failed", reason=reason, figures=figures, evidence=(kept,)
    )


def availability_step(
    totals: Callable[[Plan], tuple[int, int]],
) -> Callable[[Plan, Step], Outcome]:
    """A step that compares the answers given since the deployment began with the declared limit.

    `totals` gives requests and failed requests. No traffic passes: nothing was refused to anybody.
    """

    def run(plan: Plan, step: Step) -> Outcome:
        requests, failed = totals(plan)
        limit = Decimal(str(step.arguments["percent"]))
        share = Decimal(100) if not requests else Decimal(100) * (requests - failed) / requests
        shown = f"{share.quantize(Decimal('0.001'))}"
        figures: Plain = {"requests": requests, "failed": failed, "availability_percent": shown}
        reason = f"{requests - failed} of {requests} requests answered, {shown} %"
        if share < limit:
            return Outcome(
                status="failed", reason=f"{reason}, below the declared {limit} %", figures=figures
            )
        return Outcome(status="done", reason=reason, figures=figures)

    return run
