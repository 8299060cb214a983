"""What a load run is to do, and when: the schedule, made before the run from a seed.

Keeps: open loop. Every moment and every request is known beforehand; nothing in it depends on
answers. The same scenario and seed give the same schedule on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Literal

import msgspec

from surefoot.core.numbers import Numbers
from surefoot.gates.active import Permit
from surefoot.trust.digest import digest_of

STAIRS = 10
_SPIKE = ((0.4, "rate"), (0.2, "peak"), (0.4, "rate"))


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a scenario; see the product definition."""

    path: str
    method: str = "GET"
    body: str | None = None
    type: str = "application/json"
    weight: int = 1
    status: int | None = None

    @property
    def label(self) -> str:
        """How reports call the endpoint; a comma would end a tag in a log."""
        return f"{self.method} {self.path}".replace(",", "%2C")[:120]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What must hold; milliseconds, and percent as text with a fraction."""

    p50_ms: int | None = None
    p95_ms: int | None = None
    p99_ms: int | None = None
    error_percent: str = "1"
    knee_rate: int | None = None


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario of the product definition."""

    name: str
    steps: tuple[Step, ...]
    shape: Literal["volume", "stress", "soak", "spike"] = "volume"
    rate: int = 20
    peak_rate: int | None = None
    seconds: int = 10
    arrivals: Literal["poisson", "constant"] = "poisson"
    devices: int = 100
    poll_seconds: int | None = None
    timeout_seconds: int = 10
    limits: Limits = Limits()
    against: str | None = None
    runs_max: int = 10
    safe: bool = False

    def workload(self) -> str:
        """Digest of what is sent and when; only runs of one workload may be compared."""
        same = msgspec.structs.replace(self, limits=Limits(), against=None, runs_max=10, safe=False)
        return digest_of(msgspec.json.encode(same))


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One run for the generator: a scenario against one endpoint, under a permit."""

    scenario: Scenario
    endpoint: str
    seed: str
    permit: Permit


class Stair(msgspec.Struct, frozen=True):
    """A stretch at one rate: seconds from the start of the run, requests a second."""

    start: float
    seconds: float
    rate: float


class Arrival(msgspec.Struct, frozen=True):
    """A request: seconds after the start at which it is to be sent, place of the step, device."""

    at: float
    step: int
    device: int


def stairs(scenario: Scenario) -> list[Stair]:
    """The stretches of a shape."""
    peak = scenario.peak_rate or scenario.rate
    if scenario.shape == "stress":
        one = scenario.seconds / STAIRS
        climb = (peak - scenario.rate) / (STAIRS - 1)
        return [Stair(k * one, one, scenario.rate + k * climb) for k in range(STAIRS)]
    if scenario.shape == "spike":
        rates = {"rate": float(scenario.rate), "peak": float(peak)}
        starts = accumulate((share for share, _ in _SPIKE), initial=0.0)
        return [
            Stair(start * scenario.seconds, share * scenario.seconds, rates[which])
            for start, (share, which) in zip(starts, _SPIKE, strict=False)
        ]
    rate = float(scenario.rate)
    if scenario.poll_seconds is not None:
        rate = scenario.devices / scenario.poll_seconds
    return [Stair(0.0, float(scenario.seconds), rate)]


def schedule(scenario: Scenario, seed: str) -> list[Arrival]:
    """All arrivals of a run, in order of time."""
    numbers = Numbers(f"{scenario.workload()}/{seed}")
    shares = list(accumulate(step.weight for step in scenario.steps))
    moments = list(_polls(scenario) if scenario.poll_seconds else _clients(scenario, numbers))
    steps = numbers.below(shares[-1], len(moments))
    devices = numbers.below(scenario.devices, len(moments))
    return [
        Arrival(
            at,
            next(place for place, share in enumerate(shares) if drawn < share),
            devices[number] if device < 0 else device,
        )
        for number, ((at, device), drawn) in enumerate(zip(moments, steps, strict=True))
    ]


def _polls(scenario: Scenario) -> Iterator[tuple[float, int]]:
    """Each device at its own moment in every period."""
    assert scenario.poll_seconds is not None
    gap = scenario.poll_seconds / scenario.devices
    for number in range(int(scenario.seconds / gap)):
        yield number * gap, number % scenario.devices


def _clients(scenario: Scenario, numbers: Numbers) -> Iterator[tuple[float, int]]:
    for stair in stairs(scenario):
        gap = 1 / stair.rate
        if scenario.arrivals == "constant":
            for number in range(round(stair.seconds * stair.rate)):
                yield stair.start + (number + 0.5) * gap, -1
            continue
        at = numbers.waits(gap)
        while at < stair.seconds:
            yield stair.start + at, -1
            at += numbers.waits(gap)
