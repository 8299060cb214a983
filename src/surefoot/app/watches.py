"""Operations on gates that run again and again: what they last said, and a look out of turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec

from surefoot.app.as_of import AsOf
from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.app.operation import Arguments, Request, operation
from surefoot.core import environment as environments
from surefoot.core import policy, watch
from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.core.world import Environment, Watch, WatchedGate, World
from surefoot.trust.digest import Digest

_Name = Annotated[str, msgspec.Meta(max_length=100)]


class ListArguments(Arguments, frozen=True, kw_only=True):
    environment: _Name = ""
    at: str = ""


class RunArguments(Arguments, frozen=True, kw_only=True):
    name: _Name
    gate: _Name


@operation("watch list", "GET", "/watches", ListArguments)
def list_watches(app: App, request: Request, arguments: ListArguments) -> Plain:
    """Each gate that looks again at an environment: its last verdict, since when, what is late."""
    then = AsOf(app, arguments.at)
    if arguments.environment:
        named = then.environment(arguments.environment)
        found = [named] if named is not None else []
    else:
        found = then.environments()
    rules = World()
    rules.definition = then.definition()
    rows = [row for each in found for row in _rows(then, rules, each)]
    return {"watches": [*rows], "alarms": sum(bool(row["alarm"]) for row in rows)}


def _rows(then: AsOf, rules: World, environment: Environment) -> Iterator[Plain]:
    planned = watch.schedule(rules, environment)
    state = then.state(f"watch/{environment.name}")
    seen = msgspec.convert(state, Watch).gates if state else {}
    releases = {r.digest: r.version for r in then.releases()} if seen else {}
    for gate, minutes in sorted(planned.items()):
        last = seen.get(gate)
        late = watch.overdue(minutes, last, then.at_ms)
        yield {
            "environment": environment.name,
            "gate": gate,
            "every_minutes": minutes,
            "overdue": late,
            "alarm": late or (last is not None and last.verdict != "pass"),
            **(_seen(last, releases) if last else {"verdict": "", "reason": "not looked at yet"}),
        }


def _seen(last: WatchedGate, releases: Mapping[Digest, str]) -> Plain:
    return {
        "verdict": last.verdict,
        "reason": last.reason,
        "since": shown(last.since_ms),
        "checked_at": shown(last.checked_ms),
        "runs": last.runs,
        "release_version": releases.get(last.release, ""),
        "evidence": last.evidence,
    }


@operation("watch run", "POST", "/environments/{name}/watch/{gate}", RunArguments)
def run_watch(app: App, request: Request, arguments: RunArguments) -> Plain:
    """Look now, before the next look is due."""

    def rule(world: World) -> None:
        policy.require(world, request.asker, "environment.manage")
        environment = environments.find(world, arguments.name)
        if watch.changing(world, environment.name):
            environments.check_idle(world, environment.name)
        planned = watch.schedule(world, environment)
        if arguments.gate not in planned:
            raise Refused(
                "watch.unknown",
                f"gate {arguments.gate} in {arguments.name}",
                expected=", ".join(sorted(planned)) or "a gate under watch in surefoot.yaml",
                found=arguments.gate,
                remedy="surefoot watch list",
            )

    app.check(request, rule)
    app.ready()
    app.watch(arguments.name, arguments.gate)
    answer: Plain = list_watches(app, request, ListArguments(environment=arguments.name))
    return answer
