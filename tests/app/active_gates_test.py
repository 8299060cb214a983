"""Gates that burden a service are told when their deployment is stopped, and end."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from house import LAMP, AppHouse

from surefoot.gates.active import STOP_FILE
from surefoot.gates.load.gate import LoadGate
from surefoot.gates.resilience.gate import ResilienceGate


@pytest.mark.parametrize("kind", [LoadGate, ResilienceGate])
def test_a_stopped_deployment_ends_the_gates_that_burden_it(
    house: Callable[[str], AppHouse], kind: type[LoadGate] | type[ResilienceGate]
) -> None:
    home = house(LAMP)
    home.set_up()
    home.release("1.0.0")
    number = home.request("dev", release="1.0.0")
    effects, log = home.installation.effects, home.installation.log
    assert effects.advance(number).what not in ("wait", "finish")
    plan = effects.plan_of(log.read(lambda w: w.deployments[number]))
    made = home.installation.gating._active(kind, plan)
    assert isinstance(made, kind)
    assert not made._stopped()
    assert [path.endswith(STOP_FILE) for path in made._permit.stops] == [True]
    assert made._permit.run == f"dev-{number}-{kind.name}" and not made._permit.protected
    home.call("deployment stop", "ann", number=number, reason="enough")
    assert made._stopped()


def test_a_protected_environment_is_tested_by_what_is_marked_safe_alone(
    house: Callable[[str], AppHouse],
) -> None:
    home = house(LAMP.replace("    after: dev\n", ""))
    home.set_up()
    home.release("1.0.0")
    number = home.request("production", release="1.0.0")
    effects, log = home.installation.effects, home.installation.log
    plan = effects.plan_of(log.read(lambda w: w.deployments[number]))
    made = home.installation.gating._active(LoadGate, plan)
    assert isinstance(made, LoadGate) and made._permit.protected
