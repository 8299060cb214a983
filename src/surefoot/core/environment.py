"""Environments: what they are, what differs, what drifted, when they are frozen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from surefoot.core import facts as f
from surefoot.core.errors import Refused
from surefoot.core.policy import Asker, check_name, require
from surefoot.core.target import Plain
from surefoot.core.world import Environment, World


def find(world: World, name: str) -> Environment:
    """A declared environment. Raises `Refused("environment.unknown")`."""
    found = world.environments.get(name)
    if found is None:
        raise Refused(
            "environment.unknown",
            f"environment {name[:60]}",
            expected=", ".join(sorted(world.environments)) or "a declared environment",
            found=name[:60] or "no name",
            remedy="environments are declared in surefoot.yaml and accepted with the definition",
        )
    return found


def declare(world: World, names: Mapping[str, bool]) -> list[f.Fact]:
    """Facts for environments of an accepted definition: name to protected."""
    return [
        f.EnvironmentDeclared(environment=name, protected=protected)
        for name, protected in names.items()
        if (known := world.environments.get(name)) is None or known.protected != protected
    ]


def declare_clone(world: World, asker: Asker, source: str, name: str) -> list[f.Fact]:
    """A new environment like another."""
    require(world, asker, "environment.manage")
    origin = find(world, source)
    check_name(name, "environment")
    known = world.environments.get(name)
    if known is not None and known.source == source and not known.release:
        # Declared before and never filled: asking again goes on from there.
        return []
    if known is not None:
        raise Refused(
            "environment.exists",
            f"environment {name}",
            expected="a new name",
            found="an environment of that name",
            remedy="choose another name",
        )
    return [f.EnvironmentDeclared(environment=name, protected=origin.protected, source=source)]


def check_gone(name: str, target: str, observed: Mapping[str, object]) -> None:
    """Refuse to bring data back over data: only where the database is gone, or was never there.

    `observed` is the stable part of the database target's observation.
    """
    if observed.get("state") == "present":
        raise Refused(
            "environment.present",
            f"{target} of {name}",
            expected="a database that is gone or was never there",
            found="one that is there, and would be overwritten by an older backup",
            remedy=f"destroy it first, which keeps a backup: surefoot environment destroy {name}",
        )


def check_there(name: str, target: str, observed: Mapping[str, object]) -> None:
    """Refuse to go on as if nothing had been there when a recorded database is gone.

    A deployment would make an empty one in its place, and nobody would have been asked.
    """
    if observed.get("state") == "absent":
        raise Refused(
            "environment.database.gone",
            f"{target} of {name}",
            expected="the database that is recorded",
            found="none",
            remedy=f"bring it back from its backup: surefoot environment rebuild {name}",
        )


def check_deployed(world: World, name: str) -> None:
    """Refuse an environment that nothing was deployed to yet."""
    if not find(world, name).release:
        raise Refused(
            "environment.empty",
            f"environment {name}",
            expected="an environment that was deployed to",
            found="nothing deployed yet",
            remedy=f"surefoot deployment request {name} RELEASE",
        )


def check_idle(world: World, name: str) -> None:
    """Refuse when a deployment holds the environment, and say which and whose."""
    active = world.active_deployment(name)
    if active is not None:
        raise Refused(
            "environment.busy",
            f"environment {name}",
            expected="no deployment under way",
            found=f"deployment {active.number}, {active.status}, requested by {active.requester}",
            remedy=f"wait for it, or: surefoot deployment cancel {active.number}",
        )


def freeze(world: World, asker: Asker, fact: f.FreezeDeclared) -> list[f.Fact]:
    """Declare a freeze."""
    require(world, asker, "freeze")
    find(world, fact.environment)
    check_name(fact.freeze, "freeze")
    if fact.from_ms >= fact.until_ms:
        raise Refused(
            "freeze.window.input",
            f"freeze {fact.freeze}",
            expected="an end after its start",
            found=f"{fact.from_ms} to {fact.until_ms}",
            remedy="give --from and --until in UTC",
        )
    return [fact]


def lift(world: World, asker: Asker, environment: str, freeze_name: str) -> list[f.Fact]:
    """End a freeze early."""
    require(world, asker, "freeze")
    if freeze_name not in find(world, environment).freezes:
        raise Refused(
            "freeze.unknown",
            f"freeze {freeze_name[:60]}",
            expected="a declared freeze",
            found="none of that name",
            remedy=f"see: surefoot environment show {environment}",
        )
    return [f.FreezeLifted(environment=environment, freeze=freeze_name)]


def frozen_by(world: World, environment: str, now_ms: int) -> str:
    """The freeze in force at a time, as one phrase; empty when none."""
    found = world.environments.get(environment)
    for name, window in (found.freezes if found else {}).items():
        if window.from_ms <= now_ms < window.until_ms:
            return f"freeze {name}"
    source = found.source if found else ""
    policy = world.definition.governance.policy(environment, source)
    for from_ms, until_ms, why in policy.freezes:
        if from_ms <= now_ms < until_ms:
            return f"declared freeze: {why}"
    return ""


def flatten(value: object, path: str = "") -> dict[str, str]:
    """Plain JSON as flat paths to text, for comparing and for showing."""
    if isinstance(value, dict):
        flat: dict[str, str] = {}
        for name, member in value.items():
            flat.update(flatten(member, f"{path}/{name}" if path else str(name)))
        return flat
    if isinstance(value, list | tuple):
        return {path: ", ".join(str(member) for member in value)}
    return {path: str(value)}


def differences(expected: Plain, found: Plain) -> tuple[f.Difference, ...]:
    """Places where two observations or states differ, by path."""
    left, right = flatten(expected), flatten(found)
    return tuple(
        f.Difference(
            path=path,
            expected=left.get(path, "absent")[:500],
            found=right.get(path, "absent")[:500],
        )
        for path in sorted({*left, *right})
        if left.get(path) != right.get(path)
    )


def report_services(
    world: World, environment: str, component: str, events: Iterable[tuple[int, str, str]]
) -> list[f.Fact]:
    """Facts of what a keeper reported since the newest that is recorded: (time, event,
    generation). The same again writes nothing."""
    books = world.services.get(environment)
    newest = books.newest_ms.get(component, 0) if books else 0
    return [
        f.ServiceReported(
            environment=environment,
            component=component,
            event=event,
            at_ms=at_ms,
            generation=generation,
        )
        for at_ms, event, generation in events
        if at_ms > newest
    ]


def observe_drift(world: World, environment: str, found: tuple[f.Difference, ...]) -> list[f.Fact]:
    """Record a check when it says something new; a repeat moves nothing, so voids no plan."""
    if tuple(find(world, environment).drift) == found:
        return []
    return [f.DriftObserved(environment=environment, differences=found)]
