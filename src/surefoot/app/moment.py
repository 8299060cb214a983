"""Moments in arguments and answers: RFC 3339 texts, UTC, as every door writes them."""

from __future__ import annotations

from datetime import UTC, datetime

from surefoot.core.errors import Refused
from surefoot.engine.clock import text_of_ms


def parse_moment(text: str) -> int:
    """UTC milliseconds of a time like 2026-11-17T10:00Z; without a zone it is UTC.

    Raises `Refused("time.form.input")`.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Refused(
            "time.form.input",
            f"time {text[:40]!r}",
            expected="a time like 2026-11-17T10:00Z",
            found=text[:40],
            remedy="give date and time in UTC",
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def shown(ms: int) -> str:
    """The time as text, empty for none."""
    return text_of_ms(ms) if ms else ""
