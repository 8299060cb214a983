"""Questions about deployments: the list, one with its progress, and the bytes of its plan.

Keeps: the same function answers for now and for a moment that has been, from the recorded states.
"""

from __future__ import annotations

import base64
from itertools import islice
from typing import Annotated

import msgspec

from surefoot.app.as_of import AsOf
from surefoot.app.deployments import Number, NumberArguments, shown_plan
from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.app.operation import Arguments, Request, operation
from surefoot.app.orphan import shown_orphans
from surefoot.app.standing import shown_steps
from surefoot.core import deployment as deployments
from surefoot.core import environment as environments
from surefoot.core import policy, progress
from surefoot.core.plan import Plan
from surefoot.core.plan import decode as decode_plan
from surefoot.core.target import Plain
from surefoot.core.world import Deployment
from surefoot.engine.effects import judge


class ShowArguments(Arguments, frozen=True, kw_only=True):
    number: Number
    at: str = ""


class ListArguments(Arguments, frozen=True, kw_only=True):
    environment: str = ""
    before: int = 2**31
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    at: str = ""


@operation("deployment list", "GET", "/deployments", ListArguments)
def list_deployments(app: App, request: Request, arguments: ListArguments) -> Plain:
    """Deployments, newest first; of one environment, when it is named."""
    then = AsOf(app, arguments.at)
    if arguments.environment and then.now:
        app.read(lambda w: environments.find(w, arguments.environment))
    found = then.deployments(arguments.environment, arguments.before)
    return {"deployments": [_row(d) for d in islice(found, arguments.limit)]}


def _row(d: Deployment) -> Plain:
    return {
        "number": d.number,
        "environment": d.environment,
        "purpose": d.purpose,
        "release_version": d.release_version,
        "status": d.status,
        "cause": d.cause,
        "requester": d.requester,
        "requested_at": shown(d.requested_ms),
        "begun_at": shown(d.begun_ms),
        "ended_at": shown(d.ended_ms),
        "steps_done": sum(s.status == "done" for s in d.steps.values()),
        "steps": len(d.steps),
    }


@operation("deployment show", "GET", "/deployments/{number}", ShowArguments)
def show(app: App, request: Request, arguments: ShowArguments) -> Plain:
    """A deployment: plan, steps, approvals, what it waits for, who may approve."""
    then = AsOf(app, arguments.at)
    if then.now:
        app.read(lambda w: deployments.find(w, arguments.number))
    deployment = then.deployment(arguments.number)
    if deployment is None:
        status = {"status": "unknown at that time", "at": shown(then.at_ms)}
        return {"number": arguments.number, "exists": False, **status}
    plan = decode_plan(app.blobs.get(deployment.plan))
    answer: Plain = {
        **_row(deployment),
        **shown_plan(plan),
        **_progress(app, then, deployment, plan),
    }
    return answer if then.now else {**answer, "at": shown(then.at_ms)}


def _progress(app: App, then: AsOf, deployment: Deployment, plan: Plan) -> Plain:
    world = then.world(deployment)
    found = progress.next_effect(world, plan, then.at_ms, judge)
    books = world.devices.get(deployment.environment)
    return {
        "waiting_for": found.cause if found.what == "wait" and not deployment.ended_ms else "",
        "eligible": list(policy.eligible_approvers(world, deployment)),
        "approvals_needed": deployment.approvals_needed,
        "approvals_missing": deployments.approvals_missing(world, deployment),
        "approver_role": deployment.approver_role,
        "excluded": list(deployment.excluded),
        "waves": books.waves.get(str(deployment.number), {}) if books else {},
        "figures": deployment.figures,
        "approvals": [
            {
                "person": a.person,
                "verdict": a.verdict,
                "at": shown(a.time_ms),
                "envelope": a.envelope,
                "self_approval": a.self_approval,
            }
            for a in deployment.approvals
        ],
        "steps": shown_steps(deployment, plan),
        "orphans": [*shown_orphans(app, then, deployment.number)],
    }


@operation(
    "deployment plan-bytes",
    "GET",
    "/deployments/{number}/plan",
    NumberArguments,
    timeless="a plan never changes: its digest names it",
)
def plan_bytes(app: App, request: Request, arguments: NumberArguments) -> Plain:
    """The exact bytes an approver's key signs the digest of."""
    digest = app.read(lambda w: deployments.find(w, arguments.number).plan)
    content = app.blobs.get(digest)
    return {"digest": digest, "plan": base64.b64encode(content).decode()}
