"""One transaction's working set of devices: applies events and writes what came of them.

Keeps: every change of a state is a report row with the canonical bytes that a batch will hold;
numbers come from one locked row, so they appear in commit order and are never used twice.
Does not: decide (the rule is `core.device.transition`), commit, or read time.
A crash before the commit leaves nothing; after it everything.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from surefoot.core.device import (
    Action,
    ActionKind,
    ActionState,
    Attributes,
    Event,
    Move,
    Superseded,
    attributes_of,
    transition,
)
from surefoot.core.offer import ATTRIBUTES_MAX, Firmware
from surefoot.store.database import Session, Value
from surefoot.trust import canonical

_UNPROVEN: frozenset[ActionState] = frozenset({"reported", "failed", "timed_out", "unknown"})
_NUMBERS_A_TIME = 64


class DeviceRow(msgspec.Struct, kw_only=True):
    """A device as its row holds it. `runs` is the version it last said it runs, or empty."""

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


class ActionRow(msgspec.Struct, kw_only=True):
    """An action as its row holds it."""

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

    def rule(self) -> Action:
        """The part the rule decides by."""
        return Action(
            state=self.state,
            kind=self.kind,
            version=self.version,
            sha256=self.firmware.removeprefix("sha256:"),
            cancelling=self.cancelling,
            progress=self.progress,
        )


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What an assignment gives to each device of a wave."""

    deployment: int
    wave: str
    kind: ActionKind
    release: str
    firmware: Firmware
    deadline_ms: int


class DeviceLedger:
    """Use inside one `write`; call `finish` last. Not for several threads."""

    def __init__(self, session: Session, now_ms: int) -> None:
        self._session = session
        self._now_ms = now_ms
        self._devices: dict[tuple[str, str], DeviceRow] = {}
        self._actions: dict[int, ActionRow] = {}
        self._new_actions: list[dict[str, Value]] = []
        self._reports: list[dict[str, canonical.JSON]] = []
        self._touched_devices: dict[int, DeviceRow] = {}
        self._touched_actions: dict[int, ActionRow] = {}
        self._spare: list[int] = []
        session.run("device.lock")

    def device(self, environment: str, name: str) -> DeviceRow | None:
        """The device's row, or None when it is not enrolled."""
        key = (environment, name)
        if key not in self._devices:
            row = self._session.row("device.device", environment=environment, device=name)
            if row is None:
                return None
            number, *rest = row
            self.adopt(environment, (number, name, *rest))
        return self._devices[key]

    def adopt(self, environment: str, row: tuple[object, ...]) -> DeviceRow:
        """A device from a row of `candidates`."""
        names = DeviceRow.__struct_fields__
        values = (row[0], environment, *row[1:])
        found = msgspec.convert(dict(zip(names, values, strict=True)), type=DeviceRow, strict=False)
        return self._devices.setdefault((environment, found.device), found)

    def action(self, device: DeviceRow, action: int) -> ActionRow | None:
        """One of this device's actions; 0 is its newest. None when it has no such action."""
        wanted = action or device.action
        if wanted and wanted not in self._actions:
            row = self._session.row("device.action", action=wanted, number=device.number)
            if row is None:
                return None
            fields = dict(zip(ActionRow.__struct_fields__, row, strict=True))
            self._actions[wanted] = msgspec.convert(fields, type=ActionRow, strict=False)
        found = self._actions.get(wanted)
        return found if found and found.number == device.number else None

    def apply(self, device: DeviceRow, action: ActionRow, event: Event) -> Move:
        """Let one event move an action, and note what came of it."""
        move = transition(action.rule(), event)
        before, ran = action.state, device.runs
        moved = move.state != before
        device.runs = _runs_after(device, action, move, event)
        if move.ask:
            device.wants_attributes = True
        if not (moved or move.keep or device.runs != ran):
            return move
        if moved and move.state in ("verified", "returned") and before == "reported":
            device.installed = action.action
        action.progress += 1
        action.state, action.cancelling = move.state, move.cancelling
        action.reason = move.reason or action.reason
        self._touched_devices[device.number] = device
        self._touched_actions[action.action] = action
        self._report(device, action, before, ran, event)
        return move

    def attributes(self, device: DeviceRow, mode: str, values: Mapping[str, str]) -> bool:
        """Take attributes; False when the device would have too many."""
        held: dict[str, str] = msgspec.json.decode(device.attributes)
        merged = _merged(held, mode, values)
        if len(merged) > ATTRIBUTES_MAX:
            return False
        wanted, device.wants_attributes = device.wants_attributes, False
        self._show(device, attributes_of(merged))
        text = msgspec.json.encode(merged, order="deterministic").decode()
        # Clients that are asked again with each poll send the same again: no write for that.
        if text != device.attributes or wanted != device.wants_attributes:
            device.attributes, device.attributes_ms = text, self._now_ms
            self._touched_devices[device.number] = device
        return True

    def _show(self, device: DeviceRow, event: Attributes) -> None:
        action = self.action(device, 0)
        if action is not None:
            self.apply(device, action, event)
        elif device.runs != event.version:
            ran, device.runs = device.runs, event.version
            self._touched_devices[device.number] = device
            self._report(device, None, "unknown", ran, event)

    def forget(self, device: DeviceRow) -> None:
        """The device is removed: its pending action ends unknown, and it counts no more."""
        action = self.action(device, 0)
        if action is not None:
            self.apply(device, action, Superseded(0))
        self._show_nothing(device)

    def _show_nothing(self, device: DeviceRow) -> None:
        if device.runs:
            ran, device.runs = device.runs, ""
            self._touched_devices[device.number] = device
            self._report(device, None, "unknown", ran, Superseded(0))

    def assign(
        self, device: DeviceRow, task: Task, state: ActionState = "assigned", reason: str = ""
    ) -> int:
        """Give the device a new action, which becomes its newest; the number of it."""
        action = self._next_action()
        row = ActionRow(
            action=action,
            number=device.number,
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
        )
        fields = {n: getattr(row, n) for n in ActionRow.__struct_fields__}
        for own in ("cancelling", "progress"):
            fields.pop(own)
        names = {"environment": device.environment, "device": device.device}
        self._new_actions.append(
            {**fields, **names, "release": task.release, "time_ms": self._now_ms}
        )
        self._actions[action] = row
        device.action = action
        self._touched_devices[device.number] = device
        self._report(device, row, "", device.runs, None)
        return action

    def open_wave(self, environment: str, task: Task) -> None:
        """Note that a wave was assigned, so that one without devices is counted too."""
        self._reports.append(
            {
                "v": 1,
                "time_ms": self._now_ms,
                "environment": environment,
                "device": "",
                "number": 0,
                "action": 0,
                "deployment": task.deployment,
                "wave": task.wave,
                "kind": task.kind,
                "version": task.firmware.version,
                "from": "",
                "to": "",
                "ran": "",
                "runs": "",
                "reason": f"wave assigned for {task.release}",
                "told": {"type": "wave", "firmware": task.firmware.digest},
            }
        )

    def next_action(self) -> int:
        """The number the next `assign` will use."""
        self._spare.append(number := self._next_action())
        return number

    def _next_action(self) -> int:
        if not self._spare:
            last = take_numbers(self._session, "action", _NUMBERS_A_TIME)
            self._spare = list(range(last, last - _NUMBERS_A_TIME, -1))
        return self._spare.pop()

    def _report(
        self,
        device: DeviceRow,
        action: ActionRow | None,
        before: str,
        ran: str,
        event: Event | None,
    ) -> None:
        told = msgspec.to_builtins(event) if event else {"type": "assigned"}
        self._reports.append(
            {
                "v": 1,
                "time_ms": self._now_ms,
                "environment": device.environment,
                "device": device.device,
                "number": device.number,
                "action": action.action if action else 0,
                "deployment": action.deployment if action else 0,
                "wave": action.wave if action else "",
                "kind": action.kind if action else "",
                "version": action.version if action else "",
                "from": before,
                "to": action.state if action else "unknown",
                "ran": ran,
                "runs": device.runs,
                "reason": action.reason if action else "",
                "told": told,
            }
        )

    def finish(self) -> None:
        """Write everything; afterwards the ledger must not be used."""
        session = self._session
        if self._new_actions:
            session.run_many("device.insert_action", self._new_actions)
        if self._touched_actions:
            rows = [self._action_values(a) for a in self._touched_actions.values()]
            session.run_many("device.update_action", rows)
        if self._reports:
            last = take_numbers(session, "report", len(self._reports))
            first = last - len(self._reports) + 1
            rows = [_report_values(first + i, r) for i, r in enumerate(self._reports)]
            session.run_many("device.insert_report", rows)
        if self._touched_devices:
            change = take_numbers(session, "change", 1)
            rows = [_device_values(d, change) for d in self._touched_devices.values()]
            session.run_many("device.update_device", rows)

    def _action_values(self, action: ActionRow) -> dict[str, Value]:
        return {
            "action": action.action,
            "state": action.state,
            "cancelling": int(action.cancelling),
            "progress": action.progress,
            "reason": action.reason,
            "time_ms": self._now_ms,
        }


def take_numbers(session: Session, name: str, count: int) -> int:
    """Take `count` numbers that nobody had; the last of them."""
    row = session.row("device.take_numbers", name=name, count=count)
    if row is None:
        raise AssertionError(f"no counter {name}")
    return int(row[0])


def _runs_after(device: DeviceRow, action: ActionRow, move: Move, event: Event) -> str:
    if isinstance(event, Attributes):
        return event.version
    moved = move.state != action.state
    if moved and move.state in _UNPROVEN and action.state != "assigned":
        return ""
    return device.runs


def _merged(held: dict[str, str], mode: str, values: Mapping[str, str]) -> dict[str, str]:
    if mode == "replace":
        return dict(values)
    if mode == "remove":
        return {name: value for name, value in held.items() if name not in values}
    return {**held, **values}


def _device_values(device: DeviceRow, change: int) -> dict[str, Value]:
    return {
        "number": device.number,
        "attributes": device.attributes,
        "attributes_ms": device.attributes_ms,
        "wants_attributes": int(device.wants_attributes),
        "action": device.action,
        "installed": device.installed,
        "runs": device.runs,
        "change": change,
    }


def _report_values(report: int, record: dict[str, canonical.JSON]) -> dict[str, Value]:
    number = record.pop("number")
    body = canonical.encode({**record, "report": report})
    values = {"report": report, "number": number, "body": body}
    for column, field in (("from_state", "from"), ("to_state", "to")):
        values[column] = record[field]
    for name in ("environment", "action", "deployment", "wave", "ran", "runs", "reason", "time_ms"):
        values[name] = record[name]
    return values  # type: ignore[return-value]
