"""When a rollout, as the journal has it, takes devices that come later."""

import pytest

from surefoot.core.world import Deployment, Environment, Freeze, StepState, World
from surefoot.engine.device_pacer import rollout_of
from surefoot.trust.digest import Digest

ENV = "production"


def deployment(number: int = 7, *, awaited: str = "done", **changes: object) -> Deployment:
    steps = [StepState(id="fleet-wave-1", status="done")]
    steps += [StepState(id="await-fleet-wave-1", status=awaited), StepState(id="hold-fleet")]
    found = Deployment(
        number=number,
        environment=ENV,
        purpose="deploy",
        release=Digest("sha256:" + "1" * 64),
        release_version="1.1.0",
        plan=Digest("sha256:" + "2" * 64),
        requester="rita",
        approvals_needed=0,
        approver_role="approver",
        excluded=[],
        availability_percent="",
        undo_of=0,
        requested_ms=1,
        steps={step.id: step for step in steps},
        status="running",
    )
    for name, value in changes.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        (deployment(), True),
        (deployment(status="succeeded", ended_ms=5), True),
        (deployment(awaited="pending"), False),
        (deployment(returning=True), False),
        (deployment(stopping="stopped by pia"), False),
        (deployment(status="stopped", ended_ms=5), False),
        (deployment(status="returned", ended_ms=5), False),
    ],
)
def test_newcomers_wait_for_the_last_waves_good_verdict(found: Deployment, passed: bool) -> None:
    world = World()
    world.deployments[7] = found
    assert rollout_of(world, ENV, 7).passed is passed


def test_a_newer_deployment_under_way_takes_over() -> None:
    world = World()
    world.deployments[7] = deployment(status="succeeded", ended_ms=5)
    world.deployments[8] = deployment(8, awaited="pending")
    assert not rollout_of(world, ENV, 7).passed
    assert not rollout_of(World(), ENV, 7).passed


def test_newcomers_are_given_nothing_in_a_freeze() -> None:
    world = World()
    world.deployments[7] = deployment(status="succeeded", ended_ms=5)
    sale = Freeze(from_ms=100, until_ms=200)
    world.environments[ENV] = Environment(name=ENV, freezes={"sale": sale})
    passed = [rollout_of(world, ENV, 7, now_ms).passed for now_ms in (99, 100, 199, 200)]
    assert passed == [True, False, False, True]
