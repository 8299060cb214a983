"""When a watched gate is due, what its result says, and what is an alarm."""

from __future__ import annotations

import msgspec
import pytest

from surefoot.core import facts as f
from surefoot.core import watch
from surefoot.core.facts_gate import GateWatched
from surefoot.core.fold import new_world
from surefoot.core.gate import Evidence, Finding, judge
from surefoot.core.governance import EnvironmentPolicy, Governance
from surefoot.core.world import Environment, WatchedGate, World
from surefoot.testing.history import Told, deployment
from surefoot.trust import canonical
from surefoot.trust.digest import digest_of

ONE, TWO, KEPT = (digest_of(text) for text in (b"one", b"two", b"evidence"))
MINUTE = watch.MINUTE_MS


@pytest.fixture
def world() -> World:
    """Production runs a release and is watched by two gates; nothing runs in dev."""
    made = new_world()
    policy = EnvironmentPolicy(watch={"drift": 15, "smoke": 60})
    made.definition.governance = Governance(environments={"production": policy, "dev": policy})
    made.environments["production"] = Environment(name="production", release=ONE)
    made.environments["dev"] = Environment(name="dev")
    return made


def result(
    verdict: str, *, gate: str = "smoke", release: str = ONE, found: str = ""
) -> GateWatched:
    return GateWatched(
        environment="production",
        gate=gate,
        release=release,  # type: ignore[arg-type]
        verdict=verdict,
        reason="why",
        evidence=KEPT,
        found=found,
    )


def put(world: World, fact: f.Fact, time_ms: int) -> None:
    told = Told(
        index=world.size,
        kind=type(fact).__name__,
        stream=f.stream_of(fact),
        time_ms=time_ms,
        body=f.body_of(fact),
    )
    world.apply(told)


def under_way(world: World) -> None:
    world.deployments[1] = deployment()


def test_what_was_never_looked_at_is_due_where_something_runs(world: World) -> None:
    assert watch.due(world, 5) == [("production", "drift"), ("production", "smoke")]
    world.environments["production"].destroyed = True
    assert watch.due(world, 5) == []


def test_a_look_is_due_again_after_its_minutes_and_the_longest_waiting_first(world: World) -> None:
    put(world, result("pass", gate="drift"), 1_000)
    put(world, result("pass"), 2_000)
    assert watch.due(world, 1_000 + 15 * MINUTE - 1) == []
    assert watch.due(world, 1_000 + 15 * MINUTE) == [("production", "drift")]
    both = [("production", "drift"), ("production", "smoke")]
    assert watch.due(world, 2_000 + 60 * MINUTE) == both


def test_nothing_is_due_under_a_deployment_that_has_begun(world: World) -> None:
    under_way(world)
    world.deployments[1].begun_ms = 2
    assert watch.due(world, 5) == []
    assert watch.record(world, result("pass")) == []


def test_a_request_that_nobody_approves_stops_no_look(world: World) -> None:
    under_way(world)
    assert watch.due(world, 5) == [("production", "drift"), ("production", "smoke")]
    assert watch.record(world, result("pass")) == [result("pass")]


def test_what_is_long_known_hides_nothing_new(world: World) -> None:
    put(world, result("fail", found="one"), 1_000)
    assert len(watch.record(world, result("fail", found="one"))) == 1
    assert len(watch.record(world, result("fail", found="other"))) == 2


def test_what_was_found_does_not_depend_on_order_words_or_notes() -> None:
    def found(*marks: tuple[str, str]) -> str:
        findings = tuple(
            Finding(rule="r", title=f"{n}", place="p", severity=severity, fingerprint=mark)  # type: ignore[arg-type]
            for n, (mark, severity) in enumerate(marks)
        )
        return watch.found_by(
            Evidence(gate="g", subject=ONE, tool="t", tool_version="1", findings=findings)
        )

    assert found(("a", "low"), ("b", "high")) == found(("b", "low"), ("a", "low"), ("c", "info"))
    assert found(("a", "low")) != found(("b", "low"))
    assert found(("a", "info")) == found() == ""


def test_a_result_about_what_no_longer_runs_is_not_written(world: World) -> None:
    assert watch.record(world, result("pass", release=TWO)) == []


@pytest.mark.parametrize("verdict", ["fail", "inconclusive", "error"])
def test_another_verdict_than_pass_is_an_alarm_once_until_it_changes(
    world: World, verdict: str
) -> None:
    kinds = [type(fact).__name__ for fact in watch.record(world, result(verdict))]
    assert kinds == ["GateWatched", "AlarmRaised"]
    put(world, result(verdict), 1_000)
    assert watch.record(world, result(verdict)) == [result(verdict)]
    put(world, result("pass"), 2_000)
    assert len(watch.record(world, result(verdict))) == 2


def test_the_state_says_since_when_a_verdict_holds_and_how_often_it_was_found(
    world: World,
) -> None:
    for at_ms, verdict in enumerate(("pass", "fail", "fail"), 1):
        put(world, result(verdict), at_ms * 1_000)
    found = watch.seen(world, "production")["smoke"]
    assert (found.verdict, found.since_ms, found.checked_ms, found.runs) == ("fail", 2000, 3000, 3)
    assert world.state("watch/production")["gates"]["smoke"]["verdict"] == "fail"


def test_a_gate_that_nobody_runs_any_more_is_overdue() -> None:
    last = WatchedGate(verdict="pass", reason="", release=ONE, evidence=KEPT, checked_ms=1_000)
    assert not watch.overdue(15, last, 1_000 + 30 * MINUTE)
    assert watch.overdue(15, last, 1_001 + 30 * MINUTE)


def test_a_reason_is_in_the_form_that_the_journal_takes() -> None:
    """A decomposed letter in a file's name must not keep a bad result out of the journal."""
    spelt = "cafe\u0301"
    bad = Finding(rule="r", title=spelt, place=spelt, severity="high", fingerprint="v1:a")
    base = Evidence(gate="g", subject=ONE, tool="t", tool_version="1")
    for change in ({"findings": (bad,)}, {"gap": spelt}, {"trouble": spelt}):
        reason = judge(msgspec.structs.replace(base, **change), ONE).reason
        assert "caf\u00e9" in reason
        canonical.encode(reason)
