"""Operations on rollouts: the blast radius beforehand, and what is under way.

Keeps: a plan looks and records nothing; it asks the same two questions of each device that the
waves will ask. Does not: start a rollout: that is a deployment, with its plan and its approvals.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from surefoot.app.deployments import Number
from surefoot.app.facade import App
from surefoot.app.operation import Arguments, Request, operation
from surefoot.app.planning import fleet_for
from surefoot.app.rollout_holds import holds_of
from surefoot.core import environment as environments
from surefoot.core import release as releases
from surefoot.core.device_tags import with_tag
from surefoot.core.eligibility import Demand
from surefoot.core.errors import Refused
from surefoot.core.fiql import LENGTH_MAX
from surefoot.core.outlook import computed, outlook
from surefoot.core.target import Plain
from surefoot.engine.device_pacer import Zones
from surefoot.store.device_blast import Blast, BlastAsk
from surefoot.store.device_rollouts import Rollout
from surefoot.store.device_target import Targeting
from surefoot.targets.fleet import Desired

_BANDWIDTH = re.compile(r"([0-9]{1,9})([kKMG]?)", re.ASCII)
_BITS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9}
_LIVE = "what the registry holds now; deployment show --at has the sealed counters of a past time"


class PlanArguments(Arguments, frozen=True, kw_only=True):
    environment: str
    release: str
    query: Annotated[str, msgspec.Meta(max_length=LENGTH_MAX)] = ""
    tag: Annotated[str, msgspec.Meta(max_length=60)] = ""
    bandwidth: Annotated[str, msgspec.Meta(max_length=20)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    after: Annotated[str, msgspec.Meta(max_length=256)] = ""


class ListArguments(Arguments, frozen=True, kw_only=True):
    name: str
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


class ShowArguments(Arguments, frozen=True, kw_only=True):
    name: str
    number: Number


@operation("rollout plan", "POST", "/rollouts/plans", PlanArguments)
def plan(app: App, request: Request, arguments: PlanArguments) -> Plain:
    """Say which devices a rollout would move, and when, changing and recording nothing."""
    bits = _bits(arguments.bandwidth)
    version = app.read(lambda w: releases.find(w, arguments.release).version)
    desired = _desired(app, arguments)
    targeting = Targeting(query=desired.policy.query, devices=desired.policy.devices)
    if arguments.query or arguments.tag:
        targeting = Targeting(query=with_tag(arguments.query, arguments.tag))
    ask = BlastAsk(
        environment=arguments.environment,
        demand=_demand(desired),
        targeting=targeting,
        now_ms=app.clock.now_ms(),
        limit=arguments.limit,
        after=arguments.after,
    )
    found = app.blast(ask)
    policy = msgspec.structs.replace(desired.policy, waves=desired.waves)
    moves = (found.moves, found.hops, found.size_bytes)
    offset = Zones().offset_of(policy.pace.timezone)
    waves = outlook(moves, found.heard, policy, bits, offset)
    return {
        "environment": arguments.environment,
        "release_version": version,
        "firmware": [part.version for part in (*desired.parts, desired.firmware)],
        "target": msgspec.to_builtins(targeting) or "all devices",
        **_counts(found),
        "waves": [msgspec.to_builtins(wave) for wave in waves],
        "poll_seconds": found.heard.poll_seconds,
        "bandwidth_bits": bits,
        "hours": _hours(waves[-1].seconds if waves else None),
        "computed": [*computed(found.heard, policy, bits)],
        "type": policy.urgency,
    }


def _counts(found: Blast) -> Plain:
    heard = found.heard
    return {
        "registered": found.registered,
        "matching": found.matching,
        "already_there": found.already_there,
        "moves": found.moves,
        "size_bytes": found.size_bytes,
        "names": list(found.names),
        "unfit": [
            {"reason": reason, **msgspec.to_builtins(group)}
            for reason, group in sorted(found.unfit.items())
        ],
        "heard": {
            "within an hour": heard.hour,
            "within a day": heard.day - heard.hour,
            "within a week": heard.week,
            "longer ago": heard.longer,
            "never": heard.never,
        },
    }


def _hours(seconds: int | None) -> str:
    return "" if seconds is None else f"{seconds / 3600:.2f}"


def _bits(text: str) -> int:
    found = _BANDWIDTH.fullmatch(text)
    if text and (found is None or int(found[1]) == 0):
        raise Refused(
            "rollout.bandwidth.input",
            "bandwidth",
            expected="bits a second, like 100M, 512k or 1G",
            found=repr(text),
            remedy="leave it out when the line is no limit",
        )
    return int(found[1]) * _BITS[found[2]] if found and text else 0


def _desired(app: App, arguments: PlanArguments) -> Desired:
    plain = fleet_for(app, arguments.environment, arguments.release)
    if not plain:
        raise Refused(
            "rollout.nothing",
            f"release {arguments.release[:80]}",
            expected=f"firmware that {arguments.environment} does not have on record already",
            found="no image, no fleet, or the same image",
            remedy="see: surefoot deployment plan",
        )
    return msgspec.convert(plain, Desired)


def _demand(desired: Desired) -> Demand:
    return Demand(
        parts=(*desired.parts, desired.firmware),
        stones=desired.stones,
        allow_downgrade=desired.policy.allow_downgrade,
        unknown="wait" if desired.policy.known_versions_only else "offer",
        download_only=desired.policy.urgency == "download-only",
    )


@operation("rollout list", "GET", "/environments/{name}/rollouts", ListArguments, timeless=_LIVE)
def list_rollouts(app: App, request: Request, arguments: ListArguments) -> Plain:
    """Rollouts of an environment, newest first."""
    app.read(lambda w: environments.find(w, arguments.name))
    found = app.rollouts(arguments.name, arguments.limit)
    return {"rollouts": [_row(app, rollout) for rollout in found]}


@operation(
    "rollout show", "GET", "/environments/{name}/rollouts/{number}", ShowArguments, timeless=_LIVE
)
def show(app: App, request: Request, arguments: ShowArguments) -> Plain:
    """One rollout: its devices by wave and state, and what holds them, as the registry has it."""
    app.read(lambda w: environments.find(w, arguments.name))
    for rollout in app.rollouts(arguments.name, 2**31):
        if rollout.deployment == arguments.number:
            states = app.fleet.states(arguments.name, rollout.deployment)
            waves: list[Plain] = [{"wave": w, "states": dict(states[w])} for w in sorted(states)]
            holds = holds_of(app, arguments.name, rollout.deployment)
            return {**_row(app, rollout), "waves": [*waves], "holds": [*holds]}
    raise Refused(
        "rollout.number.unknown",
        f"rollout {arguments.number}",
        expected=f"a deployment that moved devices of {arguments.name}",
        found="none of that number",
        remedy=f"see: surefoot rollout list {arguments.name}",
    )


def _row(app: App, rollout: Rollout) -> Plain:
    known = app.read(
        lambda w: [r.version for r in w.releases.values() if r.digest == rollout.release]
    )
    return {
        "deployment": rollout.deployment,
        "release_version": known[0] if known else "",
        "firmware": rollout.version,
        "status": rollout.status,
    }
