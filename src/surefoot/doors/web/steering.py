"""The forms that hold a deployment with its rollout, and let it go on.

Keeps: an act counts only with the box ticked that confirms it; the operation's own rule decides,
and the journal has the person, the session's key and the reason.
"""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from surefoot.core.errors import Refused, SurefootError
from surefoot.doors.web import deployments
from surefoot.doors.web.visit import Visit


def pause(visit: Visit) -> Response:
    """Hold it after the step under way: no further wave is assigned."""
    return _act(visit, "deployment pause")


def resume(visit: Visit) -> Response:
    """Let it go on."""
    return _act(visit, "deployment resume")


def stop(visit: Visit) -> Response:
    """End it: no further step, and back where it can go back."""
    return _act(visit, "deployment stop")


def _act(visit: Visit, operation: str) -> Response:
    number, form = int(visit.incoming.path["number"]), visit.incoming.form
    try:
        if form.get("sure") != "yes":
            raise Refused(
                "form.confirmation.input",
                f"deployment {number}",
                expected="the box ticked that says you mean it",
                found="not ticked",
                remedy="tick it and send the form again",
            )
        visit.ask(operation, number=number, reason=form.get("reason", "").strip())
    except SurefootError as error:
        return deployments.page(visit, error)
    back = f"/deployments/{number}"
    if form.get("from") == "rollout":
        environment = visit.app.read(lambda w: w.deployments[number].environment)
        back = f"/environments/{environment}/rollouts/{number}"
    return RedirectResponse(back, 303)
