"""Limits, knee and creep from records whose truth is known; a poor generator is not believed."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from surefoot.gates.load.assess import Tolerance, exceeded, knee, too_few, unhealthy
from surefoot.gates.load.plan import Limits, Scenario, Step
from surefoot.gates.load.record import RunRecord

Record = Callable[..., RunRecord]
HOME = Step(path="/")


def scenario(**changes: Any) -> Scenario:
    return Scenario(**({"name": "s", "steps": (HOME,), "rate": 20, "seconds": 10} | changes))


def test_a_limit_that_is_kept_is_no_finding(record: Record) -> None:
    one = scenario(limits=Limits(p50_ms=20, p95_ms=20, p99_ms=20))
    assert exceeded(one, [record(one, lambda at: 0.019)]) == []


def test_each_limit_that_is_gone_over_is_named(record: Record) -> None:
    one = scenario(limits=Limits(p50_ms=20, p95_ms=20))
    found = exceeded(one, [record(one, lambda at: 0.05 if at > 9 else 0.001)])
    assert [(limit.rule, limit.words) for limit in found] == [("p95", "p95 is 50.0 ms, at most 20")]


def test_too_many_errors_are_told_with_their_kind(record: Record) -> None:
    one = scenario(limits=Limits(error_percent="5"))
    few = record(one, lambda at: 0.01, lambda at: "status 500" if at > 9.6 else "")
    many = record(one, lambda at: 0.01, lambda at: "status 500" if at > 9 else "")
    assert exceeded(one, [few]) == []
    assert exceeded(one, [many])[0].words == (
        "19 of 200 requests failed, at most 5 %; mostly: status 500"
    )


def test_a_soak_that_grows_slower_is_a_creep(record: Record) -> None:
    one = scenario(shape="soak")
    assert exceeded(one, [record(one, lambda at: 0.01)]) == []
    assert [limit.rule for limit in exceeded(one, [record(one, lambda at: 0.01 + at / 500)])] == [
        "creep"
    ]


def test_the_knee_is_the_last_stair_that_was_good(record: Record) -> None:
    one = scenario(shape="stress", rate=10, peak_rate=100, seconds=20, limits=Limits(knee_rate=60))
    run = record(one, lambda at: 0.01 if at < 12 else 0.4)
    assert knee(one, run) == pytest.approx(60)
    assert exceeded(one, [run]) == []
    early = record(one, lambda at: 0.01 if at < 8 else 0.4)
    assert [limit.rule for limit in exceeded(one, [early])] == ["knee"]


def test_a_stair_with_errors_is_not_good(record: Record) -> None:
    one = scenario(shape="stress", rate=10, peak_rate=100, seconds=20)
    run = record(one, lambda at: 0.001, lambda at: "status 503" if 6 <= at < 8 else "")
    assert knee(one, run) == pytest.approx(30)


def health(run: RunRecord, **changes: Any) -> RunRecord:
    return msgspec.structs.replace(run, health=msgspec.structs.replace(run.health, **changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lag_p95_us": 5_100}, "late"),
        ({"cpu_percent": 86}, "processor"),
        ({"sent": 190}, "only 190 of 200"),
        ({"held": 5}, "connection"),
        ({"over": "stopped by a person"}, "ended early"),
        ({"due": 0}, "nothing was due"),
    ],
)
def test_a_generator_that_did_badly_is_not_believed(
    record: Record, changes: dict[str, Any], words: str
) -> None:
    one = scenario()
    good = record(one, lambda at: 0.01)
    assert unhealthy(one, [good], Tolerance()) == []
    found = unhealthy(one, [good, health(good, **changes)], Tolerance())
    assert len(found) == 1 and words in found[0]


def test_no_run_is_no_health() -> None:
    assert unhealthy(scenario(), [], Tolerance()) == ["nothing was due"]


def test_quantiles_of_few_requests_say_nothing(record: Record) -> None:
    one = scenario(limits=Limits(p50_ms=1, p95_ms=1, p99_ms=1))
    assert [words[:3] for words in too_few(one, [record(one, lambda at: 0.01)])] == ["p99"]


def test_a_record_is_whole_after_it_was_stored(record: Record) -> None:
    one = scenario()
    run = record(one, lambda at: 0.01 + at / 100)
    again = msgspec.json.decode(msgspec.json.encode(run), type=RunRecord)
    assert again == run
    sample = again.samples()["GET /"]
    assert (sample.requests, len(sample.blocks)) == (200, 4)
    assert run.latencies().quantile(0.5) == pytest.approx(60_000, rel=0.01)
