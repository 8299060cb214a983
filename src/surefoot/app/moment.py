"""Moments in arguments and answers: RFC 3339 texts, UTC, as every door writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from surefoot.core.errors import Refused
from surefoot.trust.entry import text_of_time

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp() * 1000) - 1


def parse_moment(text: str) -> int:
    """UTC milliseconds of a time like 2026-11-17T10:00Z; without a zone it is UTC.

    Raises `Refused("time.form.input")`, `Refused("time.range.input")` outside 1970 to 9998.
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
    ms = (moment - _FIRST) // timedelta(milliseconds=1)
    if not 0 <= ms <= _LAST_MS:
        raise Refused(
            "time.range.input",
            f"time {text[:40]!r}",
            expected="a time from 1970 to 9998",
            found=text[:40],
            remedy="give date and time in UTC",
        )
    return ms


def shown(ms: int) -> str:
    """The time as text, empty for none."""
    return text_of_time(ms) if ms else ""
