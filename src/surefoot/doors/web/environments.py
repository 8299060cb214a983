"""Pages of environments: the matrix, one environment now or at a time, and differences."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from surefoot.doors.web import shape
from surefoot.doors.web.visit import Visit

_HISTORY_ROWS = 25


def matrix(visit: Visit) -> Response:
    """Environments by components: what runs where, and what is under way."""
    at = visit.query("at")
    rows = visit.ask("environment list", at=at)["environments"]
    columns = list(dict.fromkeys(name for row in rows for name in row["components"]))
    listed = [_matrix_row(visit, row, at) for row in rows]
    recent = visit.ask("deployment list", limit=6, at=at)["deployments"]
    return visit.render("matrix.html", rows=listed, columns=columns, at=at, recent=recent)


def _matrix_row(visit: Visit, row: dict[str, Any], at: str) -> dict[str, Any]:
    full = visit.ask("environment show", name=row["name"], at=at)
    active = str(row.get("status", "")).split()
    return {
        **row,
        "under_way": int(active[1]) if active[:1] == ["deployment"] else 0,
        "under_way_status": active[2] if active[:1] == ["deployment"] else "",
        "devices_bar": shape.firmware_bar(full.get("firmware_shares", {}), row["devices"]),
    }


def show(visit: Visit) -> Response:
    """Everything an environment is, or was at a time, with its history."""
    name, at = visit.incoming.path["name"], visit.query("at")
    state = visit.ask("environment show", name=name, at=at)
    before = visit.query("before")
    history = visit.ask(
        "environment history", name=name, before=before, limit=_HISTORY_ROWS, at=at
    )["entries"]
    bar = shape.firmware_bar(state.get("firmware_shares", {}), state.get("devices", 0))
    watched = visit.ask("watch list", environment=name, at=at)["watches"]
    return visit.render(
        "environment.html",
        watched=watched,
        name=name,
        at=at,
        state=state,
        history=history,
        older=history[-1]["n"] if len(history) == _HISTORY_ROWS else 0,
        devices_bar=bar,
    )


def map_page(visit: Visit) -> Response:
    """Code, configuration, tools and infrastructure, with the commit and person behind each."""
    name, at = visit.incoming.path["name"], visit.query("at")
    found = visit.ask("environment map", name=name, at=at)
    return visit.render("map.html", name=name, at=at, map=found)


def diff(visit: Visit) -> Response:
    """What differs between two environments, or two moments of one."""
    left, right, at = visit.query("left"), visit.query("right"), visit.query("at")
    names = [row["name"] for row in visit.ask("environment list")["environments"]]
    found = None
    if left and right:
        found = visit.ask("environment diff", left=left, right=right, at=at)
    return visit.render("diff.html", left=left, right=right, names=names, found=found, at=at)
