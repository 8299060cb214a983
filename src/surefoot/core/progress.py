"""The progress of a deployment: what is next, claimed, finished; pure questions and rules.

Keeps: look, decide, claim, act, record; freeze and pause are checked again with every claim, right
before the effect, approvals and the plan's parent with the first; a step that failed turns the
deployment round; what was undone is undone in the record too. What comes after the devices
(contract, removal) is never followed by a return: the old release could no longer run.
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
from surefoot.core.target import Plain, Step
from surefoot.core.wave_time import soaking, times_of
from surefoot.core.world import Deployment, World
from surefoot.trust.digest import Digest

CLAIMS_MAX = 20
_DEVICES = 90
_JUDGED = ("await", "hold", "soak")
_REMOVES = ("remove", "destroy")


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
"""Judges the wave of an `await` or `hold` step; without a step, a stopped rollout's return."""


def next_effect(world: World, plan: Plan, now_ms: int, judge: JudgeWave) -> Next:
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
    if freeze and not (deployment.returning or deployment.stopping):
        return Next(what="wait", cause=freeze)
    if deployment.returning:
        return _next_undo(world, deployment, plan, judge)
    return _next_step(world, deployment, plan, now_ms, judge)


def _next_step(
    world: World, deployment: Deployment, plan: Plan, now_ms: int, judge: JudgeWave
) -> Next:
    for planned in plan.steps:
        step = deployment.steps[planned.step.id]
        if step.status == "done":
            continue
        if deployment.stopping and step.status == "pending":
            # What is claimed is finished first; here it turns round.
            cause = deployment.stopping
            return Next(what="judge", step=step.id, cause=cause, status="failed")
        if planned.step.action in _JUDGED:
            wave = judge(world, deployment, planned)
            soaks = soaking(deployment, plan, planned, now_ms)
            if wave.status == "running" or (wave.status == "passed" and soaks):
                return Next(what="wait", step=step.id, cause=soaks or wave.reason)
            return Next(
                what="judge",
                step=step.id,
                cause=wave.reason,
                status="done" if wave.status == "passed" else "failed",
            )
        if step.claims >= CLAIMS_MAX:
            return _given_up(step.id, undo=False)
        timed = _timed(planned, now_ms) if step.status == "pending" else None
        if timed is not None:
            return timed
        return Next(what="act", step=step.id, takeover=step.status == "claimed")
    return Next(what="finish", status="succeeded", cause="all steps done")


def _timed(planned: PlannedStep, now_ms: int) -> Next | None:
    """A wave does not begin before its rollout's start, nor at all after its end."""
    if planned.step.action != "wave":
        return None
    start_ms, end_ms, _ = times_of(planned.step)
    if now_ms < start_ms:
        return Next(what="wait", step=planned.step.id, cause="the rollout's start is not reached")
    if end_ms and now_ms >= end_ms:
        cause = "the rollout's end was reached before this wave began"
        return Next(what="judge", step=planned.step.id, cause=cause, status="failed")
    return None


def _given_up(step: str, *, undo: bool) -> Next:
    """A step that ends its worker every time must not be claimed for ever."""
    cause = f"claimed {CLAIMS_MAX} times without an outcome"
    return Next(what="judge", step=step, undo=undo, cause=cause, status="failed")


def _next_undo(world: World, deployment: Deployment, plan: Plan, judge: JudgeWave) -> Next:
    scope = _undo_scope(deployment, plan)
    for planned in reversed(plan.steps):
        step = deployment.steps[planned.step.id]
        touched = step.status in ("done", "failed", "claimed")
        if planned.undo is None or not touched or step.id not in scope or step.undo == "done":
            continue
        held = _devices_before(world, deployment, plan, planned, judge)
        if held is not None:
            return held
        if step.undo == "failed":
            cause = f"{deployment.cause}; undoing {step.id} failed too"
            return Next(what="finish", status="failed", cause=cause)
        if step.undo_claims >= CLAIMS_MAX:
            return _given_up(step.id, undo=True)
        return Next(what="act", step=step.id, undo=True, takeover=step.undo == "claimed")
    cause = deployment.cause
    if _devices_return(deployment, plan):
        back = judge(world, deployment, None)
        if back.status == "running":
            return Next(what="wait", cause=back.reason)
        if back.status == "stopped":
            cause = f"{cause}; {back.reason}"
    return Next(what="finish", status="returned" if _all(scope, plan) else "stopped", cause=cause)


def _devices_before(
    world: World, deployment: Deployment, plan: Plan, planned: PlannedStep, judge: JudgeWave
) -> Next | None:
    """What holds a service that the moved devices still need: they go back before it does.

    When they cannot, or do not all, the service stays: no return may strand a device.
    """
    moved = any(
        p.step.action == "wave" and deployment.steps[p.step.id].status != "pending"
        for p in plan.steps
    )
    if not plan.devices_return_first or not moved or phase_of(planned.step) >= _DEVICES:
        return None
    stays = f"{deployment.cause}; the service stays: {plan.devices_return_why}"
    if not _devices_return(deployment, plan):
        return Next(what="finish", status="stopped", cause=stays)
    back = judge(world, deployment, None)
    if back.status == "running":
        return Next(what="wait", cause=back.reason)
    if back.status == "stopped":
        return Next(what="finish", status="stopped", cause=f"{stays}; {back.reason}")
    return None


def _devices_return(deployment: Deployment, plan: Plan) -> bool:
    """Whether devices were told to go back to something, so that they can be waited for."""
    return any(
        p.step.action == "wave"
        and "previous" in p.step.arguments
        and p.undo is not None
        and p.undo.action == "return_devices"
        and deployment.steps[p.step.id].undo == "done"
        for p in plan.steps
    )


def _failed_phase(deployment: Deployment, plan: Plan) -> int:
    """The phase in which the deployment turned round."""
    failed = [p for p in plan.steps if deployment.steps[p.step.id].status == "failed"]
    return phase_of(failed[0].step) if failed else 0


def _undo_scope(deployment: Deployment, plan: Plan) -> set[str]:
    """Steps to undo: all, the device steps alone when the service may stay, or none at the end."""
    phase = _failed_phase(deployment, plan)
    if phase > _DEVICES:
        return set()
    lowest = _DEVICES if phase == _DEVICES and plan.keep_service else 0
    return {p.step.id for p in plan.steps if phase_of(p.step) >= lowest}


def _all(scope: set[str], plan: Plan) -> bool:
    return len(scope) == len(plan.steps)


def step_of(plan: Plan, found: Next) -> Step:
    """The act that is next: the step itself, or what undoes it."""
    planned = plan.planned(found.step)
    return planned.undo if found.undo and planned.undo else planned.step


def check_still(world: World, plan: Plan, found: Next, now_ms: int, judge: JudgeWave) -> None:
    """Refuse when what was found to be next no longer is."""
    again = next_effect(world, plan, now_ms, judge)
    if again != found:
        raise Refused(
            "step.claim.moved",
            f"deployment {plan.deployment} step {found.step}".rstrip(),
            expected=f"{found.what} {found.step}".rstrip(),
            found=f"{again.what} {again.step} {again.cause}".rstrip(),
            remedy="look again",
        )


def claim(
    world: World, plan: Plan, found: Next, worker: str, now_ms: int, judge: JudgeWave
) -> list[f.Fact]:
    """Claim what was found to be next; refuse when it no longer is."""
    check_still(world, plan, found, now_ms, judge)
    if not find(world, plan.deployment).begun_ms:
        check_parent(plan, world.heads, f"deployment {plan.deployment}")
    return [
        f.StepClaimed(
            deployment=plan.deployment,
            environment=plan.environment,
            step=found.step,
            worker=worker,
            act=step_of(plan, found).digest(),
            undo=found.undo,
            takeover=found.takeover,
        )
    ]


def judge_step(plan: Plan, found: Next, now_ms: int) -> list[f.Fact]:
    """The outcome of a step that nobody acts on: a wave judged, or a step given up."""
    planned = plan.planned(found.step)
    soak_seconds = times_of(planned.step)[2] if planned.step.action == "await" else 0
    passed = found.status == "done" and soak_seconds > 0
    fact = f.StepFinished(
        deployment=plan.deployment,
        environment=plan.environment,
        step=found.step,
        status=found.status,
        cause=found.cause[:1000],
        undo=found.undo,
        judged=True,
        figures={"soak_until_ms": now_ms + soak_seconds * 1000} if passed else {},
    )
    if found.status == "done" and planned.after is not None:
        return [fact, *(_component(plan, each) for each in (planned.after, *planned.also))]
    return [fact]


def finish_step(world: World, plan: Plan, fact: f.StepFinished, fence: int) -> list[f.Fact]:
    """Record an outcome with what it makes true; refused when another worker holds the claim."""
    deployment = find(world, plan.deployment)
    step = deployment.steps[fact.step]
    held = step.undo_fence if fact.undo else step.fence
    status = step.undo if fact.undo else step.status
    if status != "claimed" or held != fence:
        raise Refused(
            "step.claim.moved",
            f"deployment {plan.deployment} step {fact.step}",
            expected=f"the claim at entry {fence}",
            found=f"{status}, claim at entry {held}",
            remedy="another worker took this over",
        )
    return [fact, *consequences(world, plan, fact)]


def finish(
    world: World, plan: Plan, found: Next, figures: Plain, observation: Digest
) -> list[f.Fact]:
    """The end, with what the environment then looked like; nothing when it has ended already."""
    if find(world, plan.deployment).ended_ms:
        return []
    name, number = plan.environment, plan.deployment
    facts: list[f.Fact] = [
        f.ObservationRecorded(environment=name, deployment=number, observation=observation)
    ]
    if plan.purpose == "destroy" and found.status == "succeeded":
        facts.append(f.EnvironmentDestroyed(environment=name))
    ended = f.DeploymentFinished(
        deployment=number,
        environment=name,
        status=found.status,
        cause=found.cause[:2000],
        figures=figures,
    )
    return [*facts, ended]


def consequences(world: World, plan: Plan, fact: f.StepFinished) -> list[f.Fact]:
    """Facts about the environment that follow from a step's outcome."""
    if fact.status != "done":
        return []
    planned = plan.planned(fact.step)
    if fact.undo:
        was_done = find(world, plan.deployment).steps[fact.step].status == "done"
        return _undone(plan, planned) if was_done else []
    facts: list[f.Fact] = []
    if planned.after is not None:
        facts.append(_component(plan, planned.after))
    if planned.settles:
        facts.append(_settings(plan))
        facts += [_component(plan, same) for same in plan.unchanged]
    known = world.environments[plan.environment].components
    if planned.step.action in _REMOVES and planned.step.component in known:
        facts.append(_removed(plan, planned.step.component))
    if planned.step.action == "backup" and "backup" in fact.figures:
        facts.append(_backup(plan, planned, fact.figures))
    return facts


def _undone(plan: Plan, planned: PlannedStep) -> list[f.Fact]:
    """What a step had made true is so no longer: the record goes back with the environment."""
    facts: list[f.Fact] = []
    if planned.before is not None:
        facts.append(_component(plan, planned.before))
    elif planned.after is not None:
        facts.append(_removed(plan, planned.after.component))
    if planned.settles:
        facts.append(_settings_before(plan))
        facts += [_component(plan, same) for same in plan.unchanged_before]
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


def _removed(plan: Plan, component: str) -> f.Fact:
    return f.ComponentRemoved(
        environment=plan.environment, deployment=plan.deployment, component=component
    )


def _backup(plan: Plan, planned: PlannedStep, figures: Plain) -> f.Fact:
    return f.BackupVerified(
        environment=plan.environment,
        deployment=plan.deployment,
        database=planned.step.target.partition(":")[2],
        backup=Digest(str(figures["backup"])),
        figures=figures,
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


def _settings_before(plan: Plan) -> f.Fact:
    """What was in force when the plan was made; empty when nothing was deployed yet."""
    return f.SettingsChanged(
        environment=plan.environment,
        deployment=plan.deployment,
        release=Digest(plan.before.release),
        release_version=plan.before.release_version,
        settings=Digest(plan.before.settings),
        values=plan.before.values,
        secrets=plan.before.secrets,
        infrastructure=plan.before.infrastructure,
        tools=plan.before.tools,
    )
