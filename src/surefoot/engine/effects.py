"""One effect of one deployment: look, decide, claim, act, record.

Keeps: the claim is in a signed checkpoint before the act; the act carries the claim's position as
its fence; a claim left by a dead worker is taken over only after observing the target again; an
outcome that cannot be recorded is found again from the target's receipt.
Does not: choose. What is next is decided by `core.progress`, what it does by the plan.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import msgspec

from surefoot.core import deployment as deployments
from surefoot.core import environment as environments
from surefoot.core import facts as f
from surefoot.core import plan as plans
from surefoot.core import progress
from surefoot.core.errors import Corrupt, Failed, Refused, SurefootError
from surefoot.core.governance import WavePolicy
from surefoot.core.plan import Plan, PlannedStep
from surefoot.core.rollout import (
    RETURN_WAVE,
    Beside,
    RolloutCounters,
    WaveJudgement,
    judge_return,
    judge_share,
    judge_wave,
)
from surefoot.core.target import Blobs, Outcome, Plain, Step, Target, Token
from surefoot.core.world import Deployment, World
from surefoot.engine.clock import Clock
from surefoot.journal.log import Log, Receipt
from surefoot.trust import canonical
from surefoot.trust.digest import Digest
from surefoot.trust.entry import Actor, Draft
from surefoot.trust.payload import Payload

_log = logging.getLogger("surefoot.engine")

GateRun = Callable[[Plan, Step], Outcome]
TRIES_MAX = 3


def draft(fact: f.Fact, evidence: Sequence[Digest] = (), reason: Payload | None = None) -> Draft:
    """The journal's draft of a fact; a person's words go beside the journal, not into it."""
    return Draft(
        stream=f.stream_of(fact),
        kind=type(fact).__name__,
        body=f.body_of(fact),
        evidence=tuple(evidence),
        reason=reason.commitment() if reason else "",
        payloads=(reason,) if reason else (),
    )


def judge(world: World, deployment: Deployment, planned: PlannedStep | None) -> progress.Wave:
    """A wave's judgement from the sealed counters alone."""
    books = world.devices.get(deployment.environment)
    counters = books.waves.get(str(deployment.number), {}) if books else {}
    if planned is not None and planned.step.action == "hold":
        arguments = planned.step.arguments
        version = arguments.get("version")
        shown = books.firmware.get(str(version), 0) if books and version else -1
        found = judge_share(counters, _whole(arguments["percent"]), _beside(deployment, shown))  # type: ignore[arg-type]
    else:
        found = _judged(counters, planned)  # type: ignore[arg-type]
    return progress.Wave(status=found.verdict, reason=found.reason)


def _judged(counters: RolloutCounters, planned: PlannedStep | None) -> WaveJudgement:
    """Counters that are not sealed yet say nothing, least of all that there are no devices."""
    if planned is None:
        if RETURN_WAVE not in counters:
            return WaveJudgement(verdict="running", reason="return: no sealed report yet")
        return judge_return(counters)
    wave = _whole(planned.step.arguments["wave"])
    if str(wave) not in counters:
        return WaveJudgement(verdict="running", reason=f"wave {wave + 1}: no sealed report yet")
    policy = msgspec.convert(planned.step.arguments["policy"], WavePolicy)
    return judge_wave(counters, wave, policy)


_BEHIND = ("version_unknown", "version_unordered", "no_route", "client")


def _beside(deployment: Deployment, shown: object) -> Beside:
    """What the last wave's outcome says of the devices that it did not move."""
    figures = [s.figures for s in deployment.steps.values() if "assigned" in s.figures]
    last = figures[-1] if figures else {}
    left = sum(_whole(last.get(f"unfit_{reason}", 0)) for reason in _BEHIND)
    return Beside(there=_whole(last.get("already_there", 0)), left=left, shown=_whole(shown))


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value


class Effects:
    """Carries out what is next, for the deployments of one worker."""

    def __init__(
        self,
        log: Log[World],
        blobs: Blobs,
        targets: Callable[[str], Mapping[str, Target]],
        gates: Mapping[str, GateRun],
        clock: Clock,
        worker: str,
        *,
        fault: Callable[[str], None] = lambda place: None,
    ) -> None:
        self._log = log
        self._blobs = blobs
        self._targets = targets
        self._gates = gates
        self._clock = clock
        self._worker = worker
        self._fault = fault
        self._actor = Actor(type="machine", id=f"engine-{worker}", auth="process")

    def plan_of(self, deployment: Deployment) -> Plan:
        """The deployment's plan, by digest."""
        return plans.decode(self._blobs.get(deployment.plan))

    def _find(self, number: int) -> Deployment:
        return self._log.read(lambda w: msgspec.structs.replace(deployments.find(w, number)))

    def _next(self, plan: Plan) -> progress.Next:
        return self._log.read(lambda w: progress.next_effect(w, plan, self._clock.now_ms(), judge))

    def look(self, number: int) -> progress.Next:
        """What is next, changing nothing."""
        return self._next(self.plan_of(self._find(number)))

    def advance(self, number: int) -> progress.Next:
        """Do one effect, or say what is waited for. Safe to call again at any time."""
        deployment = self._find(number)
        plan = self.plan_of(deployment)
        found = self._next(plan)
        match found.what:
            case "act":
                self._act(plan, found, first=not deployment.begun_ms)
            case "judge":
                self._judge(plan, found)
            case "finish":
                self._finish(plan, found)
        return found

    def _act(self, plan: Plan, found: progress.Next, *, first: bool) -> None:
        step = progress.step_of(plan, found)
        if first and not self._parent_holds(plan):
            return
        if found.takeover and step.action not in self._gates:
            # Another worker may have died in the act: look before acting again.
            target = self._targets(plan.environment).get(step.target)
            if target is not None:
                target.observe()
        self._fault("claim:before")
        receipt = self._transact(
            lambda w: [
                draft(fact)
                for fact in progress.claim(
                    w, plan, found, self._worker, self._clock.now_ms(), judge
                )
            ],
            f"claim {plan.deployment}/{step.id}",
        )
        self._fault("claim:after")
        assert receipt is not None
        outcome, alarms = self._applied(plan, step, receipt)
        self._fault("record:before")
        self._record(plan, found, outcome, receipt.first, alarms)
        self._fault("record:after")

    def _parent_holds(self, plan: Plan) -> bool:
        """Look before the first act: what the approvers saw must still be what is there."""
        try:
            self._log.read(
                lambda w: plans.check_parent(plan, w.heads, f"deployment {plan.deployment}")
            )
        except Refused as refused:
            self._void(plan, f"{refused.expected}; found {refused.found}")
            return False
        targets = self._targets(plan.environment)
        for name, digest in plan.parent.observations.items():
            if targets[name].observe().digest() != digest:
                cause = f"{name} of {plan.environment} changed since the plan was made"
                self._void(plan, cause)
                return False
        return True

    def _void(self, plan: Plan, cause: str) -> None:
        self._transact(
            lambda w: [draft(fact) for fact in deployments.void(w, plan, cause)],
            f"void {plan.deployment}",
        )

    def _applied(
        self, plan: Plan, step: Step, receipt: Receipt
    ) -> tuple[Outcome, list[f.AlarmRaised]]:
        """The act's outcome; what disagrees with its digest fails the step and is an alarm."""
        token = Token(
            operation=f"{plan.deployment}/{step.id}",
            fence=receipt.first,
            intent=self._log.intent(receipt),
        )
        gate = self._gates.get(step.action)
        for attempt in range(1, TRIES_MAX + 1):
            try:
                if gate is not None:
                    return gate(plan, step), []
                return self._target(plan, step).apply(step, token), []
            except Refused as refused:
                return _failed(refused), []
            except Corrupt as corrupt:
                alarm = f.AlarmRaised(code=corrupt.code, subject=corrupt.subject[:500])
                return _failed(corrupt), [alarm]
            except Failed as failed:
                _log.warning("step failed, attempt %d: %s", attempt, failed)
                if attempt == TRIES_MAX:
                    return _failed(failed), []
                self._clock.sleep(0.2 * attempt)
        raise AssertionError("the last attempt returns")

    def _target(self, plan: Plan, step: Step) -> Target:
        found = self._targets(plan.environment).get(step.target)
        if found is None:
            raise Refused(
                "target.unknown",
                f"step {step.id}",
                expected=f"target {step.target} of {plan.environment}",
                found="none of that name in the rules in force",
                remedy="make a new plan",
            )
        return found

    def _record(
        self,
        plan: Plan,
        found: progress.Next,
        outcome: Outcome,
        fence: int,
        alarms: Sequence[f.Fact],
    ) -> None:
        fact = f.StepFinished(
            deployment=plan.deployment,
            environment=plan.environment,
            step=found.step,
            status="done" if outcome.status == "done" else "failed",
            cause=outcome.reason[:1000],
            undo=found.undo,
            figures=_bounded(outcome.figures),
        )
        self._transact(
            lambda w: [
                draft(each, outcome.evidence if each is fact else ())
                for each in (*progress.finish_step(w, plan, fact, fence), *alarms)
            ],
            f"record {plan.deployment}/{found.step}",
        )

    def _check_still(self, world: World, plan: Plan, found: progress.Next) -> None:
        progress.check_still(world, plan, found, self._clock.now_ms(), judge)

    def _judge(self, plan: Plan, found: progress.Next) -> None:
        """Record what the sealed counters say, unless they said something else meanwhile."""

        def decide(world: World) -> list[Draft]:
            self._check_still(world, plan, found)
            now_ms = self._clock.now_ms()
            return [draft(each) for each in progress.judge_step(plan, found, now_ms)]

        self._transact(decide, f"judge {plan.deployment}/{found.step}")

    def _finish(self, plan: Plan, found: progress.Next) -> None:
        """Record the end together with what the environment then looked like."""
        observed = self.observed(plan.environment)
        blob = self._blobs.put(canonical.encode(observed))
        figures = self._availability(plan)

        def decide(world: World) -> list[Draft]:
            facts = progress.finish(world, plan, found, figures, blob)
            if facts:
                self._check_still(world, plan, found)
            return [
                draft(each, (blob,) if isinstance(each, f.ObservationRecorded) else ())
                for each in facts
            ]

        self._transact(decide, f"finish {plan.deployment}")

    def _availability(self, plan: Plan) -> Plain:
        deployment = self._find(plan.deployment)
        return next(
            (s.figures for s in deployment.steps.values() if s.id.endswith("-availability")), {}
        )

    def observed(self, environment: str) -> Plain:
        """What every target of an environment looks like now, stable part, by target."""
        targets = self._targets(environment)
        return {name: dict(target.observe().stable) for name, target in targets.items()}

    def check_drift(self, environment: str) -> tuple[f.Difference, ...]:
        """Compare the environment with its record; write the check down when it says news."""
        digest = self._log.read(lambda w: environments.find(w, environment).observation)
        if not digest:
            return ()
        expected = canonical.parse(self._blobs.get(Digest(digest)))
        assert isinstance(expected, dict)
        found = environments.differences(expected, self.observed(environment))
        self._transact(
            lambda w: [draft(fact) for fact in environments.observe_drift(w, environment, found)],
            f"drift {environment}",
        )
        return found

    def _transact(self, decide: Callable[[World], Sequence[Draft]], request: str) -> Receipt | None:
        return self._log.transact(decide, self._actor, request)


def _failed(error: SurefootError) -> Outcome:
    return Outcome(status="failed", reason=str(error))


def _bounded(figures: Plain) -> Plain:
    """Figures small enough for an entry; larger ones belong into evidence."""
    if len(canonical.encode(figures)) <= 4096:
        return figures
    return {"truncated": True}
