"""How long a rollout takes: from when devices were last heard, its pace, and what a line carries.

Keeps: an estimate says what it was made from; a wave that too few living devices could pass is said
to wait for its deadline, however fast the line is. Does not: read, or promise anything.

Devices that poll every P seconds were last heard P/2 ago on average, so the mean age of those heard
within a day tells their pace. A device needs two polls for each image: one for the offer, one to
show what it runs.

A wave lasts as long as the slowest of what bounds it: its polls, once for all of them or once for
each round that a cap on devices at once or growth lets begin; the rate at which devices may begin;
the line. That time passes in open maintenance windows alone; a soak, and the wait for the start,
pass beside them.
"""

from __future__ import annotations

import msgspec

from surefoot.core.governance import Growth, Pace, WavePolicy
from surefoot.core.pace import NEVER_MS, Offset, window_at
from surefoot.core.rollout import share_of

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_POLLS_AN_IMAGE = 2
_WINDOWS_MAX = 2_000
_WEEK_MINUTES = 7 * 24 * 60


class Heard(msgspec.Struct, kw_only=True):
    """When devices were last heard: within an hour, a day, a week, longer ago, or never."""

    now_ms: int
    hour: int = 0
    day: int = 0
    week: int = 0
    longer: int = 0
    never: int = 0
    ages_ms: int = 0

    def note(self, seen_ms: int) -> None:
        """Count one device; `seen_ms` 0: never."""
        age_ms = max(self.now_ms - seen_ms, 0)
        if not seen_ms:
            self.never += 1
        elif age_ms <= _DAY_MS:
            self.ages_ms += age_ms
            self.day += 1
            self.hour += age_ms <= _HOUR_MS
        elif age_ms <= 7 * _DAY_MS:
            self.week += 1
        else:
            self.longer += 1

    @property
    def poll_seconds(self) -> int:
        """The pace of the devices that were heard within a day; 0: there are none."""
        return max(2 * self.ages_ms // self.day // 1000, 1) if self.day else 0


class WaveOutlook(msgspec.Struct, frozen=True, kw_only=True):
    """One wave: its devices, bytes, and from now the seconds until it is over.

    `seconds` is None where no device is heard, or no window opens; `waits` says that so few are
    heard that the wave is likely to stand until its deadline. `percent` 0: the wave is a count.
    """

    wave: int
    percent: int
    devices: int
    size_bytes: int
    seconds: int | None
    waits: bool


def outlook(
    moves: tuple[int, int, int],
    heard: Heard,
    policy: WavePolicy,
    bits_a_second: int,
    offset: Offset = lambda moment_ms: 0,
) -> list[WaveOutlook]:
    """Each wave in order; `moves` are devices, images and bytes of the whole rollout.

    A line of 0 bits a second is one that is never the limit; `offset` is that of the time zone of
    devices that name none.
    """
    devices, images, size_bytes = moves
    polling = heard.poll_seconds * _POLLS_AN_IMAGE * (-(-images // devices) if devices else 0)
    # Whether enough answer is asked of the whole fleet: waves are drawn by chance.
    waits = heard.day * 100 < devices * policy.success_percent
    found: list[WaveOutlook] = []
    known = bool(heard.day or not devices)
    at_ms: int | None = max(heard.now_ms, policy.pace.start_ms if devices else 0)
    for wave, (percent, count) in enumerate(_sizes(policy, devices)):
        part = size_bytes * count // devices if devices else 0
        line = part * 8 // bits_a_second if bits_a_second else 0
        if count and at_ms is not None:
            work = max(polling * _rounds(policy, count), line, _beginning(policy.pace, count))
            at_ms = _worked(at_ms, work, policy.pace, offset)
            at_ms = at_ms and at_ms + policy.pace.soak_seconds * 1000
        seconds = (at_ms - heard.now_ms) // 1000 if known and at_ms is not None else None
        found.append(
            WaveOutlook(
                wave=wave + 1,
                percent=percent,
                devices=count,
                size_bytes=part,
                seconds=seconds,
                waits=waits and count > 0,
            )
        )
    return found


def _sizes(policy: WavePolicy, devices: int) -> list[tuple[int, int]]:
    """Percent (0: a count) and devices of each wave."""
    if policy.pace.counts:
        ends = [(0, min(count, devices)) for count in policy.pace.counts] + [(100, devices)]
    else:
        ends = [(percent, share_of(devices, percent)) for percent in policy.waves]
    before = [0, *(end for _, end in ends)]
    return [(percent, end - start) for (percent, end), start in zip(ends, before, strict=False)]


def _rounds(policy: WavePolicy, count: int) -> int:
    """How often devices begin after one another, each time when those before have ended."""
    pace = policy.pace
    rounds = -(-count // pace.concurrency) if pace.concurrency else 1
    return max(rounds, _grown(pace.exponential, count)) if pace.exponential else rounds


def _grown(growth: Growth, count: int) -> int:
    rounds, allowed = 1, growth.start
    while allowed < count and growth.factor > 1:
        allowed *= growth.factor
        rounds += 1
    return rounds


def _beginning(pace: Pace, count: int) -> int:
    """Seconds until the last may begin, by the rate: the first ones begin at once."""
    return (count - 1) // pace.rate_per_minute * 60 if pace.rate_per_minute else 0


def _worked(at_ms: int, seconds: int, pace: Pace, offset: Offset) -> int | None:
    """The moment at which so many seconds have passed in open windows; None: none opens."""
    left_ms = seconds * 1000
    for _ in range(_WINDOWS_MAX):
        is_open, until_ms = window_at(pace.windows, at_ms, offset)
        if is_open:
            if left_ms <= until_ms - at_ms:
                return at_ms + left_ms
            left_ms -= until_ms - at_ms
        if until_ms >= NEVER_MS:
            return None
        at_ms = until_ms
    return None


def computed(heard: Heard, policy: WavePolicy, bits_a_second: int) -> list[str]:
    """What the hours were made from, and what they leave out, in words."""
    pace = policy.pace
    said = [
        f"devices that were heard within a day poll every {heard.poll_seconds} s, and need "
        f"{_POLLS_AN_IMAGE} polls for each image"
        if heard.day
        else "no device that would move was heard within a day: hours are not known"
    ]
    if bits_a_second:
        said.append(f"a line of {bits_a_second / 1e6:g} Mbit/s for all of them")
    if pace.start_ms > heard.now_ms:
        said.append("no wave begins before the rollout's start")
    if pace.rate_per_minute:
        said.append(f"at most {pace.rate_per_minute} begin in a minute")
    if pace.concurrency:
        said.append(f"at most {pace.concurrency} at once: one round after the other")
    if pace.exponential:
        said.append(f"growth from {pace.exponential.start}, times {pace.exponential.factor}")
    if pace.windows:
        weekly = sum(window.minutes * len(window.days or range(7)) for window in pace.windows)
        hours = min(weekly, _WEEK_MINUTES) / 60
        said.append(f"work passes in maintenance windows alone: {hours:g} of 168 hours a week")
    if pace.soak_seconds:
        said.append(f"each wave soaks for {pace.soak_seconds} s")
    if pace.end_ms:
        said.append("what has not begun at the rollout's end is withdrawn")
    said.append("without failures, further attempts, or devices with a clock of their own")
    return said
