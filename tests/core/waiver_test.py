"""Who may waive what, for how long, and what a waiver lets pass."""

from __future__ import annotations

import msgspec
import pytest

from surefoot.core import facts as f
from surefoot.core import waiver
from surefoot.core.errors import Refused
from surefoot.core.facts_gate import GateWaived
from surefoot.core.fold import new_world
from surefoot.core.governance import EnvironmentPolicy, Governance
from surefoot.core.policy import Asker
from surefoot.core.world import Deployment, Environment, Person, Waiver, World
from surefoot.testing.history import deployment
from surefoot.trust.digest import digest_of

ONE = digest_of(b"one")
NOW = 1_790_000_000_000
DAY = waiver.DAY_MS
WIM, DEV = Asker(type="person", id="wim"), Asker(type="person", id="dev")


@pytest.fixture
def world() -> World:
    """Wim and Cy may waive; production exists."""
    made = new_world()
    for name in ("wim", "dev", "cy"):
        made.people.people[name] = Person(id=name, keys={"k": "line"}, roles=[name])
    made.definition.governance = Governance(
        roles={"wim": ("gate.waive",), "dev": ("release.create",), "cy": ("gate.waive",)},
        environments={"production": EnvironmentPolicy()},
    )
    made.environments["production"] = Environment(name="production", release=ONE)
    return made


def given(person: str = "wim", *, until_ms: int = NOW + DAY, given_ms: int = NOW - 1) -> Waiver:
    return Waiver(person=person, until_ms=until_ms, given_ms=given_ms, entry=7)


def fact(until_ms: int = NOW + DAY, environment: str = "production") -> GateWaived:
    return GateWaived(environment=environment, gate="smoke", person="wim", until_ms=until_ms)


def result(verdict: str, waived_by: str = "") -> f.GateResult:
    return f.GateResult(
        gate="tests", verdict=verdict, reason="why", evidence=ONE, waived_by=waived_by
    )


def asked_for(requester: str = "dev", excluded: tuple[str, ...] = ()) -> Deployment:
    return deployment(requester=requester, excluded=list(excluded), requested_ms=NOW)


def test_only_who_may_and_only_for_a_time(world: World) -> None:
    assert waiver.grant(world, WIM, fact(), NOW) == [fact()]
    with pytest.raises(Refused, match=r"policy\."):
        waiver.grant(world, DEV, fact(), NOW)
    for until in (NOW, NOW + 91 * DAY):
        with pytest.raises(Refused, match=r"waiver\.until\.input"):
            waiver.grant(world, WIM, fact(until), NOW)
    with pytest.raises(Refused, match=r"environment\.unknown"):
        waiver.grant(world, WIM, fact(environment="moon"), NOW)
    with pytest.raises(Refused, match=r"waiver\.unknown"):
        waiver.end(world, WIM, "production", "smoke")


@pytest.mark.parametrize(
    ("waived", "asked", "counts"),
    [
        (given(), asked_for(), True),
        (given(until_ms=NOW), asked_for(), False),
        (given(given_ms=NOW + 1), asked_for(), False),
        (given("dev"), asked_for("cy"), False),
        (given("cy"), asked_for("cy"), False),
        (given("cy"), asked_for(excluded=("cy",)), False),
    ],
    ids=["counts", "over", "given later", "by one who may not", "by the requester", "by an author"],
)
def test_a_waiver_counts_for_what_was_asked_after_it_by_others(
    world: World, waived: Waiver, asked: Deployment, counts: bool
) -> None:
    world.environments["production"].waivers["smoke"] = waived
    assert (waiver.for_deployment(world, asked, "smoke", NOW) is not None) == counts
    assert waiver.for_deployment(world, asked, "load", NOW) is None


def test_a_small_team_may_waive_for_itself(world: World) -> None:
    world.environments["production"].waivers["smoke"] = given("wim")
    assert waiver.for_deployment(world, asked_for("wim"), "smoke", NOW) is None
    world.definition.governance = msgspec.structs.replace(
        world.definition.governance, small_team_delay_hours=1
    )
    assert waiver.for_deployment(world, asked_for("wim"), "smoke", NOW) is not None


@pytest.mark.parametrize("lost", ["role", "keys", "rule"])
def test_a_waiver_ends_with_the_right_to_give_it(world: World, lost: str) -> None:
    world.environments["production"].waivers["smoke"] = given()
    world.waivers.gates["tests"] = given()
    (judged,) = waiver.judged(world, [result("inconclusive")], {"dev"}, NOW)
    waiver.check_release(world, "1.0.0", [judged], {"dev"}, NOW)
    if lost == "role":
        world.people.people["wim"].roles.clear()
    elif lost == "keys":
        world.people.people["wim"].keys.clear()
    else:
        world.definition.governance = Governance(roles={"wim": ()})
    assert waiver.for_deployment(world, asked_for(), "smoke", NOW) is None
    with pytest.raises(Refused, match=r"gate\.tests\."):
        waiver.check_release(world, "1.0.0", [judged], {"dev"}, NOW)


def test_nobody_waives_for_a_name_that_only_they_enrolled(world: World) -> None:
    """A second address, enrolled without a role, is no second person."""
    world.people.people["second"] = Person(id="second", keys={"k": "l"}, enrollers=["wim"])
    world.waivers.gates["tests"] = given()
    own = {"dev", "second"}
    (judged,) = waiver.judged(world, [result("inconclusive")], own, NOW)
    assert judged.waived_by == ""
    with pytest.raises(Refused, match=r"gate\.tests\."):
        waiver.check_release(world, "1.0.0", [result("inconclusive", "wim")], own, NOW)


def test_only_inconclusive_is_waived_before_a_release(world: World) -> None:
    world.waivers.gates["tests"] = given()
    kinds = ("pass", "inconclusive", "fail", "error")
    judged = waiver.judged(world, [result(v) for v in kinds], {"dev"}, NOW)
    assert [each.waived_by for each in judged] == ["", "wim", "", ""]
    waiver.check_release(world, "1.0.0", judged[:2], {"dev"}, NOW)
    for bad in judged[2:]:
        with pytest.raises(Refused, match=rf"gate\.tests\.{bad.verdict}"):
            waiver.check_release(world, "1.0.0", [bad], {"dev"}, NOW)


@pytest.mark.parametrize(
    ("claimed", "own", "now_ms"),
    [
        (result("inconclusive", "wim"), {"wim"}, NOW),
        (result("inconclusive", "cy"), {"dev"}, NOW),
        (result("inconclusive", "wim"), {"dev"}, NOW + DAY),
        (result("fail", "wim"), {"dev"}, NOW),
        (result("pass", "wim"), {"dev"}, NOW),
        (result("inconclusive"), {"dev"}, NOW),
    ],
    ids=["own work", "another person", "over", "fail", "pass that claims a waiver", "no waiver"],
)
def test_a_waiver_that_is_only_claimed_is_refused(
    world: World, claimed: f.GateResult, own: set[str], now_ms: int
) -> None:
    world.waivers.gates["tests"] = given()
    with pytest.raises(Refused, match=r"gate\.tests\."):
        waiver.check_release(world, "1.0.0", [claimed], own, now_ms)
