"""Waves and thresholds, as a table and as properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.core.device import STATES
from surefoot.core.errors import Refused
from surefoot.core.governance import WavePolicy
from surefoot.core.rollout import (
    Beside,
    check_policy,
    check_waves,
    judge_newcomers,
    judge_return,
    judge_share,
    judge_wave,
    members,
)

POLICY = WavePolicy(success_percent=90, error_percent=20, minimum_sample=3)

CASES = [
    ({}, 0, "passed"),
    ({"0": {"assigned": 5}}, 0, "running"),
    ({"0": {"reported": 5}}, 0, "running"),
    ({"0": {"verified": 5}}, 0, "passed"),
    ({"0": {"verified": 9, "failed": 1}}, 0, "passed"),
    ({"0": {"verified": 9, "installing": 1}}, 0, "passed"),
    ({"0": {"failed": 2, "installing": 48}}, 0, "running"),
    ({"0": {"failed": 3, "installing": 47}}, 0, "stopped"),
    ({"0": {"timed_out": 3, "installing": 47}}, 0, "stopped"),
    ({"0": {"failed": 1}}, 0, "stopped"),
    ({"0": {"verified": 8, "unknown": 2}}, 0, "stopped"),
    ({"0": {"verified": 9, "failed": 4}}, 0, "stopped"),
    ({"0": {"verified": 5, "failed": 5}, "1": {"verified": 90}}, 1, "stopped"),
    ({"0": {"failed": 9}, "1": {"assigned": 90}}, 1, "stopped"),
]


@pytest.mark.parametrize(("counters", "wave", "verdict"), CASES)
def test_one_wave(counters: dict[str, dict[str, int]], wave: int, verdict: str) -> None:
    judged = judge_wave(counters, wave, POLICY)
    assert judged.verdict == verdict
    assert "\n" not in judged.reason and judged.reason


@pytest.mark.parametrize(
    ("count", "verdict"),
    [
        ({}, "running"),
        ({"failed": 2}, "running"),  # three are asked for
        ({"failed": 3}, "stopped"),
        ({"verified": 8, "failed": 2}, "running"),
        ({"verified": 7, "timed_out": 2, "silent": 1}, "stopped"),
        ({"failed": 1, "verified": 1, "installing": 9}, "running"),
    ],
)
def test_newcomers_are_judged_by_the_errors_among_them_alone(
    count: dict[str, int], verdict: str
) -> None:
    counters = {"0": {"verified": 90}, "newcomers": count}
    assert judge_newcomers(counters, POLICY).verdict == verdict
    assert judge_wave(counters, 0, POLICY).verdict == "passed"


HELD = WavePolicy(success_percent=90, error_percent=20, urgency="download-only")


def test_a_download_is_a_success_of_its_own_rollout_and_of_nothing_else() -> None:
    judged = judge_wave({"0": {"downloaded": 9, "downloading": 1}}, 0, HELD)
    assert judged.verdict == "passed"
    assert judged.reason == "wave 1: 9 of 10 downloaded, 9 needed"
    assert judge_wave({"0": {"downloaded": 7, "failed": 3}}, 0, HELD).verdict == "stopped"
    assert judge_share({"0": {"downloaded": 10}}, 1).verdict == "stopped"


def test_who_fell_back_or_was_left_behind_keeps_the_contract_held() -> None:
    counters = {"0": {"verified": 9}, "0/via": {"verified": 3}}
    assert judge_share(counters, 100).verdict == "passed"
    assert judge_share(counters, 100, Beside(shown=9, left=0)).verdict == "passed"
    fell = judge_share(counters, 90, Beside(shown=8))
    assert (fell.verdict, fell.reason[:41]) == (
        "stopped",
        "contract held: 8 of 9 devices verified, 9",
    )
    assert judge_share(counters, 90, Beside(left=2)).verdict == "stopped"
    assert judge_share(counters, 90, Beside(there=90, left=2, shown=99)).verdict == "passed"


@given(
    st.dictionaries(st.sampled_from(STATES), st.integers(0, 60), max_size=8),
    st.integers(1, 100),
    st.integers(0, 100),
    st.integers(1, 20),
)
def test_a_pass_always_means_enough_verified_and_few_errors(
    count: dict[str, int], success: int, error: int, sample: int
) -> None:
    policy = WavePolicy(success_percent=success, error_percent=error, minimum_sample=sample)
    judged = judge_wave({"0": count}, 0, policy)
    total, verified = sum(count.values()), count.get("verified", 0)
    errors = count.get("failed", 0) + count.get("timed_out", 0)
    if judged.verdict == "passed":
        assert verified * 100 >= success * total
        ended = errors + verified
        assert errors * 100 <= error * ended or ended < min(sample, total)
    if judged.verdict == "running":
        assert any(count.get(s) for s in STATES[:5])


@given(st.sets(st.text(min_size=1, max_size=8), max_size=60), st.integers(1, 100))
def test_a_wave_is_a_stable_prefix(devices: set[str], percent: int) -> None:
    part = members("r1", devices, percent)
    assert part == members("r1", sorted(devices), percent)
    assert len(part) == -(-len(devices) * percent // 100)
    assert members("r1", devices, 100)[: len(part)] == part


@pytest.mark.parametrize("waves", [[], [10, 50], [50, 10, 100], [0, 100], [10, 10, 100], [101]])
def test_waves_that_make_no_sense_are_refused(waves: list[int]) -> None:
    with pytest.raises(Refused, match=r"rollout\.waves\.input"):
        check_waves(waves)


def test_a_policy_out_of_range_is_refused() -> None:
    with pytest.raises(Refused, match=r"rollout\.policy\.input"):
        check_policy(WavePolicy(success_percent=0))
    assert check_policy(POLICY) is POLICY


def test_a_return_is_done_when_every_device_is_back() -> None:
    assert judge_return({"return": {"returned": 5}}).verdict == "passed"
    assert judge_return({"return": {"returned": 4, "reported": 1}}).verdict == "running"
    assert judge_return({"return": {"returned": 4, "failed": 1}}).verdict == "stopped"
    assert judge_return({}).verdict == "passed"


COUNTED = WavePolicy(success_percent=90, error_percent=100, error_count=2)
SILENCE = WavePolicy(success_percent=90, error_percent=20, silent="ignore", silent_percent=10)


@pytest.mark.parametrize(
    ("count", "policy", "verdict"),
    [
        ({"verified": 90, "silent": 10}, SILENCE, "passed"),
        ({"verified": 72, "silent": 20, "failed": 8}, SILENCE, "stopped"),
        ({"verified": 81, "silent": 10, "failed": 9}, SILENCE, "passed"),
        ({"verified": 70, "silent": 30}, SILENCE, "stopped"),
        ({"verified": 70, "silent": 30}, WavePolicy(error_percent=20), "stopped"),
        ({"silent": 10}, SILENCE, "stopped"),
        ({"failed": 1, "installing": 99}, COUNTED, "running"),
        ({"failed": 2, "installing": 98}, COUNTED, "stopped"),
        (
            {"failed": 2, "installing": 98},
            WavePolicy(success_percent=90, error_percent=100, error_count=2, minimum_sample=3),
            "running",
        ),
    ],
)
def test_silent_devices_and_counted_errors(
    count: dict[str, int], policy: WavePolicy, verdict: str
) -> None:
    assert judge_wave({"0": count}, 0, policy).verdict == verdict


@given(
    st.dictionaries(st.sampled_from((*STATES, "silent")), st.integers(0, 60), max_size=8),
    st.integers(1, 100),
    st.integers(0, 100),
)
def test_silence_never_makes_a_device_count_as_verified(
    count: dict[str, int], success: int, silent: int
) -> None:
    policy = WavePolicy(success_percent=success, silent="ignore", silent_percent=silent)
    judged = judge_wave({"0": count}, 0, policy)
    total = sum(count.values())
    ignored = min(count.get("silent", 0), total * silent // 100)
    if judged.verdict == "passed":
        assert count.get("verified", 0) * 100 >= success * (total - ignored)
