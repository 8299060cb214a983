"""The planner: from a release, an environment and what its targets look like, to one plan.

Keeps: the same order of steps for every environment; every choice is made here and none later;
what would strand a device or an interface is refused beforehand, by name. Does not: act, read time.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from surefoot.core.errors import Refused
from surefoot.core.governance import EnvironmentPolicy
from surefoot.core.manifest import Manifest
from surefoot.core.plan import (
    Change,
    ComponentAfter,
    Parent,
    Plan,
    PlannedStep,
    Settings,
    Verdict,
    conflicts,
    phase_of,
    verdict_of,
    weave,
)
from surefoot.core.target import Observation, Plain, Step, Target
from surefoot.core.world import ComponentState, Environment
from surefoot.trust.digest import Digest

_DEVICES = 90


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


def make_plan(
    wanted: Wanted, targets: Mapping[str, Target], observed: Mapping[str, Observation]
) -> Plan:
    """Decide. Raises `Refused("plan.compatibility")` when something would be stranded."""
    _check_compatibility(wanted)
    steps = [*_gates(wanted), *wanted.explicit]
    for name, desired in wanted.desired.items():
        steps += [
            step if step.target == name else msgspec.structs.replace(step, target=name)
            for step in targets[name].plan(desired, observed[name])
        ]
    planned = tuple(_decorated(wanted, step) for step in weave(_with_waits(steps)))
    planned = _settling(planned)
    keep, why = _keep_service(wanted)
    return Plan(
        deployment=wanted.deployment,
        environment=wanted.environment.name,
        purpose=wanted.purpose,
        release=wanted.release,
        release_version=wanted.manifest.version,
        steps=planned,
        changes=_changes(wanted),
        verdict=_verdict(wanted, planned),
        settings=wanted.settings,
        parent=Parent(
            heads=wanted.heads,
            observations={name: look.digest() for name, look in observed.items()},
        ),
        keep_service=keep,
        keep_service_why=why,
        wave_policy=msgspec.to_builtins(wanted.policy.devices),
        availability_percent=wanted.policy.availability_percent,
    )


def _gates(wanted: Wanted) -> list[Step]:
    artifacts = sorted({c.artifact for c in wanted.manifest.components})
    steps = [
        Step(
            id="provenance",
            target="gate:provenance",
            action="gate",
            arguments={"release": wanted.release, "artifacts": list(artifacts)},
            summary=f"verify signatures and digests of {len(artifacts)} artifacts",
        )
    ]
    services = wanted.desired.get("process", {})
    if wanted.smoke and services:
        steps.append(
            Step(
                id="smoke",
                target="gate:smoke",
                action="smoke",
                arguments={"checks": list(wanted.smoke)},
                summary=f"{len(wanted.smoke)} smoke checks",
            )
        )
    if services and wanted.policy.availability_percent:
        steps.append(
            Step(
                id="availability",
                target="gate:availability",
                action="availability",
                arguments={"percent": wanted.policy.availability_percent},
                summary=f"availability of at least {wanted.policy.availability_percent} %",
            )
        )
    return steps


def _with_waits(steps: list[Step]) -> list[Step]:
    """After each wave, a wait for the sealed counters that let the next one begin."""
    waves = [step for step in steps if step.action == "wave"]
    woven = []
    for step in steps:
        woven.append(step)
        if step.action == "wave":
            last = step is waves[-1]
            woven.append(
                Step(
                    id=f"await-{step.id}",
                    target=step.target,
                    action="await",
                    component=step.component,
                    arguments={
                        "wave": step.arguments["wave"],
                        "last": last,
                        "policy": step.arguments["policy"],
                    },
                    summary=f"wait until {step.summary} is verified",
                )
            )
    return woven


def _check_compatibility(wanted: Wanted) -> None:
    """Refuse a set of components that cannot work together, in any state the deployment passes."""
    new = _parts(wanted.manifest)
    problems = conflicts(new)
    old_firmware = _running_firmware(wanted)
    if wanted.previous is not None and old_firmware:
        during = {k: v for k, v in new.items() if not k.startswith("firmware ")} | old_firmware
        problems += conflicts(during)
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


def _parts(manifest: Manifest) -> dict[str, Plain]:
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
        services = {k: v for k, v in _parts(wanted.manifest).items() if k.startswith("service ")}
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
            for m in _list(c.detail.get("migrations", []))
        ),
        default=0,
    )
    if isinstance(ran, int) and ran > known:
        return [f"contract migration {ran:04d} ran; release {wanted.manifest.version} predates it"]
    return []


def _list(value: object) -> list[Plain]:
    return [m for m in value if isinstance(m, dict)] if isinstance(value, list | tuple) else []


def _only(required: object, provided: object) -> Plain:
    if not (isinstance(required, dict) and isinstance(provided, dict)):
        return {}
    return {name: versions for name, versions in required.items() if name in provided}


def _decorated(wanted: Wanted, step: Step) -> PlannedStep:
    """A step with its undoing and with what it makes true in the record."""
    wave = step.arguments.get("wave", 0)
    return PlannedStep(
        step=step,
        undo=_undo(step),
        after=_after(wanted, step),
        before=_before(wanted, step),
        wave=int(wave) if isinstance(wave, int) else 0,
    )


_UNDO = {"start": "stop", "switch": "revert", "wave": "return_devices"}


def _undo(step: Step) -> Step | None:
    action = _UNDO.get(step.action)
    if action is None:
        return None
    return msgspec.structs.replace(
        step, id=f"{step.id}-undo", action=action, summary=f"undo: {step.summary}"
    )


_MAKES_TRUE = {
    "switch": "service",
    "migrate": "migrations",
    "restore": "migrations",
    "clone_from": "migrations",
}


def _after(wanted: Wanted, step: Step) -> ComponentAfter | None:
    if step.action == "await" and step.arguments.get("last"):
        return _record(wanted, step.component)
    kind = _MAKES_TRUE.get(step.action)
    if kind is None:
        return None
    name = step.component
    if kind == "migrations":
        database = step.target.partition(":")[2]
        name = next(
            (
                c.name
                for c in wanted.manifest.of_kind("migrations")
                if c.detail.get("database") == database
            ),
            "",
        )
    if not name:
        return None
    record = _record(wanted, name)
    if kind == "migrations":
        detail = {**record.detail, **_level(wanted, step, name)}
        return msgspec.structs.replace(record, detail=detail)
    return record


def _level(wanted: Wanted, step: Step, name: str) -> Plain:
    """How far the schema is after a migration step, and up to where it was contracted."""
    migrations = _list(wanted.manifest.component(name).detail.get("migrations", []))
    to = step.arguments.get("to", len(migrations))
    assert isinstance(to, int)
    contracts = [
        number
        for m in migrations
        if m.get("class") == "contract" and isinstance(number := m.get("number"), int)
    ]
    classes = step.arguments.get("classes", ())
    done = [n for n in contracts if n <= to] if "contract" in _texts(classes) else []
    state = wanted.environment.components.get(name)
    before = state.detail.get("contracted", 0) if state else 0
    contracted = max([*done, before if isinstance(before, int) else 0], default=0)
    return {"schema": to, **({"contracted": contracted} if contracted else {})}


def _texts(value: object) -> list[str]:
    return [str(v) for v in value] if isinstance(value, list | tuple) else []


def _record(wanted: Wanted, name: str) -> ComponentAfter:
    component = wanted.manifest.component(name)
    known = wanted.manifest.compatibility.get(name, {})
    return ComponentAfter(
        component=name,
        kind=component.kind,
        artifact=component.artifact,
        version=component.version,
        release=wanted.release,
        detail={**_brief(component.detail), "compatibility": known},
    )


def _brief(detail: Plain) -> Plain:
    """What the record keeps of a component's detail: enough to show, small enough for an entry."""
    return {k: v for k, v in detail.items() if k in ("database", "schema", "image")}


def _before(wanted: Wanted, step: Step) -> ComponentAfter | None:
    state: ComponentState | None = wanted.environment.components.get(step.component)
    if step.action != "switch" or state is None:
        return None
    return ComponentAfter(
        component=step.component,
        kind=state.kind,
        artifact=state.artifact,
        version=state.version,
        release=state.release,
        detail=state.detail,
    )


def _settling(planned: tuple[PlannedStep, ...]) -> tuple[PlannedStep, ...]:
    """Mark the step after which the environment's settings are those of the release."""
    places = [i for i, p in enumerate(planned) if phase_of(p.step) < _DEVICES]
    wanted = [i for i in places if planned[i].step.action in ("switch", "restart")]
    at = (wanted or places or [0])[-1]
    return tuple(
        msgspec.structs.replace(p, settles=True) if i == at else p for i, p in enumerate(planned)
    )


def _changes(wanted: Wanted) -> tuple[Change, ...]:
    changes = []
    old = wanted.environment.components
    for component in wanted.manifest.components:
        state = old.get(component.name)
        before = f"{state.version} {state.artifact[7:19]}" if state else ""
        after = f"{component.version} {component.artifact[7:19]}"
        sign = "+" if state is None else "=" if state.artifact == component.artifact else "~"
        changes.append(
            Change(sign=sign, subject=component.name, before=before, after=after)  # type: ignore[arg-type]
        )
    kept = {c.name for c in wanted.manifest.components}
    changes += [
        Change(sign="-", subject=name, before=old[name].version)
        for name in sorted(old)
        if name not in kept
    ]
    return (*changes, *_setting_changes(wanted))


def _setting_changes(wanted: Wanted) -> list[Change]:
    now = wanted.environment
    pairs = (
        ("value", now.values, wanted.settings.values),
        ("secret", now.secret_references, wanted.settings.secrets),
        ("infrastructure", now.infrastructure, wanted.settings.infrastructure),
        ("tool", now.tools, wanted.settings.tools),
    )
    changes = []
    for label, before, after in pairs:
        for name in sorted({*before, *after}):
            old, new = before.get(name), after.get(name)
            if old == new:
                continue
            sign = "+" if old is None else "-" if new is None else "~"
            changes.append(
                Change(
                    sign=sign,  # type: ignore[arg-type]
                    subject=f"{label} {name}",
                    before="" if old is None else str(old),
                    after="" if new is None else str(new),
                )
            )
    return changes


def _verdict(wanted: Wanted, planned: tuple[PlannedStep, ...]) -> Verdict:
    if wanted.previous is None:
        return verdict_of(planned, "there is no earlier release to return to")
    return verdict_of(planned, _return_obstacle(wanted))


def _return_obstacle(wanted: Wanted) -> str:
    """Why the release before could not run on the expanded schema, if so."""
    assert wanted.previous is not None
    parts = {
        k: v for k, v in _parts(wanted.previous).items() if not k.startswith("migrations ")
    } | {k: v for k, v in _parts(wanted.manifest).items() if k.startswith("migrations ")}
    found = conflicts(parts)
    return found[0] if found else ""


def _keep_service(wanted: Wanted) -> tuple[bool, str]:
    """Whether the new service may stay when its devices stop and return."""
    old = _running_firmware(wanted)
    new = {k: v for k, v in _parts(wanted.manifest).items() if not k.startswith("firmware ")}
    found = conflicts({**new, **old})
    if found:
        return False, found[0]
    return True, "the new service also serves the firmware the devices return to"
