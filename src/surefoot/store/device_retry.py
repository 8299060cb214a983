"""Another attempt for a device that failed: the same task again, held until its back-off is over.

Keeps: made in the transaction of the failure, so that no counter is ever sealed between the two;
none once the rollout has stopped or reached its end, and none for a device that never asked.
Does not: write; the ledger does.
"""

from __future__ import annotations

import msgspec

from surefoot.core.governance import Pace, Urgency
from surefoot.core.offer import Firmware
from surefoot.core.pace import NEVER_MS, retry_after
from surefoot.core.rollout import NEWCOMERS_WAVE, wave_of
from surefoot.store.database import Session, Value
from surefoot.store.device_rows import ActionRow, DeviceRow, Task

SECOND = 2
"""What `again` says of a further attempt: its device may have changed already."""
_RUNNING = ("running", "complete", "downloaded")


class Terms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a rollout's plan says about its pace, and how urgent its offers are."""

    pace: Pace = Pace()
    deadline_seconds: int = 86_400
    success_percent: int = 100
    urgency: Urgency = "forced"
    force_after_seconds: int = 0

    def binds(self, assigned_ms: int, now_ms: int) -> bool:
        """Whether the device must take at `now_ms` what it was assigned at `assigned_ms`."""
        if self.urgency == "time-forced":
            return now_ms >= assigned_ms + self.force_after_seconds * 1000
        return self.urgency == "forced"


def next_attempt(
    session: Session, device: DeviceRow, failed: ActionRow, now_ms: int
) -> tuple[Task, dict[str, Value], str] | None:
    """The task, what holds it, and its reason; None when the failure is final."""
    key: dict[str, Value] = {"environment": device.environment, "deployment": failed.deployment}
    row = session.row("device_pace.find", **key)
    if row is None or row[2] not in _RUNNING:
        return None
    if wave_of(failed.wave) == NEWCOMERS_WAVE and not session.row("device_newcomers.takes", **key):
        return None
    pace = msgspec.json.decode(row[0], type=Terms).pace
    if pace.retry is None or (pace.end_ms and now_ms >= pace.end_ms):
        return None
    counted = session.row(
        "device_pace.attempts", **key, number=device.number, firmware=failed.firmware
    )
    attempts = int(counted[0]) if counted else 1
    seconds = retry_after(pace.retry, attempts)
    given = session.row("device_pace.repeat", action=failed.action)
    if seconds is None or given is None:
        return None
    session.run("device_pace.reopen", **key)
    task = Task(
        deployment=failed.deployment,
        wave=failed.wave,
        kind=failed.kind,
        release=given[0],
        firmware=msgspec.json.decode(given[1], type=Firmware),
        deadline_ms=NEVER_MS,
        confirmation=failed.consent != "",
    )
    due_ms = now_ms + seconds * 1000
    hold: dict[str, Value] = {**key, "held": "retry", "again": SECOND, "due_ms": due_ms}
    return task, hold, f"attempt {attempts + 1} of {pace.retry.times + 1}, after {seconds} seconds"


def going_on(device: DeviceRow, before: ActionRow, action: int) -> dict[str, Value]:
    """What lets a device on its way go on: it has begun, so it counts until its end is known."""
    return {
        "environment": device.environment,
        "deployment": before.deployment,
        "action": action,
        "held": "",
        "again": max(before.again, 1),
        "due_ms": 0,
    }
