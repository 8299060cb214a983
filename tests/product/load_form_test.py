"""Load scenarios of a definition are read with their defaults, and what cannot hold is named."""

from pathlib import Path
from typing import Any

import pytest

from surefoot.app.active_steps import active_steps
from surefoot.core.errors import Refused
from surefoot.core.world import Environment
from surefoot.product import Definition, parse_definition
from surefoot.product.rules import governance_of

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/thermostat/surefoot.yaml"
GOOD = "{name: a, steps: [{path: /health}]}"
SAFE = "{name: b, steps: [{path: /health}], safe: true, against: staging}"

PRODUCTION = Environment(name="production")


def definition(*scenarios: str, more: str = "", deploy: str = "[smoke, load]") -> Definition:
    text = EXAMPLE.read_text(encoding="utf-8")
    head, _, rest = text.partition("  deploy: [smoke] ")
    rest = rest.partition("\n")[2]
    lines = "".join(f"    - {one}\n" for one in scenarios)
    load = f"  load:\n{lines}" if lines else ""
    return parse_definition(f"{head}  deploy: {deploy}\n{load}{more}{rest}".encode())


def test_a_scenario_has_its_defaults() -> None:
    (one,) = definition(GOOD).pipeline.load
    assert (one.shape, one.rate, one.seconds, one.safe) == ("volume", 20, 10, False)
    assert (one.steps[0].method, one.steps[0].weight) == ("GET", 1)


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("{name: a, steps: []}", "expected 1 to 50 items"),
        ("{name: a, steps: [{path: health}]}", "a path from the root"),
        ("{name: a, steps: [{path: /, method: TRACE}]}", "GET"),
        ("{name: a, steps: [{path: /, body: x}]}", "no body with GET"),
        ("{name: a, shape: spike, steps: [{path: /}]}", "it, for a spike"),
        ("{name: a, shape: spike, rate: 20, peak_rate: 20, steps: [{path: /}]}", "more than 20"),
        ("{name: a, peak_rate: 30, steps: [{path: /}]}", "none for a volume"),
        ("{name: a, shape: stress, peak_rate: 30, steps: [{path: /}]}", "at least 20"),
        ("{name: a, limits: {knee_rate: 9}, steps: [{path: /}]}", "stress alone"),
        ("{name: a, rate: 1000, seconds: 100, steps: [{path: /}]}", "at most 100000 requests"),
        ("{name: a, rate: 1, seconds: 700, steps: [{path: /}]}", "at most 600"),
        ("{name: a, against: moon, steps: [{path: /}]}", "one of dev"),
        ("{name: a, against: production, steps: [{path: /}]}", "marked safe"),
        ("{name: a, limits: {error_percent: 101}, steps: [{path: /}]}", "percent"),
    ],
)
def test_what_cannot_hold_is_named(scenario: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        definition(scenario)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"deploy": "[smoke]"}, "scenarios that never run"),
        ({"more": "  active: {connections: 901}\n"}, "900"),
    ],
)
def test_the_pipeline_names_what_it_runs(options: dict[str, str], words: str) -> None:
    with pytest.raises(Refused) as refused:
        definition(GOOD, **options)
    assert words in str(refused.value)


def test_a_gate_without_scenarios_and_two_of_one_name_are_refused() -> None:
    with pytest.raises(Refused, match=r"under pipeline\.load"):
        definition()
    with pytest.raises(Refused, match="of its own"):
        definition(GOOD, GOOD)


def test_where_it_is_protected_only_what_is_safe_is_planned() -> None:
    both = definition(GOOD, SAFE)
    (step,) = active_steps(both, Environment(name="staging"), "deploy", protected=False)
    scenarios: Any = step.arguments["scenarios"]
    assert [one["name"] for one in scenarios] == ["a", "b"]
    assert "against" not in scenarios[1]
    (step,) = active_steps(both, PRODUCTION, "deploy", protected=True)
    scenarios = step.arguments["scenarios"]
    assert [(one["name"], one["against"]) for one in scenarios] == [("b", "staging")]
    assert step.summary == "1 load scenario, 1 not safe here"
    assert active_steps(definition(GOOD), PRODUCTION, "deploy", protected=True) == ()
    assert active_steps(both, PRODUCTION, "rollback", protected=False) == ()


def test_a_weaker_load_is_another_rule() -> None:
    strict = definition("{name: a, steps: [{path: /}], limits: {p95_ms: 10}}")
    loose = definition("{name: a, steps: [{path: /}], limits: {p95_ms: 100}}")
    assert governance_of(strict).asked != governance_of(loose).asked
    assert governance_of(definition(deploy="[smoke]")).asked == ""
