"""What must hold in the pipeline of a definition: gates that are known, and what each is asked.

One small function a rule, as in `check.py`, whose list of rules ends up with these.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from surefoot.product.check_load import LOAD_RULES, Complaint, Path
from surefoot.product.form import Definition, Firmware, Service, Smoke
from surefoot.product.gate_form import Baseline, Hardening
from surefoot.trust.keys import parse_public_line

RELEASE_GATES = ("provenance", "tests", "secrets", "vulnerabilities", "hardening", "baseline")
DEPLOY_GATES = ("smoke", "hardening", "baseline", "privilege", "transport", "load", "resilience")
WATCH_GATES = (
    *("drift", "smoke", "provenance", "vulnerabilities"),
    *("hardening", "baseline", "privilege", "transport"),
)
_OF_ENVIRONMENTS = ("hardening", "baseline", "privilege", "transport")


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
    if "vulnerabilities" in d.pipeline.release and d.advisories is None:
        expected = "the key advisories, for the gate vulnerabilities"
        yield ("pipeline", "release"), expected, "no such key", "name the signers of snapshots"
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


def _looked_at(d: Definition) -> Iterator[Complaint]:
    yield from _looks(d, "hardening")
    yield from _looks(d, "baseline")


def _looks(d: Definition, gate: Literal["hardening", "baseline"]) -> Iterator[Complaint]:
    """A gate that looks into artifacts before a release, and at a host in a deployment."""
    before, at_deploy = gate in d.pipeline.release, gate in d.pipeline.deploy
    asked: Hardening | Baseline | None = getattr(d.pipeline, gate)
    path: Path = ("pipeline", gate)
    if asked and not before:
        yield path, f"{gate} in pipeline.release", "rules that never run", ""
    if before and not asked and gate == "baseline":
        yield path, "the key baseline, as pipeline.release names it", "no such key", ""
    if asked and asked.root != "/":
        yield (*path, "root"), "no root: artifacts are looked into", asked.root, "leave it out"
    for index, name in enumerate(asked.components if asked else ()):
        if name not in d.components:
            yield (*path, "components", index), "one of " + ", ".join(d.components), name, ""
    services = any(isinstance(c, Service) for c in d.components.values())
    if before and not services and not (asked and asked.components):
        yield path, "components to look into, as there is no service", "none", ""
    for name, environment in d.environments.items():
        path = ("environments", name, gate)
        found: Hardening | Baseline | None = getattr(environment, gate)
        if at_deploy and found is None:
            yield path, f"the key {gate}, as pipeline.deploy names it", "no such key", ""
        elif found and not at_deploy and gate not in environment.watch:
            yield path, f"{gate} in pipeline.deploy", "rules that never run", ""
        elif found and found.components:
            yield (*path, "components"), "no components: the host is looked at", "some", ""


def _advisories(d: Definition) -> Iterator[Complaint]:
    if d.advisories is None:
        return
    for index, line in enumerate(d.advisories.signers):
        try:
            parse_public_line(line)
        except ValueError as error:
            path: Path = ("advisories", "signers", index)
            yield path, "a public key line like ssh-ed25519 AAAA", str(error)[:80], ""
    for index, name in enumerate(d.advisories.without_packages):
        if name not in d.components:
            known = ", ".join(d.components)
            yield ("advisories", "without_packages", index), f"a component: {known}", name, ""


def _transport(d: Definition) -> Iterator[Complaint]:
    at_deploy = "transport" in d.pipeline.deploy
    asked = {name: e.transport for name, e in d.environments.items() if e.transport is not None}
    if at_deploy and not asked:
        yield ("pipeline", "deploy"), "the key transport in an environment", "none has it", ""
    for name, transport in asked.items():
        path: Path = ("environments", name, "transport")
        if not at_deploy and "transport" not in d.environments[name].watch:
            yield path, "transport in pipeline.deploy", "checks that never run", ""
        seen: set[str] = set()
        for index, endpoint in enumerate(transport.endpoints):
            inner: Path = (*path, "endpoints", index)
            if endpoint.address in seen:
                yield (*inner, "address"), "an endpoint once", endpoint.address, ""
            seen.add(endpoint.address)
            if not 0 < int(endpoint.address.rpartition(":")[2]) <= 65_535:
                yield (*inner, "address"), "a port from 1 to 65535", endpoint.address, ""
            extra = endpoint.name or endpoint.pin or endpoint.authorities
            if endpoint.kind == "ssh" and extra:
                yield inner, "only an address for ssh", extra[:60], "leave it out"


def _privilege(d: Definition) -> Iterator[Complaint]:
    at_deploy = "privilege" in d.pipeline.deploy
    asked = {name: e for name, e in d.environments.items() if e.privilege is not None}
    if at_deploy and not asked:
        yield ("pipeline", "deploy"), "the key privilege in an environment", "none has it", ""
    for name, environment in asked.items():
        path: Path = ("environments", name, "privilege")
        if not at_deploy and "privilege" not in environment.watch:
            yield path, "privilege in pipeline.deploy", "checks that never run", ""
        assert environment.privilege is not None
        for database in environment.privilege.databases:
            found = environment.targets.databases.get(database)
            inner: Path = (*path, "databases", database)
            if found is None:
                known = ", ".join(environment.targets.databases) or "none"
                yield inner, f"a database of the environment: {known}", database, ""
            elif found.engine != "postgresql":
                yield inner, "a database with roles: PostgreSQL", found.engine, ""


def _watch(d: Definition) -> Iterator[Complaint]:
    for name, environment in d.environments.items():
        for gate in environment.watch:
            path: Path = ("environments", name, "watch", gate)
            if gate not in WATCH_GATES:
                yield path, "one of " + ", ".join(WATCH_GATES), gate, ""
            elif gate == "smoke" and not d.pipeline.smoke:
                yield path, "smoke checks under pipeline.smoke", "none", ""
            elif gate == "vulnerabilities" and d.advisories is None:
                yield path, "the key advisories: whose snapshots are believed", "no such key", ""
            elif (
                gate in ("hardening", "baseline", "transport")
                and getattr(environment, gate) is None
            ):
                yield path, f"the key {gate} in this environment", "no such key", ""


PIPELINE_RULES = (
    _pipeline,
    _smoke,
    _looked_at,
    _advisories,
    _transport,
    _privilege,
    *LOAD_RULES,
    _watch,
)
