"""Which claims of steps stand in an honest journal, while a freeze is in force."""

from __future__ import annotations

import pytest

from surefoot.core import breach
from surefoot.core import facts as f
from surefoot.core.errors import Refused
from surefoot.core.fold import new_world
from surefoot.core.policy import Asker
from surefoot.core.world import Environment, Freeze, StepState, World
from surefoot.testing.history import deployment
from surefoot.trust.digest import digest_of

ENGINE = Asker(type="machine", id="engine")
NOW = 1_790_000_000_000


def frozen(**changes: object) -> World:
    """Deployment 1 lost its worker in a step, and a freeze began long ago."""
    world = new_world()
    freeze = Freeze(from_ms=NOW - 10 * breach.FREEZE_SLACK_MS, until_ms=NOW * 2)
    world.environments["production"] = Environment(name="production", freezes={"sale": freeze})
    steps = {"01-start": StepState(id="01-start", status="claimed")}
    begun: dict[str, object] = {"begun_ms": 2, "status": "running", "steps": steps}
    world.deployments[1] = deployment(**begun | changes)
    return world


def claimed(world: World, *, takeover: bool = True) -> None:
    fact = f.StepClaimed(
        deployment=1,
        environment="production",
        step="01-start",
        worker="w2",
        act=digest_of(b"act"),
        undo=False,
        takeover=takeover,
    )
    breach.check(world, fact, ENGINE, NOW)


def test_what_was_begun_is_finished_in_a_freeze_when_it_was_told_to_stop() -> None:
    claimed(frozen(stopping="stopped by olga"))
    with pytest.raises(Refused, match=r"breach\.sequence"):
        claimed(frozen())
    fresh = {"01-start": StepState(id="01-start")}
    with pytest.raises(Refused, match=r"breach\.sequence"):
        claimed(frozen(stopping="stopped by olga", steps=fresh), takeover=False)
