"""The resilience gate in a definition is read with its defaults, and what cannot hold is named."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from surefoot.app.active_steps import active_steps
from surefoot.core.errors import Refused
from surefoot.core.world import Environment
from surefoot.gates.resilience.plan import Plan
from surefoot.product import Definition, parse_definition
from surefoot.product.rules import governance_of

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/thermostat/surefoot.yaml"
STAGING = Environment(name="staging")


def definition(asked: str, *, deploy: str = "[smoke, resilience]", more: str = "") -> Definition:
    head, _, rest = EXAMPLE.read_text(encoding="utf-8").partition("  deploy: [smoke] ")
    line = f"  resilience: {asked}\n" if asked else ""
    text = f"{head}  deploy: {deploy}\n{line}{more}{rest.partition(chr(10))[2]}"
    return parse_definition(text.encode())


def test_all_kinds_that_can_be_tried_are_planned_and_fit_the_gate() -> None:
    (step,) = active_steps(definition("{probe: /health}"), STAGING, "deploy", protected=False)
    found: Any = step.arguments
    assert len(found["attacks"]) == 9 and "login" not in found["attacks"]
    plan = msgspec.convert({**found, "endpoint": "127.0.0.1:1"}, Plan)
    assert (plan.probe, plan.bounds.availability_percent) == ("/health", "99")


def test_a_login_that_is_described_is_tried() -> None:
    asked = "{probe: /, login: {path: /login, body: '{password}'}}"
    (step,) = active_steps(definition(asked), STAGING, "deploy", protected=False)
    attacks: Any = step.arguments["attacks"]
    assert "login" in attacks


def test_where_it_is_protected_it_runs_only_if_it_is_safe() -> None:
    assert active_steps(definition("{probe: /}"), STAGING, "deploy", protected=True) == ()
    safe = definition("{probe: /, safe: true}")
    assert len(active_steps(safe, STAGING, "deploy", protected=True)) == 1


@pytest.mark.parametrize(
    ("asked", "options", "words"),
    [
        ("", {}, "no such key"),
        ("{probe: /}", {"deploy": "[smoke]"}, "abuse that never runs"),
        ("{probe: /, attacks: [login]}", {}, "attacks names login"),
        ("{probe: /, attacks: [deep-json, deep-json]}", {}, "deep-json once"),
        ("{probe: /, attacks: [earthquake]}", {}, "one of"),
        ("{probe: /, connections: 200}", {}, "at most 150"),
        ("{probe: /, seconds: 61}", {}, "at most 600 in all"),
    ],
)
def test_what_cannot_hold_is_named(asked: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(Refused) as refused:
        definition(asked, **options)
    assert words in str(refused.value)


def test_weaker_limits_are_another_rule() -> None:
    strict = definition("{probe: /, limits: {availability_percent: 99.9}}")
    loose = definition("{probe: /, limits: {availability_percent: 50}}")
    assert governance_of(strict).asked != governance_of(loose).asked
