"""Cloud and devices in step: every small product, every state a deployment or its return passes.

The product has one service and one firmware with one interface between them, and a fleet whose
devices run any of the firmwares that were ever released. Where a plan is made, each device that may
be talking has an API at each point; where none is made, there is a device that would have none.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import msgspec
import pytest

from surefoot.core import progress
from surefoot.core.errors import Refused
from surefoot.core.governance import EnvironmentPolicy, WavePolicy
from surefoot.core.manifest import Manifest
from surefoot.core.plan import Plan, Settings
from surefoot.core.target import Observation, Step
from surefoot.core.world import ComponentState, Deployment, Environment, StepState, World
from surefoot.engine.compatibility import Running
from surefoot.engine.planner import Wanted, make_plan
from surefoot.testing.claims import Claims
from surefoot.testing.fake_target import FakeTarget
from surefoot.testing.simulator_product import manifest_of

RANGES = [(1, 1), (1, 2), (2, 2), (2, 3)]
NEEDS = [(1, 1), (2, 2), (1, 2)]


def wave(number: int) -> Step:
    policy = msgspec.to_builtins(WavePolicy())
    return Step(
        id=f"fleet-wave-{number + 1}",
        target="fleet",
        action="wave",
        component="firmware",
        arguments={"wave": number, "policy": policy, "previous": {"release": "r"}},
    )


def running(manifest: Manifest) -> Environment:
    states = {
        c.name: ComponentState(
            kind=c.kind,
            artifact=c.artifact,
            version=c.version,
            release=manifest.digest(),
            deployment=1,
            detail={"compatibility": manifest.compatibility.get(c.name, {})},
        )
        for c in manifest.components
    }
    return Environment(name="production", release=manifest.digest(), components=states)


def make(folder: Path, old: Manifest, new: Manifest, *fleet: Running) -> Plan:
    """The plan from one release to the next, with two waves."""
    target = FakeTarget(folder / "process.json", Claims().interlock())
    seen = Observation(
        target="process",
        stable={"api/artifact": old.component("api").artifact, "api/state": "running"},
        volatile={"api/generation": "g1", "api/generations": ["g1"]},
    )
    wanted = Wanted(
        deployment=2,
        environment=running(old),
        purpose="deploy",
        manifest=new,
        release=new.digest(),
        previous=old,
        policy=EnvironmentPolicy(),
        settings=Settings(),
        desired={"process": {"api": {"artifact": new.component("api").artifact}}},
        smoke=(),
        heads={},
        explicit=(wave(0), wave(1)),
        fleet=fleet,
    )
    return make_plan(wanted, {"process": target}, {"process": seen})


def product(version: str, offers: tuple[int, int], needs: tuple[int, int]) -> Manifest:
    return msgspec.structs.replace(
        manifest_of(version),
        compatibility={
            "api": {"provides": {"http": list(offers)}},
            "firmware": {"requires": {"http": list(needs)}},
        },
    )


def served(offers: tuple[int, int], needs: tuple[int, int]) -> bool:
    return max(offers[0], needs[0]) <= min(offers[1], needs[1])


def lagging(needs: tuple[int, int], count: int = 1) -> Running:
    return Running(
        version="0.9.0",
        component="firmware",
        count=count,
        names=("cellar-1", "silent-7")[:count],
        compatibility={"requires": {"http": list(needs)}},
    )


OLD, NEW = product("1.0.0", (1, 2), (1, 1)), product("1.1.0", (1, 2), (2, 2))
CASES = list(itertools.product(RANGES, NEEDS, RANGES, NEEDS, [None, *NEEDS]))


def test_each_device_has_an_api_in_every_state_of_every_small_product(tmp_path: Path) -> None:
    planned = refused = waiting = 0
    for old_api, old_needs, new_api, new_needs, old_device in CASES:
        if not served(old_api, old_needs):
            continue  # such a release would not be running
        old, new = product("1.0.0", old_api, old_needs), product("1.1.0", new_api, new_needs)
        fleet = () if old_device is None else (lagging(old_device),)
        needed = [old_needs, new_needs, *([old_device] if old_device else [])]
        safe = all(served(new_api, needs) for needs in needed)
        about = (old_api, old_needs, new_api, new_needs, old_device)
        try:
            plan = make(tmp_path, old, new, *fleet)
        except Refused as error:
            assert error.code == "plan.compatibility" and not safe, about
            refused += 1
            continue
        assert safe, about
        planned += 1
        waiting += plan.devices_return_first
        walk(plan, old_api, new_api, needed, about)
    assert planned > 50 and refused > 200 and waiting > 10


def walk(plan: Plan, old_api: Any, new_api: Any, needed: list[Any], about: object) -> None:
    """Every state: so far forward, and from there each step back that the rules take."""
    order = [p.step.action for p in plan.steps]
    assert order.index("switch") < order.index("wave")
    old_needs, new_needs = needed[0], needed[1]
    for done in range(len(plan.steps) + 1):
        api = new_api if "switch" in order[:done] else old_api
        moved = "wave" in order[:done]
        assert served(api, old_needs), about
        assert not moved or served(api, new_needs), about
        back(plan, done, (old_api, new_api), new_needs, about)


def returning(plan: Plan, done: int, *, failed: bool) -> Deployment:
    """A deployment that turned round after so many steps, of which the last may have failed."""
    statuses = ["done"] * done + ["pending"] * (len(plan.steps) - done)
    if failed and done:
        statuses[done - 1] = "failed"
    steps = [
        StepState(id=p.step.id, status=status)
        for p, status in zip(plan.steps, statuses, strict=True)
    ]
    return Deployment(
        number=plan.deployment,
        environment="production",
        purpose="deploy",
        release=plan.release,
        release_version=plan.release_version,
        plan=plan.digest(),
        requester="ann",
        approvals_needed=0,
        approver_role="",
        excluded=[],
        availability_percent="",
        undo_of=0,
        requested_ms=0,
        steps={step.id: step for step in steps},
        cause="asked",
        returning=True,
    )


def back(plan: Plan, done: int, apis: tuple[Any, Any], new_needs: Any, about: object) -> None:
    """Return from here, with devices that are still away, then back, or never come back."""
    for end, failed in itertools.product(("passed", "stopped"), (False, True)):
        deployment = returning(plan, done, failed=failed)
        switched = any(p.step.action == "switch" for p in plan.steps[:done])
        away = any(p.step.action == "wave" for p in plan.steps[:done])
        service = apis[1] if switched else apis[0]
        answer = "running"
        for _ in range(2 * len(plan.steps) + 4):
            verdict = progress.Wave(status=answer, reason="devices")  # type: ignore[arg-type]
            found = progress._next_undo(World(), deployment, plan, lambda *_, v=verdict: v)
            assert not away or served(service, new_needs), (about, done, end)
            if found.what == "finish":
                break
            if found.what == "wait":
                answer, away = end, end == "stopped" and away
                continue
            deployment.steps[found.step].undo = "done"
            if plan.planned(found.step).step.action == "switch":
                service = apis[0]
        else:
            raise AssertionError("the return never ends")
        # Whoever is still away at the end is served too.
        assert not away or served(service, new_needs), (about, done, end)


def test_devices_that_would_be_stranded_are_named(tmp_path: Path) -> None:
    new = product("1.1.0", (2, 2), (2, 2))
    old = product("1.0.0", (1, 2), (2, 2))
    with pytest.raises(Refused) as refused:
        make(tmp_path, old, new, msgspec.structs.replace(lagging((1, 1), 2), count=12))
    assert refused.value.found == (
        "firmware firmware 0.9.0 requires http 1 to 1; service api 1.1.0 provides 2 to 2: "
        "strands 12 devices: cellar-1, silent-7 and 10 more"
    )


def test_devices_of_which_nothing_is_known_are_told_of_in_the_plan(tmp_path: Path) -> None:
    fleet = (
        Running(version="", count=3, names=("a", "b", "c")),
        Running(version="0.1", count=4, names=("d", "e", "f", "g")),
    )
    assert make(tmp_path, OLD, NEW, *fleet).devices_unknown == (
        "devices that no release describes may be stranded: "
        "3 showed no version (a, b, c), 4 show 0.1 (d, e, f, ...)"
    )


def test_an_image_on_the_way_is_served_too(tmp_path: Path) -> None:
    stone = Running(
        version="1.0.5", component="firmware", compatibility={"requires": {"http": [9, 9]}}
    )
    with pytest.raises(Refused, match="devices take it on their way"):
        make(tmp_path, OLD, NEW, stone)
