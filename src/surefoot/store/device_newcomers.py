"""Devices that come to a rollout after its last wave: what they are given, and when.

Keeps: only devices that changed since the last look are looked at; the place of that look and the
actions are one transaction under the writers' lock, so a crash or a second process gives nothing
twice. They are a wave of their own, so that no verdict on the others changes, under the claim of
the wave that was for all. One that has not shown its attributes waits until it has. Does not:
know whether the last wave passed (`engine.device_pacer`).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from surefoot.core.device import CancelAsked
from surefoot.core.eligibility import Fit
from surefoot.core.pace import NEVER_MS
from surefoot.core.rollout import NEWCOMERS_WAVE, VIA
from surefoot.store.database import Database, Session, Value
from surefoot.store.device_bulk import Bulk, by_task
from surefoot.store.device_choice import Assignee
from surefoot.store.device_known import Candidate, Judgements
from surefoot.store.device_ledger import DeviceLedger
from surefoot.store.device_retry import Terms
from surefoot.store.device_route import Route
from surefoot.store.device_rows import Task
from surefoot.store.device_target import Targeted, Targeting

PORTION = 5_000
_LAST = (1 << 62) - 1
"""A device number behind all others: every device of a change was looked at."""


class Look(msgspec.Struct, frozen=True, array_like=True):
    """A rollout that takes newcomers and has not looked at all changes; as in `open`."""

    environment: str
    deployment: int
    wave: str
    targeting: str
    change: int
    number: int
    newest: int

    @property
    def key(self) -> dict[str, Value]:
        """The parameters that name the rollout in a statement."""
        return {"environment": self.environment, "deployment": self.deployment}


def open_to_newcomers(session: Session, key: dict[str, Value], wave: int, whom: Targeting) -> None:
    """From now on the rollout takes those who come; it was for all that are there."""
    targeting = msgspec.json.encode(whom).decode()
    session.run("device_newcomers.put", **key, wave=str(wave), targeting=targeting, last=_LAST)


class DeviceNewcomers:
    """See the module. May be called from any thread; processes may race."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms

    def rollouts(self) -> list[tuple[str, int]]:
        """Environment and number of those that have changed devices to look at."""
        with self._database.read() as session:
            return [(look.environment, look.deployment) for look in _looks(session)]

    def open(self) -> list[tuple[str, int]]:
        """Environment and number of all that take newcomers."""
        with self._database.read() as session:
            return [(row[0], row[1]) for row in session.rows("device_newcomers.all")]

    def close(self, environment: str, deployment: int) -> int:
        """Take nobody any more, and withdraw what no newcomer has begun; how many were withdrawn.

        May be called again: what a crash left is done then.
        """
        key: dict[str, Value] = {"environment": environment, "deployment": deployment}
        waves: dict[str, Value] = {"wave": NEWCOMERS_WAVE, "via": NEWCOMERS_WAVE + VIA}
        withdrawn = 0
        while True:
            with self._database.write() as session:
                ledger = DeviceLedger(session, self._now_ms())
                rows = session.rows("device_newcomers.not_begun", **key, **waves, limit=PORTION)
                for name, number in rows:
                    device = ledger.device(environment, name)
                    action = ledger.action(device, number) if device is not None else None
                    if device is not None and action is not None:
                        withdrawn += ledger.apply(device, action, CancelAsked()).state == "returned"
                ledger.finish()
                if len(rows) < PORTION:
                    session.run("device_newcomers.close", **key)
                    return withdrawn

    def take(self, environment: str, deployment: int) -> int:
        """Look at one portion of what changed; how many devices were given the release."""
        with self._database.write() as session:
            now_ms = self._now_ms()
            DeviceLedger(session, now_ms)  # takes the lock that every writer takes
            wanted = (environment, deployment)
            for look in _looks(session):
                if (look.environment, look.deployment) == wanted:
                    return _take(session, look, now_ms)
        return 0


def _looks(session: Session) -> list[Look]:
    return [Look(*row) for row in session.rows("device_newcomers.open", last=_LAST)]


def _take(session: Session, look: Look, now_ms: int) -> int:
    since: dict[str, Value] = {"change": look.change, "number": look.number}
    row = session.row("device_newcomers.bound", **since, before=PORTION - 1)
    change, number = (row[0], row[1]) if row is not None else (look.newest, _LAST)
    rows = session.rows(
        "device_newcomers.between", **look.key, **since, to_change=change, to_number=number
    )
    session.run("device_newcomers.looked", **look.key, change=change, number=number)
    paced = session.row("device_pace.find", **look.key)
    routed = session.row("device.route", **look.key, kind="update")
    if not rows or paced is None or routed is None:
        return 0
    terms = msgspec.json.decode(paced[0], type=Terms)
    if terms.pace.end_ms and now_ms >= terms.pace.end_ms:
        return 0
    route = msgspec.json.decode(routed[0], type=Route)
    chosen = _chosen(session, look, route, [Candidate(*each) for each in rows])
    if chosen:
        _give(session, look, (route, terms), chosen, now_ms)
    return len(chosen)


def _chosen(session: Session, look: Look, route: Route, found: list[Candidate]) -> list[Assignee]:
    targeted = Targeted(msgspec.json.decode(look.targeting, type=Targeting))
    targeted.read_tags(session, look.environment)
    chosen = []
    for device in found:
        if not targeted.has(device):
            continue
        doubt: dict[str, list[str]] = {}
        for attribute, version in session.rows("device_newcomers.begun", number=device.number):
            doubt.setdefault(attribute, []).append(version)
        judged = Judgements(route.demand, {device.number: doubt} if doubt else {}).of(device)
        if isinstance(judged, Fit):
            about = (device.number, device.device, device.runs, device.auto_confirm)
            chosen.append(Assignee(*about, judged))
    return chosen


def _give(
    session: Session, look: Look, plan: tuple[Route, Terms], chosen: list[Assignee], now_ms: int
) -> None:
    route, terms = plan
    holds = terms.pace.holds
    task = Task(
        deployment=look.deployment,
        wave=NEWCOMERS_WAVE,
        kind="update",
        release=route.release,
        firmware=route.demand.parts[-1],
        deadline_ms=NEVER_MS if holds else now_ms + route.deadline_seconds * 1000,
        confirmation=route.confirmation,
    )
    for given, devices in by_task(task, chosen):
        Bulk(session, look.environment, given, now_ms).assign(devices)
    session.run("device_newcomers.keep_claim", **look.key, wave=look.wave, newcomers=NEWCOMERS_WAVE)
    if holds:
        # Growth ended with the last wave: to it a newcomer is no further device.
        again = int(terms.pace.exponential is not None)
        via = NEWCOMERS_WAVE + VIA
        session.run("device_newcomers.hold", **look.key, wave=NEWCOMERS_WAVE, via=via, again=again)
    session.run("device_pace.reopen", **look.key)
