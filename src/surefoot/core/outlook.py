"""How long a rollout takes, from when its devices were last heard and what a line carries.

Keeps: an estimate says what it was made from; a wave that too few living devices could pass is said
to wait for its deadline, however fast the line is. Does not: read, or promise anything.

Devices that poll every P seconds were last heard P/2 ago on average, so the mean age of those heard
within a day tells their pace. A device needs two polls for each image: one for the offer, one to
show what it runs.
"""

from __future__ import annotations

import msgspec

from surefoot.core.governance import WavePolicy
from surefoot.core.rollout import share_of

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_POLLS_AN_IMAGE = 2


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
    """One wave: its devices, bytes, and from the rollout's start the seconds until it is over.

    `seconds` is None where no device is heard, or the line is not known; `waits` says that so few
    are heard that the wave is likely to stand until its deadline.
    """

    wave: int
    percent: int
    devices: int
    size_bytes: int
    seconds: int | None
    waits: bool


def outlook(
    moves: tuple[int, int, int], heard: Heard, policy: WavePolicy, bits_a_second: int
) -> list[WaveOutlook]:
    """Each wave in order; `moves` are devices, images and bytes of the whole rollout.

    A line of 0 bits a second is one that is never the limit.
    """
    devices, images, size_bytes = moves
    images_each = -(-images // devices) if devices else 0
    polling = heard.poll_seconds * _POLLS_AN_IMAGE * images_each
    # Whether enough answer is asked of the whole fleet: waves are drawn by chance.
    waits = heard.day * 100 < devices * policy.success_percent
    found: list[WaveOutlook] = []
    before, end = 0, 0
    for wave, percent in enumerate(policy.waves):
        count = share_of(devices, percent) - before
        before += count
        part = size_bytes * count // devices if devices else 0
        line = part * 8 // bits_a_second if bits_a_second else 0
        end += max(polling, line) if count else 0
        seconds = end if heard.day or not devices else None
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
