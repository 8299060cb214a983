"""The question about a fleet: versions by share, rollouts wave by wave, and who is in the way.

Keeps: counts are those of sealed batches, so they cost the same for ten devices and a million, and
are the ones that rules read; names come along an index, a few of each kind.
Does not: list the fleet (`app.device_list`).
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from surefoot.app.as_of import AsOf
from surefoot.app.device_list import row
from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.app.operation import Arguments, Request, operation
from surefoot.core import environment as environments
from surefoot.core.device import WAITING
from surefoot.core.governance import WavePolicy
from surefoot.core.plan import decode as decode_plan
from surefoot.core.profile import profile_of, withheld
from surefoot.core.rollout import NEWCOMERS_WAVE, judge_newcomers, judge_wave
from surefoot.core.target import Plain
from surefoot.core.world import Deployment, DeviceBooks
from surefoot.store.device import DeviceSummary
from surefoot.store.device_inventory import DeviceFilter

_LOOKED_AT = 200
_UNSENT = ("assigned", "offered")


class FleetArguments(Arguments, frozen=True, kw_only=True):
    name: str
    at: str = ""


class BlockerArguments(Arguments, frozen=True, kw_only=True):
    """`limit` is how many devices of each kind are named; deployment 0 is the newest rollout."""

    name: str
    deployment: Annotated[int, msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10


@operation("fleet show", "GET", "/environments/{name}/fleet", FleetArguments)
def show(app: App, request: Request, arguments: FleetArguments) -> Plain:
    """A fleet as sealed reports tell: versions by share, and rollouts wave by wave."""
    then = AsOf(app, arguments.at)
    environment = then.environment(arguments.name)
    if environment is None:
        return {"name": arguments.name, "exists": False, "at": shown(then.at_ms)}
    books = then.devices(arguments.name) or DeviceBooks(environment=arguments.name)
    rollouts = [_rollout(app, then, number, books) for number in sorted(books.waves, key=int)]
    answer: Plain = {
        "name": arguments.name,
        "devices": environment.devices,
        "versions": books.firmware,
        "reports": books.reports,
        "rollouts": [*reversed(rollouts)],
    }
    return answer if then.now else {**answer, "at": shown(then.at_ms)}


def _rollout(app: App, then: AsOf, number: str, books: DeviceBooks) -> Plain:
    waves = books.waves[number]
    states: dict[str, int] = {}
    for counts in waves.values():
        assert isinstance(counts, dict)
        for state, count in counts.items():
            states[state] = states.get(state, 0) + int(str(count))
    found = then.deployment(int(number))
    about = _about(app, found, waves) if found else {}
    return {"deployment": int(number), "waves": waves, "states": {**states}, **about}


def _about(app: App, deployment: Deployment, waves: Any) -> Plain:
    plan = decode_plan(app.blobs.get(deployment.plan))
    policy = msgspec.convert(plan.wave_policy, WavePolicy)
    verdicts: Plain = {}
    for wave in waves:
        if wave.isdigit():
            found = judge_wave(waves, int(wave), policy)
            verdicts[wave] = {"verdict": found.verdict, "reason": found.reason}
        elif wave == NEWCOMERS_WAVE:
            found = judge_newcomers(waves, policy)
            verdicts[wave] = {"verdict": found.verdict, "reason": found.reason}
    return {
        "status": deployment.status,
        "paused": deployment.paused,
        "purpose": deployment.purpose,
        "release_version": deployment.release_version,
        "begun_at": shown(deployment.begun_ms),
        "ended_at": shown(deployment.ended_ms),
        "policy": plan.wave_policy,
        "verdicts": verdicts,
    }


@operation(
    "fleet blockers",
    "GET",
    "/environments/{name}/fleet/blockers",
    BlockerArguments,
    timeless="who is in the way now; of a time that has been: device list with a state and a time",
)
def blockers(app: App, request: Request, arguments: BlockerArguments) -> Plain:
    """Who is in the way of a rollout, by name: failed, timed out, not known, cannot take it."""
    # The unable are found among the first that the rollout was given to.
    environment, names = arguments.name, arguments.limit
    app.read(lambda w: environments.find(w, environment))
    number = arguments.deployment or app.inventory.newest_rollout(environment)

    def some(state: str, limit: int) -> tuple[DeviceSummary, ...]:
        wanted = DeviceFilter(state=state, deployment=number)
        return app.inventory.page(environment, wanted, limit=limit).devices

    unsent = [device for state in _UNSENT for device in some(state, _LOOKED_AT)] if number else []
    unable = [(device, _why_unable(app, device)) for device in unsent]
    return {
        "deployment": number,
        "pending": app.inventory.waiting(environment),
        **{
            state: [*(row(device) for device in some(state, names))] if number else []
            for state in ("failed", "timed_out", "unknown")
        },
        "unable": [*[{**row(device), "why": why} for device, why in unable if why][:names]],
    }


def _why_unable(app: App, device: DeviceSummary) -> str:
    if device.consent in WAITING:
        return "its user has not agreed" if device.consent == "waiting" else "its user said no"
    if device.standing:
        return f"it is {device.standing}"
    if not device.profile:
        return ""
    firmware = app.fleet.firmware(device.firmware)
    return withheld(profile_of(device.profile), [[firmware.file]]) if firmware else ""
