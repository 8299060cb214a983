"""What the rules say against a fact that stands in a journal already: the state machine, checked.

Keeps: whoever reads a whole journal need not believe that its server asked the rules. The same
rules are asked again, in the world before each fact: rights and separation of duties of each act,
approvals before the first claim, claims before results, results before what became true by them.
A freeze counts when it had begun well before the act: the server looked a moment earlier.
Does not: check signatures (`signed`), chains or seals; know who stood behind a commit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from surefoot.core import deployment as deployments
from surefoot.core import environment as environments
from surefoot.core import facts as f
from surefoot.core import facts_enrolment, policy, waiver
from surefoot.core import release as releases
from surefoot.core.errors import Refused
from surefoot.core.facts_gate import GateWaived, GateWaiverEnded
from surefoot.core.plan import Parent, Plan, Settings, Verdict, check_parent
from surefoot.core.policy import Asker
from surefoot.core.world import Deployment, World
from surefoot.trust.digest import Digest

FREEZE_SLACK_MS = 60_000

F = TypeVar("F", bound=f.Fact)
Check = Callable[[World, Any, Asker, int], None]
_CHECKS: dict[type[f.Fact], Check] = {}


def check(world: World, fact: f.Fact, asker: Asker, time_ms: int) -> None:
    """Refuse a fact that the rules would not have written. Raises `Refused` with the rule.

    `world` is as it was before the fact, `asker` whom the entry names as its actor.
    """
    known = _CHECKS.get(type(fact))
    if known is not None:
        known(world, fact, asker, time_ms)


def _checks(*kinds: type[F]) -> Callable[[Check], Check]:
    def register(rule: Check) -> Check:
        _CHECKS.update(dict.fromkeys(kinds, rule))
        return rule

    return register


def _broken(fact: f.Fact, expected: str, found: str, code: str = "breach.sequence") -> Refused:
    subject = f"{type(fact).__name__} of {f.stream_of(fact)}"
    remedy = "no rule of this version writes such an entry: treat the journal's server as dishonest"
    return Refused(code, subject, expected=expected, found=found, remedy=remedy)


# --- people and rules ----------------------------------------------------------------------------


@_checks(f.InstallationCreated)
def _created(world: World, fact: f.InstallationCreated, asker: Asker, time_ms: int) -> None:
    policy.create_installation(world, fact.installation, fact.product, fact.founders)


@_checks(f.PersonEnrolled)
def _enrolled(world: World, fact: f.PersonEnrolled, asker: Asker, time_ms: int) -> None:
    enrolled = policy.enrol(world, asker, fact.person, fact.key, tuple(fact.identities))
    if fact not in enrolled and fact.enroller:
        raise _broken(fact, f"{asker.id} as the one who enrols", fact.enroller)


@_checks(f.RoleGranted)
def _granted(world: World, fact: f.RoleGranted, asker: Asker, time_ms: int) -> None:
    policy.grant(world, asker, fact.person, fact.role)


@_checks(f.RoleRevoked)
def _revoked(world: World, fact: f.RoleRevoked, asker: Asker, time_ms: int) -> None:
    policy.revoke_role(world, asker, fact.person, fact.role)


@_checks(f.KeyRevoked)
def _key_revoked(world: World, fact: f.KeyRevoked, asker: Asker, time_ms: int) -> None:
    policy.revoke_key(world, asker, fact.person, fact.fingerprint)


@_checks(f.DefinitionAccepted)
def _accepted(world: World, fact: f.DefinitionAccepted, asker: Asker, time_ms: int) -> None:
    policy.require(world, asker, "definition.accept")


@_checks(f.ReleaseRegistered)
def _registered(world: World, fact: f.ReleaseRegistered, asker: Asker, time_ms: int) -> None:
    if not releases.register(world, asker, fact, time_ms):
        raise _broken(fact, "a version that is new", f"{fact.version} is registered")


@_checks(f.FreezeDeclared)
def _frozen(world: World, fact: f.FreezeDeclared, asker: Asker, time_ms: int) -> None:
    environments.freeze(world, asker, fact)


@_checks(f.FreezeLifted)
def _lifted(world: World, fact: f.FreezeLifted, asker: Asker, time_ms: int) -> None:
    environments.lift(world, asker, fact.environment, fact.freeze)


@_checks(
    *(f.DevicesEnrolled, f.DeviceStandingSet, f.DeviceTokenRotated, f.DeviceProfileSet),
    *(f.GatewayTokenSet, *facts_enrolment.KINDS),
)
def _devices(world: World, fact: f.Fact, asker: Asker, time_ms: int) -> None:
    policy.require(world, asker, "device.manage")


@_checks(f.DeviceBatchSealed)
def _sealed(world: World, fact: f.DeviceBatchSealed, asker: Asker, time_ms: int) -> None:
    """Each number since the last batch is a report's, of this environment or of another."""
    if fact.others < 0:
        return  # from before they were counted
    books = world.devices.get(fact.environment)
    after = books.last_report if books else 0
    if fact.last_report <= after:
        raise _broken(fact, f"reports after number {after}", f"up to {fact.last_report}")
    given, told = fact.last_report - after, fact.count + fact.others
    if given != told or not after < fact.first_report <= fact.last_report:
        raise _broken(fact, f"{given} reports from {after + 1} on", f"{told}", "breach.reports")
    newest = max([fact.last_report, *(each.last_report for each in world.devices.values())])
    sealed = fact.count + sum(each.reports for each in world.devices.values())
    if sealed > newest:
        raise _broken(fact, f"at most {newest} reports in all", f"{sealed}", "breach.reports")


@_checks(GateWaived)
def _waived(world: World, fact: GateWaived, asker: Asker, time_ms: int) -> None:
    waiver.grant(world, asker, fact, time_ms)
    if fact.person != asker.id:
        raise _broken(fact, f"{asker.id} as the one who waives", fact.person)


@_checks(GateWaiverEnded)
def _waiver_ended(world: World, fact: GateWaiverEnded, asker: Asker, time_ms: int) -> None:
    waiver.end(world, asker, fact.environment, fact.gate)


# --- deployments ---------------------------------------------------------------------------------


def _plan(fact: f.DeploymentRequested | Deployment, number: int) -> Plan:
    """As much of the plan as the journal itself says; without parent, which needs the blob."""
    return Plan(
        deployment=number,
        environment=fact.environment,
        purpose=fact.purpose,
        release=fact.release,
        release_version=fact.release_version,
        steps=(),
        changes=(),
        verdict=Verdict(reversible=False),
        settings=Settings(),
        parent=Parent(),
        availability_percent=fact.availability_percent,
    )


@_checks(f.DeploymentRequested)
def _requested(world: World, fact: f.DeploymentRequested, asker: Asker, time_ms: int) -> None:
    requester = Asker(type="person", id=fact.requester)
    ask = partial(
        deployments.request, world, requester, _plan(fact, fact.deployment), Digest(fact.plan)
    )
    try:
        (asked,) = ask(time_ms)
    except Refused as refused:
        if refused.code != "deployment.frozen":
            raise
        (asked,) = ask(time_ms - FREEZE_SLACK_MS)
    assert isinstance(asked, f.DeploymentRequested)
    needed = fact.approvals_needed >= asked.approvals_needed
    if not needed or (asked.approver_role and fact.approver_role != asked.approver_role):
        expected = f"{asked.approvals_needed} approvals by {asked.approver_role or 'anybody'}"
        found = f"{fact.approvals_needed} by {fact.approver_role or 'anybody'}"
        raise _broken(fact, expected, found, "breach.approvals")
    hidden = sorted(set(asked.excluded) - set(fact.excluded))
    if hidden:
        expected = "everybody held off who brought something into it"
        raise _broken(fact, expected, f"without {', '.join(hidden)}", "breach.approvals")


@_checks(f.ApprovalGiven)
def _approved(world: World, fact: f.ApprovalGiven, asker: Asker, time_ms: int) -> None:
    deployment = deployments.find(world, fact.deployment)
    person, plan = Asker(type="person", id=fact.person), _plan(deployment, fact.deployment)
    own = policy.check_approver(world, deployment, person, time_ms)
    deployments.approve(world, person, plan, fact, time_ms)
    if own and not fact.self_approval:
        raise _broken(
            fact, "an approval of one's own work, told as such", "another's", "breach.approvals"
        )


@_checks(f.ReviewRecorded)
def _reviewed(world: World, fact: f.ReviewRecorded, asker: Asker, time_ms: int) -> None:
    deployments.review(world, Asker(type="person", id=fact.person), fact.deployment)


@_checks(f.DeploymentPaused, f.DeploymentResumed)
def _paused(world: World, fact: Any, asker: Asker, time_ms: int) -> None:
    paused = isinstance(fact, f.DeploymentPaused)
    deployments.pause(world, asker, fact.deployment, paused)


@_checks(f.DeploymentStopped)
def _stopped(world: World, fact: f.DeploymentStopped, asker: Asker, time_ms: int) -> None:
    if asker.type != "person" or asker.id != fact.person:
        raise _broken(fact, f"{fact.person} who says so", f"{asker.type} {asker.id}")
    deployments.stop(world, asker, fact.deployment)


@_checks(f.DeploymentVoided)
def _voided(world: World, fact: f.DeploymentVoided, asker: Asker, time_ms: int) -> None:
    deployment = deployments.find(world, fact.deployment)
    if deployment.begun_ms or deployment.ended_ms:
        raise _broken(fact, "a deployment that has not begun", deployment.status)
    if asker.type == "person":
        deployments.cancel(world, asker, fact.deployment)


def _begin(world: World, deployment: Deployment, fact: f.Fact) -> None:
    """What must be so before the first effect."""
    if deployment.begun_ms:
        return
    missing = deployments.approvals_missing(world, deployment)
    if missing:
        counted = ", ".join(policy.valid_approvals(world, deployment)) or "nobody"
        expected = f"{deployment.approvals_needed} approvals that count before the first step"
        raise _broken(fact, expected, f"{counted}: {missing} missing", "breach.approvals")
    if deployment.status != "waiting":
        raise _broken(fact, "a deployment that waits", deployment.status)


def _step_of(world: World, fact: f.StepClaimed | f.StepFinished) -> Deployment:
    deployment = deployments.find(world, fact.deployment)
    if deployment.environment != fact.environment or fact.step not in deployment.steps:
        found = f"{fact.step} in {fact.environment}"
        raise _broken(fact, f"a step of the plan for {deployment.environment}", found)
    if deployment.ended_ms:
        raise _broken(fact, "a deployment under way", deployment.status)
    _begin(world, deployment, fact)
    return deployment


@_checks(f.StepClaimed)
def _claimed(world: World, fact: f.StepClaimed, asker: Asker, time_ms: int) -> None:
    deployment = _step_of(world, fact)
    if asker.type != "machine":
        raise _broken(fact, "a machine that acts", f"{asker.type} {asker.id}")
    if deployment.paused:
        raise _broken(fact, "no step while it is paused", "a claim")
    if deployment.stopping and not (fact.undo or fact.takeover):
        raise _broken(fact, f"no new step once it was {deployment.stopping}", "a claim")
    freeze = environments.frozen_by(world, fact.environment, time_ms)
    before = environments.frozen_by(world, fact.environment, time_ms - FREEZE_SLACK_MS)
    # A deployment that was told to stop finishes what was begun, as one that turns round does.
    if freeze and before and not (deployment.returning or deployment.stopping):
        raise _broken(fact, "no step while a freeze is in force", freeze)
    if deployment.returning != fact.undo:
        found = "an undoing" if fact.undo else "a step forward"
        raise _broken(fact, "undoing after a failure, and only then", found)
    step = deployment.steps[fact.step]
    status = step.undo if fact.undo else step.status
    if status == "done" or (status == "claimed") != fact.takeover:
        raise _broken(fact, "a step that nobody did or holds", status or "pending")
    if not fact.undo:
        _in_order(deployment, fact)


def _in_order(deployment: Deployment, fact: f.StepClaimed) -> None:
    for name, step in deployment.steps.items():
        if name == fact.step:
            return
        if step.status != "done":
            raise _broken(fact, f"step {name} done before", step.status)


@_checks(f.StepFinished)
def _finished(world: World, fact: f.StepFinished, asker: Asker, time_ms: int) -> None:
    deployment = _step_of(world, fact)
    step = deployment.steps[fact.step]
    status = step.undo if fact.undo else step.status
    if not fact.judged and status != "claimed":
        raise _broken(fact, "a claim before the result", status or "none")


@_checks(f.DeploymentFinished)
def _ended(world: World, fact: f.DeploymentFinished, asker: Asker, time_ms: int) -> None:
    deployment = deployments.find(world, fact.deployment)
    open_steps = [name for name, step in deployment.steps.items() if step.status != "done"]
    if deployment.ended_ms:
        raise _broken(fact, "a deployment under way", deployment.status)
    if fact.status == "succeeded":
        _begin(world, deployment, fact)
        if open_steps or deployment.returning:
            found = ", ".join(open_steps)[:200] or "a deployment that returns"
            raise _broken(fact, "every step done", found)


@_checks(
    f.ComponentChanged,
    f.ComponentRemoved,
    f.SettingsChanged,
    f.BackupVerified,
    f.ObservationRecorded,
)
def _changed(world: World, fact: Any, asker: Asker, time_ms: int) -> None:
    """Nothing becomes true of an environment but by a deployment that has begun there."""
    deployment = deployments.find(world, fact.deployment)
    if deployment.environment != fact.environment:
        raise _broken(
            fact, f"a change of {deployment.environment}", fact.environment, "breach.change"
        )
    if deployment.ended_ms:
        raise _broken(fact, "a deployment under way", deployment.status, "breach.change")
    _begin(world, deployment, fact)
    settles = isinstance(fact, f.SettingsChanged) and not deployment.returning
    if settles and (fact.release, fact.settings) != (deployment.release, deployment.plan):
        expected = f"release {deployment.release_version}, as the approved plan says"
        raise _broken(fact, expected, fact.release_version, "breach.change")


@_checks(f.EnvironmentDestroyed)
def _destroyed(world: World, fact: f.EnvironmentDestroyed, asker: Asker, time_ms: int) -> None:
    active = world.active_deployment(fact.environment)
    if active is None or not active.begun_ms or active.purpose != "destroy":
        found = active.purpose if active else "none"
        raise _broken(fact, "a deployment that destroys it", found, "breach.change")


def check_plan(world: World, fact: f.Fact, plan: Plan) -> None:
    """Refuse a request that is not for this plan, the blob of the digest it names.

    Raises `Refused`; other facts say nothing of a plan.
    """
    if not isinstance(fact, f.DeploymentRequested):
        return
    said = (fact.deployment, fact.environment, fact.purpose, fact.release, fact.release_version)
    own = (plan.deployment, plan.environment, plan.purpose, plan.release, plan.release_version)
    if said != own or tuple(p.step.id for p in plan.steps) != fact.steps:
        raise _broken(fact, "what the plan itself says", "another thing", "breach.change")
    check_parent(plan, world.heads, f"deployment {fact.deployment}")
