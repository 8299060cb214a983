"""Numbers that look drawn and are the same for the same seed, on every machine and version.

Keeps: what is judged from drawn numbers can be judged again from the seed, by anybody.
Does not: make secrets. Source: SHAKE-256 (FIPS 202), each 32 bits one number.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Sequence

_BATCH = 4096


class Numbers:
    """A stream of numbers from a seed, which is any text."""

    def __init__(self, seed: str) -> None:
        self._seed = seed.encode()
        self._batch = 0
        self._held: tuple[int, ...] = ()
        self._at = 0

    def below(self, limit: int, count: int) -> list[int]:
        """`count` whole numbers from 0 to `limit` - 1."""
        return [(number * limit) >> 32 for number in self._take(count)]

    def unit(self) -> float:
        """A number above 0 and below 1."""
        return (self._take(1)[0] + 0.5) / 4_294_967_296.0

    def waits(self, mean: float) -> float:
        """A time between two events that come independently, `mean` seconds apart."""
        return -math.log(self.unit()) * mean

    def _take(self, count: int) -> Sequence[int]:
        if self._at + count > len(self._held):
            wanted = max(count, _BATCH)
            stream = hashlib.shake_256(self._seed + b"\0%d" % self._batch).digest(4 * wanted)
            self._batch += 1
            # Always the same byte order, so that the numbers are the same everywhere.
            self._held = (*self._held[self._at :], *struct.unpack(f">{wanted}I", stream))
            self._at = 0
        found = self._held[self._at : self._at + count]
        self._at += count
        return found
