"""Tests wait for a condition, not for a time: the limit is for a run that hangs."""

from __future__ import annotations

import time
from collections.abc import Callable

LIMIT_SECONDS = 90.0
_PAUSE_SECONDS = 0.02


def until(condition: Callable[[], object], seconds: float = LIMIT_SECONDS) -> None:
    """Wait until the condition gives something true. Raises `AssertionError` after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"it did not happen within {seconds} seconds")
        time.sleep(_PAUSE_SECONDS)
