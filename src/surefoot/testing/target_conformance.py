"""The suite every target passes: the claim's proof, repeat, fence, crash, bad input, planning.

Use: subclass `TargetConformance` in a test module and give a fixture named `case` that returns a
`TargetCase`. Each test gets a case of its own, over an outside world of its own.
Does not: test what is special to a driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from surefoot.core.errors import Refused, SurefootError
from surefoot.core.target import Observation, Outcome, Plain, Step, Target, Token
from surefoot.testing.claims import Claims
from surefoot.trust.note import SignerKey


class TargetCase(Protocol):
    """One outside world and the ways to reach it."""

    claims: Claims
    """Proofs of claims; `open` gives the target `claims.interlock()`."""

    desired: Plain
    """A state the target can bring about from nothing."""

    other: Plain
    """Another one, reachable from the first."""

    def open(self) -> Target:
        """A target on that world, as a new process would make it."""

    def bad_steps(self) -> Sequence[Step]:
        """Steps with arguments that must be refused with nothing changed."""

    def forget(self, operation: str) -> None:
        """Lose the receipt of an operation, as a crash between effect and receipt does."""

    def effects(self) -> int:
        """How often the outside world has been changed so far, as the outside counts it;
        -1 where the outside cannot count."""


class _Worker:
    """Applies plans with growing fences, as the engine does."""

    def __init__(self, case: TargetCase) -> None:
        self.case = case
        self.fence = 0
        self.done: list[tuple[Step, Token]] = []

    def act(self, target: Target, step: Step, operation: str) -> Outcome:
        self.fence += 1
        token = self.case.claims.token(step, operation, self.fence)
        outcome = target.apply(step, token)
        self.done.append((step, token))
        return outcome

    def deploy(self, desired: Plain, label: str) -> None:
        target = self.case.open()
        for step in target.plan(desired, target.observe()):
            outcome = self.act(target, step, f"{label}/{step.id}")
            assert outcome.status == "done", f"{step.id}: {outcome.reason}"


def _refused_code(target: Target, step: Step, token: Token) -> str:
    try:
        target.apply(step, token)
    except Refused as refused:
        return refused.code
    raise AssertionError(f"{step.action} was not refused")


def _error_code(target: Target, step: Step, token: Token) -> str:
    try:
        target.apply(step, token)
    except SurefootError as error:
        return error.code
    raise AssertionError(f"{step.action} was not refused")


def _unproved(claims: Claims, step: Step) -> list[tuple[str, Token, str]]:
    """Tokens that prove nothing, or something else: what is wrong, the token, the code's end."""
    fence, good = 9, claims.token(step, "1/act", 9)
    assert good.intent is not None
    other = msgspec.structs.replace(step, summary="another act")
    elsewhere = Claims(f"{claims.environment}-2", claims.signer)
    stranger = Claims(claims.environment, SignerKey(claims.signer.verifier.name, b"\x08" * 32))
    namesake = Claims(claims.environment, SignerKey("surefoot.example/other", b"\x08" * 32))
    silent = claims.proof(claims.claim(step, 1, fence, {"act": ""}), fence)
    edited = msgspec.structs.replace(
        good.intent, entry=claims.claim(step, 1, fence, {"worker": "v"})
    )
    moved = msgspec.structs.replace(good.intent, path=good.intent.path[::-1])
    seen: list[tuple[str, Token, str]] = [
        ("no proof", msgspec.structs.replace(good, intent=None), "missing"),
        ("another step", claims.token(other, "1/act", fence), "differs"),
        ("another environment", elsewhere.token(step, "1/act", fence), "differs"),
        ("another deployment", msgspec.structs.replace(good, operation="2/act"), "differs"),
        ("no deployment", msgspec.structs.replace(good, operation="act"), "differs"),
        ("another fence", msgspec.structs.replace(good, fence=fence + 1), "differs"),
        ("a claim of no act", msgspec.structs.replace(good, intent=silent), "differs"),
        ("another key", stranger.token(step, "1/act", fence), "unproved"),
        ("another log", namesake.token(step, "1/act", fence), "unproved"),
        ("an edited entry", msgspec.structs.replace(good, intent=edited), "unproved"),
        ("another path", msgspec.structs.replace(good, intent=moved), "unproved"),
    ]
    return seen


class TargetConformance:
    """See the module."""

    def test_a_plan_brings_about_what_is_desired(self, case: TargetCase) -> None:
        """After the plan's steps there is nothing left to plan, and then the other state too."""
        worker = _Worker(case)
        for label, desired in (("1", case.desired), ("2", case.other)):
            worker.deploy(desired, label)
            target = case.open()
            assert target.plan(desired, target.observe()) == ()

    def test_planning_is_pure(self, case: TargetCase) -> None:
        """The same inputs give the same steps, from another instance too; nothing changes."""
        target = case.open()
        before, effects = target.observe(), case.effects()
        steps = target.plan(case.desired, before)
        assert steps
        assert target.plan(case.desired, before) == steps
        assert case.open().plan(case.desired, before) == steps
        assert case.open().observe().digest() == before.digest()
        assert case.effects() == effects

    def test_steps_are_plain_and_declared(self, case: TargetCase) -> None:
        """Every step survives JSON and names an action the driver declares."""
        target = case.open()
        for step in target.plan(case.desired, target.observe()):
            assert msgspec.json.decode(msgspec.json.encode(step), type=Step) == step
            assert step.action in target.capabilities.actions
            assert step.summary

    def test_observing_is_stable(self, case: TargetCase) -> None:
        """Nothing changed, so the digest did not either, whoever looks."""
        _Worker(case).deploy(case.desired, "1")
        looks = [case.open().observe() for _ in range(3)]
        assert len({look.digest() for look in looks}) == 1
        assert looks[0].stable

    def test_a_repeat_is_answered_from_the_receipt(self, case: TargetCase) -> None:
        """The same operation again, with a newer fence: same outcome, nothing changed."""
        worker, target = _Worker(case), case.open()
        for step in target.plan(case.desired, target.observe()):
            operation = f"1/{step.id}"
            outcome = worker.act(target, step, operation)
            effects, look = case.effects(), target.observe().digest()
            assert worker.act(case.open(), step, operation) == outcome
            assert case.effects() == effects
            assert case.open().observe().digest() == look

    def test_an_older_fence_is_refused(self, case: TargetCase) -> None:
        """A worker that was overtaken can do nothing, not even after the newer one finished."""
        target = case.open()
        steps = target.plan(case.desired, target.observe())
        target.apply(steps[0], case.claims.token(steps[0], "1/new", 7))
        look, effects = target.observe().digest(), case.effects()
        for operation in ("1/old", "1/new"):
            token = case.claims.token(steps[0], operation, 6)
            code = _refused_code(case.open(), steps[0], token)
            assert code == "target.fence.moved"
        assert case.open().observe().digest() == look
        assert case.effects() == effects

    def test_a_crash_between_effect_and_receipt_repeats_nothing(self, case: TargetCase) -> None:
        """Without its receipt each step looks, finds its effect, and changes nothing."""
        worker, target = _Worker(case), case.open()
        for step in target.plan(case.desired, target.observe()):
            operation = f"1/{step.id}"
            first = worker.act(target, step, operation)
            effects, look = case.effects(), target.observe().digest()
            case.forget(operation)
            again = worker.act(case.open(), step, operation)
            assert again.status == first.status
            assert case.effects() == effects, f"{step.action} was done twice"
            assert case.open().observe().digest() == look
        target = case.open()
        assert target.plan(case.desired, target.observe()) == ()

    def test_bad_arguments_change_nothing(self, case: TargetCase) -> None:
        """Each is an error a person can act on, and the world stays as it was."""
        worker = _Worker(case)
        worker.deploy(case.desired, "1")
        look, effects = case.open().observe().stable, case.effects()
        for number, step in enumerate(case.bad_steps()):
            try:
                worker.act(case.open(), step, f"1/bad-{number}")
            except SurefootError as error:
                assert error.code and error.subject and error.expected, error
            else:
                raise AssertionError(f"{step.id} ({step.action}) was not refused")
            assert case.open().observe().stable == look, step.id
            assert case.effects() == effects, step.id

    def test_an_act_without_the_proof_of_its_claim_is_refused(self, case: TargetCase) -> None:
        """None, or one of anything else: nothing is touched, and the true claim still holds."""
        target, claims = case.open(), case.claims
        steps = target.plan(case.desired, target.observe())
        look, effects = target.observe().digest(), case.effects()
        for name, token, code in _unproved(claims, steps[0]):
            assert _error_code(case.open(), steps[0], token) == f"target.intent.{code}", name
            assert case.open().observe().digest() == look, name
            assert case.effects() == effects, name
        # Fences were offered above that are higher than this one: none was taken.
        assert case.open().apply(steps[0], claims.token(steps[0], "1/act", 7)).status == "done"

    def test_an_unknown_action_is_refused(self, case: TargetCase) -> None:
        """A word the driver does not know is no act."""
        target = case.open()
        step = Step(id="x", target="x", action="no-such-action", component="x")
        _refused_code(target, step, case.claims.token(step, "1/x", 1))
        assert target.observe().digest() == case.open().observe().digest()

    def test_observation_is_canonical(self, case: TargetCase) -> None:
        """An observation can be stored, digested and compared key by key."""
        _Worker(case).deploy(case.desired, "1")
        look: Observation = case.open().observe()
        assert look.digest() == case.open().observe().digest()
        assert all(isinstance(key, str) and key for key in look.stable)
