"""Deployments: request, approve, claim, finish; what is next is a pure question.

Keeps: one deployment at a time per environment; approvals bind to the plan's digest; whoever
brought something into it, or stands behind somebody who did, is no approver; waiting is a state.
"""

from __future__ import annotations

import msgspec

from surefoot.core import environment as environments
from surefoot.core import facts as f
from surefoot.core import policy
from surefoot.core.errors import Refused
from surefoot.core.plan import Plan, check_parent
from surefoot.core.world import Deployment, StepState, World
from surefoot.trust.digest import Digest


def find(world: World, number: int) -> Deployment:
    """A deployment by number. Raises `Refused("deployment.unknown")`."""
    found = world.deployments.get(number)
    if found is None:
        raise Refused(
            "deployment.unknown",
            f"deployment {number}",
            expected="a deployment",
            found=f"{len(world.deployments)} deployments",
            remedy="see: surefoot deployment list",
        )
    return found


def excluded_people(world: World, plan: Plan, requester: str) -> list[str]:
    """Everybody who brought something into it: contributors, cutter, requester."""
    release = world.release_by_digest(plan.release)
    people = {requester}
    if release is not None:
        people |= {*release.contributors, release.cutter}
    return sorted(policy.behind(world, people))


def request(
    world: World, asker: policy.Asker, plan: Plan, digest: Digest, now_ms: int
) -> list[f.Fact]:
    """Ask for a plan to be carried out."""
    permission = "environment.manage" if plan.purpose in _MANAGED else f"deploy.{plan.environment}"
    environment = environments.find(world, plan.environment)
    if plan.purpose not in _MANAGED and environment.source:
        permission = f"deploy.{environment.source}"
    requester = policy.require(world, asker, permission)
    environments.check_idle(world, plan.environment)
    label = f"deployment to {plan.environment}"
    check_parent(plan, world.heads, label)
    if plan.deployment != len(world.deployments) + 1:
        raise Refused(
            "plan.parent.moved",
            label,
            expected=f"number {len(world.deployments) + 1}",
            found=str(plan.deployment),
            remedy="make a new plan",
        )
    rules = world.definition.governance.policy(plan.environment, environment.source)
    _check_order(world, plan, rules.after)
    _check_freeze(world, plan.environment, label, now_ms)
    _check_governance(world, plan)
    return [
        f.DeploymentRequested(
            deployment=plan.deployment,
            environment=plan.environment,
            purpose=plan.purpose,
            release=plan.release,
            release_version=plan.release_version,
            plan=digest,
            steps=tuple(p.step.id for p in plan.steps),
            requester=requester.id,
            approvals_needed=max(rules.approvals, 1 if environment.protected else 0),
            approver_role=rules.approver_role,
            excluded=tuple(excluded_people(world, plan, requester.id)),
            availability_percent=plan.availability_percent,
        )
    ]


_MANAGED = ("rebuild", "clone", "revert-drift")


def _check_order(world: World, plan: Plan, after: str) -> None:
    if not after or plan.purpose != "deploy":
        return
    for done in world.deployments.values():
        # A backup or a rebuild that succeeded says nothing about the release's way there.
        if (
            done.environment == after
            and done.release == plan.release
            and done.purpose == "deploy"
            and done.status == "succeeded"
        ):
            return
    raise Refused(
        "deployment.order",
        f"release {plan.release_version} to {plan.environment}",
        expected=f"a deployment of it that succeeded in {after}",
        found="none",
        remedy=f"deploy it to {after} first",
    )


def _check_freeze(world: World, environment: str, label: str, now_ms: int) -> None:
    freeze = environments.frozen_by(world, environment, now_ms)
    if freeze:
        raise Refused(
            "deployment.frozen",
            label,
            expected="no freeze in force",
            found=freeze,
            remedy="wait for its end, or lift it: surefoot freeze lift",
        )


def _check_governance(world: World, plan: Plan) -> None:
    environment = world.environments[plan.environment]
    release = world.release_by_digest(plan.release)
    # A new release needs the rules in force; one that was there before, rules once accepted, or
    # no change of the rules could ever be followed by a rollback.
    known = {world.definition.governance_digest}
    if plan.purpose != "deploy":
        known |= set(world.definition.accepted)
    if environment.protected and release and release.governance not in known:
        raise Refused(
            "definition.not-accepted",
            f"release {plan.release_version} to {plan.environment}",
            expected="rules that somebody accepted who did not write them",
            found="roles, approvals or environments changed in this release",
            remedy=f"look at the change and: surefoot definition accept {release.version}",
        )


def approve(
    world: World,
    asker: policy.Asker,
    plan: Plan,
    fact: f.ApprovalGiven,
    now_ms: int,
) -> list[f.Fact]:
    """Count a signed verdict. Raises `Refused` with the rule that says no."""
    deployment = find(world, fact.deployment)
    label = f"deployment {deployment.number}"
    if deployment.status != "waiting":
        raise Refused(
            "deployment.not-waiting",
            label,
            expected="a deployment that waits for approval",
            found=deployment.status,
            remedy=f"see: surefoot deployment show {deployment.number}",
        )
    if fact.plan != deployment.plan:
        raise Refused(
            "approval.plan.signature",
            label,
            expected=f"a signature over plan {deployment.plan}",
            found=str(fact.plan),
            remedy="look at the present plan and sign that one",
        )
    own = policy.check_approver(world, deployment, asker, now_ms)
    check_parent(plan, world.heads, label)
    known = next((a for a in deployment.approvals if a.person == asker.id), None)
    if known is not None and known.verdict == fact.verdict:
        return []
    return [msgspec.structs.replace(fact, person=asker.id, self_approval=own)]


def approvals_missing(world: World, deployment: Deployment) -> int:
    """How many approvals are still needed."""
    return max(0, deployment.approvals_needed - len(policy.valid_approvals(world, deployment)))


def void(world: World, plan: Plan, cause: str) -> list[f.Fact]:
    """End a deployment that has not begun and whose plan no longer fits."""
    deployment = find(world, plan.deployment)
    if deployment.begun_ms or deployment.ended_ms:
        return []
    return [
        f.DeploymentVoided(deployment=plan.deployment, environment=plan.environment, cause=cause)
    ]


def pause(world: World, asker: policy.Asker, number: int, paused: bool) -> list[f.Fact]:
    """Pause or resume."""
    deployment = find(world, number)
    source = world.environments[deployment.environment].source
    policy.require(world, asker, f"deploy.{source or deployment.environment}")
    if deployment.ended_ms or deployment.paused == paused:
        return []
    kind = f.DeploymentPaused if paused else f.DeploymentResumed
    return [kind(deployment=number, environment=deployment.environment)]


def cancel(world: World, asker: policy.Asker, number: int) -> list[f.Fact]:
    """Give up a deployment that has not begun, or return one that has."""
    deployment = find(world, number)
    source = world.environments[deployment.environment].source
    policy.require(world, asker, f"deploy.{source or deployment.environment}")
    if deployment.begun_ms:
        raise Refused(
            "deployment.begun",
            f"deployment {number}",
            expected="one that has not begun",
            found=deployment.status,
            remedy="pause it, or roll it back when it has ended",
        )
    if deployment.ended_ms:
        return []
    return [
        f.DeploymentVoided(
            deployment=number, environment=deployment.environment, cause=f"cancelled by {asker.id}"
        )
    ]


def review(world: World, asker: policy.Asker, number: int) -> list[f.Fact]:
    """The later review of a self-approved deployment, by somebody else."""
    deployment = find(world, number)
    person = policy.person_of(world, asker)
    own = {a.person for a in deployment.approvals if a.self_approval}
    if person.id in own or person.id in deployment.excluded:
        raise Refused(
            "policy.own-work",
            f"deployment {number}",
            expected="a reviewer who had no part in it",
            found=person.id,
            remedy="ask somebody else",
        )
    return [
        f.ReviewRecorded(deployment=number, environment=deployment.environment, person=person.id)
    ]


def step_of(world: World, number: int, step: str) -> StepState:
    """A step's state."""
    return find(world, number).steps[step]
