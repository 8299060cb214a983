"""The rows of devices and actions, and the values that are written of them.

Keeps: a report's body is canonical JSON, the bytes that a batch holds and proves.
Does not: read, write or decide.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from surefoot.core.device import (
    Action,
    ActionKind,
    ActionState,
    Attributes,
    Consent,
    Event,
    Feedback,
    Move,
    Standing,
    Strength,
    is_version,
)
from surefoot.core.offer import Firmware
from surefoot.store.database import Session, Value
from surefoot.trust import canonical

_UNPROVEN: frozenset[ActionState] = frozenset({"reported", "failed", "timed_out", "unknown"})


class DeviceRow(msgspec.Struct, kw_only=True):
    """A device as its rows hold it. `runs` is the version it last said it runs, or empty.

    `auto_confirm` is JSON about who wants every action confirmed, or empty.
    """

    number: int
    environment: str
    device: str
    hardware: str
    attributes: str
    attributes_ms: int
    wants_attributes: bool
    action: int
    installed: int
    runs: str
    standing: Standing
    profile: str
    profile_by: str
    auto_confirm: str


class ActionRow(msgspec.Struct, kw_only=True):
    """An action as its rows hold it."""

    action: int
    number: int
    deployment: int
    wave: str
    kind: ActionKind
    firmware: str
    version: str
    state: ActionState
    cancelling: bool
    progress: int
    reason: str
    deadline_ms: int
    consent: Consent
    strength: Strength
    attribute: str = ""
    held: str = ""
    again: int = 0

    def rule(self) -> Action:
        """The part the rule decides by."""
        return Action(
            state=self.state,
            kind=self.kind,
            version=self.version,
            sha256=self.firmware.removeprefix("sha256:"),
            cancelling=self.cancelling,
            progress=self.progress,
            consent=self.consent,
            strength=self.strength,
            held=bool(self.held),
        )


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What an assignment gives to each device of a wave."""

    deployment: int
    wave: str
    kind: ActionKind
    release: str
    firmware: Firmware
    deadline_ms: int
    confirmation: bool = False


def new_action(
    task: Task,
    number: int,
    action: int,
    state: ActionState = "assigned",
    reason: str = "",
    *,
    sure: bool,
) -> ActionRow:
    """A device's new action; `sure`: this device's actions confirm themselves."""
    return ActionRow(
        action=action,
        number=number,
        deployment=task.deployment,
        wave=task.wave,
        kind=task.kind,
        firmware=task.firmware.digest,
        version=task.firmware.version,
        state=state,
        cancelling=False,
        progress=0,
        reason=reason,
        deadline_ms=task.deadline_ms,
        consent="waiting" if task.confirmation and not sure else "",
        strength="",
        attribute=task.firmware.attribute,
    )


def new_action_values(
    row: ActionRow, environment: str, device: str, release: str, now_ms: int
) -> dict[str, Value]:
    """The columns of a new action."""
    fields = {name: getattr(row, name) for name in ActionRow.__struct_fields__}
    for own in ("cancelling", "progress", "consent", "strength", "attribute", "held", "again"):
        fields.pop(own)
    names = {"environment": environment, "device": device}
    return {**fields, **names, "release": release, "time_ms": now_ms}


def report_record(
    about: tuple[str, str, int],
    action: ActionRow | None,
    moved: tuple[str, str, str],
    told: canonical.JSON,
    now_ms: int,
) -> dict[str, canonical.JSON]:
    """A report without its own number, about an environment, device and number.

    `moved` is the state before, and the versions the device ran and runs.
    """
    traits: dict[str, canonical.JSON] = {}
    if action is not None and action.consent:
        traits["consent"] = action.consent
    if action is not None and action.strength:
        traits["strength"] = action.strength
    environment, device, number = about
    return {
        **traits,
        "v": 1,
        "time_ms": now_ms,
        "environment": environment,
        "device": device,
        "number": number,
        "action": action.action if action else 0,
        "deployment": action.deployment if action else 0,
        "wave": action.wave if action else "",
        "kind": action.kind if action else "",
        "version": action.version if action else "",
        "from": moved[0],
        "to": action.state if action else "unknown",
        "ran": moved[1],
        "runs": moved[2],
        "reason": action.reason if action else "",
        "told": told,
    }


class Declared(msgspec.Struct, frozen=True, tag="declared"):
    """The device says what it runs, without proof."""

    version: str


class StandingSet(msgspec.Struct, frozen=True, tag="standing", omit_defaults=True):
    """Whether the device may be offered anything changed; `via` says by what.

    `hardware` is that of a device which is new.
    """

    standing: str
    via: str
    hardware: str = ""


def action_traits(action: ActionRow) -> dict[str, Value]:
    """What came later to an action."""
    return {"action": action.action, "consent": action.consent, "strength": action.strength}


def device_traits(device: DeviceRow) -> dict[str, Value]:
    """What came later to a device."""
    return {
        "number": device.number,
        "standing": device.standing,
        "profile": device.profile,
        "profile_by": device.profile_by,
        "auto_confirm": device.auto_confirm,
    }


def runs_after(device: DeviceRow, action: ActionRow, move: Move, event: Event) -> str:
    """The version the device is known to run after a move, or empty; a part's is not kept so."""
    if action.attribute:
        return device.runs
    if isinstance(event, Attributes):
        return event.version
    moved = move.state != action.state
    # Whoever tells of an action's end began it, whether or not the door saw that.
    began = action.state != "assigned" or isinstance(event, Feedback)
    if moved and move.state in _UNPROVEN and began:
        return ""
    return device.runs


def merged_attributes(held: dict[str, str], mode: str, values: Mapping[str, str]) -> dict[str, str]:
    """A device's attributes after a put in this mode.

    A version that it showed may be replaced and never taken back: without it nothing would speak
    against a lower one.
    """
    shown = {name: version for name, version in held.items() if is_version(name) and version}
    merged = _merged(held, mode, values)
    return merged | {name: shown[name] for name in shown if not merged.get(name)}


def _merged(held: dict[str, str], mode: str, values: Mapping[str, str]) -> dict[str, str]:
    """The attributes after a put in this mode."""
    if mode == "replace":
        return dict(values)
    if mode == "remove":
        return {name: value for name, value in held.items() if name not in values}
    return {**held, **values}


def device_values(device: DeviceRow) -> dict[str, Value]:
    """The columns that change of a device, beside its newest action."""
    return {
        "number": device.number,
        "attributes": device.attributes,
        "attributes_ms": device.attributes_ms,
        "wants_attributes": int(device.wants_attributes),
        "installed": device.installed,
        "runs": device.runs,
    }


def take_numbers(session: Session, name: str, count: int) -> int:
    """Take `count` numbers that nobody had; the last of them."""
    row = session.row("device.take_numbers", name=name, count=count)
    if row is None:
        raise AssertionError(f"no counter {name}")
    return int(row[0])


def report_columns(record: dict[str, canonical.JSON]) -> dict[str, Value]:
    """The columns of a report that say what it is about."""
    names = ("environment", "deployment", "wave", "reason", "time_ms")
    return {name: record[name] for name in names}  # type: ignore[misc]


def report_values(report: int, record: dict[str, canonical.JSON]) -> dict[str, Value]:
    """The columns of a report; its body is canonical."""
    number = record.pop("number")
    body = canonical.encode({**record, "report": report})
    values = {"report": report, "number": number, "body": body}
    for column, field in (("from_state", "from"), ("to_state", "to")):
        values[column] = record[field]
    for name in ("environment", "action", "deployment", "wave", "ran", "runs", "reason", "time_ms"):
        values[name] = record[name]
    return values  # type: ignore[return-value]
