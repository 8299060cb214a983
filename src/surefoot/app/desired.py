"""What an environment should become under a release: the desired state of each of its targets.

Keeps: values come from the release's own definition, secrets by name and version; a clone without
an entry of its own has its source's. Does not: observe or decide steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from surefoot.app.facade import App
from surefoot.core.eligibility import stones_for
from surefoot.core.errors import Refused
from surefoot.core.governance import EnvironmentPolicy
from surefoot.core.manifest import Manifest, ManifestComponent
from surefoot.core.offer import Firmware
from surefoot.core.plan import Settings
from surefoot.core.target import Plain
from surefoot.core.world import Environment
from surefoot.product import Definition, Service
from surefoot.product import Environment as Declared
from surefoot.targets.keeper import VERSION as KEEPER_VERSION


def declared(definition: Definition, environment: Environment) -> Declared:
    """The environment's entry in a definition, or its source's."""
    found = definition.environments.get(environment.name) or definition.environments.get(
        environment.source
    )
    if found is None:
        raise Refused(
            "environment.undeclared",
            f"environment {environment.name}",
            expected=f"one of {', '.join(sorted(definition.environments))}",
            found="no entry in the release's surefoot.yaml",
            remedy="declare it there and cut a release",
        )
    return found


def settings_of(definition: Definition, environment: Environment, tools: Plain) -> Settings:
    """Values, secret references, infrastructure and tools for an environment."""
    entry = declared(definition, environment)
    missing = [name for name in entry.secrets if name not in environment.secrets]
    if missing:
        raise Refused(
            "secret.missing",
            f"environment {environment.name}",
            expected=f"secrets {', '.join(entry.secrets)}",
            found=f"no value for {', '.join(missing)}",
            remedy=f"set it: surefoot secret set {environment.name} {missing[0]}",
        )
    return Settings(
        values=dict(entry.values),
        secrets={name: environment.secrets[name] for name in entry.secrets},
        infrastructure=infrastructure_of(entry),
        tools=tools,
    )


def infrastructure_of(entry: Declared) -> Plain:
    """What an environment's targets are declared to be: listener, limits, keeper, databases."""
    process = entry.targets.process
    infrastructure: Plain = {"keeper": KEEPER_VERSION} if process else {}
    if process:
        infrastructure |= {k: v for k, v in msgspec.to_builtins(process).items() if v is not None}
    return infrastructure | {
        f"database {name}": d.engine for name, d in entry.targets.databases.items()
    }


def desired_of(
    app: App,
    definition: Definition,
    environment: Environment,
    manifest: Manifest,
    settings: Settings,
) -> dict[str, Plain]:
    """Each target's desired state, by the target's name."""
    entry = declared(definition, environment)
    desired: dict[str, Plain] = {}
    for component in manifest.of_kind("migrations"):
        desired[f"database:{component.detail['database']}"] = {
            "artifact": component.artifact,
            "component": component.name,
            "migrations": component.detail["migrations"],
            "before": environment.release_version,
        }
    if entry.targets.process is not None:
        desired["process"] = {
            c.name: _service(app, definition, environment, manifest, settings, c.name)
            for c in manifest.of_kind("service")
        }
    return desired


def _service(
    app: App,
    definition: Definition,
    environment: Environment,
    manifest: Manifest,
    settings: Settings,
    name: str,
) -> Plain:
    part = definition.components[name]
    assert isinstance(part, Service)
    process = declared(definition, environment).targets.process
    assert process is not None
    values = dict(settings.values)
    if part.run.database:
        values["database"] = app.address(environment.name, part.run.database)
    return {
        "artifact": manifest.component(name).artifact,
        "command": list(part.run.command),
        "health": {
            "path": part.run.health.path,
            "timeout_seconds": part.run.health.timeout_seconds,
        },
        "values": values,
        "secrets": dict(settings.secrets),
        "listener": process.listener,
        "memory_mib": process.memory_mib or 0,
        "open_files": process.open_files or 0,
        "drain_seconds": part.run.drain_seconds,
    }


class FleetAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What a fleet's desired state is asked for; `earlier` are the releases registered before.

    `back` is the release that the definition names for devices that return.
    """

    purpose: str
    release: str
    number: int
    previous: Manifest | None
    earlier: Sequence[Manifest] = ()
    back: Manifest | None = None


def fleet_of(
    manifest: Manifest, ask: FleetAsk, policy: EnvironmentPolicy, environment: Environment
) -> Plain:
    """The fleet's desired state: the images, what it returns to, and the waves."""
    firmware = manifest.of_kind("firmware")
    now = environment.components
    same = [c for c in firmware if c.name in now and now[c.name].artifact == c.artifact]
    if len(same) == len(firmware):
        return {}
    devices = policy.devices
    if ask.purpose == "rollback":
        # Whoever takes a release back takes its devices back: that is no silent downgrade.
        devices = msgspec.structs.replace(devices, allow_downgrade=True)
    if ask.back is None:
        devices = msgspec.structs.replace(devices, return_to="")
    *parts, last = firmware
    desired: Plain = {
        "component": last.name,
        "deployment": ask.number,
        "release": ask.release,
        "firmware": last.detail["image"],
        "parts": [part.detail["image"] for part in parts],
        "stones": [msgspec.to_builtins(stone) for stone in _stones(firmware, ask.earlier)],
        "waves": list(policy.devices.waves),
        "policy": msgspec.to_builtins(devices),
    }
    if ask.back is not None:
        desired["previous"] = _named(firmware, ask.back)
    elif now.get(last.name) is not None and ask.previous is not None:
        earlier = ask.previous.of_kind("firmware")
        images = {
            c.name: now[c.name].detail.get("image", c.detail["image"])
            for c in earlier
            if c.name in now
        }
        if images:
            ending = last.name if last.name in images else list(images)[-1]
            back = images.pop(ending)
            desired["previous"] = {
                "release": now[ending].release,
                "firmware": back,
                "parts": list(images.values()),
            }
    return {name: value for name, value in desired.items() if value != []}


def _named(firmware: Sequence[ManifestComponent], back: Manifest) -> Plain:
    """What devices return to: the same parts, of the release that is named."""
    *parts, last = (back.component(component.name).detail["image"] for component in firmware)
    return {"release": back.digest(), "firmware": last, "parts": parts}


def _stones(
    firmware: Sequence[ManifestComponent], earlier: Sequence[Manifest]
) -> tuple[Firmware, ...]:
    """Images of earlier releases that devices may have to take on their way to this one."""
    stones: list[Firmware] = []
    for component in firmware:
        before = [_image(c) for m in earlier for c in m.of_kind("firmware")]
        stones += stones_for(_image(component), before)
    return tuple({stone.digest: stone for stone in stones}.values())


def _image(component: ManifestComponent) -> Firmware:
    return msgspec.convert(component.detail["image"], Firmware)
