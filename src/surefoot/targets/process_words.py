"""The words of the process target: arguments of its steps, expected observation, plan.

Keeps: pure; the same desired state and observation give the same steps; what a step does not
know is refused. Shape of the desired state, by component:
`{artifact, command, values, secrets, listener, listen, health, memory_mib, open_files,
drain_seconds}`; see `Service`. Does not: read files or processes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

import msgspec

from surefoot.core.errors import Refused
from surefoot.core.target import Observation, Plain, Step
from surefoot.targets.keeper import VERSION
from surefoot.trust import canonical
from surefoot.trust.digest import Digest, digest_of

TARGET = "process"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")

Generation = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")]
Key = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=3600)]


class Health(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A path that must answer 2xx within the time."""

    path: Annotated[str, msgspec.Meta(pattern=r"^/[\x21-\x7e]*$", max_length=1024)] = "/"
    timeout_seconds: Annotated[int, msgspec.Meta(ge=1, le=600)] = 10


class Service(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one component is to run. `secrets` maps names to versions; 0 means no limit."""

    artifact: Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
    command: Annotated[tuple[Word, ...], msgspec.Meta(min_length=1, max_length=100)]
    values: Plain = {}
    secrets: dict[Key, Annotated[int, msgspec.Meta(ge=0)]] = {}
    listener: Annotated[str, msgspec.Meta(pattern=r"^(\[[0-9a-f:]+\]|[0-9.]+):[0-9]{1,5}$")] = (
        "127.0.0.1:0"
    )
    listen: Literal["unix", "tcp"] = "unix"
    health: Health = Health()
    memory_mib: Annotated[int, msgspec.Meta(ge=0, le=1_048_576)] = 0
    open_files: Annotated[int, msgspec.Meta(ge=0, le=1_048_576)] = 0
    drain_seconds: Seconds = 30


class Start(Service, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `start`, `stop` and `restart`: the service, under a generation's name."""

    generation: Generation


class Check(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `check`."""

    generation: Generation
    health: Health = Health()


class Switch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `switch` and, the other way round, of `revert`. `previous` may be empty."""

    generation: Generation
    previous: Generation | Literal[""] = ""
    drain_seconds: Seconds = 30


class Stop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `drain` and of the short form of `stop`."""

    generation: Generation
    drain_seconds: Seconds = 0


class Remove(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `remove`: none."""


Arguments = TypeVar("Arguments", bound=msgspec.Struct)


def read_arguments(step: Step, form: type[Arguments]) -> Arguments:
    """A step's arguments in their form. Raises `Refused("target.arguments.input")`."""
    try:
        return msgspec.convert(step.arguments, form)
    except msgspec.ValidationError as wrong:
        raise Refused(
            "target.arguments.input",
            f"step {step.id} ({step.action})",
            expected=", ".join(form.__struct_fields__) or "no arguments",
            found=str(wrong)[:200],
            remedy="make a new plan; steps are not written by hand",
        ) from None


def check_component(name: str) -> str:
    """The component's name, fit for a folder. Raises `Refused("target.component.input")`."""
    if not _NAME.fullmatch(name):
        raise Refused(
            "target.component.input",
            f"component {name[:80]!r}",
            expected="a letter, then at most 62 of a-z 0-9 _ -",
            found=name[:80],
            remedy="rename the component",
        )
    return name


def configuration_of(values: Plain) -> bytes:
    """The configuration file of a service: its values, one a line, in a fixed order."""
    return (json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def configuration_keys(component: str, content: bytes) -> Plain:
    """The stable keys that show a configuration file's digest and values."""
    keys: Plain = {f"{component}/configuration": digest_of(content)}
    try:
        values = json.loads(content)
    except ValueError:
        return keys
    if isinstance(values, dict):
        keys |= {f"{component}/configuration/{k}": _shown(v) for k, v in values.items()}
    return {key: value for key, value in keys.items() if key.isascii()}


def _shown(value: object) -> canonical.JSON:
    """A value as it is when canonical JSON can hold it, else as text."""
    try:
        canonical.encode(value)
    except canonical.NotCanonical:
        return json.dumps(value)
    return value  # type: ignore[return-value]


def expected_observation(desired: Mapping[str, canonical.JSON]) -> Plain:
    """The stable keys that an observation holds when everything is as desired.

    `COMPONENT/listener/address` is only there for a declared port other than 0: which free port
    was taken is seen, not declared. Raises `Refused` when the desired state is malformed.
    """
    keys: Plain = {}
    for component, service in read_desired(desired).items():
        keys |= configuration_keys(component, configuration_of(service.values))
        keys |= {f"{component}/secrets/{k}": v for k, v in service.secrets.items()}
        keys |= {
            f"{component}/artifact": service.artifact,
            f"{component}/process/command": list(service.command),
            f"{component}/process/state": "running",
            f"{component}/limits/memory_mib": service.memory_mib,
            f"{component}/limits/open_files": service.open_files,
            f"{component}/listener/declared": service.listener,
            f"{component}/keeper/version": str(VERSION),
        }
        if not service.listener.endswith(":0"):
            keys[f"{component}/listener/address"] = service.listener
    return keys


def read_desired(desired: Mapping[str, canonical.JSON]) -> dict[str, Service]:
    """Services by component. Raises `Refused`."""
    services = {}
    for component in sorted(desired):
        part = desired[component]
        arguments: Plain = part if isinstance(part, dict) else {"": part}
        shown = Step(id=component, target=TARGET, action="desired", arguments=arguments)
        services[check_component(component)] = read_arguments(shown, Service)
    return services


def declared_digest(service: Service) -> Digest:
    """Digest of what a service was declared to be, whatever its generation is called."""
    plain = {k: v for k, v in _plain(service).items() if k != "generation"}
    return digest_of(canonical.encode(plain))


def components_of(stable: Plain) -> set[str]:
    """The components an observation speaks of."""
    return {key.partition("/")[0] for key in stable}


def make_plan(desired: Mapping[str, canonical.JSON], observed: Observation) -> tuple[Step, ...]:
    """Start, check, switch and drain where a component differs; remove what is not desired."""
    steps: list[Step] = []
    for component, service in read_desired(desired).items():
        expected = expected_observation({component: _plain(service)})
        seen = {k: v for k, v in observed.stable.items() if k.startswith(f"{component}/")}
        same = all(seen.get(key) == value for key, value in expected.items())
        # A file changed by hand to what is now wanted is not what the process read at its start.
        declared = observed.volatile.get(f"{component}/declared")
        same = same and declared in (None, declared_digest(service))
        # Which port was taken is not declared; everything else seen must be declared.
        if same and not set(seen) - set(expected) - {f"{component}/listener/address"}:
            continue
        steps += _replace(component, service, observed.volatile)
    for component in sorted(components_of(observed.stable) - set(desired)):
        steps.append(
            Step(
                id=f"remove-{component}",
                target=TARGET,
                action="remove",
                component=component,
                summary=f"stop {component} and remove all of it but its backups",
                reversible=False,
                why_irreversible=f"the data folder of {component} is removed with it",
            )
        )
    return tuple(steps)


def _replace(component: str, service: Service, volatile: Plain) -> list[Step]:
    live = str(volatile.get(f"{component}/generation", ""))
    generation = _free_name(service, volatile.get(f"{component}/generations", []))
    start: Plain = {**_plain(service), "generation": generation}
    short = service.artifact[7:19]
    health: Plain = _plain(service.health)
    switch: Plain = {"generation": generation, "drain_seconds": service.drain_seconds}
    if live:
        switch["previous"] = live
    steps = [
        _step("start", component, start, f"start {component} {short} beside what runs"),
        _step(
            "check",
            component,
            {"generation": generation, "health": health},
            f"{component} answers {service.health.path}",
        ),
        _step("switch", component, switch, f"new requests to {component} go to {short}"),
    ]
    if live:
        drain: Plain = {"generation": live, "drain_seconds": service.drain_seconds}
        steps.append(_step("drain", component, drain, f"the old {component} finishes and stops"))
    return steps


def _step(action: str, component: str, arguments: Plain, summary: str) -> Step:
    return Step(
        id=f"{action}-{component}",
        target=TARGET,
        action=action,
        component=component,
        arguments=arguments,
        summary=summary,
    )


def _free_name(service: Service, taken: canonical.JSON) -> str:
    """A generation's name: what it is made of, and a number where that ran before."""
    base = "g" + str(digest_of(canonical.encode(_plain(service))))[7:19]
    names = set(taken) if isinstance(taken, list) else set()
    number, name = 1, base
    while name in names:
        number += 1
        name = f"{base}.{number}"
    return name


def _plain(value: msgspec.Struct) -> Plain:
    """Lists stay lists: a step must be the same after a round trip through JSON."""
    plain: Plain = msgspec.json.decode(msgspec.json.encode(value))
    return plain


def artifact_of(service: Service) -> Digest:
    """The artifact's digest; its form was checked with the arguments."""
    return Digest(service.artifact)
