"""Pages of deployments: the list, and one deployment with plan, steps, waves and approvals."""

from __future__ import annotations

import base64
import json
from typing import Any

from starlette.responses import Response

from surefoot.app.standing import may_steer, standing, step_times
from surefoot.core.errors import SurefootError
from surefoot.doors.web import shape
from surefoot.doors.web.signing import offers
from surefoot.doors.web.visit import Visit

_ROWS = 50
_REFRESH_SECONDS = 2


def listing(visit: Visit) -> Response:
    """Deployments, newest first, of all environments or one."""
    environment, before, at = (visit.query(name) for name in ("environment", "before", "at"))
    rows = visit.ask("deployment list", environment=environment, before=before, limit=_ROWS, at=at)[
        "deployments"
    ]
    names = [row["name"] for row in visit.ask("environment list")["environments"]]
    older = rows[-1]["number"] if len(rows) == _ROWS else 0
    return visit.render(
        "deployments.html", rows=rows, names=names, environment=environment, older=older, at=at
    )


def show(visit: Visit) -> Response:
    """One deployment."""
    return page(visit)


def page(visit: Visit, error: SurefootError | None = None, pasted: str = "") -> Response:
    """The deployment's page; after a refused form with the error and what was sent."""
    number = int(visit.incoming.path["number"])
    at = visit.query("at")
    deployment = visit.ask("deployment show", number=number, at=at)
    if deployment.get("exists") is False:
        what, address = f"Deployment {number}", f"/deployments/{number}"
        return visit.render("absent.html", what=what, address=address, at=at)
    plan_bytes = visit.ask("deployment plan-bytes", number=number)
    plan = json.loads(base64.b64decode(plan_bytes["plan"]))
    moving = not (at or deployment["ended_at"] or deployment["approvals_missing"])
    paused = visit.app.read(lambda w: w.deployments[number].paused) and not at
    noted = visit.query("noted")
    judged = next((a for a in deployment["approvals"] if a["person"] == noted), None)
    return visit.render(
        "deployment.html",
        error.status() if error else 200,
        d=deployment,
        steps=_steps(deployment, step_times(visit.app, number, at)),
        waves=shape.wave_bars(deployment["waves"], plan.get("wave_policy", {})),
        sentence=shape.verdict_sentence(deployment["verdict"], deployment["steps"]),
        at=at,
        standing={"may_approve": False} if at else standing(visit.app, visit.request, number),
        paused=paused,
        steers=not (at or deployment["ended_at"]) and may_steer(visit.app, visit.request, number),
        offers=offers(deployment),
        refresh=_REFRESH_SECONDS if moving and visit.query("refresh") != "off" else 0,
        moving=moving,
        noted=judged,
        error=error.record() if error else None,
        pasted=pasted,
        chosen=visit.incoming.form.get("verdict", ""),
    )


def _steps(deployment: dict[str, Any], times: dict[str, Any]) -> list[dict[str, Any]]:
    """Steps with their times; the status shown is that of the undoing, once there is one."""
    steps = [
        {**step, "times": times.get(step["id"], {}), "shown": _status(step)}
        for step in deployment["steps"]
    ]
    waits = deployment["status"] == "running" and deployment["waiting_for"]
    first = next((step for step in steps if step["shown"] == "pending"), None)
    if waits and first is not None:
        first["shown"] = "waiting"
    return steps


def _status(step: dict[str, Any]) -> str:
    undone: dict[str, str] = {"claimed": "returning", "done": "undone", "failed": "failed"}
    return undone.get(step["undo"], str(step["status"]))
