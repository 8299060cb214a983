"""The time machine of an environment: its state at a moment, and what is different now.

Keeps: works without script; every moment has an address of its own, so it can be sent to somebody.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from surefoot.app.timeline import beside
from surefoot.doors.web import shape
from surefoot.doors.web.visit import Visit

_STOPS = 14


def show(visit: Visit) -> Response:
    """The environment at a moment, between its changes, beside itself now or another one then."""
    name, at, other = visit.incoming.path["name"], visit.query("at"), visit.query("beside")
    state = visit.ask("environment show", name=name, at=at)
    names = [row["name"] for row in visit.ask("environment list")["environments"]]
    left, right = f"{name}@{at}" if at else name, other
    if not other:
        right = name if at else ""
    elif at:
        right = f"{other}@{at}"
    found = visit.ask("environment diff", left=left, right=right) if right else None
    return visit.render(
        "time.html",
        name=name,
        at=at,
        state=state,
        other=other,
        names=[each for each in names if each != name],
        found=found,
        stops=_stops(visit, name, at),
        near=beside(visit.app, name, at),
        devices_bar=shape.firmware_bar(state.get("firmware_shares", {}), state.get("devices", 0)),
    )


def _stops(visit: Visit, name: str, at: str) -> list[dict[str, Any]]:
    """Deployments that ended, newest first; the one whose outcome stood at the moment is marked."""
    rows = visit.ask("deployment list", environment=name, limit=_STOPS)["deployments"]
    ended = [row for row in rows if row["ended_at"]]
    moment = shape.sortable(at)
    passed = [row for row in ended if at and shape.sortable(row["ended_at"]) <= moment]
    standing = passed[0]["number"] if passed else 0
    return [{**row, "stands": row["number"] == standing} for row in ended]
