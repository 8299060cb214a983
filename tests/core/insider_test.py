"""What somebody inside tries, to bring their own change into production alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from surefoot.core import deployment as deployments
from surefoot.core import environment as environments
from surefoot.core import facts as f
from surefoot.core import policy, progress
from surefoot.core.errors import Refused
from surefoot.core.plan import Parent, Plan, PlannedStep, Settings, Verdict
from surefoot.core.target import Step
from surefoot.testing import simulator_product as product
from surefoot.testing.history import History
from surefoot.testing.simulator_product import GOVERNANCE, key_line, person
from surefoot.trust.digest import Digest, digest_of
from surefoot.trust.keys import parse_public_line

ENV = product.ENVIRONMENT


def refused(rule: Callable[[], Sequence[f.Fact]]) -> str:
    with pytest.raises(Refused) as caught:
        rule()
    assert caught.value.remedy
    return caught.value.code


def plan_of(history: History, version: str, purpose: str = "deploy", where: str = ENV) -> Plan:
    return Plan(
        deployment=len(history.world.deployments) + 1,
        environment=where,
        purpose=purpose,
        release=history.world.releases[version].digest,
        release_version=version,
        steps=(PlannedStep(step=Step(id="01-start", target="process", action="start")),),
        changes=(),
        verdict=Verdict(reversible=True),
        settings=Settings(),
        parent=Parent(),
    )


def ask(history: History, plan: Plan, who: str = "olga") -> Callable[[], list[f.Fact]]:
    return lambda: deployments.request(
        history.world, person(who), plan, plan.digest(), history.now_ms
    )


def ran(history: History, version: str, purpose: str = "deploy") -> Plan:
    """A deployment that was approved and succeeded: facts only."""
    plan = plan_of(history, version, purpose)
    history.tell(*ask(history, plan)())
    settings = f.SettingsChanged(
        environment=ENV,
        deployment=plan.deployment,
        release=plan.release,
        release_version=version,
        settings=plan.digest(),
    )
    ended = f.DeploymentFinished(
        deployment=plan.deployment, environment=ENV, status="succeeded", cause=""
    )
    history.tell(settings, ended)
    return plan


def register(history: History, version: str, contributors: tuple[str, ...]) -> None:
    manifest = msgspec.structs.replace(product.manifest_of(version), contributors=contributors)
    history.tell(*product.register(history.world, manifest))


def approve(history: History, plan: Plan, who: str, key: str = "") -> None:
    fact = f.ApprovalGiven(
        deployment=plan.deployment,
        environment=ENV,
        plan=plan.digest(),
        person=who,
        verdict="approve",
        envelope=digest_of(who.encode()),
        key=key,
    )
    history.tell(*deployments.approve(history.world, person(who), plan, fact, history.now_ms))


def fingerprint(line: str) -> str:
    return parse_public_line(line)[0].fingerprint


def test_a_rollback_is_to_a_release_that_ran_there(history: History) -> None:
    """Or it would be a deployment that needs to have succeeded nowhere before."""
    ran(history, "1.0.0")
    new = plan_of(history, "1.1.0", "rollback")
    assert refused(ask(history, new)) == "rollback.release.new"
    ran(history, "1.1.0")
    assert ask(history, plan_of(history, "1.0.0", "rollback"))()


def test_what_was_taken_back_still_has_its_contributors(history: History) -> None:
    """Pia's work ran, 1.2.0 was cut on top of it, it was taken back: 1.2.0 brings it in again."""
    ran(history, "1.0.0")
    register(history, "1.3.0", ("pia",))
    ran(history, "1.3.0")
    register(history, "1.4.0", ("dora",))
    assert "pia" not in deployments.excluded_people(
        history.world, plan_of(history, "1.4.0"), "olga"
    )
    ran(history, "1.0.0", "rollback")
    plan = plan_of(history, "1.4.0")
    history.tell(*ask(history, plan)())
    assert "pia" in history.world.deployments[plan.deployment].excluded
    assert refused(lambda: _approval(history, plan, "pia")) == "policy.own-work"


def _approval(history: History, plan: Plan, who: str) -> list[f.Fact]:
    approve(history, plan, who)
    return []


def test_an_approval_counts_no_more_when_its_key_is_revoked(history: History) -> None:
    """Though the person has another key: whoever had the first one signed."""
    plan = plan_of(history, "1.0.0")
    history.tell(*ask(history, plan)())
    second = key_line("pia's second")
    history.tell(f.PersonEnrolled(person="pia", key=second, enroller="pia"))
    approve(history, plan, "quin", fingerprint(key_line("quin")))
    approve(history, plan, "pia", fingerprint(second))
    deployment = history.world.deployments[plan.deployment]
    assert policy.valid_approvals(history.world, deployment) == ["pia", "quin"]

    history.tell(f.KeyRevoked(person="pia", fingerprint=fingerprint(second)))
    assert policy.valid_approvals(history.world, deployment) == ["quin"]
    found = progress.next_effect(history.world, plan, history.now_ms, _never)
    assert (found.what, found.cause) == ("wait", "1 more approval")

    approve(history, plan, "pia", fingerprint(key_line("pia")))
    assert policy.valid_approvals(history.world, deployment) == ["pia", "quin"]


def _never(*_: object) -> progress.Wave:
    raise AssertionError("no wave is judged")


def test_a_clone_that_is_declared_later_has_its_own_permission(history: History) -> None:
    """Else: clone what you may deploy to, under the name of what will be production."""
    rules = msgspec.structs.replace(
        GOVERNANCE,
        roles={**GOVERNANCE.roles, "operator": ("deploy.test", "environment.manage")},
        environments={
            **GOVERNANCE.environments,
            "test": msgspec.structs.replace(GOVERNANCE.environments[ENV], protected=False),
        },
    )
    _accept(history, rules)
    history.world.environments["test"].release = history.world.releases["1.0.0"].digest
    history.tell(*environments.declare_clone(history.world, person("olga"), "test", "eu"))
    plan = plan_of(history, "1.0.0", where="eu")
    plan = msgspec.structs.replace(plan, parent=Parent(heads={}))
    release = history.world.releases["1.0.0"]
    release.governance = Digest(history.world.definition.governance_digest)
    assert ask(history, plan)()
    eu = {**rules.environments, "eu": GOVERNANCE.environments[ENV]}
    _accept(history, msgspec.structs.replace(rules, environments=eu))
    assert refused(ask(history, plan)) == "policy.permission.missing"


def _accept(history: History, governance: object) -> None:
    history.tell(*product.accept_rules(history.world, governance))  # type: ignore[arg-type]
