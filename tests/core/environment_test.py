"""Environments: freezes, drift, clones, and how states are compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from surefoot.core import environment as environments
from surefoot.core import facts as f
from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.testing import simulator_product as product
from surefoot.testing.history import History
from surefoot.testing.simulator_product import GOVERNANCE, person

ENV = product.ENVIRONMENT


def code_of(rule: Callable[[], Sequence[f.Fact]]) -> str:
    try:
        rule()
    except Refused as refused:
        assert refused.remedy, refused.code
        return refused.code
    return ""


@pytest.mark.parametrize(
    ("who", "source", "name", "code"),
    [
        ("ann", ENV, "production-eu", ""),
        ("olga", ENV, "production-eu", ""),
        ("pia", ENV, "production-eu", "policy.permission.missing"),
        ("ann", "nowhere", "production-eu", "environment.unknown"),
        ("ann", ENV, ENV, "environment.exists"),
        ("ann", ENV, "../up", "name.form.input"),
    ],
)
def test_cloning(history: History, who: str, source: str, name: str, code: str) -> None:
    rule = environments.declare_clone
    assert code_of(lambda: rule(history.world, person(who), source, name)) == code


def test_a_clone_is_as_protected_as_its_source(history: History) -> None:
    history.tell(*environments.declare_clone(history.world, person("ann"), ENV, "copy"))
    assert history.world.environments["copy"].protected
    assert history.world.definition.governance.policy("copy", ENV).approvals == 2


@pytest.mark.parametrize(
    ("who", "name", "span", "code"),
    [
        ("ann", "holidays", (1, 2), ""),
        ("pia", "holidays", (1, 2), "policy.permission.missing"),
        ("ann", "Holidays!", (1, 2), "name.form.input"),
        ("ann", "holidays", (2, 2), "freeze.window.input"),
    ],
)
def test_declaring_a_freeze(
    history: History, who: str, name: str, span: tuple[int, int], code: str
) -> None:
    fact = f.FreezeDeclared(environment=ENV, freeze=name, from_ms=span[0], until_ms=span[1])
    assert code_of(lambda: environments.freeze(history.world, person(who), fact)) == code


@pytest.mark.parametrize(
    ("now_ms", "found"),
    [(9, ""), (10, "freeze fair"), (19, "freeze fair"), (20, ""), (30, "declared freeze: audit")],
)
def test_a_freeze_holds_from_its_start_to_before_its_end(
    history: History, now_ms: int, found: str
) -> None:
    known = GOVERNANCE.environments[ENV]
    rules = msgspec.structs.replace(
        GOVERNANCE,
        environments={ENV: msgspec.structs.replace(known, freezes=((30, 40, "audit"),))},
    )
    history.tell(*product.accept_rules(history.world, rules))
    history.tell(f.FreezeDeclared(environment=ENV, freeze="fair", from_ms=10, until_ms=20))
    assert environments.frozen_by(history.world, ENV, now_ms) == found


def test_lifting_what_is_not_there(history: History) -> None:
    rule = environments.lift
    assert code_of(lambda: rule(history.world, person("ann"), ENV, "x")) == "freeze.unknown"


@pytest.mark.parametrize(
    ("expected", "found", "paths"),
    [
        ({}, {}, {}),
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 2}, {"a": ("1", "2")}),
        ({"a": {"b": 1}}, {"a": {"c": 1}}, {"a/b": ("1", "absent"), "a/c": ("absent", "1")}),
        ({"a": [1, 2]}, {"a": [2, 1]}, {"a": ("1, 2", "2, 1")}),
        ({"a": "x" * 900}, {}, {"a": ("x" * 500, "absent")}),
    ],
)
def test_differences(expected: Plain, found: Plain, paths: dict[str, tuple[str, str]]) -> None:
    shown = {d.path: (d.expected, d.found) for d in environments.differences(expected, found)}
    assert shown == paths


def test_the_same_drift_again_is_no_news(history: History) -> None:
    drift = environments.differences({"a": 1}, {"a": 2})
    first = environments.observe_drift(history.world, ENV, drift)
    history.tell(*first)
    assert len(first) == 1
    assert environments.observe_drift(history.world, ENV, drift) == []
    assert len(environments.observe_drift(history.world, ENV, ())) == 1


def test_declaring_again_changes_nothing(history: History) -> None:
    assert environments.declare(history.world, {ENV: True}) == []
    changed = environments.declare(history.world, {ENV: False, "dev": False})
    assert [type(fact).__name__ for fact in changed] == ["EnvironmentDeclared"] * 2
