"""The report of a load run: everything that was seen, so that any two can be compared later.

Keeps: all latencies, in blocks, with the workload's digest; two reports of one workload can be
compared by the same rule as the gate's, and no others.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from surefoot.core.comparison import Comparison, Sight, compare
from surefoot.core.histogram import Histogram, merged
from surefoot.gates.load.assess import Limit, knee
from surefoot.gates.load.plan import Scenario
from surefoot.gates.load.record import RunRecord
from surefoot.trust.canonical import JSON

REPORT_BYTES_MAX = 256 * 1024 * 1024


class ScenarioReport(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario: its runs, those of the baseline, and what was made of them.

    `open` is why nothing can be told, `limits` what was gone over.
    """

    scenario: Scenario
    runs: tuple[RunRecord, ...]
    baseline: tuple[RunRecord, ...] = ()
    comparison: Comparison | None = None
    sight: tuple[Sight, ...] = ()
    limits: tuple[Limit, ...] = ()
    open: tuple[str, ...] = ()

    def latencies(self) -> Histogram:
        """All latencies of the candidate's runs."""
        return merged(run.latencies() for run in self.runs)

    def baseline_latencies(self) -> Histogram:
        """All latencies of the baseline's runs."""
        return merged(run.latencies() for run in self.baseline)

    def figures(self) -> dict[str, JSON]:
        """The figures of evidence; times in microseconds."""
        whole = self.latencies()
        row: dict[str, JSON] = {
            "name": self.scenario.name,
            "workload": self.runs[0].workload if self.runs else "",
            "runs": len(self.runs),
            "good": sum(run.good for run in self.runs),
            "bad": sum(run.bad for run in self.runs),
            "p50_us": whole.quantile(0.5),
            "p95_us": whole.quantile(0.95),
            "p99_us": whole.quantile(0.99),
            "lag_p95_us": max((run.health.lag_p95_us for run in self.runs), default=0),
        }
        if self.scenario.shape == "stress" and self.runs:
            row["knee_rate"] = round(min(knee(self.scenario, run) for run in self.runs))
        if self.comparison is not None:
            row["comparison"] = self.comparison.outcome
        return row


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole report. `subject` is the release's digest, `at_ms` when it began."""

    subject: str
    environment: str
    at_ms: int
    scenarios: tuple[ScenarioReport, ...]
    surefoot_load: Literal[1] = 1


def decode(content: bytes) -> Report:
    """A report from its JSON. Raises `ValueError` for anything else."""
    if len(content) > REPORT_BYTES_MAX:
        raise ValueError(f"a report of {len(content)} bytes, at most {REPORT_BYTES_MAX}")
    try:
        return msgspec.json.decode(content, type=Report)
    except msgspec.DecodeError as error:
        raise ValueError(f"no load report: {error}") from None


def beside(earlier: Report, later: Report) -> Report:
    """The later report with the earlier one's runs as its baseline, where workloads are the same.

    Such runs did not alternate: what differs may be the machine's doing, which the page says.
    """
    known: dict[str, list[RunRecord]] = {}
    for one in earlier.scenarios:
        for run in one.runs:
            known.setdefault(run.workload, []).append(run)
    scenarios = []
    for one in later.scenarios:
        before = known.get(one.scenario.workload(), [])
        compared = None
        if before:
            compared = compare(
                [run.samples() for run in before],
                [run.samples() for run in one.runs],
                one.scenario.workload(),
            )
        scenarios.append(
            msgspec.structs.replace(one, baseline=tuple(before), comparison=compared, sight=())
        )
    return msgspec.structs.replace(later, scenarios=tuple(scenarios))
