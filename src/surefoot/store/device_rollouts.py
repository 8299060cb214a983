"""Rollouts in the registry: assigning a wave, stopping, returning; each one atomic transaction.

Keeps: the fence, the receipt and the effect of an operation are one transaction, so a repeat
answers from its receipt and an older fence changes nothing; a device has one open action at a
time. Does not: wait for devices or judge a wave (`core.rollout`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from surefoot.core.device import OPEN, PENDING, CancelAsked, Superseded
from surefoot.core.eligibility import AlreadyThere, Demand, Fit, Unknown, judge
from surefoot.core.errors import Refused
from surefoot.core.governance import Pace, Urgency
from surefoot.core.offer import Firmware
from surefoot.core.pace import NEVER_MS
from surefoot.core.rollout import RETURN_WAVE, VIA
from surefoot.core.target import Outcome, Plain, Token
from surefoot.store.database import Database, Session, Value
from surefoot.store.device_bulk import Bulk, by_task
from surefoot.store.device_choice import Assignee, Share, choose
from surefoot.store.device_known import known_of
from surefoot.store.device_ledger import DeviceLedger
from surefoot.store.device_newcomers import open_to_newcomers
from surefoot.store.device_retry import SECOND, Terms
from surefoot.store.device_route import Route, candidate_of, first_task, keep_route
from surefoot.store.device_rows import ActionRow, DeviceRow, Task
from surefoot.store.device_target import Targeting

_PORTION = 5_000


class Wave(msgspec.Struct, frozen=True, kw_only=True):
    """What one wave assigns: the first `percent` of the ordering move to `firmware`.

    With a `count`, so many instead; with a `pace` that holds, each waits for its turn.
    """

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
    parts: tuple[Firmware, ...] = ()
    stones: tuple[Firmware, ...] = ()
    targeting: Targeting = Targeting()
    count: int = 0
    pace: Pace = Pace()
    success_percent: int = 100
    urgency: Urgency = "forced"
    force_after_seconds: int = 0

    @property
    def download_only(self) -> bool:
        """Whether devices fetch and hold the image, and install nothing."""
        return self.urgency == "download-only"

    @property
    def status(self) -> str:
        """The rollout's once all is assigned; what is only held may be assigned again."""
        return "downloaded" if self.download_only else "complete"

    @property
    def share(self) -> Share:
        """Which devices the wave is for."""
        return Share(
            deployment=self.deployment,
            percent=self.percent,
            count=self.count,
            targeting=self.targeting,
        )

    @property
    def demand(self) -> Demand:
        """What is asked of a device of this wave."""
        last = msgspec.structs.replace(self.firmware, hardware=self.hardware)
        return Demand(
            parts=(*self.parts, last),
            stones=self.stones,
            allow_downgrade=self.allow_downgrade,
            unknown=self.unknown,
            download_only=self.download_only,
        )


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """What a return assigns to the devices of a stopped rollout."""

    deployment: int
    release: str
    firmware: Firmware
    deadline_seconds: int
    parts: tuple[Firmware, ...] = ()

    @property
    def demand(self) -> Demand:
        """What is asked of a device: its parts go back in the reverse of the order they came."""
        return Demand(parts=(self.firmware, *reversed(self.parts)), allow_downgrade=True)


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
            chosen = choose(session, self._environment, wave.share, wave.demand)
            task = Task(
                deployment=wave.deployment,
                wave=str(wave.wave),
                kind="download" if wave.download_only else "update",
                release=wave.release,
                firmware=wave.firmware,
                deadline_ms=NEVER_MS
                if wave.pace.holds
                else self._now_ms() + wave.deadline_seconds * 1000,
                confirmation=wave.confirmation,
            )
            for given, devices in by_task(task, chosen.devices):
                self._give(session, ledger, given, devices)
            ledger.open_wave(self._environment, task)
            self._keep(session, task, claimed)
            if wave.percent == 100:
                self._end(session, wave.deployment, wave.status)
            figures: Plain = {"assigned": len(chosen.devices), **chosen.left_out}
            return Outcome(status="done", figures=figures)

        def then(session: Session) -> None:
            terms = Terms(
                pace=wave.pace,
                deadline_seconds=wave.deadline_seconds,
                success_percent=wave.success_percent,
                urgency=wave.urgency,
                force_after_seconds=wave.force_after_seconds,
            )
            key: dict[str, Value] = {
                "environment": self._environment,
                "deployment": wave.deployment,
            }
            session.run("device_pace.put", **key, terms=msgspec.json.encode(terms).decode())
            if wave.percent == 100 and not wave.download_only:
                open_to_newcomers(session, key, wave.wave, wave.targeting)
            if wave.pace.holds:
                session.run(
                    "device_pace.hold_wave", **key, wave=str(wave.wave), via=f"{wave.wave}{VIA}"
                )

        return self._once(token, act, then)

    def _give(
        self, session: Session, ledger: DeviceLedger, task: Task, chosen: Sequence[Assignee]
    ) -> None:
        """Those with something under way one by one, since that ends first; the others at once."""
        rows = session.each("device.pending", environment=self._environment)
        busy = {number for (number,) in rows}
        under_way = [each for each in chosen if each.number in busy]
        for start in range(0, len(under_way), _PORTION):
            part = under_way[start : start + _PORTION]
            ledger.fetch([(self._environment, each.device, 0) for each in part])
        for each in under_way:
            device = ledger.device(self._environment, each.device)
            if device is not None:
                _take_over(ledger, device)
                ledger.assign(device, task)
        bulk = Bulk(session, self._environment, task, self._now_ms())
        bulk.assign([each for each in chosen if each.number not in busy])

    def _start(self, session: Session, wave: Wave) -> None:
        _put_firmware(session, wave.firmware)
        route = Route(
            demand=wave.demand,
            release=wave.release,
            deadline_seconds=wave.deadline_seconds,
            confirmation=wave.confirmation,
        )
        keep_route(session, self._environment, wave.deployment, "update", route)
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
            for device, action, _ in self._current(session, ledger, deployment):
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
            demand, last = back.demand, back.deadline_seconds
            route = Route(demand=demand, release=back.release, deadline_seconds=last)
            keep_route(session, self._environment, back.deployment, "return", route)
            task = Task(
                deployment=back.deployment,
                wave=RETURN_WAVE,
                kind="return",
                release=back.release,
                firmware=back.firmware,
                deadline_ms=self._now_ms() + back.deadline_seconds * 1000,
            )
            figures = {"withdrawn": 0, "already_back": 0, "assigned": 0}
            for device, action, moved in self._current(session, ledger, back.deployment):
                if action.state == "assigned":
                    ledger.apply(device, action, CancelAsked())
                    if not moved and action.again != SECOND:
                        figures["withdrawn"] += 1
                        continue
                figures[_bring_back(ledger, device, action, task, demand)] += 1
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
    ) -> list[tuple[DeviceRow, ActionRow, bool]]:
        """Devices whose newest action is an update of this rollout that was not withdrawn.

        True for those that an earlier action of it has moved, if only a part of the way; they are
        among them whatever became of the newest.
        """
        found = []
        rows = self._in_rollout(session, deployment)
        moved = {name: number for name, number, state, _ in reversed(rows) if state == "verified"}
        for name, number, state, kind in rows:
            device = ledger.device(self._environment, name)
            if device is None or device.standing or device.action != number:
                continue
            action = ledger.action(device, number)
            before = moved.get(name, number) < number
            if (
                action is not None
                and kind != "return"
                and (state != "returned" or before or action.again == SECOND)
            ):
                found.append((device, action, before))
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

    def _once(
        self,
        token: Token,
        act: Callable[[Session, DeviceLedger], Outcome],
        then: Callable[[Session], None] = lambda session: None,
    ) -> Outcome:
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
            then(session)
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


def _bring_back(
    ledger: DeviceLedger, device: DeviceRow, action: ActionRow, task: Task, demand: Demand
) -> str:
    """Give a device that moved, or may have, what brings it back; not one that shows it is."""
    doubt = {action.attribute: (action.version,)} if action.state in PENDING else {}
    found = judge(known_of(candidate_of(device), doubt), demand)
    if isinstance(found, AlreadyThere):
        ledger.assign(device, task, "returned", f"attributes already show {device.runs}")
        return "already_back"
    _take_over(ledger, device)
    # What the rule would not give, such as an image of other hardware, ran on it before all this.
    ledger.assign(device, first_task(task, found) if isinstance(found, Fit) else task)
    return "assigned"
