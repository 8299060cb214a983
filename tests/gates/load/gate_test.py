"""The gate over a real service and over generators that fail open."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from surefoot.core.gate import Evidence, judge
from surefoot.core.target import Plain
from surefoot.gates.active import Budget, Permit
from surefoot.gates.load import gate as gates
from surefoot.gates.load.assess import Tolerance
from surefoot.gates.load.gate import LoadGate
from surefoot.gates.load.report import beside, decode
from surefoot.gates.tool import ToolRun
from surefoot.store.blobs import FileBlobs
from surefoot.trust.digest import Digest, digest_of

SUBJECT = digest_of(b"a release")
# The machine may be as slow as it likes: these tests are about everything else.
PATIENT = Tolerance(lag_p95_ms=60_000, cpu_percent=10_000)


def asked(endpoint: str, **changes: Any) -> Plain:
    scenario = {"name": "browse", "steps": [{"path": "/a"}], "rate": 60, "seconds": 1} | changes
    return {"endpoint": endpoint, "scenarios": [scenario]}


def gate(tmp_path: Path, *endpoints: str, **changes: Any) -> LoadGate:
    leave = Permit(run="dev-1-load", environment="dev", endpoints=endpoints, **changes)
    return LoadGate(leave, FileBlobs(tmp_path / "blobs"), lambda: 1, tolerance=PATIENT)


def verdict(evidence: Evidence) -> str:
    return judge(evidence, SUBJECT).verdict


def test_a_service_that_answers_passes_and_the_report_is_kept(service: Any, tmp_path: Path) -> None:
    evidence = gate(tmp_path, service.endpoint).run(SUBJECT, asked(service.endpoint))
    assert verdict(evidence) == "pass", evidence
    blobs = FileBlobs(tmp_path / "blobs")
    assert evidence.raw is not None
    report = decode(blobs.get(evidence.raw))
    (scenario,) = report.scenarios
    assert scenario.runs[0].good == sum(row.good for row in scenario.runs[0].series) > 0
    page = blobs.get(Digest(str(evidence.figures["page"]))).decode()
    assert "<h2>browse" in page and page.count("<svg") == 4
    assert "<script" not in page and "http://" not in page.replace("http://www.w3.org", "")
    again = beside(report, report)
    assert again.scenarios[0].comparison is not None
    assert all(b"Surefoot-Test: dev-1-load" in head for head in service.heads)


def test_a_service_that_fails_is_a_finding(service: Any, tmp_path: Path) -> None:
    service.answer = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    evidence = gate(tmp_path, service.endpoint).run(SUBJECT, asked(service.endpoint))
    assert verdict(evidence) == "fail"
    assert "mostly: status 503" in evidence.findings[0].title


def test_only_endpoints_of_the_permit_are_asked(service: Any, tmp_path: Path) -> None:
    evidence = gate(tmp_path, "127.0.0.1:1").run(SUBJECT, asked(service.endpoint))
    assert verdict(evidence) == "error"
    assert service.heads == []


def test_what_is_not_safe_is_not_run_where_it_is_protected(service: Any, tmp_path: Path) -> None:
    guarded = gate(tmp_path, service.endpoint, protected=True)
    assert "not marked safe" in guarded.run(SUBJECT, asked(service.endpoint)).trouble
    assert service.heads == []
    assert verdict(guarded.run(SUBJECT, asked(service.endpoint, safe=True))) == "pass"


def test_what_does_not_fit_the_budget_is_not_begun(service: Any, tmp_path: Path) -> None:
    wanted = asked(service.endpoint, rate=200) | {"budget": {"requests": 100}}
    evidence = gate(tmp_path, service.endpoint).run(SUBJECT, wanted)
    assert "the budget 100" in evidence.trouble
    assert service.heads == []


def test_a_run_that_was_stopped_is_no_pass(service: Any, tmp_path: Path) -> None:
    stop = tmp_path / "stop"
    stop.touch()
    evidence = gate(tmp_path, service.endpoint, stops=(str(stop),)).run(
        SUBJECT, asked(service.endpoint)
    )
    assert verdict(evidence) == "inconclusive"
    assert "stopped by a person" in judge(evidence, SUBJECT).reason


def test_a_late_generator_is_no_pass(service: Any, tmp_path: Path) -> None:
    leave = Permit(run="r", environment="dev", endpoints=(service.endpoint,))
    strict = LoadGate(
        leave, FileBlobs(tmp_path), lambda: 1, tolerance=Tolerance(lag_p95_ms=0, cpu_percent=10_000)
    )
    evidence = strict.run(SUBJECT, asked(service.endpoint))
    assert verdict(evidence) == "inconclusive"
    assert "the generator was late" in judge(evidence, SUBJECT).reason


def test_a_baseline_that_is_not_up_is_no_pass(service: Any, tmp_path: Path) -> None:
    wanted = asked(service.endpoint, against="reference") | {"baselines": {"reference": ""}}
    evidence = gate(tmp_path, service.endpoint).run(SUBJECT, wanted)
    assert verdict(evidence) == "inconclusive"
    assert "nothing to compare with" in judge(evidence, SUBJECT).reason


def canned(record: Any, runs: list[str], slow: str) -> Any:
    """A generator that answers at once, with records whose truth is known."""

    def run_tool(words: list[str], **_: Any) -> ToolRun:
        job = msgspec.json.decode(Path(words[-1]).read_bytes(), type=gates.Job)
        runs.append(job.endpoint)
        factor = 1.3 if job.endpoint == slow else 1.0
        wobble = 1 + 0.002 * (len(runs) % 3)
        made = record(job.scenario, lambda at: 0.02 * factor * wobble, rate=60)
        made = msgspec.structs.replace(made, endpoint=job.endpoint, seed=job.seed)
        return ToolRun(exit_status=0, output=msgspec.json.encode(made), errors=b"", duration_ms=1)

    return run_tool


@pytest.mark.parametrize(("slow", "expected"), [("127.0.0.1:2", "fail"), ("none", "pass")])
def test_runs_alternate_and_a_slower_release_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Any, slow: str, expected: str
) -> None:
    runs: list[str] = []
    monkeypatch.setattr(gates, "run_tool", canned(record, runs, slow))
    wanted = asked("127.0.0.1:2", against="reference", seconds=4)
    wanted["baselines"] = {"reference": "127.0.0.1:1"}
    evidence = gate(tmp_path, "127.0.0.1:1", "127.0.0.1:2").run(SUBJECT, wanted)
    assert verdict(evidence) == expected, evidence
    assert [one[-1] for one in runs] == list("1221122112")


@pytest.mark.parametrize(
    "ran",
    [
        ToolRun(exit_status=0, output=b"", errors=b"", duration_ms=1),
        ToolRun(exit_status=0, output=b"{}", errors=b"", duration_ms=1),
        ToolRun(exit_status=1, output=b"", errors=b"Traceback\nMemoryError", duration_ms=1),
        ToolRun(
            exit_status=0, output=b"", errors=b"", duration_ms=1, trouble="did not end in time"
        ),
    ],
)
def test_a_generator_that_leaves_no_record_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ran: ToolRun
) -> None:
    monkeypatch.setattr(gates, "run_tool", lambda *_, **__: ran)
    evidence = gate(tmp_path, "127.0.0.1:1").run(SUBJECT, asked("127.0.0.1:1"))
    assert verdict(evidence) == "error"


def test_no_scenario_is_no_pass(tmp_path: Path) -> None:
    assert verdict(gate(tmp_path).run(SUBJECT, {"endpoint": "", "scenarios": []})) == "inconclusive"


def test_a_budget_beyond_all_bounds_is_an_error(service: Any, tmp_path: Path) -> None:
    wanted = asked(service.endpoint) | {"budget": {"connections": 100_000}}
    assert verdict(gate(tmp_path, service.endpoint).run(SUBJECT, wanted)) == "error"
    assert Budget().connections < 1_000
