"""The present moment as a question takes it."""

from __future__ import annotations

from surefoot.engine.clock import SystemClock
from surefoot.trust.entry import text_of_time


def now() -> str:
    """RFC 3339 in UTC with milliseconds."""
    return text_of_time(SystemClock().now_ms())
