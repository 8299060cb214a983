"""What a device is given next when it goes to its firmware by way of others.

Keeps: each image of the way is an action of its own, and the next is assigned in the transaction
that verifies the one before; it is judged anew by what the device then shows. Images on the way are
counted apart from the wave, so that a device is one device in the books; the next action's report
comes before the one that verifies, so no beginning of the reports counts too few devices.
Does not: choose the first image (`store.device_choice`), or go on in a rollout that was stopped.
"""

from __future__ import annotations

import msgspec

from surefoot.core.device import ActionKind, ActionState
from surefoot.core.eligibility import AlreadyThere, Demand, Fit, judge
from surefoot.core.rollout import VIA, wave_of
from surefoot.store.database import Session
from surefoot.store.device_known import Candidate, known_of
from surefoot.store.device_rows import ActionRow, DeviceRow, Task

_GOES_ON: dict[str, frozenset[str]] = {
    "update": frozenset({"running", "complete"}),
    "return": frozenset({"returned"}),
    "download": frozenset(),  # what is only held is no step of a way
}
_DONE: dict[ActionKind, ActionState] = {
    "update": "verified",
    "return": "returned",
    "download": "downloaded",
}


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """What a rollout, or its return, demands of each device, for the devices on their way."""

    demand: Demand
    release: str
    deadline_seconds: int
    confirmation: bool = False


class Next(msgspec.Struct, frozen=True, kw_only=True):
    """The next action of a device; one that is ended already has another state and a reason."""

    task: Task
    state: ActionState = "assigned"
    reason: str = ""


def keep_route(
    session: Session, environment: str, deployment: int, kind: ActionKind, route: Route
) -> None:
    """Store what the devices of a rollout will need to go on, with the images they may take."""
    for image in (*route.demand.parts, *route.demand.stones):
        record = msgspec.json.encode(image).decode()
        session.run("device.insert_firmware", digest=image.digest, record=record)
    session.run(
        "device.insert_route",
        environment=environment,
        deployment=deployment,
        kind=kind,
        record=msgspec.json.encode(route).decode(),
    )


def first_task(task: Task, found: Fit) -> Task:
    """A wave's task as one device gets it: the first image of its way."""
    wave = task.wave + VIA if len(found.hops) > 1 else task.wave
    return msgspec.structs.replace(task, wave=wave, firmware=found.hops[0])


def next_task(session: Session, device: DeviceRow, action: ActionRow, now_ms: int) -> Next | None:
    """What comes after an image on the way; None when the rollout no longer goes on."""
    row = session.row(
        "device.route",
        environment=device.environment,
        deployment=action.deployment,
        kind=action.kind,
    )
    if row is None or row[1] not in _GOES_ON[action.kind]:
        return None
    route = msgspec.json.decode(row[0], type=Route)
    last = route.demand.parts[-1]
    task = Task(
        deployment=action.deployment,
        wave=wave_of(action.wave),
        kind=action.kind,
        release=route.release,
        firmware=last,
        deadline_ms=now_ms + route.deadline_seconds * 1000,
        confirmation=route.confirmation,
    )
    found = judge(known_of(candidate_of(device), {}), route.demand)
    if isinstance(found, Fit):
        return Next(task=first_task(task, found))
    if isinstance(found, AlreadyThere):
        return Next(task=task, state=_DONE[action.kind], reason=found.sentence)
    return Next(task=task, state="failed", reason=found.sentence)


def candidate_of(device: DeviceRow) -> Candidate:
    """A device of the ledger, as it is judged."""
    return Candidate(*(getattr(device, name) for name in Candidate.__struct_fields__))
