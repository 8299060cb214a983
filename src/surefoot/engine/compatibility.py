"""Compatibility: what a release would strand, found before the plan is made and named.

Keeps: components that run at the same time, in any state the deployment passes, must meet each
other's needs; a contract that ran is never undone by an earlier release. Pure: from what is wanted
and what is recorded. Does not: look at a target or choose steps.
"""

from __future__ import annotations

import msgspec

from surefoot.core.errors import Refused
from surefoot.core.governance import EnvironmentPolicy
from surefoot.core.manifest import Manifest
from surefoot.core.plan import Settings, conflicts
from surefoot.core.target import Plain, Step
from surefoot.core.world import ComponentState, Environment
from surefoot.trust.digest import Digest


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a firmware that devices may run, or will on their way, and what it needs.

    `names` are some of them. Without a component no release describes the version.
    """

    version: str
    component: str = ""
    count: int = 0
    names: tuple[str, ...] = ()
    compatibility: Plain = {}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a plan is made from. `desired` maps a target's name to what it should become."""

    deployment: int
    environment: Environment
    purpose: str
    manifest: Manifest
    release: Digest
    previous: Manifest | None
    policy: EnvironmentPolicy
    settings: Settings
    desired: dict[str, Plain]
    smoke: tuple[Plain, ...]
    heads: dict[str, int]
    explicit: tuple[Step, ...] = ()
    gates: tuple[Step, ...] = ()
    fleet: tuple[Running, ...] = ()
    back: Manifest | None = None

    @property
    def download_only(self) -> bool:
        """Whether devices are only to download the firmware, so that none of them moves."""
        return bool(self.desired.get("fleet")) and self.policy.devices.urgency == "download-only"


def check_compatibility(wanted: Wanted) -> None:
    """Refuse a set of components that cannot work together, in any state the deployment passes."""
    new = parts_of(wanted.manifest)
    problems = conflicts(new)
    old_firmware = _running_firmware(wanted)
    if wanted.previous is not None and old_firmware:
        during = {k: v for k, v in new.items() if not k.startswith("firmware ")} | old_firmware
        problems += conflicts(during)
    problems += _stranded(wanted)
    problems += _stranded_on_return(wanted)
    if wanted.environment.components and wanted.previous is not None:
        problems += _contract_problems(wanted)
    if problems:
        raise Refused(
            "plan.compatibility",
            f"release {wanted.manifest.version} to {wanted.environment.name}",
            expected="components that work together at every step",
            found="; ".join(problems[:5]),
            remedy="widen what the new part provides, or deploy a release between them first",
        )


def _stranded(wanted: Wanted) -> list[str]:
    """The devices that the new services would not serve, whatever the record says they run.

    A device that was silent through earlier rollouts still runs what it showed last.
    """
    cloud = _cloud(wanted.manifest)
    problems = []
    for running in wanted.fleet:
        if not running.component:
            continue
        label = f"firmware {running.component} {running.version}"
        found = conflicts({**cloud, label: _needs(running.compatibility)})
        found = [line for line in found if line.startswith(label)]
        if found:
            problems.append(f"{found[0]}: {_named(running)}")
    return problems


def _stranded_on_return(wanted: Wanted) -> list[str]:
    """What a device that returned to the named release could meet, and would not work with."""
    if wanted.back is None:
        return []
    returned = {
        label: _needs(known)
        for label, known in parts_of(wanted.back).items()
        if _is_firmware(label)
    }
    clouds = [_cloud(wanted.manifest), *([_cloud(wanted.previous)] if wanted.previous else [])]
    found = [line for cloud in clouds for line in conflicts({**cloud, **returned})]
    return [f"{line}, after a return" for line in dict.fromkeys(found) if _is_firmware(line)]


def _named(running: Running) -> str:
    if not running.count:
        return "devices take it on their way"
    devices = "1 device" if running.count == 1 else f"{running.count} devices"
    more = running.count - len(running.names)
    rest = f" and {more} more" if more else ""
    return f"strands {devices}: {', '.join(running.names)}{rest}"


def _cloud(manifest: Manifest) -> dict[str, Plain]:
    return {k: v for k, v in parts_of(manifest).items() if not k.startswith("firmware ")}


def _needs(known: Plain) -> Plain:
    required = known.get("requires", {})
    return {"requires": required if isinstance(required, dict) else {}}


def unknown_devices(wanted: Wanted) -> str:
    """Of which devices nobody can say whether they are stranded, on one line; empty: none."""
    unknown = [running for running in wanted.fleet if not running.component]
    shown = [
        f"{running.count} {f'show {running.version}' if running.version else 'showed no version'}"
        f" ({', '.join(running.names[:3])}{', ...' if running.count > 3 else ''})"
        for running in unknown[:5]
    ]
    if not shown:
        return ""
    more = f", and {len(unknown) - 5} more versions" if len(unknown) > 5 else ""
    return f"devices that no release describes may be stranded: {', '.join(shown)}{more}"


def devices_return_first(wanted: Wanted) -> tuple[bool, str]:
    """Whether devices must be back before the service may go back, and why."""
    if wanted.previous is None or wanted.download_only:
        return False, ""
    moved = {k: _needs(v) for k, v in parts_of(wanted.manifest).items() if _is_firmware(k)}
    if not moved:
        return False, ""
    found = conflicts({**_cloud(wanted.previous), **moved})
    lines = [line for line in found if _is_firmware(line)]
    if lines:
        return True, lines[0]
    return False, "the service before also serves the new firmware"


def _is_firmware(label: str) -> bool:
    return label.startswith("firmware ")


def parts_of(manifest: Manifest) -> dict[str, Plain]:
    parts: dict[str, Plain] = {}
    for component in manifest.components:
        entry = manifest.compatibility.get(component.name, {})
        label = f"{component.kind} {component.name} {component.version}"
        parts[label] = entry if isinstance(entry, dict) else {}
    return parts


def _running_firmware(wanted: Wanted) -> dict[str, Plain]:
    """The firmware now on the devices, labelled, with what it requires."""
    running: dict[str, Plain] = {}
    for name, state in wanted.environment.components.items():
        if state.kind == "firmware":
            known = state.detail.get("compatibility", {})
            running[f"firmware {name} {state.version}"] = known if isinstance(known, dict) else {}
    return running


def _contract_problems(wanted: Wanted) -> list[str]:
    """The service that comes must work with the schema that is there, contracted or not."""
    schema = [c for c in wanted.environment.components.values() if c.kind == "migrations"]
    problems = []
    for state in schema:
        problems += _contracted_away(wanted, state)
        provided = state.detail.get("compatibility", {})
        if not isinstance(provided, dict):
            continue
        label = f"schema {state.version}"
        services = {k: v for k, v in parts_of(wanted.manifest).items() if k.startswith("service ")}
        needs: dict[str, Plain] = {
            k: {"requires": _only(v.get("requires", {}), provided.get("provides", {}))}
            for k, v in services.items()
        }
        if wanted.purpose == "rollback":
            problems += conflicts({label: provided, **needs})
    return problems


def _contracted_away(wanted: Wanted, state: ComponentState) -> list[str]:
    """A contract migration that ran cannot be missing in the release that comes."""
    ran = state.detail.get("contracted", 0)
    known = max(
        (
            int(str(m.get("number", 0)))
            for c in wanted.manifest.of_kind("migrations")
            for m in objects(c.detail.get("migrations", []))
        ),
        default=0,
    )
    if isinstance(ran, int) and ran > known:
        return [f"contract migration {ran:04d} ran; release {wanted.manifest.version} predates it"]
    return []


def objects(value: object) -> list[Plain]:
    return [m for m in value if isinstance(m, dict)] if isinstance(value, list | tuple) else []


def _only(required: object, provided: object) -> Plain:
    if not (isinstance(required, dict) and isinstance(provided, dict)):
        return {}
    return {name: versions for name, versions in required.items() if name in provided}


def return_obstacle(wanted: Wanted) -> str:
    """Why the release before could not run on the expanded schema, if so."""
    assert wanted.previous is not None
    parts = {
        k: v for k, v in parts_of(wanted.previous).items() if not k.startswith("migrations ")
    } | {k: v for k, v in parts_of(wanted.manifest).items() if k.startswith("migrations ")}
    found = conflicts(parts)
    return found[0] if found else ""


def keep_service(wanted: Wanted) -> tuple[bool, str]:
    """Whether the new service may stay when its devices stop and return."""
    old = _running_firmware(wanted)
    new = {k: v for k, v in parts_of(wanted.manifest).items() if not k.startswith("firmware ")}
    found = conflicts({**new, **old})
    if found:
        return False, found[0]
    return True, "the new service also serves the firmware the devices return to"
