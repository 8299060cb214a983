"""The steps of active tests in a plan: what runs in this environment, and how much it may do.

Keeps: where the environment is protected, only what is marked safe is planned, and the summary says
what was left out; the plan names no address: those come from the environment's own targets.
"""

from __future__ import annotations

from typing import Any, get_args

from surefoot.app.gate_asks import CHANGES_NOTHING_NEW
from surefoot.core.target import Step
from surefoot.core.world import Environment
from surefoot.product import Definition
from surefoot.product.resilience_form import Attack


def active_steps(
    definition: Definition, environment: Environment, purpose: str, *, protected: bool
) -> tuple[Step, ...]:
    """The steps, none when nothing is declared, nothing may run here, or nothing new comes."""
    if purpose in CHANGES_NOTHING_NEW:
        return ()
    pipeline: Any = definition.plain()["pipeline"]
    named = definition.pipeline.deploy
    steps = _load(pipeline, environment.name, protected) if "load" in named else ()
    asked = pipeline.get("resilience") if "resilience" in named else None
    if asked is not None and (asked["safe"] or not protected):
        steps = (*steps, _resilience(asked, pipeline["active"]))
    return steps


def _load(pipeline: Any, environment: str, protected: bool) -> tuple[Step, ...]:
    runs = [one for one in pipeline["load"] if one["safe"] or not protected]
    if not runs:
        return ()
    left = len(pipeline["load"]) - len(runs)
    aside = f", {left} not safe here" if left else ""
    for scenario in runs:
        if scenario.get("against") == environment:
            # A release is no baseline for itself.
            del scenario["against"]
    return (
        Step(
            id="load",
            target="gate:load",
            action="load",
            arguments={"scenarios": runs, "budget": pipeline["active"]},
            summary=f"{len(runs)} load scenario{'s' if len(runs) > 1 else ''}{aside}",
        ),
    )


def _resilience(asked: Any, budget: Any) -> Step:
    kinds = asked["attacks"] or [
        kind for kind in get_args(Attack) if kind != "login" or "login" in asked
    ]
    arguments = {key: value for key, value in asked.items() if key != "limits"}
    return Step(
        id="resilience",
        target="gate:resilience",
        action="resilience",
        arguments=arguments | {"attacks": kinds, "bounds": asked["limits"], "budget": budget},
        summary=f"{len(kinds)} kinds of abuse",
    )
