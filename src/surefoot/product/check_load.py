"""What must hold in what active tests are asked, and between it and the environments.

One small function a rule, as in `check.py`, whose list of rules ends up with these.
"""

from __future__ import annotations

from collections.abc import Iterator

from surefoot.product.form import Definition, Service
from surefoot.product.load_form import LoadScenario

Path = tuple[str | int, ...]
Complaint = tuple[Path, str, str, str]
STRESS_SECONDS_MIN = 20
WATCH_CONNECTIONS = 50
KINDS = 10


def _named(d: Definition) -> Iterator[Complaint]:
    named = "load" in d.pipeline.deploy
    if named and not d.pipeline.load:
        yield ("pipeline", "deploy"), "load scenarios under pipeline.load", "none", ""
    if d.pipeline.load and not named:
        yield ("pipeline", "load"), "load in pipeline.deploy", "scenarios that never run", ""
    if d.pipeline.load and not any(isinstance(c, Service) for c in d.components.values()):
        yield ("pipeline", "load"), "a service to ask", "no service in components", ""


def _scenarios(d: Definition) -> Iterator[Complaint]:
    names: set[str] = set()
    for index, scenario in enumerate(d.pipeline.load):
        path: Path = ("pipeline", "load", index)
        if scenario.name in names:
            yield (*path, "name"), "a name of its own", scenario.name, ""
        names.add(scenario.name)
        yield from _shape(path, scenario)
        yield from _room(path, scenario, d)
        for number, step in enumerate(scenario.steps):
            if step.body is not None and step.method in ("GET", "HEAD"):
                yield (*path, "steps", number, "body"), f"no body with {step.method}", "one", ""


def _shape(path: Path, scenario: LoadScenario) -> Iterator[Complaint]:
    climbs = scenario.shape in ("stress", "spike")
    if climbs and scenario.peak_rate is None:
        yield (*path, "peak_rate"), f"it, for a {scenario.shape}", "no such key", ""
    elif climbs and scenario.peak_rate is not None and scenario.peak_rate <= scenario.rate:
        yield (*path, "peak_rate"), f"more than {scenario.rate}", str(scenario.peak_rate), ""
    elif not climbs and scenario.peak_rate is not None:
        yield (*path, "peak_rate"), f"none for a {scenario.shape}", "it is there", ""
    if climbs and scenario.poll_seconds is not None:
        yield (*path, "poll_seconds"), f"none for a {scenario.shape}", "it is there", ""
    if scenario.shape == "stress" and scenario.seconds < STRESS_SECONDS_MIN:
        yield (*path, "seconds"), f"at least {STRESS_SECONDS_MIN}", str(scenario.seconds), ""
    if scenario.shape != "stress" and scenario.limits.knee_rate is not None:
        yield (*path, "limits", "knee_rate"), "it with stress alone", scenario.shape, ""


def _room(path: Path, scenario: LoadScenario, d: Definition) -> Iterator[Complaint]:
    rate = max(scenario.rate, scenario.peak_rate or 0)
    if scenario.poll_seconds is not None:
        rate = -(-scenario.devices // scenario.poll_seconds)
    budget, most = d.pipeline.active, rate * (scenario.seconds + 1)
    if most > budget.requests:
        remedy = "fewer, or a larger pipeline.active.requests"
        yield path, f"at most {budget.requests} requests", f"up to {most}", remedy
    if scenario.seconds > budget.seconds:
        remedy = "shorter, or a larger pipeline.active.seconds"
        yield (*path, "seconds"), f"at most {budget.seconds}", str(scenario.seconds), remedy
    if scenario.against is None:
        return
    other = d.environments.get(scenario.against)
    if other is None:
        yield (*path, "against"), "one of " + ", ".join(d.environments), scenario.against, ""
    elif other.protected and not scenario.safe:
        found = f"{scenario.against} is protected"
        yield (*path, "against"), "a scenario marked safe", found, "say safe: true, if it is"


def _resilience(d: Definition) -> Iterator[Complaint]:
    asked, path = d.pipeline.resilience, ("pipeline", "resilience")
    named = "resilience" in d.pipeline.deploy
    if named != (asked is not None):
        found = "no such key" if named else "abuse that never runs"
        yield path, "it together with resilience in pipeline.deploy", found, ""
    if asked is None:
        return
    if not any(isinstance(c, Service) for c in d.components.values()):
        yield path, "a service to try", "no service in components", ""
    if "login" in asked.attacks and asked.login is None:
        yield (*path, "login"), "it, as attacks names login", "no such key", ""
    for index, kind in enumerate(asked.attacks):
        if kind in asked.attacks[:index]:
            yield (*path, "attacks", index), f"{kind} once", "twice", ""
    budget = d.pipeline.active
    if asked.connections > budget.connections - WATCH_CONNECTIONS:
        most = budget.connections - WATCH_CONNECTIONS
        remedy = "fewer, or a larger pipeline.active.connections"
        yield (*path, "connections"), f"at most {most}", str(asked.connections), remedy
    if asked.seconds * (len(asked.attacks) or KINDS) > budget.seconds:
        remedy = "shorter, or a larger pipeline.active.seconds"
        yield (*path, "seconds"), f"at most {budget.seconds} in all", "more", remedy


LOAD_RULES = (_named, _scenarios, _resilience)
