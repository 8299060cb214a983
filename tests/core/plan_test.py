"""Ranges, conflicts, phases and parents, as tables."""

from __future__ import annotations

import pytest

from surefoot.core.errors import Refused
from surefoot.core.plan import (
    Parent,
    Plan,
    PlannedStep,
    Settings,
    Verdict,
    check_parent,
    conflicts,
    decode,
    phase_of,
    ranges_meet,
    verdict_of,
    weave,
)
from surefoot.core.target import Plain, Step
from surefoot.trust.digest import digest_of


def step(name: str, action: str, *classes: str, reversible: bool = True) -> Step:
    arguments: Plain = {"classes": list(classes)} if classes else {}
    return Step(
        id=name,
        target="t",
        action=action,
        arguments=arguments,
        reversible=reversible,
        why_irreversible="" if reversible else "it drops a column",
    )


@pytest.mark.parametrize(
    ("required", "provided", "meet"),
    [
        ([1, 1], [1, 2], True),
        ([2, 3], [1, 2], True),
        ([3, 4], [1, 2], False),
        ([1, 9], [4, 5], True),
        ((1, 1), [1, 1], True),
        (None, [1, 2], False),
        ("1-2", [1, 2], False),
    ],
)
def test_ranges(required: object, provided: object, meet: bool) -> None:
    assert ranges_meet(required, provided) is meet


API: Plain = {"provides": {"http": [1, 2]}, "requires": {"schema": [1, 1]}}
SCHEMA: Plain = {"provides": {"schema": [1, 2]}}


@pytest.mark.parametrize(
    ("parts", "lines"),
    [
        ({"service api": API, "migrations schema": SCHEMA}, []),
        ({}, []),
        ({"service api": API}, ["service api requires schema 1 to 1; nothing provides it"]),
        (
            {"service api": API, "migrations schema": {"provides": {"schema": [2, 3]}}},
            ["service api requires schema 1 to 1; migrations schema provides 2 to 3"],
        ),
        (
            # Every provider must fit: a client cannot choose whom it reaches.
            {"a": API, "s1": SCHEMA, "s2": {"provides": {"schema": [5, 5]}}},
            ["a requires schema 1 to 1; s2 provides 5 to 5"],
        ),
    ],
)
def test_conflicts(parts: dict[str, Plain], lines: list[str]) -> None:
    assert conflicts(parts) == lines


def test_steps_are_woven_into_one_order() -> None:
    steps = [
        step("contract", "migrate", "contract", reversible=False),
        step("t.backup-contract", "backup"),
        step("wave-1", "wave"),
        step("await-1", "await"),
        step("wave-2", "wave"),
        step("await-2", "await"),
        step("hold", "hold"),
        step("switch", "switch"),
        step("expand", "migrate", "expand", "contract"),
        step("t.backup", "backup"),
        step("gate", "gate"),
    ]
    assert [s.id for s in weave(steps)] == [
        "01-gate",
        "02-t.backup",
        "03-expand",
        "04-switch",
        "05-wave-1",
        "06-await-1",
        "07-wave-2",
        "08-await-2",
        "09-hold",
        "10-t.backup-contract",
        "11-contract",
    ]


def test_an_action_without_a_place_in_the_order_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        phase_of(step("x", "improvise"))


def planned(*steps: Step) -> tuple[PlannedStep, ...]:
    return tuple(PlannedStep(step=s) for s in steps)


@pytest.mark.parametrize(
    ("steps", "obstacle", "verdict"),
    [
        (
            ("a", "b"),
            "",
            Verdict(reversible=True, last_reversible_step="b", why="every step can be undone"),
        ),
        (
            ("a", "!b", "c"),
            "",
            Verdict(
                reversible=False,
                last_reversible_step="a",
                first_irreversible_step="!b",
                why="it drops a column",
            ),
        ),
        (
            ("!a",),
            "",
            Verdict(reversible=False, first_irreversible_step="!a", why="it drops a column"),
        ),
        (("a",), "too old", Verdict(reversible=False, first_irreversible_step="a", why="too old")),
    ],
)
def test_the_rollback_verdict(steps: tuple[str, ...], obstacle: str, verdict: Verdict) -> None:
    made = planned(*(step(name, "start", reversible="!" not in name) for name in steps))
    assert verdict_of(made, obstacle) == verdict


def test_the_verdict_of_a_plan_of_more_than_a_hundred_steps() -> None:
    steps = [step(f"s{number}", "start", reversible=number != 104) for number in range(110)]
    verdict = verdict_of(planned(*weave(steps)), "")
    assert (verdict.last_reversible_step, verdict.first_irreversible_step) == (
        "104-s103",
        "105-s104",
    )


def plan(**heads: int) -> Plan:
    return Plan(
        deployment=1,
        environment="dev",
        purpose="deploy",
        release=digest_of(b"r"),
        release_version="1.0.0",
        steps=planned(step("a", "start")),
        changes=(),
        verdict=Verdict(reversible=True),
        settings=Settings(),
        parent=Parent(heads=heads),
    )


@pytest.mark.parametrize(
    ("heads", "moved"),
    [({"env": 3}, False), ({"env": 3, "other": 9}, False), ({"env": 4}, True), ({}, True)],
)
def test_a_parent_that_moved_is_named(heads: dict[str, int], moved: bool) -> None:
    if not moved:
        check_parent(plan(env=3), heads, "plan")
        return
    with pytest.raises(Refused) as refused:
        check_parent(plan(env=3), heads, "plan")
    assert refused.value.code == "plan.parent.moved"
    assert "env at entry 3" in refused.value.expected


def test_a_plan_is_its_bytes() -> None:
    assert decode(plan(env=3).encode()) == plan(env=3)
    assert plan(env=3).digest() != plan(env=4).digest()
