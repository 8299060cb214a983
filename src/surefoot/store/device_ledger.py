"""One transaction's working set of devices: applies events and writes what came of them.

Keeps: every change of a state is a report row with the canonical bytes that a batch will hold;
numbers come from one locked row, so they appear in commit order and are never used twice.
Does not: decide (the rule is `core.device.transition`), commit, or read time.
A crash before the commit leaves nothing; after it everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from surefoot.core.device import (
    ERRORS,
    OPEN,
    WAITING,
    ActionState,
    Consented,
    Event,
    Move,
    Standing,
    Superseded,
    attributes_of,
    transition,
)
from surefoot.core.offer import ATTRIBUTES_MAX, Firmware
from surefoot.core.rollout import VIA
from surefoot.store.database import Row, Session, Value
from surefoot.store.device_retry import going_on, next_attempt
from surefoot.store.device_route import next_task
from surefoot.store.device_rows import (
    ActionRow,
    Declared,
    DeviceRow,
    StandingSet,
    Task,
    action_traits,
    device_traits,
    device_values,
    merged_attributes,
    new_action,
    new_action_values,
    report_record,
    report_values,
    runs_after,
    take_numbers,
)
from surefoot.store.device_tally import Tallies
from surefoot.trust import canonical

_NUMBERS_A_TIME = 64


class DeviceLedger:
    """Use inside one `write`; call `finish` last. Not for several threads."""

    def __init__(self, session: Session, now_ms: int) -> None:
        self._session = session
        self._now_ms = now_ms
        self._devices: dict[tuple[str, str], DeviceRow] = {}
        self._stored: dict[int, dict[str, Value]] = {}
        self._tallies = Tallies()
        self._actions: dict[int, ActionRow] = {}
        self._new_holds: list[dict[str, Value]] = []
        self._new_actions: list[dict[str, Value]] = []
        self._new_parts: list[dict[str, Value]] = []
        self._reports: list[dict[str, canonical.JSON]] = []
        self._touched_devices: dict[int, DeviceRow] = {}
        self._touched_actions: dict[int, ActionRow] = {}
        self._touched_traits: dict[int, DeviceRow] = {}
        self._touched_action_traits: dict[int, ActionRow] = {}
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
        self._stored.setdefault(found.number, device_values(found))
        return self._devices.setdefault((environment, found.device), found)

    def fetch(self, wanted: Sequence[tuple[str, str, int]]) -> None:
        """Read devices, by environment and name, and the action of each at once; 0 is its newest.

        What is not there is asked for again by itself, and is not there then either.
        """
        names = dict.fromkeys((environment, name) for environment, name, _ in wanted)
        keys = [{"environment": e, "device": d} for e, d in names]
        for (environment, name), row in zip(
            names, self._session.row_many("device.device", keys), strict=True
        ):
            if row is not None:
                self.adopt(environment, (row[0], name, *row[1:]))
        numbers: dict[tuple[int, int], None] = {}
        for environment, name, action in wanted:
            device = self._devices.get((environment, name))
            if device is not None and (action or device.action):
                numbers[(action or device.action, device.number)] = None
        rows = [{"action": action, "number": number} for action, number in numbers]
        for row in self._session.row_many("device.action", rows):
            if row is not None:
                self._take_action(row)

    def _take_action(self, row: Row) -> None:
        fields = dict(zip(ActionRow.__struct_fields__, row, strict=True))
        found = msgspec.convert(fields, type=ActionRow, strict=False)
        self._actions.setdefault(found.action, found)

    def action(self, device: DeviceRow, action: int) -> ActionRow | None:
        """One of this device's actions; 0 is its newest. None when it has no such action."""
        wanted = action or device.action
        if wanted and wanted not in self._actions:
            row = self._session.row("device.action", action=wanted, number=device.number)
            if row is None:
                return None
            self._take_action(row)
        found = self._actions.get(wanted)
        return found if found and found.number == device.number else None

    def apply(self, device: DeviceRow, action: ActionRow, event: Event) -> Move:
        """Let one event move an action, and note what came of it."""
        move = transition(action.rule(), event)
        before, ran = action.state, device.runs
        moved = move.state != before
        device.runs = runs_after(device, action, move, event)
        if move.ask:
            device.wants_attributes = True
        if not (moved or move.keep or device.runs != ran):
            return move
        if moved and move.state in ("verified", "returned") and before == "reported":
            device.installed = action.action
        action.progress += 1
        self._tallies.add(device.environment, action, -1)
        action.state, action.cancelling = move.state, move.cancelling
        self._tallies.add(device.environment, action)
        action.reason = move.reason or action.reason
        self._take_traits(action, move)
        self._touched_devices[device.number] = device
        self._touched_actions[action.action] = action
        if moved and move.state in ("verified", "returned") and action.wave.endswith(VIA):
            self._go_on(device, action)
        self._report(device, action, before, ran, event)
        silent = move.state == "timed_out" and before == "assigned"
        if moved and move.state in ERRORS and not silent:
            self._try_again(device, action)
        return move

    def _go_on(self, device: DeviceRow, action: ActionRow) -> None:
        """Assign what comes after an image on the device's way."""
        following = next_task(self._session, device, action, self._now_ms)
        if following is not None and device.action == action.action:
            number = self.assign(device, following.task, following.state, following.reason)
            self._new_holds.append(going_on(device, action, number))

    def _try_again(self, device: DeviceRow, failed: ActionRow) -> None:
        """Another attempt, where the plan allows one: the failure counts no more, the last does."""
        if failed.kind == "return" or device.action != failed.action or device.standing:
            return
        found = next_attempt(self._session, device, failed, self._now_ms)
        if found is not None:
            task, hold, reason = found
            action = self.assign(device, task, "assigned", reason, before=failed.state)
            self._new_holds.append({**hold, "action": action})

    def _take_traits(self, action: ActionRow, move: Move) -> None:
        before = (action.consent, action.strength)
        action.consent = move.consent or action.consent
        action.strength = move.strength or action.strength
        if (action.consent, action.strength) != before:
            self._touched_action_traits[action.action] = action

    def auto_confirm(self, device: DeviceRow, about: str) -> bool:
        """Confirm this device's actions from now on by themselves; "" ends that. True: a change.

        An action that waits is confirmed too.
        """
        if bool(device.auto_confirm) == bool(about):
            return False
        device.auto_confirm = about
        self.note_traits(device)
        action = self.action(device, 0)
        if about and action is not None and action.state in OPEN and action.consent in WAITING:
            self.apply(device, action, Consented(given=True, details=("confirmed by itself",)))
        return True

    def declare(
        self, device: DeviceRow, name: str, version: str
    ) -> Literal["taken", "unchanged", "not_found"]:
        """A device says what it runs, which proves nothing: it is asked for its attributes.

        `unchanged` when they showed it before, `not_found` for a version no rollout assigned.
        """
        rows = self._session.rows(
            "device.released", environment=device.environment, version=version
        )
        if all(msgspec.json.decode(row[0], type=Firmware).name != name for row in rows):
            return "not_found"
        if device.runs == version:
            return "unchanged"
        if not device.wants_attributes:
            device.wants_attributes = True
            self._touched_devices[device.number] = device
            event = Declared(version=version)
            self._report(device, None, "unknown", device.runs, event)
        return "taken"

    def note_traits(self, device: DeviceRow) -> None:
        """The device's standing, profile or automatic confirmation has changed."""
        self._touched_traits[device.number] = device
        self._touched_devices[device.number] = device

    def attributes(self, device: DeviceRow, mode: str, values: Mapping[str, str]) -> bool:
        """Take attributes; False when the device would have too many."""
        held: dict[str, str] = msgspec.json.decode(device.attributes)
        merged = merged_attributes(held, mode, values)
        if len(merged) > ATTRIBUTES_MAX:
            return False
        wanted, device.wants_attributes = device.wants_attributes, False
        before = device.attributes
        device.attributes = msgspec.json.encode(merged, order="deterministic").decode()
        self._show(device, values if mode != "remove" else {})
        # Clients that are asked again with each poll send the same again: no write for that.
        if device.attributes != before or wanted != device.wants_attributes:
            device.attributes_ms = self._now_ms
            self._touched_devices[device.number] = device
        return True

    def _show(self, device: DeviceRow, told: Mapping[str, str]) -> None:
        """Take what a put itself says of versions; what earlier ones said shows nothing now."""
        action, event = self.action(device, 0), attributes_of(told)
        if action is not None:
            about = attributes_of(told, action.attribute)
            if about.version:
                self.apply(device, action, about)
            device.wants_attributes |= action.state == "reported"
        if not event.version or (action is not None and not action.attribute):
            return
        if device.runs != event.version:
            ran, device.runs = device.runs, event.version
            self._touched_devices[device.number] = device
            self._report(device, None, "unknown", ran, event)

    def set_standing(
        self, device: DeviceRow, standing: Standing, via: str, hardware: str = ""
    ) -> None:
        """Change whether the device is let in; what it was to do ends, and it shows nothing."""
        if standing:
            self.forget(device)
        device.standing = standing
        device.wants_attributes = True
        self.note_traits(device)
        event = StandingSet(standing=standing or "accepted", via=via, hardware=hardware)
        self._report(device, None, "unknown", device.runs, event)

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
        self,
        device: DeviceRow,
        task: Task,
        state: ActionState = "assigned",
        reason: str = "",
        *,
        before: str = "",
    ) -> int:
        """Give the device a new action, which becomes its newest; the number of it."""
        action = self._next_action()
        sure = bool(device.auto_confirm)
        row = new_action(task, device.number, action, state, reason, sure=sure)
        if row.consent:
            self._touched_action_traits[action] = row
        values = new_action_values(
            row, device.environment, device.device, task.release, self._now_ms
        )
        self._new_actions.append(values)
        self._tallies.add(device.environment, row)
        if row.attribute:
            self._new_parts.append({"action": action, "attribute": row.attribute})
        self._actions[action] = row
        device.action = action
        self._touched_devices[device.number] = device
        self._report(device, row, before, device.runs, None)
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
        event: Event | Declared | StandingSet | None,
    ) -> None:
        told = msgspec.to_builtins(event) if event else {"type": "assigned"}
        about = (device.environment, device.device, device.number)
        moved = (before, ran, device.runs)
        self._reports.append(report_record(about, action, moved, told, self._now_ms))

    def finish(self) -> None:
        """Write everything; afterwards the ledger must not be used."""
        session = self._session
        if self._new_actions:
            session.run_many("device.insert_action", self._new_actions)
        if self._new_parts:
            session.run_many("device.insert_part", self._new_parts)
        if self._new_holds:
            session.run_many("device_pace.hold", self._new_holds)
        if self._touched_actions:
            rows = [self._action_values(a) for a in self._touched_actions.values()]
            session.run_many("device.update_action", rows)
        if self._touched_action_traits:
            actions = self._touched_action_traits.values()
            session.run_many("device.put_action_traits", [action_traits(a) for a in actions])
        if self._touched_traits:
            devices = self._touched_traits.values()
            session.run_many("device.put_traits", [device_traits(d) for d in devices])
        if self._reports:
            last = take_numbers(session, "report", len(self._reports))
            first = last - len(self._reports) + 1
            rows = [report_values(first + i, r) for i, r in enumerate(self._reports)]
            session.run_many("device.insert_report", rows)
        if self._touched_devices:
            touched = self._touched_devices.values()
            change = take_numbers(session, "change", 1)
            points = [{"number": d.number, "action": d.action, "change": change} for d in touched]
            session.run_many("device.point", points)
            fresh = {device.number: device_values(device) for device in touched}
            rows = [row for number, row in fresh.items() if row != self._stored[number]]
            session.run_many("device.update_device", rows)
        self._tallies.write(session)

    def _action_values(self, action: ActionRow) -> dict[str, Value]:
        return {
            "action": action.action,
            "state": action.state,
            "cancelling": int(action.cancelling),
            "progress": action.progress,
            "reason": action.reason,
            "time_ms": self._now_ms,
        }
