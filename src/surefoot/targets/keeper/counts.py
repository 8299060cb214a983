"""Requests counted per second, durably, for the availability record.

One line a second in which something ended, in one file an hour:
`second requests done service failed gone cut refused total_ms max_ms`. `failed` are answers of
the keeper's own (no generation, refused, reset, too slow); `service` are 5xx of the service;
`gone` are clients that left; `cut` are streams ended after the drain's grace.

Durability: a line is written within a second and survives the death of the keeper; it is synced
within ten seconds, so the death of the machine loses at most those. Old hours are removed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

HOURS_KEPT = 72
_FIELDS = ("requests", "done", "service", "failed", "gone", "cut", "refused")


class Totals(NamedTuple):
    """Sums over a span of time; latencies in milliseconds."""

    requests: int = 0
    done: int = 0
    service: int = 0
    failed: int = 0
    gone: int = 0
    cut: int = 0
    refused: int = 0
    total_ms: int = 0
    max_ms: int = 0

    def plus(self, other: Totals) -> Totals:
        """The sum, with the larger maximum."""
        summed = [a + b for a, b in zip(self[:-1], other[:-1], strict=True)]
        return Totals._make((*summed, max(self.max_ms, other.max_ms)))


class Counts:
    """The running second and the files below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)
        self._file = -1
        self._hour = -1
        self._unsynced = 0
        self.all = Totals()
        self._clear()

    def _clear(self) -> None:
        self.requests = self.done = self.service = self.failed = 0
        self.gone = self.cut = self.refused = 0
        self._total = self._max = 0.0

    def add(self, end: str, seconds: float) -> None:
        """One request ended; `end` is done, service, failed, gone or cut."""
        self.requests += 1
        setattr(self, end, getattr(self, end) + 1)
        self._total += seconds
        if seconds > self._max:
            self._max = seconds

    def flush(self, now_ms: int) -> None:
        """Write what ended since the last call, under the second of `now_ms`."""
        if not (self.requests or self.refused):
            self._sync()
            return
        counted = [getattr(self, name) for name in _FIELDS]
        line = Totals._make((*counted, round(self._total * 1000), round(self._max * 1000)))
        self.all = self.all.plus(line)
        self._clear()
        second = now_ms // 1000
        if second // 3600 != self._hour:
            self._turn(second // 3600)
        os.write(self._file, (" ".join(map(str, (second, *line))) + "\n").encode())
        self._unsynced += 1
        if self._unsynced >= 10:
            self._sync()

    def _sync(self) -> None:
        if self._unsynced:
            os.fdatasync(self._file)
            self._unsynced = 0

    def _turn(self, hour: int) -> None:
        self.close()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = os.open(self._folder / f"{hour}.txt", flags, 0o600)
        self._hour = hour
        for path in self._folder.glob("*.txt"):
            if path.stem.isdigit() and int(path.stem) < hour - HOURS_KEPT:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Sync and close."""
        if self._file >= 0:
            self._sync()
            os.close(self._file)
            self._file = -1


def read_totals(folder: Path, since_ms: int, until_ms: int) -> Totals:
    """Sums over the seconds that begin in [since, until). A torn last line is left out."""
    first, last = since_ms // 1000, -(-until_ms // 1000)
    totals = Totals()
    for path in sorted(folder.glob("*.txt")):
        if not path.stem.isdigit() or not first // 3600 <= int(path.stem) <= last // 3600:
            continue
        for line in path.read_text().splitlines():
            words = line.split(" ")
            if len(words) == 10 and first <= int(words[0]) < last:
                totals = totals.plus(Totals._make(map(int, words[1:])))
    return totals
