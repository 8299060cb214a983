"""What is next, claimed, finished and undone: walked through by hand, one step at a time."""

from __future__ import annotations

import msgspec
import pytest

from surefoot.core import facts as f
from surefoot.core import progress
from surefoot.core.errors import Refused
from surefoot.core.plan import (
    ComponentAfter,
    Parent,
    Plan,
    PlannedStep,
    Settings,
    SettingsBefore,
    Verdict,
)
from surefoot.core.progress import Next, Wave
from surefoot.core.target import Step
from surefoot.core.world import Deployment, World
from surefoot.testing.history import History
from surefoot.trust.digest import digest_of

ENV = "production"
RELEASE = digest_of(b"release")
OLD = digest_of(b"old")


def after(version: str) -> ComponentAfter:
    return ComponentAfter(
        component="api",
        kind="service",
        artifact=digest_of(version.encode()),
        version=version,
        release=RELEASE,
    )


def step(name: str, action: str, **more: object) -> Step:
    target = "fleet" if action in ("wave", "await") else "process"
    return Step(id=name, target=target, action=action, component="api", arguments=more)  # type: ignore[arg-type]


def planned(name: str, action: str, undo: str = "", **more: object) -> PlannedStep:
    made = step(name, action, **more)
    back = msgspec.structs.replace(made, id=f"{name}-undo", action=undo) if undo else None
    return PlannedStep(step=made, undo=back)


SWITCH = msgspec.structs.replace(
    planned("3-switch", "switch", "revert"), after=after("2"), before=after("1"), settles=True
)
STEPS = (
    planned("1-start", "start", "stop"),
    planned("2-check", "check"),
    SWITCH,
    planned("4-smoke", "smoke"),
    planned("5-wave", "wave", "return_devices", wave=0, previous={"release": "r"}),
    planned("6-await", "await"),
    planned("7-contract", "migrate", classes=["contract"]),
)


class Walk:
    """A deployment and its worker."""

    def __init__(self, steps: tuple[PlannedStep, ...] = STEPS, **changes: object) -> None:
        plan = Plan(
            deployment=1,
            environment=ENV,
            purpose="deploy",
            release=RELEASE,
            release_version="2.0.0",
            steps=steps,
            changes=(),
            verdict=Verdict(reversible=True),
            settings=Settings(values={"x": 2}),
            parent=Parent(),
            before=SettingsBefore(
                values={"x": 1}, release=OLD, release_version="1.0.0", settings=OLD
            ),
            keep_service=True,
        )
        self.plan = msgspec.structs.replace(plan, **changes)
        self.history = History()
        self.waves: dict[str, Wave] = {}
        self.history.tell(
            f.EnvironmentDeclared(environment=ENV),
            f.DeploymentRequested(
                deployment=1,
                environment=ENV,
                purpose=self.plan.purpose,
                release=RELEASE,
                release_version="2.0.0",
                plan=self.plan.digest(),
                steps=tuple(p.step.id for p in steps),
                requester="olga",
                approvals_needed=0,
            ),
        )

    def judge(self, world: World, deployment: Deployment, planned_: PlannedStep | None) -> Wave:
        key = planned_.step.id if planned_ else "return"
        return self.waves.get(key, Wave(status="running", reason="no sealed report yet"))

    def next(self) -> Next:
        return progress.next_effect(self.history.world, self.plan, self.history.now_ms, self.judge)

    def claim(self, found: Next) -> int:
        self.history.tell(
            *progress.claim(
                self.history.world, self.plan, found, "w", self.history.now_ms, self.judge
            )
        )
        return len(self.history.told) - 1

    def finish_step(self, found: Next, fence: int, status: str = "done") -> None:
        fact = f.StepFinished(
            deployment=1,
            environment=ENV,
            step=found.step,
            status=status,
            undo=found.undo,
            cause="" if status == "done" else "broken",
        )
        self.history.tell(*progress.finish_step(self.history.world, self.plan, fact, fence))

    def go(self, *failing: str, turns_max: int = 30) -> list[str]:
        """Act until it waits or ends; what was done, an undo with a minus before it."""
        done = []
        for _ in range(turns_max):
            found = self.next()
            label = f"{'-' if found.undo else ''}{found.step}"
            if found.what == "act":
                status = "failed" if label in failing else "done"
                self.finish_step(found, self.claim(found), status)
            elif found.what == "judge":
                self.history.tell(*progress.judge_step(self.plan, found, self.history.now_ms))
            elif found.what == "finish":
                self.history.tell(
                    *progress.finish(self.history.world, self.plan, found, {}, digest_of(b"o"))
                )
                return [*done, found.status]
            else:
                return [*done, f"waits: {found.cause}"]
            done.append(label)
        raise AssertionError(done)

    @property
    def environment(self):  # type: ignore[no-untyped-def]
        return self.history.world.environments[ENV]


PASSED = {"6-await": Wave(status="passed", reason="")}
STOPPED = {"6-await": Wave(status="stopped", reason="too many failed")}
BACK = {"return": Wave(status="passed", reason="")}
FORWARD = ["1-start", "2-check", "3-switch", "4-smoke", "5-wave", "6-await", "7-contract"]


@pytest.mark.parametrize(
    ("failing", "waves", "expected"),
    [
        ((), PASSED, [*FORWARD, "succeeded"]),
        ((), {}, [*FORWARD[:5], "waits: no sealed report yet"]),
        # A step that failed may have done half of it: it is undone itself.
        (("1-start",), {}, ["1-start", "-1-start", "returned"]),
        (("2-check",), {}, [*FORWARD[:2], "-1-start", "returned"]),
        (("3-switch",), {}, [*FORWARD[:3], "-3-switch", "-1-start", "returned"]),
        (("4-smoke",), {}, [*FORWARD[:4], "-3-switch", "-1-start", "returned"]),
        # The service may stay: the devices alone return, and are waited for.
        (("5-wave",), BACK, [*FORWARD[:5], "-5-wave", "stopped"]),
        ((), STOPPED | BACK, [*FORWARD[:6], "-5-wave", "stopped"]),
        ((), STOPPED, [*FORWARD[:6], "-5-wave", "waits: no sealed report yet"]),
        # After the devices moved nobody goes back.
        (("7-contract",), PASSED, [*FORWARD, "stopped"]),
        # An undo that fails ends it: a person must look.
        (("2-check", "-1-start"), {}, [*FORWARD[:2], "-1-start", "failed"]),
        (("4-smoke", "-3-switch"), {}, [*FORWARD[:4], "-3-switch", "failed"]),
    ],
)
def test_the_way_of_a_deployment(
    failing: tuple[str, ...], waves: dict[str, Wave], expected: list[str]
) -> None:
    walk = Walk()
    walk.waves = waves
    assert walk.go(*failing) == expected


def test_a_service_that_may_not_stay_returns_with_its_devices() -> None:
    walk = Walk(keep_service=False)
    walk.waves = STOPPED | BACK
    assert walk.go()[6:] == ["-5-wave", "-3-switch", "-1-start", "returned"]


def test_devices_without_a_release_to_return_to_are_not_waited_for() -> None:
    first = planned("5-wave", "wave", "return_devices", wave=0)
    walk = Walk((*STEPS[:4], first, *STEPS[5:]))
    walk.waves = STOPPED
    assert walk.go()[-2:] == ["-5-wave", "stopped"]


def test_a_return_that_is_not_complete_says_so() -> None:
    walk = Walk()
    walk.waves = STOPPED | {"return": Wave(status="stopped", reason="return: 3 of 4 devices back")}
    walk.go()
    assert walk.history.world.deployments[1].cause.endswith("return: 3 of 4 devices back")


def test_the_record_goes_back_with_an_undo() -> None:
    walk = Walk()
    walk.history.tell(
        f.ComponentChanged(
            environment=ENV,
            deployment=1,
            component="api",
            kind="service",
            artifact=digest_of(b"1"),
            version="1",
            release=OLD,
        )
    )
    walk.go("4-smoke")
    assert walk.environment.components["api"].version == "1"
    assert (walk.environment.release_version, walk.environment.values) == ("1.0.0", {"x": 1})


def test_a_first_deployment_that_returns_leaves_nothing_in_the_record() -> None:
    first = msgspec.structs.replace(SWITCH, before=None)
    walk = Walk((*STEPS[:2], first, *STEPS[3:]), before=SettingsBefore())
    walk.go("4-smoke")
    assert walk.environment.components == {}
    assert walk.environment.release == ""


def test_what_was_never_done_changes_no_record_when_undone() -> None:
    walk = Walk()
    walk.go("3-switch")
    kinds = [told.kind for told in walk.history.told]
    assert "ComponentChanged" not in kinds
    assert "SettingsChanged" not in kinds


def test_an_environment_that_was_destroyed_keeps_what_a_rebuild_needs() -> None:
    steps = (planned("1-backup", "backup"), planned("2-remove", "remove"))
    walk = Walk(steps, purpose="destroy")
    walk.history.tell(
        f.SettingsChanged(
            environment=ENV,
            deployment=1,
            release=OLD,
            release_version="1.0.0",
            settings=OLD,
            values={"x": 1},
        ),
        f.ComponentChanged(
            environment=ENV,
            deployment=1,
            component="api",
            kind="service",
            artifact=OLD,
            version="1",
            release=OLD,
        ),
        f.BackupVerified(environment=ENV, deployment=1, database="main", backup=OLD),
    )
    assert walk.go() == ["1-backup", "2-remove", "succeeded"]
    state = walk.environment
    assert (state.destroyed, state.components, state.observation) == (True, {}, "")
    assert (state.release, state.backups, state.values) == (OLD, {"main": OLD}, {"x": 1})


def test_a_destruction_that_failed_destroyed_nothing_by_name() -> None:
    walk = Walk((planned("1-remove", "remove"),), purpose="destroy")
    assert walk.go("1-remove") == ["1-remove", "stopped"]
    assert not walk.environment.destroyed


def test_the_end_is_recorded_once() -> None:
    walk = Walk()
    walk.waves = PASSED
    found = Next(what="finish", status="succeeded")
    walk.go()
    assert progress.finish(walk.history.world, walk.plan, found, {}, OLD) == []
    assert walk.next().what == "wait"


def test_a_claim_left_behind_is_taken_over() -> None:
    walk = Walk()
    first = walk.next()
    old = walk.claim(first)
    second = walk.next()
    assert (second.what, second.step, second.takeover) == ("act", "1-start", True)
    new = walk.claim(second)
    with pytest.raises(Refused, match=r"step\.claim\.moved"):
        walk.finish_step(first, old)
    walk.finish_step(second, new)
    with pytest.raises(Refused, match=r"step\.claim\.moved"):
        walk.finish_step(second, new)


def test_a_claimed_undo_is_taken_over() -> None:
    walk = Walk()
    found = walk.next()
    walk.finish_step(found, walk.claim(found), "failed")
    undo = walk.next()
    walk.claim(undo)
    again = walk.next()
    assert (again.undo, again.takeover, again.step) == (True, True, "1-start")
    walk.finish_step(again, walk.claim(again))
    assert walk.next().status == "returned"


def test_a_step_that_ends_its_worker_every_time_is_given_up() -> None:
    walk = Walk()
    for _ in range(progress.CLAIMS_MAX):
        walk.claim(walk.next())
    found = walk.next()
    assert (found.what, found.status) == ("judge", "failed")
    walk.history.tell(*progress.judge_step(walk.plan, found, walk.history.now_ms))
    for _ in range(progress.CLAIMS_MAX):
        walk.claim(walk.next())
    assert walk.go()[-1] == "failed"


@pytest.mark.parametrize(
    ("fact", "cause"),
    [
        (f.DeploymentPaused(deployment=1, environment=ENV), "paused"),
        (
            f.FreezeDeclared(environment=ENV, freeze="fair", from_ms=0, until_ms=2**50),
            "freeze fair",
        ),
    ],
)
def test_what_holds_it_is_asked_again_with_every_claim(fact: f.Fact, cause: str) -> None:
    walk = Walk()
    found = walk.next()
    walk.history.tell(fact)
    with pytest.raises(Refused, match=r"step\.claim\.moved"):
        walk.claim(found)
    assert walk.next() == Next(what="wait", cause=cause)


def test_a_freeze_does_not_hold_a_return() -> None:
    walk = Walk()
    found = walk.next()
    walk.finish_step(found, walk.claim(found), "failed")
    walk.history.tell(f.FreezeDeclared(environment=ENV, freeze="fair", from_ms=0, until_ms=2**50))
    assert walk.go() == ["-1-start", "returned"]


def test_a_parent_that_moved_refuses_the_first_claim_alone() -> None:
    walk = Walk(parent=Parent(heads={f"env/{ENV}": 0}))
    found = walk.next()
    devices = f.DevicesEnrolled(environment=ENV, count=1, devices=OLD)
    fence = walk.claim(found)
    walk.history.tell(devices)
    walk.finish_step(found, fence)
    walk.claim(walk.next())
    moved = Walk(parent=Parent(heads={f"env/{ENV}": 0}))
    moved.history.tell(devices)
    with pytest.raises(Refused, match=r"plan\.parent\.moved"):
        moved.claim(moved.next())


def test_missing_approvals_hold_the_begin() -> None:
    walk = Walk()
    walk.history.world.deployments[1].approvals_needed = 2
    assert walk.next() == Next(what="wait", cause="2 more approvals")


WELL = Wave(status="passed", reason="enough")


def paced(**pace: int) -> tuple[PlannedStep, ...]:
    """Two waves, each awaited and then watched."""
    policy = {"pace": pace}
    steps = []
    for wave in (0, 1):
        steps += [
            planned(f"{wave}-wave", "wave", "stop_rollout", wave=wave, policy=policy),
            planned(f"{wave}-await", "await", wave=wave, policy=policy),
            planned(f"{wave}-soak", "soak", wave=wave, policy=policy),
        ]
    return tuple(steps)


def test_a_wave_that_passed_soaks_before_the_next_begins() -> None:
    walk = Walk(paced(soak_seconds=3600))
    walk.waves = {"0-await": WELL, "0-soak": WELL}
    assert walk.go() == ["0-wave", "0-await", "waits: the wave passed and soaks"]
    began = walk.history.now_ms
    while walk.next().what == "wait" and walk.history.now_ms - began < 7_200_000:
        walk.history.now_ms += 60_000
    waited = walk.history.now_ms - began
    assert 3_500_000 < waited < 3_700_000
    assert walk.go()[:2] == ["0-soak", "1-wave"]


def test_errors_while_a_wave_soaks_stop_the_rollout() -> None:
    walk = Walk(paced(soak_seconds=3600))
    walk.waves = {"0-await": WELL, "0-soak": Wave(status="stopped", reason="too many")}
    assert walk.go() == ["0-wave", "0-await", "0-soak", "-0-wave", "returned"]
    assert walk.history.world.deployments[1].cause == "0-soak: too many"


def test_a_rollout_waits_for_its_start_and_begins_no_wave_after_its_end() -> None:
    start = History().now_ms
    walk = Walk(paced(start_ms=start + 10**9))
    assert walk.go() == ["waits: the rollout's start is not reached"]
    walk = Walk(paced(end_ms=start))
    assert walk.go() == ["0-wave", "-0-wave", "returned"]
    assert "end was reached" in walk.history.world.deployments[1].cause


BY_A_PERSON = f.DeploymentStopped(deployment=1, environment=ENV, person="ann")


def test_a_person_stops_it_between_two_steps_and_it_turns_round() -> None:
    walk = Walk()
    found = walk.next()
    walk.finish_step(found, walk.claim(found))
    walk.history.tell(BY_A_PERSON)
    stopped = walk.next()
    assert (stopped.what, stopped.status, stopped.cause) == ("judge", "failed", "stopped by ann")
    walk.history.tell(*progress.judge_step(walk.plan, stopped, walk.history.now_ms))
    assert walk.next().undo
    assert walk.go()[-1] == "returned"


def test_what_is_claimed_is_finished_before_it_stops() -> None:
    walk = Walk()
    found = walk.next()
    walk.claim(found)
    walk.history.tell(BY_A_PERSON)
    again = walk.next()
    assert (again.what, again.step, again.takeover) == ("act", found.step, True)


@pytest.mark.parametrize(
    "held",
    [
        f.DeploymentPaused(deployment=1, environment=ENV),
        f.FreezeDeclared(environment=ENV, freeze="fair", from_ms=0, until_ms=2**50),
    ],
)
def test_neither_a_pause_nor_a_freeze_holds_a_stop(held: f.Fact) -> None:
    walk = Walk()
    found = walk.next()
    walk.finish_step(found, walk.claim(found))
    walk.history.tell(held)
    assert walk.next().what == "wait"
    walk.history.tell(BY_A_PERSON)
    assert walk.next().cause == "stopped by ann"
