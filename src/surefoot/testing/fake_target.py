"""A target whose outside world is one JSON file that counts every effect.

It behaves like a driver of services (start, check, switch, drain, stop, revert, remove), keeps
the contract durably, and calls a fault hook right before and right after each effect, so that a
crash test can end the process there. An outside verifier reads the file by itself: `effects` is
the list of every change ever made, `[operation, action, component, fence]`, so what was done
twice, never or without a claim shows. Shape of the desired state: component -> any plain JSON
object.
Does not: start anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from surefoot.core.errors import Refused
from surefoot.core.interlock import Interlock
from surefoot.core.target import Capabilities, Observation, Outcome, Plain, Step, Token
from surefoot.store.durable import write_durably
from surefoot.targets.words import Receipts
from surefoot.trust import canonical
from surefoot.trust.digest import digest_of

_ACTIONS = ("start", "check", "switch", "drain", "stop", "revert", "remove")


class FakeComponent(msgspec.Struct, kw_only=True):
    """A component of the outside world: its generations by name, and the live one."""

    generations: dict[str, Plain] = {}
    live: str = ""


class FakeWorld(msgspec.Struct, kw_only=True):
    """The outside world, whole."""

    components: dict[str, FakeComponent] = {}
    effects: list[tuple[str, str, str, int]] = []


def read_world(path: Path) -> FakeWorld:
    """The outside world as it is on disk: for verifiers that trust nobody."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=FakeWorld)
    except FileNotFoundError:
        return FakeWorld()


def _no_fault(_place: str) -> None:
    """Nothing happens."""


class FakeTarget:
    """A disk-backed driver. `unhealthy` names components whose check fails."""

    def __init__(
        self,
        path: Path,
        interlock: Interlock,
        *,
        name: str = "process",
        fault: Callable[[str], None] = _no_fault,
        unhealthy: frozenset[str] = frozenset(),
    ) -> None:
        self._path = path
        self._interlock = interlock
        self._name = name
        self._fault = fault
        self._unhealthy = unhealthy
        self._receipts = Receipts(path.with_suffix(".receipts.json"))

    @property
    def capabilities(self) -> Capabilities:
        """Constant."""
        return Capabilities(name=self._name, actions=_ACTIONS, can_roll_back=True)

    def observe(self) -> Observation:
        """The live generation of each component, value by value."""
        stable: Plain = {}
        volatile: Plain = {}
        for name, component in sorted(read_world(self._path).components.items()):
            volatile[f"{name}/generation"] = component.live
            volatile[f"{name}/generations"] = [*sorted(component.generations)]
            live = component.generations.get(component.live, {})
            stable |= {f"{name}/{key}": value for key, value in live.items()}
            stable[f"{name}/state"] = "running" if component.live else "none live"
        return Observation(target=self._name, stable=stable, volatile=volatile)

    def plan(
        self, desired: Mapping[str, canonical.JSON], observed: Observation
    ) -> tuple[Step, ...]:
        """Start, check, switch and drain what differs; remove what is not desired."""
        steps: list[Step] = []
        for name in sorted(desired):
            content = desired[name]
            if not isinstance(content, dict):
                raise _bad(name, "an object")
            expected = {f"{name}/{key}": value for key, value in content.items()}
            expected[f"{name}/state"] = "running"
            seen = {k: v for k, v in observed.stable.items() if k.startswith(f"{name}/")}
            if seen != expected:
                steps += self._replace(name, content, observed.volatile)
        known = {key.partition("/")[0] for key in observed.stable}
        steps += [self._step("remove", name, {}) for name in sorted(known - set(desired))]
        return tuple(steps)

    def _replace(self, name: str, content: Plain, volatile: Plain) -> list[Step]:
        live = str(volatile.get(f"{name}/generation", ""))
        taken = volatile.get(f"{name}/generations", [])
        base = "g" + digest_of(canonical.encode(content))[7:19]
        generation, number = base, 1
        while isinstance(taken, list) and generation in taken:
            number += 1
            generation = f"{base}.{number}"
        steps = [
            self._step("start", name, {"generation": generation, "content": content}),
            self._step("check", name, {"generation": generation}),
            self._step("switch", name, {"generation": generation, "previous": live}),
        ]
        return [*steps, self._step("drain", name, {"generation": live})] if live else steps

    def _step(self, action: str, component: str, arguments: Plain) -> Step:
        return Step(
            id=f"{action}-{component}",
            target=self._name,
            action=action,
            component=component,
            arguments=arguments,
            summary=f"{action} {component}",
        )

    def apply(self, step: Step, token: Token) -> Outcome:
        """Act on the file. See the contract."""
        self._interlock.check(step, token)
        _check(step)
        with self._receipts.admit(step, token) as receipt:
            if receipt is not None:
                return receipt
            return self._receipts.record(step, token, self._act(step, token))

    def _act(self, step: Step, token: Token) -> Outcome:
        if step.action == "check":
            if step.component in self._unhealthy:
                return Outcome(status="failed", reason=f"{step.component} is unhealthy")
            return Outcome(status="done")
        world = read_world(self._path)
        before = msgspec.json.encode(world.components, order="sorted")
        _change(world, step)
        if msgspec.json.encode(world.components, order="sorted") == before:
            return Outcome(status="done", reason="it was so already")
        self._fault("act:before")
        world.effects.append((token.operation, step.action, step.component, token.fence))
        write_durably(self._path, msgspec.json.encode(world))
        # A crash here leaves an effect without receipt: the next attempt looks and finds it.
        self._fault("act:after")
        return Outcome(status="done")


def _change(world: FakeWorld, step: Step) -> None:
    """Bring about what the step wants; changes nothing where it is so already."""
    arguments: dict[str, Any] = step.arguments
    if step.action == "remove":
        world.components.pop(step.component, None)
        return
    component = world.components.get(step.component)
    generation = str(arguments.get("generation", ""))
    if step.action == "start":
        component = component or FakeComponent()
        world.components[step.component] = component
        component.generations.setdefault(generation, arguments["content"])
        return
    if component is None:
        raise _bad(step.component, "a component that was started")
    if step.action in ("drain", "stop"):
        if component.live == generation:
            raise _bad(step.component, "a generation that is not live")
        # Kept, as a real driver keeps it on disk, so that a revert can bring it back.
        return
    wanted = generation if step.action == "switch" else str(arguments.get("previous", ""))
    if wanted and wanted not in component.generations:
        raise _bad(step.component, f"a generation {wanted}")
    component.live = wanted


def _check(step: Step) -> None:
    """Refuse before anything is touched."""
    if step.action not in _ACTIONS:
        raise _bad(step.id, ", ".join(_ACTIONS))
    wanted = {
        "start": {"generation", "content"},
        "check": {"generation"},
        "switch": {"generation", "previous"},
        "revert": {"generation", "previous"},
        "drain": {"generation"},
        "stop": {"generation", "content"},
        "remove": set(),
    }[step.action]
    if not step.component or not set(step.arguments) <= wanted:
        raise _bad(step.id, ", ".join(sorted(wanted)) or "no arguments")
    if "generation" in wanted and not isinstance(step.arguments.get("generation"), str):
        raise _bad(step.id, "a generation's name")
    if step.action == "start" and not isinstance(step.arguments.get("content"), dict):
        raise _bad(step.id, "content as an object")


def _bad(subject: str, expected: str) -> Refused:
    return Refused(
        "target.arguments.input",
        subject,
        expected=expected,
        found="another form",
        remedy="make a new plan",
    )
