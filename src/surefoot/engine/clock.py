"""The only reader of time and maker of randomness.

Times are UTC milliseconds since 1970. Tests pass a `Clock` of their own.
"""

from __future__ import annotations

import secrets
import time
from typing import Protocol


class Clock(Protocol):
    """Source of time and randomness."""

    def now_ms(self) -> int:
        """UTC milliseconds since 1970."""

    def sleep(self, seconds: float) -> None:
        """Wait."""

    def token(self, size_bytes: int) -> bytes:
        """Unpredictable bytes."""


class SystemClock:
    """The machine's clock and the operating system's randomness."""

    def now_ms(self) -> int:
        """UTC milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def token(self, size_bytes: int) -> bytes:
        """Unpredictable bytes from the operating system."""
        return secrets.token_bytes(size_bytes)
