"""Rollouts in the registry: assigning a wave, stopping, returning; each one atomic transaction.

Keeps: the fence, the receipt and the effect of an operation are one transaction, so a repeat
answers from its receipt and an older fence changes nothing; a device has one open action at a
time. Does not: wait for devices or judge a wave (`core.rollout`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from surefoot.core.device import OPEN, PENDING, CancelAsked, Superseded
from surefoot.core.eligibility import Demand, Unknown
from surefoot.core.errors import Refused
from surefoot.core.offer import Firmware
from surefoot.core.rollout import RETURN_WAVE
from surefoot.core.target import Outcome, Plain, Token
from surefoot.store.database import Database, Session
from surefoot.store.device_bulk import Bulk
from surefoot.store.device_choice import Assignee, choose
from surefoot.store.device_ledger import DeviceLedger
from surefoot.store.device_rows import ActionRow, DeviceRow, Task


class Wave(msgspec.Struct, frozen=True, kw_only=True):
    """What one wave assigns: the first `percent` of the ordering move to `firmware`."""

    deployment: int
    wave: int
    percent: int
    release: str
    firmware: Firmware
    deadline_seconds: int
    hardware: tuple[str, ...] = ()
    confirmation: bool = False
    allow_downgrade: bool = False
    unknown: Unknown = "offer"

    @property
    def demand(self) -> Demand:
        """What is asked of a device of this wave."""
        return Demand(
            parts=(msgspec.structs.replace(self.firmware, hardware=self.hardware),),
            allow_downgrade=self.allow_downgrade,
            unknown=self.unknown,
        )


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """What a return assigns to the devices of a stopped rollout."""

    deployment: int
    release: str
    firmware: Firmware
    deadline_seconds: int


class Rollout(msgspec.Struct, frozen=True, array_like=True):
    """A rollout's head, in the order of the statement `newest_rollouts`."""

    deployment: int
    release: str
    firmware: str
    version: str
    status: str


class DeviceRollouts:
    """One environment's rollouts. See the module."""

    def __init__(self, database: Database, environment: str, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._environment = environment
        self._now_ms = now_ms

    def assign(self, wave: Wave, token: Token, claimed: bytes = b"") -> Outcome:
        """Give the wave's devices their action. Newcomers below the share are taken along.

        `claimed` is the step with the proof of its claim, for the device door.
        """

        def act(session: Session, ledger: DeviceLedger) -> Outcome:
            self._start(session, wave)
            share = (wave.deployment, wave.percent)
            chosen = choose(session, self._environment, *share, wave.demand)
            task = Task(
                deployment=wave.deployment,
                wave=str(wave.wave),
                kind="update",
                release=wave.release,
                firmware=wave.firmware,
                deadline_ms=self._now_ms() + wave.deadline_seconds * 1000,
                confirmation=wave.confirmation,
            )
            self._give(session, ledger, task, chosen.devices)
            ledger.open_wave(self._environment, task)
            self._keep(session, task, claimed)
            if wave.percent == 100:
                self._end(session, wave.deployment, "complete")
            figures: Plain = {"assigned": len(chosen.devices), **chosen.left_out}
            return Outcome(status="done", figures=figures)

        return self._once(token, act)

    def _give(
        self, session: Session, ledger: DeviceLedger, task: Task, chosen: Sequence[Assignee]
    ) -> None:
        """Those with something under way one by one, since that ends first; the others at once."""
        rows = session.each("device.pending", environment=self._environment)
        busy = {number for (number,) in rows}
        for each in chosen:
            device = ledger.device(self._environment, each.device) if each.number in busy else None
            if device is not None:
                _take_over(ledger, device)
                ledger.assign(device, task)
        bulk = Bulk(session, self._environment, task, self._now_ms())
        bulk.assign([each for each in chosen if each.number not in busy])

    def _start(self, session: Session, wave: Wave) -> None:
        _put_firmware(session, wave.firmware)
        session.run(
            "device.start_rollout",
            environment=self._environment,
            deployment=wave.deployment,
            release=wave.release,
            firmware=wave.firmware.digest,
            version=wave.firmware.version,
            now_ms=self._now_ms(),
        )

    def stop(self, deployment: int, token: Token) -> Outcome:
        """Withdraw what no device has begun, and ask the others to cancel."""

        def act(session: Session, ledger: DeviceLedger) -> Outcome:
            withdrawn = asked = 0
            for device, action in self._current(session, ledger, deployment):
                if action.state not in OPEN or action.cancelling:
                    continue
                state = ledger.apply(device, action, CancelAsked()).state
                withdrawn += state == "returned"
                asked += state != "returned"
            self._end(session, deployment, "stopped")
            return Outcome(status="done", figures={"withdrawn": withdrawn, "cancelling": asked})

        return self._once(token, act)

    def return_devices(self, back: Return, token: Token, claimed: bytes = b"") -> Outcome:
        """Bring devices that moved, failed or may have moved back; withdraw the rest.

        A device whose attributes already show the earlier version is returned at once.
        """

        def act(session: Session, ledger: DeviceLedger) -> Outcome:
            _put_firmware(session, back.firmware)
            task = Task(
                deployment=back.deployment,
                wave=RETURN_WAVE,
                kind="return",
                release=back.release,
                firmware=back.firmware,
                deadline_ms=self._now_ms() + back.deadline_seconds * 1000,
            )
            figures = {"withdrawn": 0, "already_back": 0, "assigned": 0}
            for device, action in self._current(session, ledger, back.deployment):
                figures[_bring_back(ledger, device, action, task)] += 1
            ledger.open_wave(self._environment, task)
            self._keep(session, task, claimed)
            self._end(session, back.deployment, "returned")
            return Outcome(status="done", figures=dict(figures))

        return self._once(token, act)

    def newest(self, limit: int = 1) -> list[Rollout]:
        """The newest rollouts, newest first."""
        with self._database.read() as session:
            rows = session.rows(
                "device.newest_rollouts", environment=self._environment, limit=limit
            )
        return [Rollout(*row) for row in rows]

    def receipts(self) -> dict[str, Outcome]:
        """Every finished operation's outcome."""
        with self._database.read() as session:
            rows = session.rows("device.receipts", environment=self._environment)
        return {row[0]: msgspec.json.decode(row[1], type=Outcome) for row in rows}

    def _current(
        self, session: Session, ledger: DeviceLedger, deployment: int
    ) -> list[tuple[DeviceRow, ActionRow]]:
        """Devices whose newest action is an update of this rollout that was not withdrawn."""
        found = []
        for name, number, state, kind in self._in_rollout(session, deployment):
            device = ledger.device(self._environment, name)
            if device is None or device.standing or device.action != number:
                continue
            action = ledger.action(device, number)
            if action is not None and kind == "update" and state != "returned":
                found.append((device, action))
        return found

    def _in_rollout(self, session: Session, deployment: int) -> Sequence[tuple[str, int, str, str]]:
        rows = session.rows(
            "device.in_rollout", environment=self._environment, deployment=deployment
        )
        return [(row[0], row[1], row[2], row[3]) for row in rows]

    def _keep(self, session: Session, task: Task, claimed: bytes) -> None:
        session.run(
            "device.insert_claim",
            environment=self._environment,
            deployment=task.deployment,
            wave=task.wave,
            record=claimed,
        )

    def _end(self, session: Session, deployment: int, status: str) -> None:
        session.run(
            "device.end_rollout",
            environment=self._environment,
            deployment=deployment,
            status=status,
        )

    def _once(self, token: Token, act: Callable[[Session, DeviceLedger], Outcome]) -> Outcome:
        """Fence, receipt and effect in one transaction: a crash leaves all of them or none."""
        with self._database.write() as session:
            ledger = DeviceLedger(session, self._now_ms())
            self._admit(session, token)
            found = session.row(
                "device.receipt", environment=self._environment, operation=token.operation
            )
            if found is not None:
                return msgspec.json.decode(found[0], type=Outcome)
            outcome = act(session, ledger)
            ledger.finish()
            session.run(
                "device.insert_receipt",
                environment=self._environment,
                operation=token.operation,
                outcome=msgspec.json.encode(outcome).decode(),
            )
        return outcome

    def _admit(self, session: Session, token: Token) -> None:
        row = session.row("device.fence", environment=self._environment)
        if row is not None and token.fence < row[0]:
            raise Refused(
                "target.fence.moved",
                f"operation {token.operation}",
                expected=f"a fence of at least {row[0]}",
                found=str(token.fence),
                remedy="another worker took this over; look again before acting",
            )
        session.run("device.raise_fence", environment=self._environment, fence=token.fence)


def _put_firmware(session: Session, firmware: Firmware) -> None:
    record = msgspec.json.encode(firmware).decode()
    session.run("device.insert_firmware", digest=firmware.digest, record=record)


def _take_over(ledger: DeviceLedger, device: DeviceRow) -> None:
    """End the device's pending action, if any: its outcome will not be known."""
    action = ledger.action(device, 0)
    if action is not None and action.state in PENDING:
        ledger.apply(device, action, Superseded(ledger.next_action()))


def _bring_back(ledger: DeviceLedger, device: DeviceRow, action: ActionRow, task: Task) -> str:
    if action.state == "assigned":
        ledger.apply(device, action, CancelAsked())
        return "withdrawn"
    if action.state not in PENDING and device.runs == task.firmware.version:
        reason = f"attributes already show {device.runs}"
        ledger.assign(device, task, "returned", reason)
        return "already_back"
    _take_over(ledger, device)
    ledger.assign(device, task)
    return "assigned"
