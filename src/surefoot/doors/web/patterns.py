"""Every component of the interface with its states; and the page of an error's code."""

from __future__ import annotations

from starlette.responses import Response

from surefoot.core.errors import Corrupt, Failed, Refused
from surefoot.doors import codes
from surefoot.doors.web import shape
from surefoot.doors.web.visit import Visit

_ICONS = (
    *("check", "run", "clock", "warn", "cross", "hand", "back", "minus", "dot", "shield", "key"),
    *("device", "cube", "drift", "flag", "link", "download", "person", "journal"),
)
_STATUSES = (
    *("succeeded", "running", "waiting", "pending", "stopped", "returned", "failed", "rejected"),
    *("void", "pass", "fail", "inconclusive", "error", "paused", "drift", "undone"),
)
_STOPS = [
    {
        "number": number,
        "purpose": "deploy",
        "release_version": f"1.{number}.0",
        "status": status,
        "ended_at": f"2026-11-1{number}T10:00:00.000Z",
        "stands": number == 2,
    }
    for number, status in ((3, "returned"), (2, "succeeded"), (1, "failed"))
]
_HOLDS = [
    {"reason": reason, "devices": devices, "words": words, "until": until}
    for reason, devices, words, until in (
        ("window", 120, "no maintenance window is open for them", "2026-11-21T22:00:00.000Z"),
        ("turn", 40, "20 are under way, 20 may be at once", ""),
        ("soak", 0, "wave 1 passed, and is watched for a while", "2026-11-22T08:00:00.000Z"),
    )
]
_TILES = [
    (f"A figure, {tone or 'plain'}", figure, note, tone)
    for figure, note, tone in (
        ("1,204", "a note", "run"),
        ("96", "", "ok"),
        ("3", "", "bad"),
        ("6 h 10 min", "", "wait"),
        ("0", "", ""),
    )
]
_EXAMPLE_ERRORS = (
    Refused(
        "policy.own-work",
        "deployment 41",
        expected="an approver who contributed nothing to it",
        found="ann contributed",
        remedy="ask an approver who is not ann or bob",
    ),
    Failed(
        "target.process.health",
        "service api",
        expected="200 from /health within 10 s",
        found="connection refused",
        remedy="read the service's log, then deploy again",
    ),
    Corrupt(
        "journal.leaf.differs",
        "leaf 812 of the journal",
        expected="9d1c24b05a52",
        found="31f0acb770e1",
        remedy="run journal verify, keep a copy, and restore the newest backup",
    ),
)


def show(visit: Visit) -> Response:
    """The pattern page."""
    counters = {
        "0": {"verified": 5},
        "1": {"verified": 14, "installing": 4, "silent": 1, "failed": 2},
    }
    policy = {"waves": [10, 50, 100], "success_percent": 80, "minimum_sample": 3}
    return visit.render(
        "patterns.html",
        icons=_ICONS,
        statuses=_STATUSES,
        stops=_STOPS,
        errors=[error.record() for error in _EXAMPLE_ERRORS],
        devices_bar=shape.firmware_bar({"1.1.0": 30, "1.0.0": 15}, 50),
        waves=shape.wave_bars(counters, policy),
        holds=_HOLDS,
        tiles=_TILES,
    )


def explain(visit: Visit) -> Response:
    """What a code means and what to do. Raises `Refused("explain.code.unknown")`."""
    code = visit.incoming.path["code"]
    return visit.render("explain.html", code=code, entry=codes.find(code))
