"""What a run says: which limits it went over, and whether its generator can be believed.

Rules: limits hold over all runs together; a creep is a soak whose last third is slower than its
first by half; the knee is the last stair of a stress that was answered in time and without errors.
A generator that was late, short of processor or of connections is not believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from surefoot.core.histogram import merged
from surefoot.gates.load.plan import Scenario, stairs
from surefoot.gates.load.record import RunRecord, Second

CREEP = 1.5
KNEE_FACTOR = 5
KNEE_FLOOR_US = 20_000
ACHIEVED_PERCENT = 98
_QUANTILES = (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99))
_MINIMUM = {"p50_ms": 1, "p95_ms": 100, "p99_ms": 1_000}


class Tolerance(msgspec.Struct, frozen=True, kw_only=True):
    """Up to where a generator is believed: lag at p95 in ms, share of one processor, connections.

    `held_percent` is the share of requests that had to wait for a free connection.
    """

    lag_p95_ms: float = 5.0
    cpu_percent: int = 85
    held_percent: float = 2.0


class Limit(msgspec.Struct, frozen=True):
    """One limit that was gone over: the rule, where, and how in words."""

    rule: str
    place: str
    words: str


class Stair(msgspec.Struct, frozen=True, kw_only=True):
    """One stair of a stress, as it was answered; microseconds and percent."""

    rate: float
    p95_us: int
    error_percent: float
    good: bool


def unhealthy(scenario: Scenario, runs: Sequence[RunRecord], tolerance: Tolerance) -> list[str]:
    """Why the runs tell nothing, the worst of each kind; empty when they do."""
    why = [f"a run ended early: {run.health.over}" for run in runs if run.health.over][:1]
    if not runs or not all(run.health.due for run in runs):
        return [*why, "nothing was due"]
    sent = min(runs, key=lambda run: run.health.sent / run.health.due).health
    if not why and sent.sent * 100 < sent.due * ACHIEVED_PERCENT:
        why.append(f"only {sent.sent} of {sent.due} requests were sent")
    late = [run.health.lag_p95_us / 1000 for run in runs]
    over = sum(lag > tolerance.lag_p95_ms for lag in late)
    if over:
        why.append(
            f"the generator was late in {over} of {len(runs)} runs: "
            f"up to {max(late):.1f} ms at p95, at most {tolerance.lag_p95_ms} is believed"
        )
    used, most = max(run.health.cpu_percent for run in runs), tolerance.cpu_percent
    if used > most:
        why.append(f"the generator used {used} % of a processor, at most {most} is believed")
    held = max(run.health.held / max(1, run.health.sent) for run in runs) * 100
    if scenario.shape != "stress" and held > tolerance.held_percent:
        why.append(f"{held:.0f} % of requests waited for a connection: the budget is too small")
    return why


def exceeded(scenario: Scenario, runs: Sequence[RunRecord]) -> list[Limit]:
    """The limits that the runs went over."""
    found: list[Limit] = []
    if scenario.shape == "stress":
        found += _knee(scenario, runs)
    else:
        found += _latencies(scenario, runs)
        found += _errors(scenario, runs)
    if scenario.shape == "soak":
        found += _creep(runs)
    return found


def _latencies(scenario: Scenario, runs: Sequence[RunRecord]) -> list[Limit]:
    whole = merged(run.latencies() for run in runs)
    found = []
    for key, share in _QUANTILES:
        limit = getattr(scenario.limits, key)
        reached = whole.quantile(share) / 1000
        if limit is not None and reached > limit:
            name = key.removesuffix("_ms")
            words = f"{name} is {reached:.1f} ms, at most {limit}"
            found.append(Limit(name, f"scenario {scenario.name}", words))
    return found


def too_few(scenario: Scenario, runs: Sequence[RunRecord]) -> list[str]:
    """Limits that so few requests say nothing about."""
    requests = sum(run.good + run.bad for run in runs)
    return [
        f"{key.removesuffix('_ms')} means nothing with {requests} requests, {least} are needed"
        for key, least in _MINIMUM.items()
        if getattr(scenario.limits, key) is not None and requests < least
    ]


def _errors(scenario: Scenario, runs: Sequence[RunRecord]) -> list[Limit]:
    found = []
    limit = Decimal(scenario.limits.error_percent)
    for label in dict.fromkeys(one.label for run in runs for one in run.endpoints):
        same = [one for run in runs for one in run.endpoints if one.label == label]
        kinds: dict[str, int] = {}
        for one in same:
            for kind, count in one.errors.items():
                kinds[kind] = kinds.get(kind, 0) + count
        bad, good = sum(kinds.values()), sum(one.good for one in same)
        if bad and Decimal(100 * bad) > limit * (bad + good):
            most = max(kinds, key=lambda kind: kinds[kind])
            words = f"{bad} of {bad + good} requests failed, at most {limit} %; mostly: {most}"
            found.append(Limit("errors", label, words))
    return found


def _creep(runs: Sequence[RunRecord]) -> list[Limit]:
    rows = [row for run in runs for row in run.series if row.good]
    third = len(rows) // 3
    if third < 1:
        return []
    first, last = (_middle(part) for part in (rows[:third], rows[-third:]))
    if last <= first * CREEP or last - first < 1_000:
        return []
    words = f"p50 rose from {first / 1000:.1f} to {last / 1000:.1f} ms over the run"
    return [Limit("creep", "the last third of the run", words)]


def _middle(rows: Sequence[Second]) -> int:
    return sorted(row.p50_us for row in rows)[len(rows) // 2]


def climb(scenario: Scenario, run: RunRecord) -> list[Stair]:
    """The stairs of a stress as they were answered, each judged."""
    found: list[Stair] = []
    limit = Decimal(scenario.limits.error_percent)
    bound = scenario.limits.p95_ms * 1000 if scenario.limits.p95_ms else 0
    for stair in stairs(scenario):
        rows = [
            row for row in run.series if stair.start <= row.second < stair.start + stair.seconds
        ]
        done = sum(row.good + row.bad for row in rows)
        bad = sum(row.bad for row in rows)
        p95 = sorted(row.p95_us for row in rows)[len(rows) // 2] if rows else 0
        bound = bound or max(KNEE_FLOOR_US, KNEE_FACTOR * p95)
        percent = 100 * bad / done if done else 0.0
        good = bool(done) and p95 <= bound and Decimal(str(percent)) <= limit
        found.append(Stair(rate=stair.rate, p95_us=p95, error_percent=percent, good=good))
    return found


def knee(scenario: Scenario, run: RunRecord) -> float:
    """The rate of the last stair that was good, with all before it; 0 when none was."""
    reached = 0.0
    for stair in climb(scenario, run):
        if not stair.good:
            break
        reached = stair.rate
    return reached


def _knee(scenario: Scenario, runs: Sequence[RunRecord]) -> list[Limit]:
    wanted = scenario.limits.knee_rate
    reached = min((knee(scenario, run) for run in runs), default=0.0)
    if wanted is None or reached >= wanted:
        return []
    words = f"the service gives way after {reached:.0f} requests a second, {wanted} are wanted"
    return [Limit("knee", f"scenario {scenario.name}", words)]
