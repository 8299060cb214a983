"""How long a rollout takes, in figures that can be checked by hand."""

import msgspec
import pytest

from surefoot.core.governance import Growth, Pace, WavePolicy, Window
from surefoot.core.outlook import Heard, computed, outlook

HOUR_MS = 3_600_000
NOW_MS = 1_000 * HOUR_MS
POLICY = WavePolicy(waves=(10, 100), success_percent=90)


def heard(*ages_ms: int, never: int = 0) -> Heard:
    found = Heard(now_ms=NOW_MS)
    for age_ms in ages_ms:
        found.note(NOW_MS - age_ms)
    for _ in range(never):
        found.note(0)
    return found


def test_the_pace_is_twice_the_mean_age_of_those_heard_within_a_day() -> None:
    found = heard(60_000, 240_000, 30 * HOUR_MS, 200 * HOUR_MS, never=2)
    assert found.poll_seconds == 300
    counts = (found.hour, found.day, found.week, found.longer, found.never)
    assert counts == (2, 2, 1, 1, 2)
    assert heard(never=1).poll_seconds == 0


def test_a_wave_takes_two_polls_or_what_the_line_takes() -> None:
    living = heard(*[150_000] * 20)
    first, last = outlook((20, 20, 20_000_000), living, POLICY, 0)
    assert (first.devices, last.devices) == (2, 18)
    assert (first.size_bytes, last.size_bytes) == (2_000_000, 18_000_000)
    assert (first.seconds, last.seconds) == (600, 1200)
    first, last = outlook((20, 20, 20_000_000), living, POLICY, 100_000)
    assert (first.seconds, last.seconds) == (600, 600 + 1440)
    first, last = outlook((20, 40, 20_000_000), living, POLICY, 0)
    assert first.seconds == 1200  # two images each
    assert not first.waits


def test_silent_devices_hold_waves_up() -> None:
    first, _ = outlook((20, 20, 0), heard(*[1000] * 17, never=3), POLICY, 0)
    assert first.waits
    first, last = outlook((3, 3, 0), heard(never=3), POLICY, 0)
    assert (first.seconds, last.seconds) == (None, None)


def test_a_rollout_for_nobody_is_over_at_once() -> None:
    waves = outlook((0, 0, 0), heard(), POLICY, 1)
    assert [(w.devices, w.seconds, w.waits) for w in waves] == [(0, 0, False)] * 2


PACED_POLLS = heard(*[150_000] * 20)


def paced(**pace: object) -> WavePolicy:
    return WavePolicy(waves=(100,), success_percent=90, pace=Pace(**pace))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pace", "seconds"),
    [
        ({}, 600),
        ({"concurrency": 5}, 4 * 600),
        ({"rate_per_minute": 1}, 19 * 60),
        ({"exponential": Growth(start=5, factor=2)}, 3 * 600),
        ({"soak_seconds": 3_600}, 600 + 3_600),
        ({"start_ms": NOW_MS + HOUR_MS}, 3_600 + 600),
        ({"windows": (Window(from_minute=0, minutes=5),)}, 8 * 3_600 + 24 * 3_600 + 300),
        ({"windows": (Window(from_minute=16 * 60, minutes=10),)}, 600),
    ],
)
def test_the_pace_stretches_a_wave(pace: dict[str, object], seconds: int) -> None:
    # It is four in the afternoon; devices poll every five minutes, and need two polls.
    (wave,) = outlook((20, 20, 0), PACED_POLLS, paced(**pace), 0)
    assert wave.seconds == seconds


def test_waves_by_count_are_so_large_and_the_rest_is_one() -> None:
    policy = msgspec.structs.replace(POLICY, pace=Pace(counts=(3, 8)))
    waves = outlook((20, 20, 20), PACED_POLLS, policy, 0)
    assert [wave.devices for wave in waves] == [3, 5, 12]


def test_it_is_said_what_the_hours_were_made_from() -> None:
    pace = {"concurrency": 5, "windows": (Window(days=(5, 6), from_minute=60, minutes=240),)}
    said = "; ".join(computed(PACED_POLLS, paced(**pace), 10**6))
    assert "poll every 300 s" in said and "at most 5 at once" in said
    assert "8 of 168 hours a week" in said and "1 Mbit/s" in said
    assert "hours are not known" in computed(heard(never=1), POLICY, 0)[0]
