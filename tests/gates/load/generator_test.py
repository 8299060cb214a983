"""The generator keeps its schedule whatever the service does, and charges it for every wait.

Time is virtual, so that nothing depends on the machine; the last tests send over real sockets and
look at what was sent, not at how fast.
"""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from surefoot.core.histogram import Histogram
from surefoot.gates.active import Budget, Meter, Permit
from surefoot.gates.load.generator import Done, Generator
from surefoot.gates.load.http_sender import HttpSender
from surefoot.gates.load.plan import Arrival, Scenario, Step, schedule
from surefoot.gates.load.record import TIMED_OUT

Virtually = Callable[[Coroutine[Any, Any, Generator]], Generator]
STALL = (2.0, 2.2)
WORK = 0.001


class OneWorker:
    """A service in memory: one request after the other, and none during the stall."""

    held = 0

    def __init__(self, stall: tuple[float, float] = STALL, fails: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self._free_at = 0.0
        self._stall = stall
        self._fails = fails
        self._began = self._loop.time() + 1.0
        self.sent: list[float] = []

    def send(self, arrival: Arrival, done: Done) -> Callable[[], None]:
        now = self._loop.time()
        self.sent.append(now - self._began)
        begin = max(now, self._free_at)
        if self._stall[0] <= begin - self._began < self._stall[1]:
            begin = self._began + self._stall[1]
        self._free_at = begin + WORK
        timer = self._loop.call_at(self._free_at, done, "status 500" if self._fails else "")
        return timer.cancel

    def close(self) -> None:
        """Nothing is open."""


def scenario(**changes: Any) -> Scenario:
    whole: dict[str, Any] = {"name": "s", "steps": (Step(path="/"),), "rate": 500, "seconds": 4}
    return Scenario(**(whole | {"arrivals": "constant"} | changes))


def permit(**changes: Any) -> Permit:
    return Permit(**({"run": "r", "environment": "e", "endpoints": ()} | changes))


async def drive(one: Scenario, leave: Permit | None = None, **options: Any) -> Generator:
    loop = asyncio.get_running_loop()
    meter = Meter(leave or permit(), loop.time)
    generator = Generator(one, schedule(one, "1"), OneWorker(**options), meter)
    await generator.run()
    return generator


def latencies(generator: Generator) -> list[int]:
    found = generator.tally.endpoints()[0]
    return [found.p50_us, found.p99_us, found.max_us]


def test_a_stall_is_charged_for_all_who_waited(virtually: Virtually) -> None:
    p50, p99, longest = latencies(virtually(drive(scenario())))
    assert p50 < 3_000
    assert longest == pytest.approx(200_000, rel=0.02)
    assert p99 > 150_000


async def _closed_loop() -> Histogram:
    """A client that asks, waits for the answer and asks again, as often as ours does."""
    loop, seen = asyncio.get_running_loop(), Histogram()
    service, began = OneWorker(), loop.time()
    while loop.time() - began < 5.0:
        asked, answer = loop.time(), loop.create_future()
        service.send(Arrival(0.0, 0, 0), lambda _, answer=answer: answer.set_result(None))
        await answer
        seen.record(round((loop.time() - asked) * 1e6))
        await asyncio.sleep(max(0.0, 1 / 500 - (loop.time() - asked)))
    return seen


def test_a_closed_loop_would_not_have_seen_it(virtually: Callable[..., Histogram]) -> None:
    """The stall is there, but one request of two thousand says so, and no quantile does."""
    seen = virtually(_closed_loop())
    assert seen.quantile(0.99) < 3_000
    assert seen.highest_us == pytest.approx(200_000, rel=0.02)


def test_requests_go_out_when_they_are_due(virtually: Virtually) -> None:
    one = scenario(rate=100, arrivals="poisson")
    generator = virtually(drive(one))
    sent = [at for at in generator._sender.sent if at >= 0]  # type: ignore[attr-defined]
    due = [arrival.at for arrival in schedule(one, "1")]
    assert sent == pytest.approx(due, abs=1e-6)
    assert generator.tally.lags.highest_us <= 1


def test_what_is_never_answered_counts_with_its_whole_wait(virtually: Virtually) -> None:
    one = scenario(rate=10, timeout_seconds=1)
    generator = virtually(drive(one, stall=(2.0, 99.0)))
    found = generator.tally.endpoints()[0]
    assert found.errors == {TIMED_OUT: 20}
    assert found.max_us == pytest.approx(1_000_000, rel=0.01)
    assert sum(row.bad for row in generator.tally.series()) == 20


def test_errors_have_no_latency(virtually: Virtually) -> None:
    found = virtually(drive(scenario(rate=10), fails=True)).tally.endpoints()[0]
    assert (found.good, found.errors, found.max_us) == (0, {"status 500": 40}, 0)


def test_the_budget_ends_the_run(virtually: Virtually) -> None:
    leave = permit(budget=Budget(requests=700))
    generator = virtually(drive(scenario(), leave))
    # The warm-up is of the budget as well.
    assert generator.tally.sent == 700 - 500
    assert "700 requests" in generator.over


def test_a_person_ends_the_run(virtually: Virtually, tmp_path: Path) -> None:
    stop = tmp_path / "stop"
    one = scenario(rate=10)

    async def stopped() -> Generator:
        asyncio.get_running_loop().call_later(2.5, stop.touch)
        return await drive(one, permit(stops=(str(stop),)))

    generator = virtually(stopped())
    assert generator.over == "stopped by a person"
    assert 10 < generator.tally.sent < 40


def test_latencies_are_kept_in_blocks_of_neighbours(virtually: Virtually) -> None:
    generator = virtually(drive(scenario()))
    text = generator.tally.log()
    lines = [line for line in text.splitlines() if line.startswith("Tag=GET /,")]
    assert len(lines) == 2_000 / 50


async def _really(endpoint: str, one: Scenario, leave: Permit) -> Generator:
    loop = asyncio.get_running_loop()
    meter = Meter(leave, loop.time)
    sender = HttpSender(endpoint, one.steps, meter)
    generator = Generator(one, schedule(one, "1"), sender, meter)
    await generator.run()
    return generator


def test_real_requests_are_sent_though_none_is_answered(service: Any) -> None:
    """The service answers nobody before the last has asked; a closed loop would wait for ever."""
    steps = (Step(path="/a/{device}", method="POST", body='{"d":"{device}"}', status=200),)
    one = scenario(steps=steps, rate=40, seconds=1, timeout_seconds=60, devices=3)
    service.hold_until = 40
    leave = permit(endpoints=(service.endpoint,), run="dev-1-load")
    generator = asyncio.run(_really(service.endpoint, one, leave))
    found = generator.tally.endpoints()[0]
    assert (found.good, found.errors) == (40, {})
    # The first was due 39 fortieths of a second before the last, and waited for it.
    assert found.max_us >= 970_000
    assert all(b"\r\nSurefoot-Test: dev-1-load\r\n" in head for head in service.heads)
    assert service.heads[0].startswith(b"POST /a/device-00000")
    assert b"Content-Length: 21\r\n" in service.heads[0]


def test_no_more_connections_than_the_budget(service: Any) -> None:
    one = scenario(rate=20, seconds=1, timeout_seconds=60)
    service.hold_until = 0
    leave = permit(endpoints=(service.endpoint,), budget=Budget(connections=1))
    generator = asyncio.run(_really(service.endpoint, one, leave))
    assert generator.tally.endpoints()[0].good == 20
    assert generator._meter.connections_most == 1


def test_where_nothing_listens_every_request_fails(free_endpoint: str) -> None:
    one = scenario(rate=20, seconds=1)
    generator = asyncio.run(_really(free_endpoint, one, permit(endpoints=(free_endpoint,))))
    assert generator.tally.endpoints()[0].errors == {"nothing listens there": 20}
