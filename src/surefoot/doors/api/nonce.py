"""Each signed request counts once, also across a restart and across processes.

Keeps: a nonce is remembered until its request's time is too old to be accepted at all; memory is
bounded, and a full memory refuses instead of forgetting. The nonces of commands are in the store,
durable before the command runs, because neither a crash nor a second process may make a command
repeatable; those of questions are in memory alone: a repeated question changes nothing.
Does not: know what is signed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from surefoot.core.errors import Failed, Refused
from surefoot.doors.words import SKEW_MS

_NONCES_MAX = 200_000


class Ledger(Protocol):
    """The nonces of commands, shared by all processes."""

    def take(self, nonce: str, time_ms: int, forget_before_ms: int) -> bool:
        """Take a nonce durably; False when it was taken before."""


class Nonces:
    """The memory. Safe from many threads."""

    def __init__(self, now_ms: Callable[[], int], ledger: Ledger) -> None:
        self._now_ms = now_ms
        self._ledger = ledger
        self._seen: dict[str, int] = {}
        self._lock = threading.Lock()

    def use(self, nonce: str, time_ms: int, *, durable: bool) -> None:
        """Remember a nonce whose signature was verified. Raises `Refused` for a second use."""
        oldest = self._now_ms() - SKEW_MS
        with self._lock:
            fresh = nonce not in self._seen
            if len(self._seen) >= _NONCES_MAX:
                self._forget(oldest)
            self._seen[nonce] = time_ms
        if fresh and durable:
            fresh = self._ledger.take(nonce, time_ms, oldest)
        if not fresh:
            raise Refused(
                "request.nonce.signature",
                "signed request",
                expected="a nonce that was never used",
                found="one that was",
                remedy="sign the request anew",
            )

    def _forget(self, oldest: int) -> None:
        self._seen = {nonce: at for nonce, at in self._seen.items() if at >= oldest}
        if len(self._seen) >= _NONCES_MAX:
            raise Failed(
                "request.nonce.overload",
                "server",
                expected=f"fewer than {_NONCES_MAX} signed requests in {SKEW_MS // 1000} s",
                found="more",
                remedy="wait a minute",
            )
