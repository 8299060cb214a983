"""Caps, growth, windows and back-off, as properties over many orders of events."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.core.governance import Growth, Pace, Retry, WavePolicy, Window
from surefoot.core.pace import (
    MINUTE_MS,
    NEVER_MS,
    Paced,
    allowance,
    is_stuck,
    permitted,
    released,
    retry_after,
    window_at,
)
from surefoot.core.rollout import judge_wave
from surefoot.engine.device_pacer import Zones

NOON_MS = 1_790_000_000_000


@given(
    st.integers(1, 20),
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 30)), max_size=40),
)
def test_no_order_of_turns_lets_more_begin_than_a_cap_says(
    rate: int, concurrency: int, turns: list[tuple[int, int]]
) -> None:
    """Each turn: so many ms later, and so many of those under way have ended."""
    pace = Pace(rate_per_minute=rate, concurrency=concurrency)
    paced, now, under_way, begun = Paced(), NOON_MS, 0, []
    for later, ended in turns:
        now, under_way = now + later, max(0, under_way - ended)
        may = allowance(pace, paced, now, under_way, None)
        assert may is not None
        paced, under_way = released(paced, now, may), under_way + may
        begun += [now] * may
        assert under_way <= concurrency
        assert sum(1 for at in begun if at > now - MINUTE_MS) <= rate
    assert paced.released == len(begun)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(1, 100))
def test_growth_never_outruns_success(well: int, bad: int, left: int, share: int) -> None:
    growth = Growth(start=5, factor=2)
    count = {"verified": well, "failed": bad, "assigned": left}
    allowed, total = permitted(growth, count, share), well + bad + left
    assert allowed >= 5
    if allowed > 5:
        assert well * 100 >= share * (allowed // 2)
    # Where nothing more may begin and nothing can succeed any more, the wave does not wait.
    if is_stuck(growth, count, share):
        assert well + bad >= allowed and well * 100 < share * allowed
        policy = WavePolicy(success_percent=share, error_percent=100, pace=Pace(exponential=growth))
        assert judge_wave({"0": count}, 0, policy).verdict in ("stopped", "passed")
    elif well + bad >= allowed:
        assert allowed >= total


def test_growth_without_a_cap_of_its_own_is_bound_by_what_it_reached() -> None:
    pace = Pace(exponential=Growth(start=10, factor=3))
    assert allowance(pace, Paced(), NOON_MS, 0, 10) == 10
    assert allowance(pace, Paced(released=10), NOON_MS, 0, 10) == 0
    assert allowance(pace, Paced(released=30), NOON_MS, 0, 10) == 0
    assert allowance(Pace(), Paced(), NOON_MS, 99, None) is None


ZONES = ("UTC", "Europe/Zurich", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")


@given(
    st.sampled_from(ZONES),
    st.sets(st.integers(0, 6), max_size=3),
    st.integers(0, 23 * 60 + 59),
    st.integers(1, 1440),
    st.integers(0, 400 * 24 * 60),
)
def test_a_window_is_what_the_clock_on_the_wall_says(
    zone: str, days: set[int], from_minute: int, minutes: int, later: int
) -> None:
    offset = Zones().offset_of(zone, "UTC")
    now = NOON_MS + later * MINUTE_MS
    window = Window(days=tuple(days), from_minute=from_minute, minutes=minutes)
    is_open, until = window_at((window,), now, offset)
    assert is_open == _is_open(window, now, zone)
    assert until > now
    if not is_open:
        # Nothing opens before: looked at in the middle and right before, and it is open then.
        assert not _is_open(window, (now + until) // 2 // 1000 * 1000, zone)
        assert window_at((window,), until, offset)[0]
    elif until - now < 8 * 86_400_000:
        assert window_at((window,), until - 1000, offset)[0]
        assert not window_at((window,), until, offset)[0]


def _is_open(window: Window, now_ms: int, zone: str) -> bool:
    """The same by the calendar: is there a day on which it began and has not ended?"""
    here, place = datetime.fromtimestamp(now_ms / 1000, UTC), ZoneInfo(zone)
    for back in range(3):
        day = (here.astimezone(place) - timedelta(days=back)).date()
        start = datetime.combine(day, time()) + timedelta(minutes=window.from_minute)
        end = start + timedelta(minutes=window.minutes)
        begins, ends = (t.replace(tzinfo=place).astimezone(UTC) for t in (start, end))
        if (not window.days or day.weekday() in window.days) and begins <= here < ends:
            return True
    return False


def test_no_window_is_open_for_ever() -> None:
    assert window_at((), NOON_MS, Zones().offset_of("UTC", "UTC")) == (True, NEVER_MS)


def test_windows_that_touch_are_one() -> None:
    night = Window(from_minute=22 * 60, minutes=120)
    morning = Window(from_minute=0, minutes=120)
    at = int(datetime(2026, 11, 24, 23, 0, tzinfo=UTC).timestamp() * 1000)
    is_open, until = window_at((night, morning), at, lambda ms: 0)
    assert is_open and until - at == 3 * 3_600_000


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 60), (2, 120), (3, 240), (4, None), (9, None)]
)
def test_back_off(attempts: int, seconds: int | None) -> None:
    assert retry_after(Retry(times=3, backoff_seconds=60, factor=2), attempts) == seconds
    assert retry_after(None, attempts) is None
