"""What a plan's steps say about the time of their waves: start, end, and how long each soaks.

Does not: read time, or judge a wave (`core.rollout`).
"""

from __future__ import annotations

from surefoot.core.plan import Plan, PlannedStep
from surefoot.core.target import Step
from surefoot.core.world import Deployment


def soaking(deployment: Deployment, plan: Plan, planned: PlannedStep, now_ms: int) -> str:
    """Why a wave that passed is still watched; empty when it has been for long enough."""
    if planned.step.action != "soak":
        return ""
    wave = planned.step.arguments.get("wave")
    passed = next(
        p.step.id
        for p in plan.steps
        if p.step.action == "await" and p.step.arguments.get("wave") == wave
    )
    until_ms = deployment.steps[passed].figures.get("soak_until_ms", 0)
    assert isinstance(until_ms, int)
    return "the wave passed and soaks" if now_ms < until_ms else ""


def times_of(step: Step) -> tuple[int, int, int]:
    """Start and end of the step's rollout, ms, and how long its waves soak, seconds."""
    policy = step.arguments.get("policy")
    pace = policy.get("pace") if isinstance(policy, dict) else None
    found = pace if isinstance(pace, dict) else {}
    start, end, soak = (found.get(name, 0) for name in ("start_ms", "end_ms", "soak_seconds"))
    assert isinstance(start, int) and isinstance(end, int) and isinstance(soak, int)
    return start, end, soak
