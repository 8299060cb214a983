"""What must hold in the pipeline of a definition: gates that are known, and what each is asked.

One small function a rule, as in `check.py`, whose list of rules ends up with these.
"""

from __future__ import annotations

from collections.abc import Iterator

from surefoot.product.form import Definition, Firmware, Service, Smoke

Path = tuple[str | int, ...]
Complaint = tuple[Path, str, str, str]

RELEASE_GATES = ("provenance", "tests", "secrets")
DEPLOY_GATES = ("smoke",)


def _pipeline(d: Definition) -> Iterator[Complaint]:
    for part, known in (("release", RELEASE_GATES), ("deploy", DEPLOY_GATES)):
        gates: tuple[str, ...] = getattr(d.pipeline, part)
        for index, gate in enumerate(gates):
            if gate not in known:
                yield ("pipeline", part, index), "one of " + ", ".join(known), gate, ""
            if gate in gates[:index]:
                yield ("pipeline", part, index), f"{gate} once", "twice", ""
    if "tests" in d.pipeline.release:
        for name, component in d.components.items():
            if isinstance(component, Service | Firmware) and component.build.tests is None:
                path: Path = ("components", name, "build")
                yield path, "the key tests, for the gate tests", "no such key", ""
    named = "smoke" in d.pipeline.deploy
    if named and not d.pipeline.smoke:
        yield ("pipeline", "deploy"), "smoke checks under pipeline.smoke", "none", ""
    if d.pipeline.smoke and not named:
        yield ("pipeline", "smoke"), "smoke in pipeline.deploy", "checks that never run", ""


def _smoke(d: Definition) -> Iterator[Complaint]:
    names: set[str] = set()
    services = any(isinstance(c, Service) for c in d.components.values())
    for index, check in enumerate(d.pipeline.smoke):
        path: Path = ("pipeline", "smoke", index)
        if check.name in names:
            yield (*path, "name"), "a name of its own", check.name, ""
        names.add(check.name)
        yield from _smoke_kind(path, check, services)
        if check.database is not None:
            for name, environment in d.environments.items():
                if check.database not in environment.targets.databases:
                    found = f"no {check.database} in environment {name}"
                    yield (*path, "database"), "a database of every environment", found, ""


def _smoke_kind(path: Path, check: Smoke, services: bool) -> Iterator[Complaint]:
    kinds = [k for k in ("http", "tcp", "sql") if getattr(check, k) is not None]
    if len(kinds) != 1:
        yield path, "exactly one of http, tcp, sql", ", ".join(kinds) or "none", ""
        return
    allowed = {
        "http": {"status", "contains", "milliseconds_max"},
        "tcp": {"milliseconds_max"},
        "sql": {"database", "expect", "milliseconds_max"},
    }[kinds[0]]
    every = ("status", "contains", "milliseconds_max", "database", "expect")
    for key in every:
        if getattr(check, key) is not None and key not in allowed:
            yield (*path, key), f"no {key} in a check of kind {kinds[0]}", "it is there", ""
    if kinds[0] == "sql" and check.database is None:
        yield path, "the key database", "no such key", ""
    if kinds[0] == "http" and not services:
        yield path, "a service to ask", "no service in components", ""


PIPELINE_RULES = (_pipeline, _smoke)
