"""When an assigned action may reach its device: caps, growth, windows, back-off.

Keeps: a device that waits is shown nothing at all, never an offer to skip, which some clients
answer with success; what has begun is never held again; a cap never lets one more begin than it
says, also when the counters it is given are old. Does not: store, read time or know time zones:
`offset` says how many seconds local time is ahead of UTC at a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from surefoot.core.device import ERRORS
from surefoot.core.governance import Growth, Pace, Retry, Window

Offset: TypeAlias = Callable[[int], int]
"""Seconds that local time is ahead of UTC, at a moment in UTC ms."""
Held = Literal["", "turn", "window", "retry", "paused"]

NEVER_MS = 2**53
MINUTE_MS = 60_000
_DAY_SECONDS = 86_400
# 1970-01-01 was a Thursday.
_FIRST_WEEKDAY = 3


class Paced(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was let begin in a rollout: how many in all, and when in the last minute (ms, count).

    `paused` and `ended` say that this was carried out at the devices already; what was assigned
    until `bound_ms` (UTC) has been told that it is forced.
    """

    released: int = 0
    recent: tuple[tuple[int, int], ...] = ()
    paused: bool = False
    ended: bool = False
    bound_ms: int = 0


def allowance(
    pace: Pace, paced: Paced, now_ms: int, under_way: int, permitted: int | None
) -> int | None:
    """How many more devices may begin now; None: as many as there are. See `bounds`."""
    found = bounds(pace, paced, now_ms, under_way, permitted)
    return max(0, min(found.values())) if found else None


def bounds(
    pace: Pace, paced: Paced, now_ms: int, under_way: int, permitted: int | None
) -> dict[str, int]:
    """How many more devices each cap lets begin now, by its name.

    `under_way` are those let begin whose end is not known; `permitted` what growth has reached.
    """
    found = {}
    if pace.concurrency:
        found["concurrency"] = pace.concurrency - under_way
    if pace.rate_per_minute:
        found["rate"] = pace.rate_per_minute - sum(n for _, n in _within(paced, now_ms))
    if permitted is not None:
        found["growth"] = permitted - paced.released
    return found


def released(paced: Paced, now_ms: int, count: int) -> Paced:
    """The record after `count` more were let begin; negative: held again before they began."""
    recent = _within(paced, now_ms)
    if count > 0:
        recent = (*recent, (now_ms, count))
    return msgspec.structs.replace(paced, released=paced.released + count, recent=recent)


def _within(paced: Paced, now_ms: int) -> tuple[tuple[int, int], ...]:
    # A clock that was set back makes the moments of before count until it has caught up.
    return tuple(each for each in paced.recent if each[0] > now_ms - MINUTE_MS)


def permitted(
    growth: Growth, count: Mapping[str, int], success_percent: int, done: str = "verified"
) -> int:
    """How many devices may have begun, after so many have reached the state `done`."""
    verified, total = count.get(done, 0), sum(count.values())
    allowed = growth.start
    while allowed < total and verified * 100 >= success_percent * allowed:
        allowed *= growth.factor
    return allowed


def is_stuck(
    growth: Growth, count: Mapping[str, int], success_percent: int, done: str = "verified"
) -> bool:
    """Whether all that were permitted have ended, and too few of them well to go on."""
    allowed, total = permitted(growth, count, success_percent, done), sum(count.values())
    ended = sum(count.get(s, 0) for s in (*ERRORS, "silent", done, "unknown", "returned"))
    return allowed < total and ended >= allowed


def window_at(windows: Sequence[Window], now_ms: int, offset: Offset) -> tuple[bool, int]:
    """Whether a window is open, and until when it stays so (UTC ms): its end, or the next start.

    No windows: open for ever. An end and a start are local times of their own day, so a change to
    summer time between moves them with the clocks on the wall.
    """
    if not windows:
        return True, NEVER_MS
    today = (now_ms // 1000 + offset(now_ms)) // _DAY_SECONDS
    spans = sorted(
        span
        for window in windows
        for day in range(today - 2, today + 9)
        if (span := _span(window, day, offset)) is not None
    )
    end_ms = now_ms
    for start, end in spans:
        if start <= end_ms < end:
            end_ms = end
    if end_ms > now_ms:
        return True, end_ms
    return False, min((start for start, _ in spans if start > now_ms), default=NEVER_MS)


def _span(window: Window, day: int, offset: Offset) -> tuple[int, int] | None:
    """The window's beginning and end, UTC ms, when it begins on this local day."""
    if window.days and (day + _FIRST_WEEKDAY) % 7 not in window.days:
        return None
    start = day * _DAY_SECONDS + window.from_minute * 60
    return _utc_ms(start, offset), _utc_ms(start + window.minutes * 60, offset)


def _utc_ms(local_seconds: int, offset: Offset) -> int:
    guess = local_seconds - offset(local_seconds * 1000)
    return (local_seconds - offset(guess * 1000)) * 1000


def retry_after(retry: Retry | None, attempts: int) -> int | None:
    """Seconds until another attempt after so many; None when there is none."""
    if retry is None or attempts > retry.times:
        return None
    waited: int = retry.backoff_seconds * retry.factor ** (attempts - 1)
    return min(waited, _DAY_SECONDS * 365)
