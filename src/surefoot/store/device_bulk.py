"""A wave's actions for many devices at once: the rows that the ledger would write, made cheaply.

Keeps: the bytes of each report are those of `DeviceLedger.assign`, from one form that the database
fills in; of each device only what differs is sent there. Does not: choose, end an earlier action,
or commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    report_record,
    take_numbers,
)
from surefoot.store.device_tally import Tallies
from surefoot.trust import canonical

_PORTION = 20_000
_OWN = ("action", "number", "device")
# In the order of their names, which is the order of a canonical body. A device's name needs no
# escape: it is text between two quotation marks.
_PLACES = {"action": ("", ""), "device": ('"', '"'), "ran": ("", "")}
_PLACES |= {"report": ("", ""), "runs": ("", "")}


def by_task(task: Task, devices: Sequence[Assignee]) -> list[tuple[Task, list[Assignee]]]:
    """The devices by what they are given first, in their order."""
    groups: dict[tuple[str, str], tuple[Task, list[Assignee]]] = {}
    found: dict[int, list[Assignee]] = {}
    for device in devices:
        # Devices that are judged alike have the very same judgement.
        group = found.get(id(device.found))
        if group is None:
            given = first_task(task, device.found) if device.found else task
            key = (given.wave, given.firmware.digest)
            group = found[id(device.found)] = groups.setdefault(key, (given, []))[1]
        group.append(device)
    return list(groups.values())


class Bulk:
    """Use inside one `write`, with the ledger's lock held."""

    def __init__(self, session: Session, environment: str, task: Task, now_ms: int) -> None:
        self._session = session
        self._environment = environment
        self._task = task
        self._now_ms = now_ms

    def assign(self, devices: Sequence[Assignee]) -> None:
        """Give each device, none of which has an open action, a new one."""
        session, count = self._session, len(devices)
        if not devices:
            return
        action = take_numbers(session, "action", count) - count + 1
        session.run("device_wave.begin")
        for start in range(0, count, _PORTION):
            rows = _rows(start, devices[start : start + _PORTION])
            session.run_many("device_wave.take", list(rows))
        sample = new_action(self._task, 0, 0, sure=True)
        values = new_action_values(sample, self._environment, "", self._task.release, self._now_ms)
        alike = {name: value for name, value in values.items() if name not in _OWN}
        session.run("device_wave.actions", action=action, **alike)
        if sample.attribute:
            session.run("device_wave.parts", action=action, attribute=sample.attribute)
        self._report(action, count, {int(bool(each.auto_confirm)) for each in devices})
        change = take_numbers(session, "change", 1)
        session.run("device_wave.point", action=action, change=change)
        session.run("device_wave.end")
        tallies = Tallies()
        tallies.add(self._environment, sample, count)
        tallies.write(session)

    def _report(self, action: int, count: int, forms: set[int]) -> None:
        session = self._session
        report = take_numbers(session, "report", count) - count + 1
        for form in forms:
            sample = new_action(self._task, 0, 0, sure=bool(form))
            if sample.consent:
                traits = {**action_traits(sample), "action": action}
                session.run("device_wave.traits", form=form, **traits)
            session.run(
                "device_wave.reports",
                form=form,
                action=action,
                report=report,
                environment=self._environment,
                deployment=sample.deployment,
                wave=sample.wave,
                state=sample.state,
                reason=sample.reason,
                time_ms=self._now_ms,
                **_pieces(self._record(sample)),
            )

    def _record(self, sample: ActionRow) -> dict[str, canonical.JSON]:
        """The report that is alike for all devices of a form."""
        about = (self._environment, "", 0)
        return report_record(about, sample, ("", "", ""), {"type": "assigned"}, self._now_ms)


def _rows(first: int, devices: Sequence[Assignee]) -> Iterator[dict[str, Value]]:
    for turn, each in enumerate(devices, first):
        yield {
            "turn": turn,
            "number": each.number,
            "device": each.device,
            "runs": each.runs,
            "said": _text(each.runs),
            "form": 1 if each.auto_confirm else 0,
        }


@lru_cache(1_024)
def _text(text: str) -> str:
    return canonical.encode(text).decode()


def _pieces(record: dict[str, canonical.JSON]) -> dict[str, Value]:
    """The canonical text of a report, cut where a device's own values stand."""
    members = {**record, "report": 0}
    del members["number"]  # as `report_values` does: it is ours, not the device's
    pieces: dict[str, Value] = {}
    text = "{"
    for name, value in sorted(members.items()):
        text += f'{"" if text == "{" else ","}"{name}":'
        if name in _PLACES:
            opening, text_after = _PLACES[name]
            pieces[f"before_{name}"], text = text + opening, text_after
        else:
            text += canonical.encode(value).decode()
    return {**pieces, "rest": text + "}"}
