"""Requests and approvals, as tables: who, what, and the code of the rule that says no."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from surefoot.core import deployment as deployments
from surefoot.core import environment as environments
from surefoot.core import facts as f
from surefoot.core import policy
from surefoot.core.errors import Refused
from surefoot.core.governance import EnvironmentPolicy
from surefoot.core.plan import Parent, Plan, PlannedStep, Settings, Verdict
from surefoot.core.policy import Asker
from surefoot.core.target import Step
from surefoot.core.world import Approval
from surefoot.testing import simulator_product as product
from surefoot.testing.history import History
from surefoot.testing.simulator_product import GOVERNANCE, key_line, person
from surefoot.trust.digest import digest_of

ENV = product.ENVIRONMENT
HOUR_MS = 3_600_000
Rule = Callable[[], Sequence[f.Fact]]


def code_of(rule: Rule) -> str:
    try:
        rule()
    except Refused as refused:
        assert refused.remedy, refused.code
        return refused.code
    return ""


def plan_of(history: History, version: str = "1.0.0", **changes: object) -> Plan:
    release = history.world.releases[version]
    heads = {s: history.world.heads.get(s, -1) for s in (f"env/{ENV}", "definition")}
    plan = Plan(
        deployment=len(history.world.deployments) + 1,
        environment=ENV,
        purpose="deploy",
        release=release.digest,
        release_version=version,
        steps=(PlannedStep(step=Step(id="01-start", target="process", action="start")),),
        changes=(),
        verdict=Verdict(reversible=True),
        settings=Settings(),
        parent=Parent(heads=heads),
    )
    return msgspec.structs.replace(plan, **changes)


def request(history: History, plan: Plan, who: str = "olga") -> Rule:
    return lambda: deployments.request(
        history.world, person(who), plan, plan.digest(), history.now_ms
    )


def approve(history: History, plan: Plan, asker: Asker, verdict: str = "approve") -> Rule:
    fact = f.ApprovalGiven(
        deployment=plan.deployment,
        environment=ENV,
        plan=plan.digest(),
        person=asker.id,
        verdict=verdict,
        envelope=digest_of(b"envelope"),
    )
    return lambda: deployments.approve(history.world, asker, plan, fact, history.now_ms)


@pytest.fixture
def asked(history: History) -> tuple[History, Plan]:
    plan = plan_of(history)
    history.tell(*request(history, plan)())
    return history, plan


@pytest.mark.parametrize(
    ("who", "code"),
    [
        ("olga", ""),
        ("dora", "policy.permission.missing"),
        ("ann", "policy.permission.missing"),
        ("nobody", "policy.person.unknown"),
    ],
)
def test_who_may_ask(history: History, who: str, code: str) -> None:
    assert code_of(request(history, plan_of(history), who)) == code


def test_a_request_says_who_is_no_approver(asked: tuple[History, Plan]) -> None:
    history, _ = asked
    deployment = history.world.deployments[1]
    assert deployment.excluded == ["dora", "olga"]
    assert deployment.approvals_needed == 2


def test_one_deployment_at_a_time(asked: tuple[History, Plan]) -> None:
    history, _ = asked
    assert code_of(request(history, plan_of(history))) == "environment.busy"


def test_a_plan_whose_parent_moved_is_refused(history: History) -> None:
    plan = plan_of(history)
    history.tell(f.DevicesEnrolled(environment=ENV, count=1, devices=digest_of(b"d")))
    assert code_of(request(history, plan)) == "plan.parent.moved"
    numbered = plan_of(history, deployment=7)
    assert code_of(request(history, numbered)) == "plan.parent.moved"


def test_another_environments_entries_move_nothing(history: History) -> None:
    plan = plan_of(history)
    history.tell(f.EnvironmentDeclared(environment="dev"))
    history.tell(f.DevicesEnrolled(environment="dev", count=1, devices=digest_of(b"d")))
    assert code_of(request(history, plan)) == ""


def test_a_freeze_refuses(history: History) -> None:
    window = f.FreezeDeclared(
        environment=ENV, freeze="holidays", from_ms=0, until_ms=history.now_ms + HOUR_MS
    )
    history.tell(*environments.freeze(history.world, person("ann"), window))
    assert code_of(request(history, plan_of(history))) == "deployment.frozen"
    history.tell(*environments.lift(history.world, person("ann"), ENV, "holidays"))
    assert code_of(request(history, plan_of(history))) == ""


def test_rules_that_nobody_accepted_go_nowhere(history: History) -> None:
    """A new release needs the rules in force; what ran before may come back under the new ones."""
    history.tell(*request(history, plan_of(history))())
    ended = f.DeploymentFinished(deployment=1, environment=ENV, status="succeeded", cause="")
    history.tell(ended)
    weaker = msgspec.structs.replace(GOVERNANCE, product="changed")
    history.tell(*product.accept_rules(history.world, weaker))
    assert code_of(request(history, plan_of(history))) == "definition.not-accepted"
    for purpose in ("rebuild", "backup", "revert-drift"):
        assert code_of(request(history, plan_of(history, purpose=purpose))) == ""


@pytest.mark.parametrize(
    ("purpose", "status", "code"),
    [
        ("deploy", "succeeded", ""),
        ("deploy", "stopped", "deployment.order"),
        ("backup", "succeeded", "deployment.order"),
        ("rebuild", "succeeded", "deployment.order"),
    ],
)
def test_the_order_of_environments(history: History, purpose: str, status: str, code: str) -> None:
    """Only a deployment that succeeded in staging opens production."""
    known = dict(GOVERNANCE.environments)
    known[ENV] = msgspec.structs.replace(known[ENV], after="staging")
    known["staging"] = EnvironmentPolicy()
    ordered = msgspec.structs.replace(GOVERNANCE, environments=known)
    release = history.world.releases["1.0.0"]
    release.governance = product.governance_digest(ordered)  # type: ignore[assignment]
    history.tell(*product.accept_rules(history.world, ordered))
    history.tell(
        f.DeploymentRequested(
            deployment=1,
            environment="staging",
            purpose=purpose,
            release=release.digest,
            release_version="1.0.0",
            plan=digest_of(b"plan"),
            steps=(),
            requester="olga",
            approvals_needed=0,
        ),
        f.DeploymentFinished(deployment=1, environment="staging", status=status, cause=""),
    )
    assert code_of(request(history, plan_of(history))) == code


@pytest.mark.parametrize(
    ("kind", "who", "code"),
    [
        ("person", "pia", ""),
        ("person", "quin", ""),
        ("person", "dora", "policy.approver.role"),
        ("person", "ann", "policy.approver.role"),
        ("machine", "pia", "policy.machine.approver"),
        ("device", "pia", "policy.machine.approver"),
        ("person", "nobody", "policy.person.unknown"),
    ],
)
def test_who_may_approve(asked: tuple[History, Plan], kind: str, who: str, code: str) -> None:
    history, plan = asked
    assert code_of(approve(history, plan, Asker(type=kind, id=who))) == code


@pytest.mark.parametrize("who", ["dora", "olga"])
def test_nobody_approves_their_own_work(asked: tuple[History, Plan], who: str) -> None:
    history, plan = asked
    history.tell(f.RoleGranted(person=who, role="approver"))
    assert code_of(approve(history, plan, person(who))) == "policy.own-work"


def test_who_enrolled_a_contributor_nobody_knows_is_no_approver(history: History) -> None:
    history.tell(*policy.enrol(history.world, person("ann"), "nina", key_line("nina"), ()))
    history.tell(f.RoleGranted(person="ann", role="approver"))
    history.world.releases["1.0.0"].contributors = ["nina"]
    plan = plan_of(history)
    history.tell(*request(history, plan)())
    assert history.world.deployments[1].excluded == ["ann", "dora", "nina", "olga"]
    assert code_of(approve(history, plan, person("ann"))) == "policy.own-work"


@pytest.mark.parametrize("ran", [False, True])
def test_who_made_the_release_that_devices_return_to_is_no_approver(
    history: History, ran: bool
) -> None:
    """A rollout may be made to fail: then that release is what comes, with all that is in it."""
    world = history.world
    made = msgspec.structs.replace(world.releases["1.0.0"], version="0.9.0", digest=digest_of(b"0"))
    made.contributors = ["ann"]
    made.registered_ms = -2
    world.releases["0.9.0"] = made
    if ran:
        before = plan_of(history)
        history.tell(*request(history, before)())
        done = world.deployments[1]
        done.release, done.status, done.ended_ms = made.digest, "succeeded", 1
    plan = plan_of(history, wave_policy={"return_to": "0.9.0"})
    history.tell(*request(history, plan)())
    assert ("ann" in world.deployments[plan.deployment].excluded) is not ran


def test_two_different_people(asked: tuple[History, Plan]) -> None:
    history, plan = asked
    deployment = history.world.deployments[1]
    missing = []
    for who in ("pia", "pia", "quin"):
        history.tell(*approve(history, plan, person(who))())
        missing.append(deployments.approvals_missing(history.world, deployment))
    assert missing == [1, 1, 0]


def test_an_approval_ends_with_the_approvers_role(asked: tuple[History, Plan]) -> None:
    history, plan = asked
    for who in ("pia", "quin"):
        history.tell(*approve(history, plan, person(who))())
    history.tell(*policy.revoke_role(history.world, person("ann"), "pia", "approver"))
    deployment = history.world.deployments[1]
    assert deployments.approvals_missing(history.world, deployment) == 1


def test_an_approval_binds_to_the_plan(asked: tuple[History, Plan]) -> None:
    history, plan = asked
    other = msgspec.structs.replace(plan, release_version="6.6.6")
    assert code_of(approve(history, other, person("pia"))) == "approval.plan.signature"
    history.tell(f.DevicesEnrolled(environment=ENV, count=1, devices=digest_of(b"d")))
    assert code_of(approve(history, plan, person("pia"))) == "plan.parent.moved"


def test_one_rejection_ends_it(asked: tuple[History, Plan]) -> None:
    history, plan = asked
    history.tell(*approve(history, plan, person("pia"), "reject")())
    assert history.world.deployments[1].status == "rejected"
    assert code_of(approve(history, plan, person("quin"))) == "deployment.not-waiting"
    assert code_of(request(history, plan_of(history))) == ""


@pytest.mark.parametrize(
    ("hours", "later", "code"),
    [(-1, 9, "policy.own-work"), (2, 1, "policy.own-work.delay"), (2, 3, "")],
)
def test_the_small_team_mode(history: History, hours: int, later: int, code: str) -> None:
    small = msgspec.structs.replace(GOVERNANCE, small_team_delay_hours=hours)
    history.tell(*product.accept_rules(history.world, small))
    history.world.releases["1.0.0"].governance = history.world.definition.governance_digest  # type: ignore[assignment]
    history.tell(f.RoleGranted(person="olga", role="approver"))
    plan = plan_of(history)
    history.tell(*request(history, plan)())
    history.now_ms += later * HOUR_MS
    rule = approve(history, plan, person("olga"))
    assert code_of(rule) == code
    if not code:
        history.tell(*rule())
        deployment = history.world.deployments[1]
        assert deployment.approvals[0].self_approval
        assert deployments.approvals_missing(history.world, deployment) == 1
        history.tell(*product.accept_rules(history.world))
        assert deployments.approvals_missing(history.world, deployment) == 2


@pytest.mark.parametrize(
    ("who", "begun", "code"),
    [
        ("olga", False, ""),
        ("pia", False, "policy.permission.missing"),
        ("olga", True, "deployment.begun"),
    ],
)
def test_cancelling(asked: tuple[History, Plan], who: str, begun: bool, code: str) -> None:
    history, _ = asked
    if begun:
        history.tell(f.StepClaimed(deployment=1, environment=ENV, step="01-start", worker="w"))
    assert code_of(lambda: deployments.cancel(history.world, person(who), 1)) == code


def test_a_review_is_by_somebody_else(asked: tuple[History, Plan]) -> None:
    history, _ = asked
    assert code_of(lambda: deployments.review(history.world, person("quin"), 1)) == (
        "deployment.review.nothing"
    )
    deployment = history.world.deployments[1]
    own = Approval(
        person="olga",
        verdict="approve",
        envelope=deployment.plan,
        time_ms=1,
        self_approval=True,
    )
    deployment.approvals = [own]
    assert code_of(lambda: deployments.review(history.world, person("olga"), 1)) == (
        "policy.own-work"
    )
    assert code_of(lambda: deployments.review(history.world, person("quin"), 1)) == ""


def test_what_is_not_there(history: History) -> None:
    assert code_of(lambda: deployments.pause(history.world, person("olga"), 9, True)) == (
        "deployment.unknown"
    )
