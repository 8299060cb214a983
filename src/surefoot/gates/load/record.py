"""What one run of the generator saw: latencies, errors, seconds, and how well it kept its schedule.

Keeps: latencies are from the intended time of sending, so that a service that stalls is charged for
all who had to wait. A request that was waited for in vain counts with the whole wait. All figures
follow from the record, which is kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from surefoot.core.comparison import RunSample
from surefoot.core.histogram import Histogram, Interval, merged, read_log, write_log
from surefoot.gates.load.plan import Arrival, Scenario

BLOCK = 50
BLOCKS_MAX = 1_000
TIMED_OUT = "no whole answer in time"


class Second(msgspec.Struct, frozen=True, kw_only=True):
    """One second of the schedule: requests by when they were due, latencies and lag in us."""

    second: int
    due: int
    good: int
    bad: int
    p50_us: int
    p95_us: int
    p99_us: int
    max_us: int
    lag_us: int


class EndpointRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint over the whole run; `errors` is what went wrong -> how often."""

    label: str
    good: int
    errors: dict[str, int] = {}
    p50_us: int = 0
    p95_us: int = 0
    p99_us: int = 0
    max_us: int = 0


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How well the generator kept its schedule. `held` requests waited for a free connection."""

    due: int
    sent: int
    held: int
    lag_p50_us: int
    lag_p95_us: int
    lag_p99_us: int
    lag_max_us: int
    cpu_percent: int
    connections: int
    over: str = ""


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `log` is an HdrHistogram log, a line for each block of neighbouring requests."""

    workload: str
    seed: str
    endpoint: str
    seconds: float
    endpoints: tuple[EndpointRecord, ...]
    series: tuple[Second, ...]
    health: Health
    log: str
    began_ms: int = 0

    @property
    def good(self) -> int:
        """Requests that were answered as they should be."""
        return sum(one.good for one in self.endpoints)

    @property
    def bad(self) -> int:
        """Requests that were not."""
        return sum(sum(one.errors.values()) for one in self.endpoints)

    def samples(self) -> dict[str, RunSample]:
        """The run as the comparison takes it."""
        intervals = read_log(self.log)
        return {
            one.label: RunSample(
                tuple(i.histogram for i in intervals if i.tag == one.label),
                sum(one.errors.values()),
                one.errors.get(TIMED_OUT, 0),
            )
            for one in self.endpoints
        }

    def latencies(self) -> Histogram:
        """All latencies of the run."""
        return merged(interval.histogram for interval in read_log(self.log))


class Tally:
    """Counts while a run goes on. Arrivals before the start warm up and are not counted."""

    def __init__(self, scenario: Scenario, arrivals: Sequence[Arrival]) -> None:
        self._labels = [step.label for step in scenario.steps]
        planned = [0] * len(self._labels)
        for arrival in arrivals:
            planned[arrival.step] += 1
        self._sizes = [max(BLOCK, math.ceil(count / BLOCKS_MAX)) for count in planned]
        self._due = [0] * len(self._labels)
        self._blocks: dict[tuple[int, int], tuple[list[float], Histogram]] = {}
        self._errors: list[dict[str, int]] = [{} for _ in self._labels]
        self._good = [0] * len(self._labels)
        self._seconds: dict[int, list[int]] = {}
        self._second_latencies: dict[int, Histogram] = {}
        self.lags = Histogram()
        self.sent = 0

    def fired(self, arrival: Arrival, lag: float) -> int:
        """A request goes out, so late; answers its block."""
        microseconds = max(0, round(lag * 1_000_000))
        self.lags.record(microseconds)
        self.sent += 1
        row = self._seconds.setdefault(int(arrival.at), [0, 0, 0, 0])
        row[0] += 1
        row[3] = max(row[3], microseconds)
        block = self._due[arrival.step] // self._sizes[arrival.step]
        self._due[arrival.step] += 1
        return block

    def ended(self, arrival: Arrival, block: int, latency: float, error: str) -> None:
        """The answer came, or there will be none."""
        row = self._seconds[int(arrival.at)]
        if error:
            counts = self._errors[arrival.step]
            counts[error] = counts.get(error, 0) + 1
            row[2] += 1
        else:
            self._good[arrival.step] += 1
            row[1] += 1
        if error and error != TIMED_OUT:
            return
        microseconds = round(latency * 1_000_000)
        spans, histogram = self._blocks.setdefault((arrival.step, block), ([], Histogram()))
        spans.append(arrival.at)
        histogram.record(microseconds)
        self._second_latencies.setdefault(int(arrival.at), Histogram()).record(microseconds)

    def endpoints(self) -> tuple[EndpointRecord, ...]:
        """All endpoints, in the order of the scenario; steps with one label are one."""
        found: dict[str, tuple[int, dict[str, int], Histogram]] = {}
        for step, label in enumerate(self._labels):
            good, errors, whole = found.get(label, (0, {}, Histogram()))
            for kind, count in self._errors[step].items():
                errors[kind] = errors.get(kind, 0) + count
            for (owner, _), (_, histogram) in self._blocks.items():
                if owner == step:
                    whole.add(histogram)
            found[label] = (good + self._good[step], errors, whole)
        return tuple(
            EndpointRecord(
                label=label,
                good=good,
                errors=errors,
                p50_us=whole.quantile(0.5),
                p95_us=whole.quantile(0.95),
                p99_us=whole.quantile(0.99),
                max_us=whole.highest_us,
            )
            for label, (good, errors, whole) in found.items()
        )

    def series(self) -> tuple[Second, ...]:
        """The seconds, in order."""
        rows = []
        for second in sorted(self._seconds):
            due, good, bad, lag = self._seconds[second]
            whole = self._second_latencies.get(second, Histogram())
            rows.append(
                Second(
                    second=second,
                    due=due,
                    good=good,
                    bad=bad,
                    p50_us=whole.quantile(0.5),
                    p95_us=whole.quantile(0.95),
                    p99_us=whole.quantile(0.99),
                    max_us=whole.highest_us,
                    lag_us=lag,
                )
            )
        return tuple(rows)

    def log(self) -> str:
        """The blocks as an HdrHistogram log, in order of time."""
        intervals = [
            Interval(min(spans), max(spans) - min(spans), self._labels[step], histogram)
            for (step, _), (spans, histogram) in self._blocks.items()
        ]
        return write_log(sorted(intervals, key=lambda one: (one.start_seconds, one.tag)))
