"""The progress of a deployment: what is next, claimed, finished; pure questions and rules.

Keeps: look, decide, claim, act, record; freeze, approvals and pause are checked again with every
claim, right before the effect; a step that failed turns the deployment round.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from surefoot.core import environment as environments
from surefoot.core import facts as f
from surefoot.core.deployment import approvals_missing, find
from surefoot.core.errors import Refused
from surefoot.core.plan import ComponentAfter, Plan, PlannedStep, check_parent, phase_of
from surefoot.core.world import Deployment, World
from surefoot.trust.digest import Digest

_DEVICES = 90


class Next(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done now: act on a step, judge a wave, wait, or finish; `cause` says why."""

    what: Literal["act", "judge", "wait", "finish"]
    step: str = ""
    undo: bool = False
    takeover: bool = False
    cause: str = ""
    status: str = ""


class Wave(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement of a wave from sealed counters."""

    status: Literal["running", "passed", "stopped"]
    reason: str


JudgeWave = Callable[[World, Deployment, PlannedStep | None], Wave]
"""Judges the wave of an `await` step; without a step, the return of a stopped rollout."""


def next_effect(world: World, plan: Plan, now_ms: int, worker: str, judge: JudgeWave) -> Next:
    """What to do now for a deployment. Pure: ask as often as you like."""
    deployment = find(world, plan.deployment)
    if deployment.ended_ms:
        return Next(what="wait", cause=f"ended: {deployment.status}")
    missing = approvals_missing(world, deployment)
    if missing and not deployment.begun_ms:
        return Next(what="wait", cause=f"{missing} more approval{'s' if missing > 1 else ''}")
    if deployment.paused:
        return Next(what="wait", cause="paused")
    freeze = environments.frozen_by(world, plan.environment, now_ms)
    if freeze and not deployment.returning:
        return Next(what="wait", cause=freeze)
    if deployment.returning:
        return _next_undo(world, deployment, plan, judge)
    return _next_step(world, deployment, plan, judge)


def _next_step(world: World, deployment: Deployment, plan: Plan, judge: JudgeWave) -> Next:
    for planned in plan.steps:
        step = deployment.steps[planned.step.id]
        if step.status == "done":
            continue
        if planned.step.action == "await":
            wave = judge(world, deployment, planned)
            if wave.status == "running":
                return Next(what="wait", step=step.id, cause=wave.reason)
            return Next(
                what="judge",
                step=step.id,
                cause=wave.reason,
                status="done" if wave.status == "passed" else "failed",
            )
        takeover = step.status == "claimed"
        return Next(what="act", step=step.id, takeover=takeover)
    return Next(what="finish", status="succeeded", cause="all steps done")


def _next_undo(world: World, deployment: Deployment, plan: Plan, judge: JudgeWave) -> Next:
    scope = _undo_scope(deployment, plan)
    for planned in reversed(plan.steps):
        step = deployment.steps[planned.step.id]
        touched = step.status in ("done", "failed", "claimed")
        if planned.undo is None or not touched or planned.step.id not in scope:
            continue
        if step.undo != "done":
            if step.undo == "failed":
                return Next(
                    what="finish", status="failed", cause=f"{deployment.cause}; undo failed too"
                )
            return Next(what="act", step=step.id, undo=True, takeover=step.undo == "claimed")
    if any(p.step.action == "wave" and deployment.steps[p.step.id].undo for p in plan.steps):
        back = judge(world, deployment, None)
        if back.status == "running":
            return Next(what="wait", cause=back.reason)
    stopped = _failed_at_devices(deployment, plan) and plan.keep_service
    return Next(what="finish", status="stopped" if stopped else "returned", cause=deployment.cause)


def _failed_at_devices(deployment: Deployment, plan: Plan) -> bool:
    failed = [p for p in plan.steps if deployment.steps[p.step.id].status == "failed"]
    return bool(failed) and phase_of(failed[0].step) >= _DEVICES


def _undo_scope(deployment: Deployment, plan: Plan) -> set[str]:
    """Steps to undo: all, or the device steps alone when the service may stay."""
    if _failed_at_devices(deployment, plan) and plan.keep_service:
        return {p.step.id for p in plan.steps if phase_of(p.step) >= _DEVICES}
    return {p.step.id for p in plan.steps}


def claim(
    world: World, plan: Plan, found: Next, worker: str, now_ms: int, judge: JudgeWave
) -> list[f.Fact]:
    """Claim what was found to be next; refuse when it no longer is."""
    again = next_effect(world, plan, now_ms, worker, judge)
    if again != found:
        raise Refused(
            "step.claim.moved",
            f"deployment {plan.deployment} step {found.step}",
            expected=f"{found.what} {found.step}",
            found=f"{again.what} {again.step} {again.cause}".strip(),
            remedy="look again",
        )
    deployment = find(world, plan.deployment)
    if not deployment.begun_ms:
        check_parent(
            plan,
            {s: h for s, h in world.heads.items() if not s.startswith("deployment/")},
            f"deployment {plan.deployment}",
        )
    return [
        f.StepClaimed(
            deployment=plan.deployment,
            environment=plan.environment,
            step=found.step,
            worker=worker,
            undo=found.undo,
            takeover=found.takeover,
        )
    ]


def finish_step(world: World, plan: Plan, fact: f.StepFinished, fence: int) -> list[f.Fact]:
    """Record an outcome with what it makes true; refused when another worker holds the claim."""
    deployment = find(world, plan.deployment)
    step = deployment.steps[fact.step]
    held = step.undo_fence if fact.undo else step.fence
    if (step.undo if fact.undo else step.status) != "claimed" or held != fence:
        raise Refused(
            "step.claim.moved",
            f"deployment {plan.deployment} step {fact.step}",
            expected=f"the claim at entry {fence}",
            found=f"{step.status}, claim at entry {held}",
            remedy="another worker took this over",
        )
    return [fact, *consequences(world, plan, fact)]


def consequences(world: World, plan: Plan, fact: f.StepFinished) -> list[f.Fact]:
    """Facts about the environment that follow from a step's outcome."""
    planned = plan.planned(fact.step)
    changed = planned.before if fact.undo else planned.after
    facts: list[f.Fact] = []
    if fact.status == "done" and changed is not None:
        facts.append(_component(plan, changed))
    if fact.status == "done" and planned.settles and not fact.undo:
        facts.append(_settings(plan))
    if fact.status == "done" and planned.step.action == "backup" and "backup" in fact.figures:
        facts.append(
            f.BackupVerified(
                environment=plan.environment,
                deployment=plan.deployment,
                database=planned.step.target.partition(":")[2],
                backup=Digest(str(fact.figures["backup"])),
                figures=fact.figures,
            )
        )
    return facts


def _component(plan: Plan, changed: ComponentAfter) -> f.Fact:
    return f.ComponentChanged(
        environment=plan.environment,
        deployment=plan.deployment,
        component=changed.component,
        kind=changed.kind,
        artifact=changed.artifact,
        version=changed.version,
        release=changed.release,
        detail=changed.detail,
    )


def _settings(plan: Plan) -> f.Fact:
    return f.SettingsChanged(
        environment=plan.environment,
        deployment=plan.deployment,
        release=plan.release,
        release_version=plan.release_version,
        settings=plan.digest(),
        values=plan.settings.values,
        secrets=plan.settings.secrets,
        infrastructure=plan.settings.infrastructure,
        tools=plan.settings.tools,
    )
