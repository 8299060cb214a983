"""The ground of active tests: nothing is reached, sent or opened that the permit does not allow."""

import threading
from pathlib import Path

import pytest

from surefoot.gates.active import Budget, Denied, Meter, Over, Permit, Watch


class Time:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def permit(**changes: object) -> Permit:
    whole: dict[str, object] = {
        "run": "staging-7-load",
        "environment": "staging",
        "endpoints": ("127.0.0.1:8080", "[::1]:8080", "service:80", "127.0.0.1:0"),
        **changes,
    }
    return Permit(**whole)  # type: ignore[arg-type]


def test_an_endpoint_of_the_record_is_given() -> None:
    meter = Meter(permit(), Time())
    assert meter.endpoint("127.0.0.1:8080") == ("127.0.0.1", 8080)
    assert meter.endpoint("[::1]:8080") == ("::1", 8080)


@pytest.mark.parametrize(
    "endpoint",
    ["127.0.0.1:8081", "127.0.0.2:8080", "192.0.2.1:80", "", "service:80", "127.0.0.1:0", ":8080"],
)
def test_what_is_not_in_the_record_or_is_a_name_is_denied(endpoint: str) -> None:
    with pytest.raises(Denied):
        Meter(permit(), Time()).endpoint(endpoint)


def test_the_budget_of_requests_cannot_be_exceeded() -> None:
    meter = Meter(permit(budget=Budget(requests=3)), Time())
    meter.take(2)
    meter.take()
    for _ in range(3):
        with pytest.raises(Over):
            meter.take()
    assert meter.used() == {"requests": 3, "connections": 0}


def test_a_batch_that_does_not_fit_is_not_begun() -> None:
    meter = Meter(permit(budget=Budget(requests=3)), Time())
    with pytest.raises(Over):
        meter.take(4)
    assert meter.requests == 0


def test_the_budget_of_connections_cannot_be_exceeded() -> None:
    meter = Meter(permit(budget=Budget(connections=2)), Time())
    meter.opened()
    meter.opened()
    with pytest.raises(Over):
        meter.opened()
    meter.closed()
    meter.opened()
    assert meter.used()["connections"] == 2


def test_the_budget_of_time_ends_it() -> None:
    time = Time()
    meter = Meter(permit(budget=Budget(seconds=10)), time)
    time.now = 10.0
    meter.take()
    time.now = 10.1
    for ask in (meter.take, meter.opened, meter.look):
        with pytest.raises(Over):
            ask()


def test_a_file_ends_it_while_it_runs(tmp_path: Path) -> None:
    time, stop = Time(), tmp_path / "stop"
    meter = Meter(permit(stops=(str(tmp_path / "other"), str(stop))), time)
    meter.take()
    stop.touch()
    time.now = 1.0
    with pytest.raises(Over, match="stopped by a person"):
        meter.take()
    stop.unlink()
    time.now = 2.0
    with pytest.raises(Over):
        meter.look()


@pytest.mark.parametrize(
    "budget",
    [Budget(requests=0), Budget(requests=10**9), Budget(seconds=10**6), Budget(connections=901)],
)
def test_a_budget_out_of_bounds_is_denied(budget: Budget) -> None:
    with pytest.raises(Denied):
        Meter(permit(budget=budget), Time())


def test_in_a_protected_environment_only_what_is_safe_runs() -> None:
    Meter(permit(), Time()).require_safe(False, "scenario x")
    guarded = Meter(permit(protected=True), Time())
    guarded.require_safe(True, "scenario x")
    with pytest.raises(Denied):
        guarded.require_safe(False, "scenario x")


def test_every_request_says_which_run_it_is_of() -> None:
    assert Meter(permit(), Time()).header() == ("Surefoot-Test", "staging-7-load")


def test_a_watch_makes_the_file_when_the_run_is_to_stop(tmp_path: Path) -> None:
    stop, asked = tmp_path / "stop", threading.Event()

    def stopped() -> bool:
        asked.set()
        return True

    with Watch(stopped, stop) as watch:
        assert asked.wait(60)
        watch._thread.join(60)
    assert stop.exists()


def test_a_watch_leaves_a_run_that_goes_on(tmp_path: Path) -> None:
    stop = tmp_path / "stop"
    with Watch(lambda: False, stop):
        pass
    assert not stop.exists()
