"""What a page asks about one deployment and one person: may I approve, and when did steps run.

Keeps: the answer comes from the very rule that would judge the approval; times come from the
deployment's own journal entries. Does not: change or record anything.
"""

from __future__ import annotations

from surefoot.app.as_of import AsOf
from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.app.operation import Request
from surefoot.core import deployment as deployments
from surefoot.core import policy
from surefoot.core.errors import Refused
from surefoot.core.plan import Plan
from surefoot.core.target import Plain
from surefoot.core.world import Deployment
from surefoot.trust import canonical
from surefoot.trust.entry import Entry

_ENTRIES_MAX = 2_000


def standing(app: App, request: Request, number: int) -> Plain:
    """Whether the asker may approve a deployment; if not, `refusal` is the rule's own record.

    Raises `Refused("deployment.unknown")`.
    """
    now = app.clock.now_ms()
    try:
        app.read(
            lambda w: policy.check_approver(w, deployments.find(w, number), request.asker, now)
        )
    except Refused as refused:
        if refused.code == "deployment.unknown":
            raise
        return {"may_approve": False, "refusal": dict(refused.record())}
    return {"may_approve": True}


def may_steer(app: App, request: Request, number: int) -> bool:
    """Whether the asker may hold a deployment or let it go on, by the rule that would judge it."""
    try:
        app.read(lambda w: deployments.pause(w, request.asker, number, True))
    except Refused:
        return False
    return True


def shown_steps(deployment: Deployment, plan: Plan) -> list[canonical.JSON]:
    """Each step as it stands, with what the plan says of it."""
    planned = {p.step.id: p.step for p in plan.steps}
    return [
        {
            "id": s.id,
            "status": s.status,
            "cause": s.cause,
            "undo": s.undo,
            "claims": s.claims,
            "worker": s.worker,
            "figures": s.figures,
            "summary": planned[s.id].summary,
            "action": planned[s.id].action,
            "reversible": planned[s.id].reversible,
            "why_irreversible": planned[s.id].why_irreversible,
        }
        for s in deployment.steps.values()
    ]


def step_times(app: App, number: int, at: str = "") -> Plain:
    """Step id to {began, ended, milliseconds}, for doing and, under `undo`, for undoing.

    Of a moment that has been, what was known then.

    A step whose claim is open has no end yet; a judged wave begins where the step before ended.
    """
    entries = app.log.stream_entries(f"deployment/{number}", 0, _ENTRIES_MAX)
    at_ms = AsOf(app, at).at_ms
    times: dict[str, canonical.JSON] = {}
    began: dict[tuple[str, bool], int] = {}
    last = 0
    for entry in entries:
        if at and entry.time_ms > at_ms:
            break
        key = (str(entry.body.get("step", "")), bool(entry.body.get("undo")))
        if entry.kind == "StepClaimed":
            began.setdefault(key, entry.time_ms)
            _note(times, key, began[key], None)
        elif entry.kind == "StepFinished":
            _note(times, key, began.pop(key, last or entry.time_ms), entry)
            last = entry.time_ms
    return times


def _note(
    times: dict[str, canonical.JSON], key: tuple[str, bool], began: int, end: Entry | None
) -> None:
    row: dict[str, canonical.JSON] = {"began": shown(began)}
    if end is not None:
        row |= {"ended": shown(end.time_ms), "milliseconds": max(0, end.time_ms - began)}
    step, undo = key
    if undo:
        done = times.get(step)
        times[step] = {**(done if isinstance(done, dict) else {}), "undo": row}
    else:
        times[step] = row
