"""Operations that hold, resume, end or review a deployment, each with a person's reason."""

from __future__ import annotations

from surefoot.app.deployments import NumberArguments
from surefoot.app.facade import App
from surefoot.app.operation import Reason, Request, operation
from surefoot.core import deployment as deployments
from surefoot.core.target import Plain
from surefoot.core.world import World


class ActArguments(NumberArguments, frozen=True, kw_only=True):
    reason: Reason = ""


@operation("deployment pause", "POST", "/deployments/{number}/pause", ActArguments)
def pause(app: App, request: Request, arguments: ActArguments) -> Plain:
    """Hold a deployment after the step under way."""
    app.command(
        request,
        lambda w: deployments.pause(w, request.asker, arguments.number, True),
        reason=arguments.reason,
    )
    return _status(app, arguments.number)


@operation("deployment resume", "POST", "/deployments/{number}/resume", ActArguments)
def resume(app: App, request: Request, arguments: ActArguments) -> Plain:
    """Let a paused deployment go on."""
    app.command(
        request,
        lambda w: deployments.pause(w, request.asker, arguments.number, False),
        reason=arguments.reason,
    )
    return _status(app, arguments.number)


@operation("deployment cancel", "POST", "/deployments/{number}/cancel", ActArguments)
def cancel(app: App, request: Request, arguments: ActArguments) -> Plain:
    """Give up a deployment that has not begun."""
    app.command(
        request,
        lambda w: deployments.cancel(w, request.asker, arguments.number),
        reason=arguments.reason,
    )
    return _status(app, arguments.number)


@operation("deployment stop", "POST", "/deployments/{number}/stop", ActArguments)
def stop(app: App, request: Request, arguments: ActArguments) -> Plain:
    """End a deployment that has begun: no further step, and back where it can go back."""
    app.command(
        request,
        lambda w: deployments.stop(w, request.asker, arguments.number),
        reason=arguments.reason,
    )
    return _status(app, arguments.number)


@operation("deployment review", "POST", "/deployments/{number}/review", ActArguments)
def review(app: App, request: Request, arguments: ActArguments) -> Plain:
    """The later review of a self-approved deployment."""
    app.command(
        request,
        lambda w: deployments.review(w, request.asker, arguments.number),
        reason=arguments.reason,
    )
    return _status(app, arguments.number)


def _status(app: App, number: int) -> Plain:
    def look(world: World) -> Plain:
        found = deployments.find(world, number)
        return {"deployment": number, "status": found.status, "paused": found.paused}

    return app.read(look)
