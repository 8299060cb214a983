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
from surefoot.core.world import Deployment, Environment, Release, World
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
    """Everybody who brought something into it: contributors since what runs, cutter, requester.

    Also those of the release that devices would return to, when it never ran here.
    """
    release = world.release_by_digest(plan.release)
    people = {requester}
    back = world.releases.get(str(plan.wave_policy.get("return_to", "")))
    if back is not None and not _ran(world, plan.environment, back.digest):
        people |= {*back.contributors, back.cutter}
    if release is not None:
        people |= {*release.contributors, release.cutter}
        people |= _brought_between(world, plan.environment, release)
    return sorted(policy.behind(world, people))


def _brought_between(world: World, environment: str, release: Release) -> set[str]:
    """Contributors of the releases between what runs there and this one.

    A release names who contributed since what ran when it was cut; when that was taken back, or
    never came here, their work comes in with this one.
    """
    running = world.release_by_digest(world.environments[environment].release)
    since = running.registered_ms if running else -1
    return {
        person
        for other in world.releases.values()
        if since < other.registered_ms <= release.registered_ms
        for person in other.contributors
    }


def request(
    world: World, asker: policy.Asker, plan: Plan, digest: Digest, now_ms: int
) -> list[f.Fact]:
    """Ask for a plan to be carried out."""
    permission = "environment.manage" if plan.purpose in _MANAGED else f"deploy.{plan.environment}"
    environment = environments.find(world, plan.environment)
    if plan.purpose not in _MANAGED and _follows_source(world, environment):
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
    _check_return(world, plan)
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


def _check_return(world: World, plan: Plan) -> None:
    """A rollback skips the order of environments, because its release was here before."""
    if plan.purpose != "rollback" or _ran(world, plan.environment, plan.release):
        return
    raise Refused(
        "rollback.release.new",
        f"release {plan.release_version} to {plan.environment}",
        expected="a release that ran there before",
        found="one that never did",
        remedy=f"deploy it: surefoot deployment request {plan.environment} {plan.release_version}",
    )


def _ran(world: World, environment: str, release: str) -> bool:
    """Whether a deployment once brought this release there."""
    return any(
        done.environment == environment
        and done.release == release
        and done.purpose in ("deploy", "rollback", "clone")
        and done.status in ("succeeded", "stopped")
        for done in world.deployments.values()
    )


def _follows_source(world: World, environment: Environment) -> bool:
    """Whether a clone has its source's rules; one that is declared by now has its own."""
    declared = world.definition.governance.environments
    return bool(environment.source) and environment.name not in declared


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
            found="roles, approvals, gates or environments changed in this release",
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
    if fact.key and fact.key not in world.people.people[asker.id].keys:
        raise Refused(
            "approval.envelope.signature",
            label,
            expected=f"a key of {asker.id} that counts",
            found=f"{fact.key}, revoked or of somebody else",
            remedy=f"sign with: surefoot deployment approve {deployment.number}",
        )
    check_parent(plan, world.heads, label)
    known = next((a for a in deployment.approvals if a.person == asker.id), None)
    if known is not None and (known.verdict, known.key) == (fact.verdict, fact.key):
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
    environment = world.environments[deployment.environment]
    place = environment.source if _follows_source(world, environment) else environment.name
    policy.require(world, asker, f"deploy.{place}")
    if deployment.ended_ms:
        raise _ended(deployment)
    if deployment.paused == paused:
        return []
    kind = f.DeploymentPaused if paused else f.DeploymentResumed
    return [kind(deployment=number, environment=deployment.environment)]


def stop(world: World, asker: policy.Asker, number: int) -> list[f.Fact]:
    """End a deployment that has begun: no further step, and back where it can go back."""
    deployment = find(world, number)
    environment = world.environments[deployment.environment]
    place = environment.source if _follows_source(world, environment) else environment.name
    policy.require(world, asker, f"deploy.{place}")
    if deployment.ended_ms:
        raise _ended(deployment)
    if not deployment.begun_ms:
        raise Refused(
            "deployment.waiting",
            f"deployment {number}",
            expected="one that has begun",
            found=deployment.status,
            remedy=f"give it up: surefoot deployment cancel {number}",
        )
    if deployment.stopping or deployment.returning:
        return []
    return [
        f.DeploymentStopped(deployment=number, environment=deployment.environment, person=asker.id)
    ]


def _ended(deployment: Deployment) -> Refused:
    return Refused(
        "deployment.ended",
        f"deployment {deployment.number}",
        expected="one that has not ended",
        found=deployment.status,
        remedy=f"see: surefoot deployment show {deployment.number}",
    )


def cancel(world: World, asker: policy.Asker, number: int) -> list[f.Fact]:
    """Give up a deployment that has not begun, or return one that has."""
    deployment = find(world, number)
    environment = world.environments[deployment.environment]
    place = environment.source if _follows_source(world, environment) else environment.name
    policy.require(world, asker, f"deploy.{place}")
    if deployment.ended_ms and deployment.status != "void":
        raise _ended(deployment)
    if deployment.begun_ms:
        raise Refused(
            "deployment.begun",
            f"deployment {number}",
            expected="one that has not begun",
            found=deployment.status,
            remedy=f"stop it: surefoot deployment stop {number}",
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
    if not any(a.self_approval for a in deployment.approvals):
        raise Refused(
            "deployment.review.nothing",
            f"deployment {number}",
            expected="a deployment that somebody approved for themselves",
            found="none of its approvals is such a one",
            remedy="nothing is to be reviewed",
        )
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
