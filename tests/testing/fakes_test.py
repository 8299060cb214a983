"""The shipped fakes pass the shipped suites."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from surefoot.core.gate import Finding, Gate
from surefoot.core.target import Outcome, Plain, Step
from surefoot.testing.claims import Claims
from surefoot.testing.fake_gate import FakeGate, read_runs
from surefoot.testing.fake_target import FakeTarget, read_world
from surefoot.testing.gate_conformance import GateConformance
from surefoot.testing.target_conformance import TargetConformance
from surefoot.trust.digest import digest_of


class FakeTargetCase:
    desired: Plain = {"api": {"artifact": "one", "greeting": "hello"}, "worker": {"size": 3}}
    other: Plain = {"api": {"artifact": "two", "greeting": "hello"}}

    def __init__(self, folder: Path) -> None:
        self.path = folder / "world.json"
        self.claims = Claims()

    def open(self) -> FakeTarget:
        return FakeTarget(self.path, self.claims.interlock())

    def bad_steps(self) -> Sequence[Step]:
        return [
            Step(id="a", target="process", action="start", component="api", arguments={"x": 1}),
            Step(id="b", target="process", action="start", component=""),
            Step(
                id="c",
                target="process",
                action="switch",
                component="api",
                arguments={"generation": "gone"},
            ),
        ]

    def forget(self, operation: str) -> None:
        path = self.path.with_suffix(".receipts.json")
        ledger = msgspec.json.decode(path.read_bytes())
        del ledger["outcomes"][operation]
        path.write_bytes(msgspec.json.encode(ledger))

    def effects(self) -> int:
        return len(read_world(self.path).effects)


class TestFakeTarget(TargetConformance):
    @pytest.fixture
    def case(self, tmp_path: Path) -> FakeTargetCase:
        return FakeTargetCase(tmp_path)


@pytest.mark.parametrize("place", ["act:before", "act:after"])
def test_a_fault_at_either_side_leaves_one_effect(tmp_path: Path, place: str) -> None:
    class Crash(Exception):
        pass

    def fault(now: str) -> None:
        if now == place:
            raise Crash

    case = FakeTargetCase(tmp_path)
    step = case.open().plan(case.desired, case.open().observe())[0]
    with pytest.raises(Crash):
        target = FakeTarget(case.path, case.claims.interlock(), fault=fault)
        target.apply(step, case.claims.token(step, "1/o", 1))
    outcome = case.open().apply(step, case.claims.token(step, "1/o", 2))
    assert outcome.status == "done"
    assert read_world(case.path).effects == [
        ("1/o", "start", "api", 1 if place == "act:after" else 2)
    ]


def test_an_unhealthy_component_fails_its_check(tmp_path: Path) -> None:
    case = FakeTargetCase(tmp_path)
    target = FakeTarget(case.path, case.claims.interlock(), unhealthy=frozenset({"api"}))
    step = Step(
        id="c", target="process", action="check", component="api", arguments={"generation": "g"}
    )
    outcome = target.apply(step, case.claims.token(step, "1/o", 1))
    assert outcome == Outcome(status="failed", reason="api is unhealthy")


class FakeGateCase:
    subject = digest_of(b"release")
    good: Plain = {"a": 1}
    bad: Plain = {"a": 2}
    malformed: Plain = {"a": 1.5}  # type: ignore[dict-item]

    def __init__(self, folder: Path) -> None:
        self.path = folder / "runs.json"

    def open_good(self) -> Gate:
        return FakeGate(self.path)

    def open_bad(self) -> Gate:
        found = Finding(rule="r", title="bad", place="here", severity="high", fingerprint="f")
        return FakeGate(self.path, findings=(found,))


class TestFakeGate(GateConformance):
    @pytest.fixture
    def case(self, tmp_path: Path) -> FakeGateCase:
        return FakeGateCase(tmp_path)


def test_runs_are_counted_on_disk(tmp_path: Path) -> None:
    gate = FakeGate(tmp_path / "runs.json")
    gate.run(digest_of(b"x"), {})
    assert read_runs(tmp_path / "runs.json") == [digest_of(b"x")]
