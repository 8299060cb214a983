"""Why a rollout's devices wait, in words: window, rate, concurrency, growth, back-off, soak, pause.

Keeps: what devices wait for is read of the registry, what the rollout waits for of the journal.
Does not: decide who may begin (`core.pace`).
"""

from __future__ import annotations

from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.core.governance import Pace
from surefoot.core.pace import NEVER_MS
from surefoot.core.plan import decode
from surefoot.core.target import Plain
from surefoot.core.wave_time import times_of
from surefoot.core.world import Deployment, World
from surefoot.engine.device_pacer import rollout_of
from surefoot.store.device_holds import Holds

_WORDS = {
    "window": "no maintenance window is open for them",
    "retry": "they failed, and try again after a while",
    "paused": "the rollout is paused",
    "turn": "their turn comes with the next look",
}


def holds_of(app: App, environment: str, number: int) -> list[Plain]:
    """What holds a rollout now, each with devices, words and, where known, until when."""
    count = app.read(lambda w: dict(rollout_of(w, environment, number).count))
    found = app.holds.of_rollout(environment, number, count)
    deployment = app.read(lambda w: _copied(w, number))
    around = _around(app, deployment) if deployment is not None else []
    devices = [
        _hold(each.held, each.devices, _word(each.held, found), _until(each.held, each.until_ms))
        for each in found.waiting
    ]
    return [*around, *devices]


def hold_of(app: App, environment: str, number: int, action: int) -> Plain:
    """What holds one device's action; nothing when nothing does."""
    waits = app.holds.of_action(action)
    if waits is None:
        return {}
    count = app.read(lambda w: dict(rollout_of(w, environment, number).count))
    found = app.holds.of_rollout(environment, number, count)
    until = _until(waits.held, waits.until_ms)
    return _hold(waits.held, 1, _word(waits.held, found).replace("them", "it"), until)


def _copied(world: World, number: int) -> Deployment | None:
    return world.deployments.get(number)


def _around(app: App, deployment: Deployment) -> list[Plain]:
    """What the deployment itself waits for: the rollout's start, or the end of a soak."""
    if deployment.ended_ms or deployment.returning or deployment.stopping:
        return []
    now_ms, plan = app.clock.now_ms(), decode(app.blobs.get(deployment.plan))
    for planned in plan.steps:
        step = deployment.steps[planned.step.id]
        if step.status == "done":
            continue
        start_ms = times_of(planned.step)[0]
        if planned.step.action == "wave" and now_ms < start_ms:
            return [_hold("start", 0, "the rollout's start is not reached", shown(start_ms))]
        if planned.step.action == "soak":
            wave = planned.step.arguments.get("wave")
            ends = [
                deployment.steps[p.step.id].figures.get("soak_until_ms", 0)
                for p in plan.steps
                if p.step.action == "await" and p.step.arguments.get("wave") == wave
            ]
            until = ends[0] if ends and isinstance(ends[0], int) else 0
            number = int(wave) + 1 if isinstance(wave, int) else 0
            words = f"wave {number} passed, and is watched for a while"
            return [_hold("soak", 0, words, shown(until))] if until > now_ms else []
        return []
    return []


def _word(held: str, found: Holds) -> str:
    if held != "turn" or not found.caps:
        return _WORDS.get(held, held)
    return " and ".join(_cap(name, found.pace, found.under_way) for name in found.caps)


def _cap(name: str, pace: Pace, under_way: int) -> str:
    if name == "concurrency":
        return f"{under_way} are under way, {pace.concurrency} may be at once"
    if name == "rate":
        return f"{pace.rate_per_minute} have begun within a minute, no more may"
    return "more may begin once enough of those before have succeeded"


def _until(held: str, until_ms: int) -> str:
    return shown(until_ms) if held in ("window", "retry") and until_ms < NEVER_MS else ""


def _hold(reason: str, devices: int, words: str, until: str) -> Plain:
    return {"reason": reason, "devices": devices, "words": words, "until": until}
