"""Whether a release is slower than another, from interleaved runs of the same load.

Rules: the unit is the run, for requests of one run are not independent. The ratio of a quantile is
that of the geometric means over runs; its interval comes from a bootstrap of two levels: runs, and
in each run its blocks of neighbouring requests. `fail` when the whole interval is above the margin
and the change is above a floor; `pass` when the whole interval is below; else `inconclusive`, which
asks for more runs. Several endpoints are corrected after Holm. Error rates are compared by the
exact binomial test on the signs of paired runs. Everything follows from the runs and a seed.
Source: Efron and Tibshirani, An Introduction to the Bootstrap, ch. 8 and 13; Holm (1979).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from operator import mul
from typing import Literal

import msgspec

from surefoot.core.histogram import Histogram, merged, value_of
from surefoot.core.numbers import Numbers

Outcome = Literal["pass", "fail", "inconclusive"]
RUNS_MIN = 5
REQUESTS_MIN = 50
RESAMPLES = 2_000
REPLICATES = 100
ALPHA = 0.025
POWER = 0.95


class Margin(msgspec.Struct, frozen=True, kw_only=True):
    """A quantile, how much slower is allowed, and from how many requests a run it means anything.

    `percent` is of the baseline; `floor_us` is the least change that counts at all.
    """

    name: str
    share: float
    percent: float
    requests_min: int = 50
    floor_us: int = 1_000


MARGINS = (
    Margin(name="p50", share=0.50, percent=5.0),
    Margin(name="p95", share=0.95, percent=10.0, requests_min=200),
    Margin(name="p99", share=0.99, percent=20.0, requests_min=1_000),
)
ERROR_MARGIN_PERCENT = 0.1


class RunSample(msgspec.Struct, frozen=True):
    """One run at one endpoint: its latencies in blocks of neighbouring requests, and its errors.

    Of the errors, `timed` have a latency in the blocks: those that were waited for until the end.
    """

    blocks: tuple[Histogram, ...]
    errors: int = 0
    timed: int = 0

    @property
    def requests(self) -> int:
        """Requests with a latency."""
        return sum(block.total for block in self.blocks)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison: ratio of candidate to baseline with its interval, times in microseconds."""

    endpoint: str
    measure: str
    outcome: Outcome
    reason: str
    baseline: float = 0.0
    candidate: float = 0.0
    ratio: float = 1.0
    low: float = 1.0
    high: float = 1.0
    margin: float = 1.0

    def words(self) -> str:
        """The row in one sentence."""
        if self.measure == "errors":
            return f"errors went from {self.baseline:.2f} to {self.candidate:.2f} %: {self.reason}"
        before, after = self.baseline / 1000, self.candidate / 1000
        change, low, high = (100 * (one - 1) for one in (self.ratio, self.low, self.high))
        return (
            f"{self.measure} went from {before:.2f} to {after:.2f} ms, {change:+.1f} % "
            f"({low:+.1f} to {high:+.1f} %): {self.reason}"
        )


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All rows and the outcome of the whole: one failed row fails it, one open row leaves it."""

    outcome: Outcome
    rows: tuple[Row, ...]
    baseline_runs: int
    candidate_runs: int


def compare(
    baseline: Sequence[dict[str, RunSample]],
    candidate: Sequence[dict[str, RunSample]],
    seed: str,
    margins: Sequence[Margin] = MARGINS,
) -> Comparison:
    """Compare runs; each is endpoint -> its sample, and all have the same endpoints."""
    endpoints = sorted({name for run in (*baseline, *candidate) for name in run})
    rows: list[Row] = []
    if min(len(baseline), len(candidate)) >= RUNS_MIN:
        for margin in margins:
            rows += _of_margin(baseline, candidate, endpoints, margin, seed)
        rows += [_errors(baseline, candidate, name) for name in endpoints]
    outcomes = {row.outcome for row in rows}
    outcome: Outcome = "fail" if "fail" in outcomes else "inconclusive"
    if outcomes == {"pass"}:
        outcome = "pass"
    return Comparison(
        outcome=outcome,
        rows=tuple(rows),
        baseline_runs=len(baseline),
        candidate_runs=len(candidate),
    )


class _Tried(msgspec.Struct):
    row: Row
    likelihood: float
    above_floor: bool


def _of_margin(
    baseline: Sequence[dict[str, RunSample]],
    candidate: Sequence[dict[str, RunSample]],
    endpoints: Sequence[str],
    margin: Margin,
    seed: str,
) -> list[Row]:
    tried: list[_Tried] = []
    rows: list[Row] = []
    for name in endpoints:
        sides = [[run.get(name, RunSample(())) for run in side] for side in (baseline, candidate)]
        fewest = min(sample.requests for side in sides for sample in side)
        if fewest < REQUESTS_MIN:
            rows.append(_too_few(name, margin, fewest))
        elif fewest >= margin.requests_min:
            tried.append(_try(sides[0], sides[1], name, margin, f"{seed}/{name}/{margin.name}"))
    tried.sort(key=lambda one: one.likelihood)
    open_still = True
    for place, one in enumerate(tried):
        # Holm: the smallest of m is held against alpha / m, the next against alpha / (m - 1).
        open_still = open_still and one.likelihood <= ALPHA / (len(tried) - place)
        rows.append(_decided(one, open_still))
    return sorted(rows, key=lambda row: row.endpoint)


def _too_few(name: str, margin: Margin, fewest: int) -> Row:
    reason = f"only {fewest} requests in a run: too few to tell anything"
    return Row(endpoint=name, measure=margin.name, outcome="inconclusive", reason=reason)


def _decided(one: _Tried, significant: bool) -> Row:
    row = one.row
    allowed = f"{(row.margin - 1) * 100:.0f} %"
    if significant and one.above_floor:
        return msgspec.structs.replace(
            row, outcome="fail", reason=f"slower by more than {allowed} in all likelihood"
        )
    if row.outcome == "pass":
        return row
    if significant:
        return msgspec.structs.replace(
            row, outcome="pass", reason="the change is too small in milliseconds to count"
        )
    return row


def _try(
    baseline: Sequence[RunSample],
    candidate: Sequence[RunSample],
    name: str,
    margin: Margin,
    seed: str,
) -> _Tried:
    numbers = Numbers(seed)
    logs = [
        [_replicates(sample, margin.share, numbers) for sample in side]
        for side in (baseline, candidate)
    ]
    centres = [
        sum(_log_quantile(sample, margin.share) for sample in side) / len(side)
        for side in (baseline, candidate)
    ]
    centre = centres[1] - centres[0]
    drawn = [b - a for a, b in zip(*(_means(side, numbers) for side in logs), strict=True)]
    # A resample of n runs is too narrow by (n - 1) / n in its variance.
    fewest = min(len(baseline), len(candidate))
    spread = math.sqrt(fewest / (fewest - 1))
    ratios = sorted(math.exp(centre + (one - centre) * spread) for one in drawn)
    low, high = ratios[int(ALPHA * RESAMPLES)], ratios[RESAMPLES - 1 - int(ALPHA * RESAMPLES)]
    limit = 1 + margin.percent / 100
    before, after = math.exp(centres[0]), math.exp(centres[1])
    likelihood = (1 + bisect_left(ratios, limit)) / (1 + RESAMPLES)
    settled = high < limit or before * (high - 1) < margin.floor_us
    row = Row(
        endpoint=name,
        measure=margin.name,
        outcome="pass" if settled else "inconclusive",
        reason="within the margin" if settled else "more runs are needed to tell",
        baseline=before,
        candidate=after,
        ratio=math.exp(centre),
        low=low,
        high=high,
        margin=limit,
    )
    return _Tried(row, likelihood, after - before > margin.floor_us)


def _log_quantile(sample: RunSample, share: float) -> float:
    return math.log(max(1, merged(sample.blocks).quantile(share)))


def _replicates(sample: RunSample, share: float, numbers: Numbers) -> list[float]:
    """Logarithms of the quantile of the run, its blocks drawn again `REPLICATES` times."""
    cells = sorted(
        (index, block, count)
        for block, histogram in enumerate(sample.blocks)
        for index, count in histogram.counts.items()
    )
    owners, counts = [block for _, block, _ in cells], [count for _, _, count in cells]
    values = [value_of(index) for index, _, _ in cells]
    found = []
    for _ in range(REPLICATES):
        weights = [0] * len(sample.blocks)
        for block in numbers.below(len(weights), len(weights)):
            weights[block] += 1
        reached = list(accumulate(map(mul, map(weights.__getitem__, owners), counts)))
        at = bisect_left(reached, max(1, math.ceil(share * reached[-1] - 1e-9)))
        found.append(math.log(max(1, values[at])))
    return found


def _means(runs: Sequence[Sequence[float]], numbers: Numbers) -> list[float]:
    """Means over runs drawn again, each in one of its replicates."""
    size = len(runs)
    chosen = numbers.below(size, size * RESAMPLES)
    inner = numbers.below(REPLICATES, size * RESAMPLES)
    drawn = [runs[run][one] for run, one in zip(chosen, inner, strict=True)]
    return [sum(drawn[i : i + size]) / size for i in range(0, len(drawn), size)]


def _errors(
    baseline: Sequence[dict[str, RunSample]], candidate: Sequence[dict[str, RunSample]], name: str
) -> Row:
    """Error rates in percent; a pair of runs counts for whichever had the higher rate."""
    rates = [
        [_error_percent(run.get(name, RunSample(()))) for run in side]
        for side in (baseline, candidate)
    ]
    before, after = (sum(side) / len(side) for side in rates)
    worse = sum(b > a for a, b in zip(*rates, strict=False))
    untied = sum(b != a for a, b in zip(*rates, strict=False))
    likelihood = sum(math.comb(untied, k) for k in range(worse, untied + 1)) / 2**untied
    outcome: Outcome = "inconclusive"
    reason = "more errors, but not in enough runs to tell"
    if after - before <= ERROR_MARGIN_PERCENT:
        outcome, reason = "pass", "no more errors than the margin"
    elif likelihood <= 0.05:
        outcome, reason = "fail", f"more errors in {worse} of {untied} pairs of runs"
    return Row(
        endpoint=name,
        measure="errors",
        outcome=outcome,
        reason=reason,
        baseline=before,
        candidate=after,
        margin=ERROR_MARGIN_PERCENT,
    )


def _error_percent(sample: RunSample) -> float:
    whole = sample.requests + sample.errors - sample.timed
    return 100 * sample.errors / whole if whole else 0.0


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What a comparison of so many runs can see here: the least slowdown it would find."""

    endpoint: str
    measure: str
    runs: int
    percent: float


def sight(
    runs: Sequence[dict[str, RunSample]], seed: str, margins: Sequence[Margin] = MARGINS
) -> tuple[Sight, ...]:
    """The A/A check: the runs against themselves, drawn again and again; found 19 times in 20."""
    found = []
    for name in sorted({name for run in runs for name in run}):
        samples = [run.get(name, RunSample(())) for run in runs]
        for margin in margins:
            few = min(sample.requests for sample in samples) < margin.requests_min
            if few or len(runs) < RUNS_MIN:
                continue
            numbers = Numbers(f"{seed}/sight/{name}/{margin.name}")
            logs = [_replicates(sample, margin.share, numbers) for sample in samples]
            drawn = sorted(
                abs(b - a)
                for a, b in zip(_means(logs, numbers), _means(logs, numbers), strict=True)
            )
            spread = math.sqrt(len(runs) / (len(runs) - 1))
            # Of sizes without sign: what a verdict must clear, and what chance may take away.
            clear, chance = (
                drawn[int(share * RESAMPLES)] for share in (1 - 2 * ALPHA, 2 * POWER - 1)
            )
            least = (1 + margin.percent / 100) * math.exp((clear + chance) * spread)
            found.append(
                Sight(endpoint=name, measure=margin.name, runs=len(runs), percent=(least - 1) * 100)
            )
    return tuple(found)
