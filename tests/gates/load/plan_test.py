"""The schedule is known beforehand, the same from the same seed, and has the rate it says."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.gates.load.plan import Limits, Scenario, Step, schedule, stairs

HOME = Step(path="/")


def scenario(**changes: Any) -> Scenario:
    return Scenario(**({"name": "s", "steps": (HOME,), "rate": 50, "seconds": 20} | changes))


@given(
    st.integers(min_value=1, max_value=200),
    st.integers(min_value=1, max_value=20),
    st.sampled_from(["poisson", "constant"]),
    st.text(max_size=5),
)
@settings(max_examples=30, deadline=None)
def test_a_schedule_is_in_order_inside_the_run_and_repeats(
    rate: int, seconds: int, arrivals: str, seed: str
) -> None:
    one = scenario(rate=rate, seconds=seconds, arrivals=arrivals)
    found = schedule(one, seed)
    moments = [arrival.at for arrival in found]
    assert moments == sorted(moments)
    assert all(0 <= moment < seconds for moment in moments)
    assert found == schedule(one, seed)


def test_constant_arrivals_are_even() -> None:
    moments = [arrival.at for arrival in schedule(scenario(arrivals="constant"), "1")]
    assert len(moments) == 1_000
    gaps = {round(b - a, 6) for a, b in itertools.pairwise(moments)}
    assert gaps == {0.02}


def test_poisson_arrivals_have_the_rate_and_its_spread() -> None:
    counts = [len(schedule(scenario(), str(seed))) for seed in range(30)]
    assert sum(counts) / 30 == pytest.approx(1_000, rel=0.03)
    assert len(set(counts)) > 10
    moments = [arrival.at for arrival in schedule(scenario(), "1")]
    gaps = [b - a for a, b in itertools.pairwise(moments)]
    # Of independent arrivals 1 - 1/e come closer than the mean gap.
    assert sum(gap < 0.02 for gap in gaps) / len(gaps) == pytest.approx(0.632, abs=0.05)


def test_another_seed_is_another_schedule() -> None:
    assert schedule(scenario(), "1") != schedule(scenario(), "2")


def test_steps_come_by_their_weight() -> None:
    one = scenario(steps=(Step(path="/a", weight=9), Step(path="/b")), rate=500)
    chosen = [arrival.step for arrival in schedule(one, "1")]
    assert chosen.count(1) / len(chosen) == pytest.approx(0.1, abs=0.02)


def test_devices_ask_one_after_the_other_and_each_again() -> None:
    found = schedule(scenario(devices=10, poll_seconds=5, seconds=20), "1")
    assert len(found) == 40
    of_one = [arrival.at for arrival in found if arrival.device == 3]
    assert of_one == pytest.approx([1.5, 6.5, 11.5, 16.5])


def test_a_spike_is_in_the_middle() -> None:
    one = scenario(shape="spike", rate=10, peak_rate=100, arrivals="constant")
    moments = [arrival.at for arrival in schedule(one, "1")]
    middle = [moment for moment in moments if 8 <= moment < 12]
    assert (len(middle), len(moments)) == (400, 560)


def test_a_stress_climbs_in_stairs_to_the_peak() -> None:
    rates = [stair.rate for stair in stairs(scenario(shape="stress", rate=10, peak_rate=100))]
    assert rates == pytest.approx([10, 20, 30, 40, 50, 60, 70, 80, 90, 100])


def test_the_workload_is_what_is_sent_and_not_what_is_wanted_of_it() -> None:
    same = scenario(limits=Limits(p95_ms=5), against="reference", safe=True, runs_max=20)
    assert same.workload() == scenario().workload()
    assert scenario(rate=51).workload() != scenario().workload()
    assert scenario(steps=(Step(path="/b"),)).workload() != scenario().workload()
