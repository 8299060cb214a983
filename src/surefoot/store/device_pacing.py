"""Holding and letting begin, in bulk: one rollout's devices, in one short transaction a portion.

Keeps: nothing is written when nothing is due; a cap is counted under the ledger's lock, so that
several processes let no more begin than it says; a device that waits has no deadline, it begins to
count when it may begin. What has begun is never held again. Does not: choose when (`core.pace`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from surefoot.core.device import CancelAsked
from surefoot.core.governance import done_state
from surefoot.core.pace import (
    NEVER_MS,
    Held,
    Offset,
    Paced,
    allowance,
    permitted,
    released,
    window_at,
)
from surefoot.store.database import Database, Row, Session, Value
from surefoot.store.device_ledger import DeviceLedger
from surefoot.store.device_retry import Terms
from surefoot.store.device_rows import take_numbers

PORTION = 5_000
_ZONE_NAMES = ("timezone", "tz")
_AGAIN = (2, 1, 0)
_ENDED = ("stopped", "returned")
_BIND_EVERY_MS = 60_000

OffsetOf = Callable[[str, str], Offset]
"""The offset of a time zone by its name; of the second one when the first is not known."""


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """One rollout as the journal has it: `count` is its first wave's sealed counter.

    `passed`: its last wave's verdict was good, and no newer deployment is under way.
    """

    environment: str
    deployment: int
    paused: bool = False
    ended: bool = False
    passed: bool = False
    count: Mapping[str, int] = {}

    @property
    def key(self) -> dict[str, Value]:
        """The parameters that name it in a statement."""
        return {"environment": self.environment, "deployment": self.deployment}


class Turn(msgspec.Struct, frozen=True, array_like=True):
    """A device that waits, or may be held again, in the order of the statement `waiting`."""

    action: int
    number: int
    state: str
    again: int
    attributes: str


class DevicePacing:
    """See the module. May be called from any thread; processes may race."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms

    def rollouts(self) -> list[tuple[str, int]]:
        """Environment and number of every rollout that may still have devices that wait."""
        with self._database.read() as session:
            return [(row[0], row[1]) for row in session.rows("device_pace.rollouts")]

    def pace(self, rollout: Rollout, offset_of: OffsetOf) -> int:
        """Do one portion of what is due; how many devices were let begin, held or withdrawn."""
        now_ms = self._now_ms()
        with self._database.read() as session:
            found = _Pass.find(session, rollout, now_ms, offset_of)
            if found is None or not found.is_due():
                return 0
        with self._database.write() as session:
            ledger = DeviceLedger(session, now_ms)  # takes the lock that every writer takes
            found = _Pass.find(session, rollout, now_ms, offset_of)
            done = found.carry_out(ledger) if found is not None else 0
            ledger.finish()
        return done


class _Pass:
    """One look at one rollout in one transaction."""

    def __init__(
        self, session: Session, rollout: Rollout, row: Row, now_ms: int, offset_of: OffsetOf
    ) -> None:
        self._session = session
        self._rollout = rollout
        self._key = rollout.key
        self._now_ms = now_ms
        self._offset_of = offset_of
        self._terms = msgspec.json.decode(row[0], type=Terms)
        self._paced = msgspec.json.decode(row[1], type=Paced)
        self._stopped = row[2] in _ENDED
        self._touched: list[int] = []

    @classmethod
    def find(
        cls, session: Session, rollout: Rollout, now_ms: int, offset_of: OffsetOf
    ) -> _Pass | None:
        row = session.row("device_pace.find", **rollout.key)
        return cls(session, rollout, row, now_ms, offset_of) if row else None

    def is_due(self) -> bool:
        if self._stopped or self._rollout.paused != self._paced.paused:
            return True
        if self._paced.paused:
            return False
        if self._is_over or self._binds() or self._closing(1) or self._nothing_left():
            return True
        return any(self._may(again) != 0 and self._waiting(again, 1) for again in _AGAIN)

    @property
    def _is_over(self) -> bool:
        end_ms = self._terms.pace.end_ms
        return bool(end_ms) and self._now_ms >= end_ms and not self._paced.ended

    def _nothing_left(self) -> bool:
        if not self._rollout.ended:
            return False
        if self._terms.urgency == "time-forced" and self._session.row(
            "device_pace.open", **self._key
        ):
            return False
        return not self._session.row("device_pace.first_held", **self._key, never_ms=NEVER_MS)

    def carry_out(self, ledger: DeviceLedger) -> int:
        if self._stopped:
            return self._keep(0, done=True)
        if self._rollout.paused:
            return self._pause() if not self._paced.paused else 0
        if self._paced.paused:
            self._session.run("device_pace.resume", **self._key)
            self._paced = msgspec.structs.replace(self._paced, paused=False)
        if self._is_over:
            return self._withdraw(ledger)
        if self._binds():
            self._bind()
        changed = self._close() + sum(self._release(again) for again in _AGAIN)
        self._touch()
        return self._keep(changed, done=self._nothing_left())

    def _keep(self, changed: int, *, done: bool = False) -> int:
        self._session.run("device_pace.sweep", **self._key)
        record = msgspec.json.encode(self._paced).decode()
        self._session.run("device_pace.keep", **self._key, record=record, done=int(done))
        return changed

    def _pause(self) -> int:
        held = self._session.run("device_pace.pause", **self._key)
        self._session.run("device_pace.stop_clocks", **self._key, never_ms=NEVER_MS)
        change = take_numbers(self._session, "change", 1)
        self._session.run("device_pace.touch_paused", **self._key, change=change)
        self._paced = msgspec.structs.replace(self._paced, paused=True)
        return self._keep(held)

    def _binds(self) -> bool:
        """Whether it is time to look for offers that have become forced: not with every pass."""
        if self._terms.urgency != "time-forced":
            return False
        return self._bound_ms - self._paced.bound_ms >= _BIND_EVERY_MS

    @property
    def _bound_ms(self) -> int:
        """What was assigned until then is forced by now."""
        return self._now_ms - self._terms.force_after_seconds * 1000

    def _bind(self) -> None:
        """Let devices hear that what they were free to take is forced now."""
        self._session.run(
            "device_pace.touch_bound",
            **self._key,
            change=take_numbers(self._session, "change", 1),
            after_ms=self._paced.bound_ms,
            until_ms=self._bound_ms,
        )
        self._paced = msgspec.structs.replace(self._paced, bound_ms=self._bound_ms)

    def _withdraw(self, ledger: DeviceLedger) -> int:
        """At the end: what no device has begun."""
        rows = self._session.rows("device_pace.not_begun", **self._key, limit=PORTION)
        for name, number in rows:
            device = ledger.device(self._rollout.environment, name)
            action = ledger.action(device, number) if device is not None else None
            if device is not None and action is not None:
                ledger.apply(device, action, CancelAsked())
        if len(rows) < PORTION:
            self._paced = msgspec.structs.replace(self._paced, ended=True)
        return self._keep(len(rows), done=self._paced.ended)

    def _closing(self, limit: int) -> list[Turn]:
        rows = self._session.rows(
            "device_pace.closing", **self._key, now_ms=self._now_ms, limit=limit
        )
        return [Turn(*row) for row in rows]

    def _waiting(self, again: int, limit: int) -> list[Turn]:
        rows = self._session.rows(
            "device_pace.waiting", **self._key, again=again, now_ms=self._now_ms, limit=limit
        )
        return [Turn(*row) for row in rows]

    def _may(self, again: int) -> int | None:
        """How many may begin; a device's further attempt is no further device to growth."""
        pace, reached, under_way = self._terms.pace, None, 0
        if pace.exponential is not None and not again:
            share, done = self._terms.success_percent, done_state(self._terms.urgency)
            reached = permitted(pace.exponential, self._rollout.count, share, done)
        if pace.concurrency:
            counts = (
                self._session.row("device_pace.begun", **self._key),
                self._session.row("device_pace.let_begin", **self._key),
            )
            under_way = sum(int(row[0]) for row in counts if row)
        return allowance(pace, self._paced, self._now_ms, under_way, reached)

    def _close(self) -> int:
        """Hold again what a closing window has not seen begin."""
        found = self._closing(PORTION)
        holds, back = [], []
        for turn in found:
            is_open, until_ms = self._window(turn)
            if turn.state != "assigned" or is_open:
                due_ms = until_ms if turn.state == "assigned" else NEVER_MS
                holds.append(self._hold(turn, "", due_ms))
                continue
            # It stays counted as let begin: growth must not count it for another device.
            holds.append(self._hold(turn, "window", until_ms))
            back.append(turn)
        self._session.run_many("device_pace.hold", holds)
        self._deadlines(back, NEVER_MS)
        self._touched += [turn.number for turn in back]
        return len(found)

    def _release(self, again: int) -> int:
        may = self._may(again)
        if may == 0:
            return 0
        let: list[Turn] = []
        holds = []
        found = self._waiting(again, PORTION)
        for turn in found:
            if turn.state != "assigned":
                self._session.run("device_pace.drop", action=turn.action)
                continue
            is_open, until_ms = self._window(turn)
            if not is_open:
                holds.append(self._hold(turn, "window", until_ms))
            elif may is None or len(let) < may:
                holds.append(self._hold(turn, "", until_ms))
                let.append(turn)
        self._session.run_many("device_pace.hold", holds)
        self._deadlines(let, self._now_ms + self._terms.deadline_seconds * 1000)
        self._touched += [turn.number for turn in let]
        counted = released(self._paced, self._now_ms, len(let))
        if again:  # counted by the rate, not as another device
            counted = msgspec.structs.replace(counted, released=self._paced.released)
        self._paced = counted
        return len(let)

    def _window(self, turn: Turn) -> tuple[bool, int]:
        windows = self._terms.pace.windows
        if not windows:
            return True, NEVER_MS
        held: dict[str, str] = msgspec.json.decode(turn.attributes)
        zones = [held[name] for name in _ZONE_NAMES if held.get(name)]
        default = self._terms.pace.timezone
        offset = self._offset_of(zones[0] if zones else default, default)
        return window_at(windows, self._now_ms, offset)

    def _hold(self, turn: Turn, held: Held, due_ms: int) -> dict[str, Value]:
        # What was let begin once is counted, whatever holds it later.
        again = turn.again if held else max(turn.again, 1)
        return {**self._key, "action": turn.action, "held": held, "again": again, "due_ms": due_ms}

    def _deadlines(self, turns: Sequence[Turn], deadline_ms: int) -> None:
        rows = [{"action": turn.action, "deadline_ms": deadline_ms} for turn in turns]
        self._session.run_many("device_pace.deadline", rows)

    def _touch(self) -> None:
        if self._touched:
            change = take_numbers(self._session, "change", 1)
            rows = [{"number": n, "change": change} for n in dict.fromkeys(self._touched)]
            self._session.run_many("device_pace.touch", rows)
