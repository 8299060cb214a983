"""A wave's actions for many devices at once: the rows that the ledger would write, made cheaply.

Keeps: the bytes of each report are those of `DeviceLedger.assign`, from one filled-in form; rows
are written in portions, so that memory does not grow with the wave. Does not: choose, end an
earlier action, or commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from surefoot.store.database import Session, Value
from surefoot.store.device_choice import Assignee
from surefoot.store.device_route import first_task
from surefoot.store.device_rows import (
    ActionRow,
    Task,
    action_traits,
    new_action,
    new_action_values,
    report_columns,
    report_record,
    take_numbers,
)
from surefoot.trust import canonical

_PORTION = 5_000
# In the order of their names, which is the order of a canonical body.
_PLACES = {"action": b"%d", "device": b"%b", "ran": b"%b", "report": b"%d", "runs": b"%b"}


def by_task(task: Task, devices: Sequence[Assignee]) -> list[tuple[Task, list[Assignee]]]:
    """The devices by what they are given first, in their order."""
    groups: dict[tuple[str, str], tuple[Task, list[Assignee]]] = {}
    for device in devices:
        given = first_task(task, device.found) if device.found else task
        key = (given.wave, given.firmware.digest)
        groups.setdefault(key, (given, []))[1].append(device)
    return list(groups.values())


class Bulk:
    """Use inside one `write`, with the ledger's lock held."""

    def __init__(self, session: Session, environment: str, task: Task, now_ms: int) -> None:
        self._session = session
        self._environment = environment
        self._task = task
        self._now_ms = now_ms
        self._change = 0
        self._points: list[tuple[int, int]] = []

    def assign(self, devices: Sequence[Assignee]) -> None:
        """Give each device, none of which has an open action, a new one."""
        if devices:
            self._change = take_numbers(self._session, "change", 1)
        for start in range(0, len(devices), _PORTION):
            self._portion(devices[start : start + _PORTION])
        # In the order of the table, so that a page is written once and not for each of its rows.
        self._points.sort()
        for start in range(0, len(devices), _PORTION):
            part = self._points[start : start + _PORTION]
            rows = [{"number": n, "action": a, "change": self._change} for n, a in part]
            self._session.run_many("device.point", rows)

    def _portion(self, devices: Sequence[Assignee]) -> None:
        session, count = self._session, len(devices)
        action = take_numbers(session, "action", count) - count + 1
        report = take_numbers(session, "report", count) - count + 1
        forms = {sure: _Form(self, sure) for sure in {bool(each.auto_confirm) for each in devices}}
        actions, reports, traits = [], [], []
        for place, device in enumerate(devices):
            form, number = forms[bool(device.auto_confirm)], action + place
            actions.append(form.action(device, number))
            reports.append(form.report(device, number, report + place))
            self._points.append((device.number, number))
            if form.traits:
                traits.append({**form.traits, "action": number})
        session.run_many("device.insert_action", actions)
        session.run_many("device.put_action_traits", traits)
        if attribute := self._task.firmware.attribute:
            parts = [{"action": row["action"], "attribute": attribute} for row in actions]
            session.run_many("device.insert_part", parts)
        session.run_many("device.insert_report", reports)

    def sample(self, *, sure: bool) -> ActionRow:
        """An action as each device gets it; `sure`: the device's actions confirm themselves."""
        return new_action(self._task, 0, 0, sure=sure)

    def action_columns(self, sample: ActionRow) -> dict[str, Value]:
        """The columns that are alike for all devices."""
        return new_action_values(sample, self._environment, "", self._task.release, self._now_ms)

    def record(self, sample: ActionRow) -> dict[str, canonical.JSON]:
        """The report that is alike for all devices."""
        about = (self._environment, "", 0)
        return report_record(about, sample, ("", "", ""), {"type": "assigned"}, self._now_ms)


class _Form:
    """What is alike for all devices, with places for what is not."""

    def __init__(self, bulk: Bulk, sure: bool) -> None:
        sample = bulk.sample(sure=sure)
        self._action = bulk.action_columns(sample)
        record = bulk.record(sample)
        self._body = _form_of(record)
        self._report: dict[str, Value] = {
            "from_state": "",
            "to_state": sample.state,
            **report_columns(record),
        }
        self.traits = action_traits(sample) if sample.consent else {}

    def action(self, device: Assignee, action: int) -> dict[str, Value]:
        return {
            **self._action,
            "action": action,
            "number": device.number,
            "device": device.device,
        }

    def report(self, device: Assignee, action: int, report: int) -> dict[str, Value]:
        runs = _text(device.runs)
        body = self._body % (action, canonical.encode(device.device), runs, report, runs)
        return {
            **self._report,
            "report": report,
            "action": action,
            "number": device.number,
            "ran": device.runs,
            "runs": device.runs,
            "body": body,
        }


@lru_cache(1_024)
def _text(text: str) -> bytes:
    return canonical.encode(text)


def _form_of(record: dict[str, canonical.JSON]) -> bytes:
    """Canonical bytes with the places of a number or a text that is encoded already."""
    members = {**record, "report": 0}
    del members["number"]  # as `report_values` does: it is ours, not the device's
    parts = [
        b'"%b":%b'
        % (name.encode(), _PLACES.get(name) or canonical.encode(value).replace(b"%", b"%%"))
        for name, value in sorted(members.items())
    ]
    return b"{" + b",".join(parts) + b"}"
