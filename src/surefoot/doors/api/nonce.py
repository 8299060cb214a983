"""Each signed request counts once: the nonces of the last minutes, also across a restart.

Keeps: a nonce is remembered until its request's time is too old to be accepted at all; memory is
bounded, and a full memory refuses instead of forgetting. The nonces of commands are in a file,
durable before the command runs, because a crash must not make a command repeatable; those of
questions are in memory alone: a repeated question changes nothing.
Does not: share between processes; a repeat sent to another process is recognised by its request id.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from surefoot.core.errors import Failed, Refused
from surefoot.doors.words import SKEW_MS

_NONCES_MAX = 200_000
_LINES_MAX = 20_000


class Nonces:
    """The memory. `path` None keeps no file. Safe from many threads."""

    def __init__(self, now_ms: Callable[[], int], path: Path | None = None) -> None:
        self._now_ms = now_ms
        self._path = path
        self._seen: dict[str, int] = {}
        self._lines = 0
        self._lock = threading.Lock()
        if path is not None:
            self._seen = _load(path)
            self._rewrite(path)

    def use(self, nonce: str, time_ms: int, *, durable: bool) -> None:
        """Remember a nonce whose signature was verified. Raises `Refused` for a second use."""
        with self._lock:
            if nonce in self._seen:
                raise Refused(
                    "request.nonce.signature",
                    "signed request",
                    expected="a nonce that was never used",
                    found="one that was",
                    remedy="sign the request anew",
                )
            if len(self._seen) >= _NONCES_MAX:
                self._forget()
            self._seen[nonce] = time_ms
            if durable and self._path is not None:
                self._append(self._path, nonce, time_ms)

    def _forget(self) -> None:
        oldest = self._now_ms() - SKEW_MS
        self._seen = {nonce: at for nonce, at in self._seen.items() if at >= oldest}
        if len(self._seen) >= _NONCES_MAX:
            raise Failed(
                "request.nonce.overload",
                "server",
                expected=f"fewer than {_NONCES_MAX} signed requests in {SKEW_MS // 1000} s",
                found="more",
                remedy="wait a minute",
            )

    def _append(self, path: Path, nonce: str, time_ms: int) -> None:
        if self._lines >= _LINES_MAX:
            self._rewrite(path)
        with path.open("a", encoding="ascii") as file:
            file.write(f"{time_ms} {nonce}\n")
            file.flush()
            os.fsync(file.fileno())
        self._lines += 1

    def _rewrite(self, path: Path) -> None:
        """A crash before the rename leaves the old file, which holds more and harms nobody."""
        oldest = self._now_ms() - SKEW_MS
        kept = {nonce: at for nonce, at in self._seen.items() if at >= oldest}
        fresh = path.with_suffix(".new")
        with fresh.open("w", encoding="ascii") as file:
            file.writelines(f"{at} {nonce}\n" for nonce, at in kept.items())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        self._lines = len(kept)


def _load(path: Path) -> dict[str, int]:
    """A torn last line is of a command that never ran: the line comes first."""
    if not path.exists():
        return {}
    found = {}
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        time_text, _, nonce = line.partition(" ")
        if time_text.isdigit() and nonce:
            found[nonce] = int(time_text)
    return found
