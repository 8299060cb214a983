"""The present moment as a question takes it."""

from __future__ import annotations

from surefoot.engine.clock import SystemClock, text_of_ms


def now() -> str:
    """RFC 3339 in UTC with milliseconds."""
    return text_of_ms(SystemClock().now_ms())
