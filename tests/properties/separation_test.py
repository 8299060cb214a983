"""No sequence of commands lets one person bring their own change into a protected environment.

Eve is a founder and may hold any number of identities, made with keys of her own; she tries every
command in any order. The honest people do their work too: they enrol, grant, accept, cut, request
and approve, but never give a role to somebody they do not know, and Eve's other selves are nobody
they know. Whatever happens: in a protected environment no step is claimed unless as many people
approved as the rules ask, none of them a contributor, the cutter or the requester, and Eve's work
is never approved by Eve under any name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from surefoot.core import deployment as deployments
from surefoot.core import environment as environments
from surefoot.core import facts as f
from surefoot.core import policy, progress
from surefoot.core import release as releases
from surefoot.core.errors import Refused
from surefoot.core.governance import EnvironmentPolicy, Governance
from surefoot.core.plan import Parent, Plan, PlannedStep, Settings, Verdict
from surefoot.core.target import Step
from surefoot.testing.history import History
from surefoot.testing.simulator_product import key_line, person
from surefoot.trust.digest import Digest, digest_of

SELVES = ("eve", "eve-two", "eve-three")
HONEST = ("bob", "carl", "dora", "ina")
EVERYBODY = (*SELVES, *HONEST)
ROLES = {
    "maker": ("release.create", "deploy.production"),
    "approver": ("approve",),
    "leader": (
        "person.enrol",
        "role.grant",
        "key.revoke",
        "definition.accept",
        "environment.manage",
    ),
}
names = st.sampled_from(EVERYBODY)
roles = st.sampled_from(sorted(ROLES))
selves = st.sampled_from(SELVES)
numbers = st.integers(1, 3)


def rules_of(approvals: int, *, protected: bool = True) -> Governance:
    return Governance(
        product="p",
        roles=ROLES,
        environments={
            "production": EnvironmentPolicy(
                protected=protected, approvals=approvals, approver_role="approver"
            )
        },
    )


class Separation(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.history = History()
        self.plans: dict[int, Plan] = {}
        self.weakened_by: set[str] = set()

    @property
    def world(self):  # type: ignore[no-untyped-def]
        return self.history.world

    def tell(self, rule_: Callable[[], Sequence[f.Fact]]) -> bool:
        with contextlib.suppress(Refused):
            facts = rule_()
            self.history.tell(*facts)
            return bool(facts)
        return False

    @initialize()
    def found(self) -> None:
        founders = tuple(f.Founder(person=n, key=key_line(n)) for n in ("eve", "bob"))
        self.tell(lambda: policy.create_installation(self.world, "i", "p", founders))
        self._accept("bob", rules_of(2), ("eve",))
        for name, role in (("carl", "approver"), ("dora", "maker"), ("ina", "approver")):
            self.tell(lambda n=name: policy.enrol(self.world, person("bob"), n, key_line(n), ()))
            self.tell(lambda n=name, r=role: policy.grant(self.world, person("eve"), n, r))
        self.tell(lambda: policy.grant(self.world, person("bob"), "eve", "approver"))

    def _accept(self, accepter: str, governance: Governance, authors: tuple[str, ...]) -> bool:
        fact = f.DefinitionAccepted(
            definition=digest_of(str(governance).encode()),
            governance=msgspec.to_builtins(governance),
        )
        declared = {n: e.protected for n, e in governance.environments.items()}
        return self.tell(
            lambda: [
                *policy.accept_definition(self.world, person(accepter), fact, authors),
                *environments.declare(self.world, declared),
            ]
        )

    # -- what anybody does, Eve under any of her names --------------------------------------------

    @rule(asker=names, who=names, number=numbers)
    def enrol(self, asker: str, who: str, number: int) -> None:
        """An honest person enrols honest people; Eve adds keys of hers to anybody's name."""
        if asker in SELVES:
            key = key_line(f"eve's key {number} for {who}")
        elif who in HONEST:
            key = key_line(f"{who} {number}")
        else:
            return
        self.tell(lambda: policy.enrol(self.world, person(asker), who, key, ()))
        if asker in SELVES and key in self._keys(who):
            self.stolen.add(who)

    @property
    def stolen(self) -> set[str]:
        """Names that Eve has a key of."""
        return self.__dict__.setdefault("_stolen", set(SELVES))

    def _keys(self, who: str) -> list[str]:
        known = self.world.people.people.get(who)
        return list(known.keys.values()) if known else []

    def _acts_as(self, asker: str) -> bool:
        """Whether the asker's name is used by Eve: her own names, and those she has a key of."""
        return asker in self.stolen

    @rule(asker=names, who=names, role=roles)
    def grant(self, asker: str, who: str, role: str) -> None:
        if asker in HONEST and self._acts_as(who) and who != "eve":
            return  # nobody they know
        self.tell(lambda: policy.grant(self.world, person(asker), who, role))

    @rule(asker=names, who=names, role=roles)
    def revoke(self, asker: str, who: str, role: str) -> None:
        self.tell(lambda: policy.revoke_role(self.world, person(asker), who, role))

    @rule(asker=names, who=names)
    def revoke_key(self, asker: str, who: str) -> None:
        known = self.world.people.people.get(who)
        for fingerprint in list(known.keys)[:1] if known else []:
            self.tell(lambda p=fingerprint: policy.revoke_key(self.world, person(asker), who, p))

    @rule(accepter=names, author=names, approvals=st.integers(0, 2), protected=st.booleans())
    def accept(self, accepter: str, author: str, approvals: int, protected: bool) -> None:
        """Honest people accept no rules that are weaker; Eve would."""
        weaker = approvals < 2 or not protected
        if weaker and not (self._acts_as(accepter) and self._acts_as(author)):
            return
        if self._accept(accepter, rules_of(approvals, protected=protected), (author,)) and weaker:
            self.weakened_by.add(accepter)

    def _those_who(self, data: st.DataObject, permission: str) -> str:
        """Somebody who may, most of the time: the rest is refused and shows little."""
        return data.draw(st.sampled_from([*policy.who_can(self.world, permission), "eve"]))

    @rule(data=st.data(), contributor=names, number=numbers)
    def cut(self, data: st.DataObject, contributor: str, number: int) -> None:
        cutter = self._those_who(data, "release.create")
        if contributor not in self.world.people.people:
            return  # the builder refuses commits of strangers
        version = f"{number}.0.0"
        fact = f.ReleaseRegistered(
            release=digest_of(f"{version} {cutter} {contributor}".encode()),
            version=version,
            commit="",
            components=(),
            compatibility={},
            definition=digest_of(b""),
            governance=Digest(self.world.definition.governance_digest),
            contributors=(contributor,),
            cutter=cutter,
        )
        self.tell(lambda: releases.register(self.world, person(cutter), fact, 0))

    @precondition(lambda self: self.world.releases)
    @rule(data=st.data(), purpose=st.sampled_from(["deploy", "deploy", "rebuild"]))
    def request(self, data: st.DataObject, purpose: str) -> None:
        release = data.draw(st.sampled_from(list(self.world.releases.values())))
        requester = self._those_who(
            data, "deploy.production" if purpose == "deploy" else "environment.manage"
        )
        plan = self._plan(release.digest, release.version, purpose)
        asked = self.tell(
            lambda: deployments.request(
                self.world, person(requester), plan, plan.digest(), self.history.now_ms
            )
        )
        if asked:
            self.plans[plan.deployment] = plan

    def _plan(self, release: Digest, version: str, purpose: str) -> Plan:
        step = Step(id="01-start", target="process", action="start", component="api")
        heads = {s: self.world.heads.get(s, -1) for s in ("env/production", "definition")}
        return Plan(
            deployment=len(self.world.deployments) + 1,
            environment="production",
            purpose=purpose,
            release=release,
            release_version=version,
            steps=(PlannedStep(step=step),),
            changes=(),
            verdict=Verdict(reversible=True),
            settings=Settings(),
            parent=Parent(heads=heads),
        )

    @precondition(lambda self: self.plans)
    @rule(data=st.data(), kind=st.sampled_from(["person", "person", "person", "machine"]))
    def approve(self, data: st.DataObject, kind: str) -> None:
        holders = [p.id for p in self.world.people.people.values() if "approver" in p.roles]
        self._approve(data.draw(st.sampled_from([*holders, "eve"])), kind)

    def _approve(self, approver: str, kind: str) -> None:
        number = max(self.plans)
        plan = self.plans[number]
        fact = f.ApprovalGiven(
            deployment=number,
            environment="production",
            plan=plan.digest(),
            person=approver,
            verdict="approve",
            envelope=digest_of(approver.encode()),
        )
        asker = policy.Asker(type=kind, id=approver)
        given = self.tell(
            lambda: deployments.approve(self.world, asker, plan, fact, self.history.now_ms)
        )
        assert not (given and kind == "machine")

    @precondition(lambda self: self.plans)
    @rule()
    def carry_out(self) -> None:
        """The engine does what it may."""
        number = max(self.plans)
        plan, now_ms = self.plans[number], self.history.now_ms

        def wave(*_: object) -> progress.Wave:
            return progress.Wave(status="passed", reason="")

        found = progress.next_effect(self.world, plan, now_ms, wave)
        if found.what == "act" and self.tell(
            lambda: progress.claim(self.world, plan, found, "w", now_ms, wave)
        ):
            self._check_claim(number)
            fence = self.world.deployments[number].steps["01-start"].fence
            done = f.StepFinished(
                deployment=number, environment="production", step="01-start", status="done"
            )
            self.tell(lambda: progress.finish_step(self.world, plan, done, fence))
        elif found.what == "finish":
            self.tell(lambda: progress.finish(self.world, plan, found, {}, digest_of(b"")))
            del self.plans[number]

    @rule(data=st.data(), contributor=names, number=numbers)
    def business_as_usual(self, data: st.DataObject, contributor: str, number: int) -> None:
        """A release, a request, everybody's approval as far as it goes, and the engine."""
        self.cut(data, contributor, number)
        if self.world.releases:
            self.request(data, "deploy")
        if not self.plans:
            return
        for holder in list(self.world.people.people):
            self._approve(holder, "person")
        for _ in range(3):
            if self.plans:
                self.carry_out()

    @precondition(lambda self: self.plans)
    @rule(asker=names)
    def cancel(self, asker: str) -> None:
        self.tell(lambda: deployments.cancel(self.world, person(asker), max(self.plans)))

    # -- what must hold ---------------------------------------------------------------------------

    def _check_claim(self, number: int) -> None:
        deployment = self.world.deployments[number]
        release = self.world.release_by_digest(deployment.release)
        brought = {*release.contributors, release.cutter, deployment.requester}
        approvers = {a.person for a in deployment.approvals if a.verdict == "approve"}
        assert self.world.environments["production"].protected
        assert deployment.approvals_needed >= 2
        assert len(approvers - brought) >= deployment.approvals_needed
        if any(self._acts_as(name) for name in brought):
            counted = policy.valid_approvals(self.world, deployment)
            by_eve = [name for name in counted if self._acts_as(name)]
            assert not by_eve, f"Eve's change, approved by {by_eve}"

    @invariant()
    def rules_stay_strong(self) -> None:
        assert not self.weakened_by, f"weaker rules were accepted by {self.weakened_by} alone"

    @invariant()
    def nobody_honest_is_taken_over(self) -> None:
        for name in self.stolen - {"eve"}:
            known = self.world.people.people.get(name)
            assert known is None or not known.roles, f"Eve has a key and rights of {name}"


TestSeparation = Separation.TestCase
TestSeparation.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
