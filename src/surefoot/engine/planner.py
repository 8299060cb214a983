"""The planner: from a release, an environment and what its targets look like, to one plan.

Keeps: the same order of steps for every environment; every choice is made here and none later;
what would strand a device or an interface is refused beforehand, by name. Does not: act, read time.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from surefoot.core.plan import (
    Change,
    ComponentAfter,
    Parent,
    Plan,
    PlannedStep,
    SettingsBefore,
    Verdict,
    phase_of,
    verdict_of,
    weave,
)
from surefoot.core.target import Observation, Plain, Step, Target
from surefoot.core.world import ComponentState
from surefoot.engine.compatibility import Wanted as Wanted
from surefoot.engine.compatibility import (
    check_compatibility,
    devices_return_first,
    keep_service,
    objects,
    return_obstacle,
    unknown_devices,
)
from surefoot.engine.wave_steps import with_waits

_DEVICES = 90
_LEAVES_SETTINGS = ("backup", "destroy")


def make_plan(
    wanted: Wanted, targets: Mapping[str, Target], observed: Mapping[str, Observation]
) -> Plan:
    """Decide. Raises `Refused("plan.compatibility")` when something would be stranded."""
    if wanted.purpose not in _LEAVES_SETTINGS:
        check_compatibility(wanted)
    steps = [*_gates(wanted), *wanted.explicit]
    for name, desired in wanted.desired.items():
        steps += [
            step if step.target == name else msgspec.structs.replace(step, target=name)
            for step in targets[name].plan(desired, observed[name])
        ]
    woven = weave(with_waits(wanted, steps))
    keep, why = keep_service(wanted)
    planned = tuple(_decorated(wanted, step, keep) for step in woven)
    if wanted.purpose not in _LEAVES_SETTINGS:
        planned = _settling(planned)
    first, cause = devices_return_first(wanted)
    same = _unchanged(wanted)
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
        before=_before_all(wanted),
        unchanged=tuple(_record(wanted, name) for name in same),
        unchanged_before=tuple(_was(wanted, name) for name in same),
        keep_service=keep,
        keep_service_why=why,
        devices_return_first=first,
        devices_return_why=cause,
        devices_unknown=unknown_devices(wanted),
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
    steps += wanted.gates
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


def _decorated(wanted: Wanted, step: Step, keep: bool) -> PlannedStep:
    """A step with its undoing and with what it makes true in the record."""
    wave = step.arguments.get("wave", 0)
    return PlannedStep(
        step=step,
        undo=_undo(wanted, step, keep),
        after=_after(wanted, step),
        before=_before(wanted, step),
        wave=int(wave) if isinstance(wave, int) else 0,
        also=_also(wanted, step),
    )


def _also(wanted: Wanted, step: Step) -> tuple[ComponentAfter, ...]:
    """The other parts of the devices that the last wave has moved."""
    if step.action != "await" or not step.arguments.get("last") or wanted.download_only:
        return ()
    same = _unchanged(wanted)
    parts = [c.name for c in wanted.manifest.of_kind("firmware") if c.name != step.component]
    return tuple(_record(wanted, name) for name in parts if name not in same)


_UNDO = {"start": "stop", "switch": "revert", "wave": "return_devices"}


def _undo(wanted: Wanted, step: Step, keep: bool) -> Step | None:
    """What undoes a step. Devices stay where they are only when the service does: `keep`.

    A download is withdrawn: what it left on a device is installed by nobody.
    """
    action = _UNDO.get(step.action)
    if action is None:
        return None
    policy = step.arguments.get("policy")
    if isinstance(policy, dict) and (
        (keep and policy.get("on_stop") == "stay") or policy.get("urgency") == "download-only"
    ):
        action = "stop_rollout"
    summary = f"undo: {step.summary}"
    if action == "return_devices" and wanted.back is not None:
        summary += f", back to release {wanted.back.version}"
    return msgspec.structs.replace(step, id=f"{step.id}-undo", action=action, summary=summary)


_MAKES_TRUE = {
    "switch": "service",
    "migrate": "migrations",
    "restore": "migrations",
    "clone_from": "migrations",
}


def _after(wanted: Wanted, step: Step) -> ComponentAfter | None:
    if step.action in ("await", "soak") and step.arguments.get("last"):
        return None if wanted.download_only else _record(wanted, step.component)
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
    migrations = objects(wanted.manifest.component(name).detail.get("migrations", []))
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


def _unchanged(wanted: Wanted) -> list[str]:
    """Components whose artifact stays while the release it came with is another."""
    now = wanted.environment.components
    return [
        c.name
        for c in wanted.manifest.components
        if c.kind != "migrations"
        and c.name in now
        and now[c.name].artifact == c.artifact
        and now[c.name].release != wanted.release
    ]


def _was(wanted: Wanted, name: str) -> ComponentAfter:
    state = wanted.environment.components[name]
    return ComponentAfter(
        component=name,
        kind=state.kind,
        artifact=state.artifact,
        version=state.version,
        release=state.release,
        detail=state.detail,
    )


def _before_all(wanted: Wanted) -> SettingsBefore:
    now = wanted.environment
    return SettingsBefore(
        release=now.release,
        release_version=now.release_version,
        settings=now.settings,
        values=now.values,
        secrets=now.secret_references,
        infrastructure=now.infrastructure,
        tools=now.tools,
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
    old = wanted.environment.components
    if wanted.purpose == "destroy":
        return tuple(
            Change(sign="-", subject=name, before=state.version)
            for name, state in sorted(old.items())
        )
    changes = []
    for component in wanted.manifest.components:
        state = old.get(component.name)
        before = f"{state.version} {state.artifact[7:19]}" if state else ""
        after = f"{component.version} {component.artifact[7:19]}"
        sign = "+" if state is None else "=" if state.artifact == component.artifact else "~"
        if wanted.download_only and component.kind == "firmware" and sign != "=":
            sign, after = "=", f"{before or 'none'}; {after} is only downloaded"
        changes.append(
            Change(sign=sign, subject=component.name, before=before, after=after)  # type: ignore[arg-type]
        )
    kept = {c.name for c in wanted.manifest.components}
    changes += [
        Change(sign="-", subject=name, before=old[name].version)
        for name in sorted(old)
        if name not in kept
    ]
    settings = () if wanted.purpose in _LEAVES_SETTINGS else _setting_changes(wanted)
    return (*changes, *settings)


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
    return verdict_of(planned, return_obstacle(wanted))
