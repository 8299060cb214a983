"""Operations on waivers: who takes an inconclusive gate upon themselves, for how long, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec

from surefoot.app.as_of import AsOf
from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.app.operation import Arguments, Reason, Request, operation
from surefoot.core import facts as f
from surefoot.core import waiver
from surefoot.core.facts_gate import GateWaived
from surefoot.core.target import Plain
from surefoot.core.world import Waiver, Waivers, World

_Gate = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
BEFORE_RELEASES = "@releases"
"""The place of gates before releases; no environment can have such a name."""


class ListArguments(Arguments, frozen=True, kw_only=True):
    at: str = ""


class GrantArguments(Arguments, frozen=True, kw_only=True):
    place: str
    gate: _Gate
    days: Annotated[int, msgspec.Meta(ge=1, le=waiver.DAYS_MAX)]
    reason: Annotated[Reason, msgspec.Meta(min_length=1)]


class EndArguments(Arguments, frozen=True, kw_only=True):
    place: str
    gate: _Gate
    reason: Reason = ""


def _environment(place: str) -> str:
    return "" if place == BEFORE_RELEASES else place


@operation("waiver list", "GET", "/waivers", ListArguments)
def list_waivers(app: App, request: Request, arguments: ListArguments) -> Plain:
    """Who took inconclusive verdicts of which gate upon themselves, where, and until when."""
    then = AsOf(app, arguments.at)
    state = then.state("waivers")
    before = msgspec.convert(state, Waivers).gates if state else {}
    rows = [*_rows(BEFORE_RELEASES, before, then.at_ms)]
    for environment in then.environments():
        rows += _rows(environment.name, environment.waivers, then.at_ms)
    return {"waivers": [*rows]}


def _rows(place: str, waivers: Mapping[str, Waiver], now_ms: int) -> Iterator[Plain]:
    for gate, each in sorted(waivers.items()):
        yield {
            "place": place,
            "gate": gate,
            "person": each.person,
            "given_at": shown(each.given_ms),
            "until": shown(each.until_ms),
            "in_force": now_ms < each.until_ms,
            "entry": each.entry,
        }


@operation("waiver grant", "POST", "/waivers/{place}/{gate}", GrantArguments)
def grant(app: App, request: Request, arguments: GrantArguments) -> Plain:
    """Take inconclusive verdicts of a gate upon yourself for some days; earlier plans end by it."""
    now_ms = app.clock.now_ms()
    fact = GateWaived(
        environment=_environment(arguments.place),
        gate=arguments.gate,
        person=request.asker.id,
        until_ms=now_ms + arguments.days * waiver.DAY_MS,
    )

    def rule(world: World) -> list[f.Fact]:
        return waiver.grant(world, request.asker, fact, now_ms)

    app.command(request, rule, reason=arguments.reason)
    answer: Plain = list_waivers(app, request, ListArguments())
    return answer


@operation("waiver end", "DELETE", "/waivers/{place}/{gate}", EndArguments)
def end(app: App, request: Request, arguments: EndArguments) -> Plain:
    """End a waiver before its time."""
    place = _environment(arguments.place)
    app.command(
        request,
        lambda w: waiver.end(w, request.asker, place, arguments.gate),
        reason=arguments.reason,
    )
    answer: Plain = list_waivers(app, request, ListArguments())
    return answer
