"""The open-loop generator: sends each request when it is due, whether or not others were answered.

Keeps: the schedule decides when a request goes out, never an answer; latency is from the moment it
was due; the meter is asked before each request, and the kill switch is looked at all the time.
Does not: know how requests are sent; a `Sender` does. Time is the event loop's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from surefoot.gates.active import Meter, Over
from surefoot.gates.load.plan import Arrival, Scenario
from surefoot.gates.load.record import TIMED_OUT, Tally

WARM_SECONDS = 1.0
_TICK_SECONDS = 0.1
Done = Callable[[str], None]


class Sender(Protocol):
    """Sends requests; `held` counts those that waited for a free connection."""

    held: int

    def send(self, arrival: Arrival, done: Done) -> Callable[[], None]:
        """Begin one request; calls `done` once with what went wrong, empty for nothing.

        Answers how to abandon it, after which `done` is not called.
        """

    def close(self) -> None:
        """End all connections."""


class Generator:
    """One run. Use: `await Generator(...).run()`, inside the loop that it was made with."""

    def __init__(
        self, scenario: Scenario, arrivals: Sequence[Arrival], sender: Sender, meter: Meter
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrivals = [*_warm_up(scenario, arrivals), *arrivals]
        self._timeout = float(scenario.timeout_seconds)
        self._sender = sender
        self._meter = meter
        self._next = 0
        self._open: dict[int, Callable[[], None]] = {}
        self._finished: asyncio.Future[None] = self._loop.create_future()
        self._start = 0.0
        self.tally = Tally(scenario, arrivals)
        self.due = len(arrivals)
        self.over = ""

    async def run(self) -> None:
        """Send all that is due and wait for the answers, each until its timeout."""
        self._start = self._loop.time() + WARM_SECONDS
        self._fire()
        self._tick()
        try:
            await self._finished
        finally:
            self._sender.close()

    def _fire(self) -> None:
        """Send all that is due by now."""
        while self._next < len(self._arrivals) and not self._finished.done():
            arrival = self._arrivals[self._next]
            due, now = self._start + arrival.at, self._loop.time()
            if now < due:
                self._loop.call_at(due, self._fire)
                return
            try:
                self._meter.take()
            except Over as over:
                self._stop(str(over))
                return
            self._send(self._next, arrival, now - due)
            self._next += 1
        self._end_if_done()

    def _send(self, number: int, arrival: Arrival, late: float) -> None:
        counted = arrival.at >= 0
        block = self.tally.fired(arrival, late) if counted else 0
        limit: asyncio.TimerHandle | None = None

        def ended(error: str) -> None:
            if self._open.pop(number, None) is None:
                return
            if limit is not None:
                limit.cancel()
            if counted:
                latency = self._loop.time() - self._start - arrival.at
                self.tally.ended(arrival, block, latency, error)
            self._end_if_done()

        def late_for_ever() -> None:
            abandon = self._open.get(number)
            if abandon is not None:
                abandon()
                ended(TIMED_OUT)

        self._open[number] = _nothing
        abandon = self._sender.send(arrival, ended)
        if number in self._open:
            self._open[number] = abandon
            limit = self._loop.call_at(self._start + arrival.at + self._timeout, late_for_ever)

    def _end_if_done(self) -> None:
        if self._next >= len(self._arrivals) and not self._open and not self._finished.done():
            self._finished.set_result(None)

    def _tick(self) -> None:
        if self._finished.done():
            return
        try:
            self._meter.look()
        except Over as over:
            self._stop(str(over))
            return
        self._loop.call_later(_TICK_SECONDS, self._tick)

    def _stop(self, why: str) -> None:
        self.over = why
        for abandon in self._open.values():
            abandon()
        self._open.clear()
        if not self._finished.done():
            self._finished.set_result(None)


def _warm_up(scenario: Scenario, arrivals: Sequence[Arrival]) -> list[Arrival]:
    """The first second's requests once before the start, so that connections and caches are there.

    Only what reads: a second that is not counted must not change anything either.
    """
    return [
        Arrival(arrival.at - WARM_SECONDS, arrival.step, arrival.device)
        for arrival in arrivals
        if arrival.at < WARM_SECONDS and scenario.steps[arrival.step].method in ("GET", "HEAD")
    ]


def _nothing() -> None:
    """A request that ended before it could be abandoned."""
