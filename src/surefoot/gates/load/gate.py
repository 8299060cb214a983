"""The gate `load`: declared scenarios at their own rate, judged by limits and against a baseline.

Rules: a process of its own sends the requests (`__main__`); a generator that did not keep its
schedule, ran out of processor or connections, or was stopped, tells nothing: inconclusive, never a
pass. With a baseline the runs alternate (A B B A), each pair with one schedule; an open comparison
adds runs up to the declared most. The report is kept, as JSON with all latencies and as a page.
Does not: reach any endpoint but those of its permit, or judge.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from surefoot.core.comparison import RUNS_MIN, Comparison, RunSample, compare, sight
from surefoot.core.errors import Failed
from surefoot.core.gate import Evidence, Finding
from surefoot.core.target import Blobs, Plain
from surefoot.gates.active import Budget, Denied, Permit, Watch
from surefoot.gates.load.assess import Limit, Tolerance, exceeded, too_few, unhealthy
from surefoot.gates.load.page import page
from surefoot.gates.load.plan import Job, Scenario, schedule
from surefoot.gates.load.record import RunRecord
from surefoot.gates.load.report import Report, ScenarioReport
from surefoot.gates.tool import run_tool
from surefoot.trust.canonical import JSON
from surefoot.trust.digest import Digest

SCENARIOS_MAX = 20
_GRACE_SECONDS = 60
_RECORD_BYTES_MAX = 64 * 1024 * 1024


class LoadArguments(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. `endpoint` is the service's; `baselines` are environment -> endpoint."""

    scenarios: tuple[Scenario, ...]
    endpoint: str
    baselines: dict[str, str] = {}
    budget: Budget = Budget()


class _Cannot(Exception):
    """A run could not be carried out at all."""


class LoadGate:
    """See the module. Arguments: `{"scenarios": [...], "endpoint": "address:port", ...}`.

    `stopped` is asked while a run goes on, and ends it; without, only the permit's files do.
    """

    name = "load"

    def __init__(
        self,
        permit: Permit,
        blobs: Blobs,
        now_ms: Callable[[], int],
        *,
        stopped: Callable[[], bool] = lambda: False,
        tolerance: Tolerance = Tolerance(),  # noqa: B008 -- frozen
    ) -> None:
        self._permit = permit
        self._blobs = blobs
        self._now_ms = now_ms
        self._stopped = stopped
        self._tolerance = tolerance

    def run(self, subject: Digest, arguments: Plain) -> Evidence:
        """Carry out every scenario, one after the other. Raises nothing."""
        evidence = Evidence(
            gate=self.name,
            subject=subject,
            tool="surefoot-load",
            tool_version="1",
            started_at_ms=self._now_ms(),
        )
        try:
            wanted = msgspec.convert(arguments, LoadArguments)
            if len(wanted.scenarios) > SCENARIOS_MAX:
                raise ValueError(f"more than {SCENARIOS_MAX} scenarios")
            evidence = self._all(evidence, wanted)
        except (msgspec.ValidationError, ValueError) as error:
            evidence = msgspec.structs.replace(evidence, trouble=f"bad arguments: {error}"[:300])
        except (_Cannot, Failed) as error:
            evidence = msgspec.structs.replace(evidence, trouble=str(error)[:600])
        return msgspec.structs.replace(evidence, ended_at_ms=self._now_ms())

    def _all(self, evidence: Evidence, wanted: LoadArguments) -> Evidence:
        reports = [self._scenario(wanted, scenario) for scenario in wanted.scenarios]
        report = Report(
            subject=evidence.subject,
            environment=self._permit.environment,
            at_ms=evidence.started_at_ms,
            scenarios=tuple(reports),
        )
        raw = self._blobs.put(msgspec.json.encode(report))
        shown = self._blobs.put(page(report).encode())
        open_ones = [f"{one.scenario.name}: {why}" for one in reports for why in one.open]
        runs = sum(len(one.runs) + len(one.baseline) for one in reports)
        rows: list[JSON] = [one.figures() for one in reports]
        return msgspec.structs.replace(
            evidence,
            complete=bool(reports) and not open_ones,
            coverage={"scenarios": len(reports), "runs": runs},
            gap="; ".join(open_ones)[:600],
            figures={"scenarios": rows, "page": shown},
            findings=tuple(_finding(one, limit) for one in reports for limit in one.limits),
            raw=raw,
        )

    def _scenario(self, wanted: LoadArguments, scenario: Scenario) -> ScenarioReport:
        baseline = wanted.baselines.get(scenario.against, "") if scenario.against else ""
        if not baseline:
            return _judged(
                scenario,
                [self._one(wanted, scenario, wanted.endpoint, 0)],
                [],
                None,
                self._tolerance,
            )
        runs: list[RunRecord] = []
        before: list[RunRecord] = []
        compared = None
        for number in range(max(RUNS_MIN, scenario.runs_max)):
            sides = [(before, baseline), (runs, wanted.endpoint)]
            for side, endpoint in sides if number % 2 == 0 else reversed(sides):
                side.append(self._one(wanted, scenario, endpoint, number))
            if any(run.health.over for run in (*runs[-1:], *before[-1:])):
                break
            if len(runs) in _looks(scenario.runs_max):
                compared = compare(_samples(before), _samples(runs), scenario.workload())
                if compared.outcome != "inconclusive":
                    break
        return _judged(scenario, runs, before, compared, self._tolerance)

    def _one(
        self, wanted: LoadArguments, scenario: Scenario, endpoint: str, number: int
    ) -> RunRecord:
        """One run in a process of its own."""
        with tempfile.TemporaryDirectory(prefix="surefoot-load-") as folder:
            stop = Path(folder) / "stop"
            permit = msgspec.structs.replace(
                self._permit, budget=wanted.budget, stops=(*self._permit.stops, str(stop))
            )
            job = Job(scenario=scenario, endpoint=endpoint, seed=str(number), permit=permit)
            _require_room(job)
            path = Path(folder) / "job.json"
            path.write_bytes(msgspec.json.encode(job))
            began = self._now_ms()
            with Watch(self._stopped, stop):
                ran = run_tool(
                    [sys.executable, "-m", "surefoot.gates.load", str(path)],
                    folder=Path(folder),
                    timeout_seconds=wanted.budget.seconds + _GRACE_SECONDS,
                    output_bytes_max=_RECORD_BYTES_MAX,
                )
        if ran.trouble or ran.exit_status:
            said = ran.errors.decode(errors="replace").strip().split("\n")[-1][:200]
            raise _Cannot(f"scenario {scenario.name}: {ran.trouble or said}")
        try:
            record = msgspec.json.decode(ran.output, type=RunRecord)
        except msgspec.DecodeError:
            raise _Cannot(f"scenario {scenario.name}: the generator left no record") from None
        if record.workload != scenario.workload() or record.endpoint != endpoint:
            raise _Cannot(f"scenario {scenario.name}: the record is of another run")
        return msgspec.structs.replace(record, began_ms=began)


def _require_room(job: Job) -> None:
    """Refuse what cannot end inside its budget, before anything is sent."""
    count, budget = len(schedule(job.scenario, job.seed)), job.permit.budget
    if count > budget.requests:
        raise Denied(f"{job.scenario.name} has {count} requests, the budget {budget.requests}")
    if job.scenario.seconds > budget.seconds:
        seconds = job.scenario.seconds
        raise Denied(f"{job.scenario.name} lasts {seconds} s, the budget {budget.seconds}")


def _looks(runs_max: int) -> set[int]:
    """After how many runs the comparison is made: few looks, for each may be wrong by chance."""
    return {RUNS_MIN, (RUNS_MIN + runs_max) // 2, runs_max}


def _samples(runs: Sequence[RunRecord]) -> list[dict[str, RunSample]]:
    return [run.samples() for run in runs]


def _judged(
    scenario: Scenario,
    runs: Sequence[RunRecord],
    baseline: Sequence[RunRecord],
    compared: Comparison | None,
    tolerance: Tolerance,
) -> ScenarioReport:
    open_ones = unhealthy(scenario, [*runs, *baseline], tolerance)
    open_ones += too_few(scenario, runs)
    limits = exceeded(scenario, runs)
    if scenario.against and not baseline:
        open_ones.append(f"nothing to compare with: {scenario.against} has no service that is up")
    elif scenario.against and (compared is None or compared.outcome == "inconclusive"):
        open_ones.append("the comparison with the baseline is open")
    for row in compared.rows if compared else ():
        if row.outcome == "fail":
            limits.append(Limit(f"compare.{row.measure}", row.endpoint, row.words()))
    return ScenarioReport(
        scenario=scenario,
        runs=tuple(runs),
        baseline=tuple(baseline),
        comparison=compared,
        sight=sight(_samples(baseline), scenario.workload()) if baseline else (),
        limits=tuple(limits),
        open=tuple(open_ones),
    )


def _finding(report: ScenarioReport, limit: Limit) -> Finding:
    joined = f"load.{limit.rule}\0{report.scenario.name}\0{limit.place}"
    return Finding(
        rule=f"load.{limit.rule}",
        title=f"{report.scenario.name}: {limit.words}"[:300],
        place=limit.place,
        severity="high",
        fingerprint="v1:" + hashlib.sha256(joined.encode()).hexdigest()[:32],
        remedy="look at the report's plots for the second in which it began",
    )
