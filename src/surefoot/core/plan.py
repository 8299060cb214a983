"""The plan: every choice made beforehand, immutable, with a digest and a parent.

Keeps: the same inputs give the same plan; nothing is left for the one who applies it to choose;
the rollback verdict is part of what approvals bind to. A plan's parent is the heads of the streams
it was made from and the digests of what the targets looked like. Source: journal, "Decided" 5.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from surefoot.core.errors import Refused
from surefoot.core.target import Plain, Step
from surefoot.trust import canonical
from surefoot.trust.digest import Digest, digest_of

Sign = Literal["+", "~", "-", "="]

_PHASES = {
    "gate": 0,
    "hardening": 5,
    "baseline": 6,
    "create": 10,
    "clone_from": 11,
    "restore": 12,
    "backup": 20,
    "migrate": 30,
    "restart": 35,
    "start": 40,
    "check": 50,
    "privilege": 55,
    "switch": 60,
    "drain": 70,
    "smoke": 80,
    "transport": 81,
    "load": 82,
    "availability": 85,
    "resilience": 87,
    "wave": 90,
    "await": 90,
    "soak": 90,
    "hold": 97,
    "contract": 99,
    "remove": 100,
    "destroy": 101,
}


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What becomes of one thing: `+` new, `~` changed, `-` gone, `=` the same."""

    sign: Sign
    subject: str
    before: str = ""
    after: str = ""


class ComponentAfter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the environment's record says of a component once a step is done (or undone)."""

    component: str
    kind: str
    artifact: Digest
    version: str
    release: Digest
    detail: Plain = {}


class PlannedStep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step, how to undo it, and what it makes true; `also`: of other parts of the devices."""

    step: Step
    undo: Step | None = None
    after: ComponentAfter | None = None
    before: ComponentAfter | None = None
    settles: bool = False
    wave: int = 0
    also: tuple[ComponentAfter, ...] = ()


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Up to which step the deployment can be undone, and why not after it."""

    reversible: bool
    last_reversible_step: str = ""
    first_irreversible_step: str = ""
    why: str = ""


class Settings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is set beside the components."""

    values: Plain = {}
    secrets: Plain = {}
    infrastructure: Plain = {}
    tools: Plain = {}


class SettingsBefore(Settings, frozen=True, kw_only=True, omit_defaults=True):
    """What was in force before, for the record when the deployment is returned."""

    release: str = ""
    release_version: str = ""
    settings: str = ""


class Parent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the plan was made from: stream heads (entry index) and observation digests."""

    heads: dict[str, int] = {}
    observations: dict[str, Digest] = {}


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A deployment, decided."""

    deployment: int
    environment: str
    purpose: str
    release: Digest
    release_version: str
    steps: tuple[PlannedStep, ...]
    changes: tuple[Change, ...]
    verdict: Verdict
    settings: Settings
    parent: Parent
    before: SettingsBefore = SettingsBefore()
    unchanged: tuple[ComponentAfter, ...] = ()
    unchanged_before: tuple[ComponentAfter, ...] = ()
    keep_service: bool = False
    keep_service_why: str = ""
    devices_return_first: bool = False
    devices_return_why: str = ""
    devices_unknown: str = ""
    wave_policy: Plain = {}
    availability_percent: str = ""

    def encode(self) -> bytes:
        """Canonical bytes: what the digest is over and what an approver's key signs."""
        return canonical.encode(msgspec.to_builtins(self))

    def digest(self) -> Digest:
        """The plan's digest."""
        return digest_of(self.encode())

    def planned(self, step_id: str) -> PlannedStep:
        """The planned step of that id."""
        return next(p for p in self.steps if p.step.id == step_id)


def decode(content: bytes) -> Plan:
    """The plan of stored bytes."""
    return msgspec.json.decode(content, type=Plan)


def phase_of(step: Step) -> int:
    """Where a step stands in the order that is the same for every environment."""
    classes = step.arguments.get("classes")
    if (
        step.action == "migrate"
        and isinstance(classes, list | tuple)
        and list(classes) == ["contract"]
    ):
        return _PHASES["contract"]
    if step.action == "backup" and step.id.endswith("backup-contract"):
        return _PHASES["contract"] - 1
    return _PHASES[step.action]


def weave(steps: list[Step]) -> list[Step]:
    """Steps of several targets in the one order, numbered; stable within a phase."""
    ordered = sorted(steps, key=phase_of)
    return [
        msgspec.structs.replace(step, id=f"{number:02d}-{step.id}")
        for number, step in enumerate(ordered, 1)
    ]


def verdict_of(steps: tuple[PlannedStep, ...], obstacle: str) -> Verdict:
    """The rollback verdict. `obstacle` says why the release before cannot come back at all."""
    first = next((p.step for p in steps if not p.step.reversible), None)
    if obstacle:
        return Verdict(
            reversible=False,
            first_irreversible_step=steps[0].step.id if steps else "",
            why=obstacle,
        )
    if first is None:
        return Verdict(
            reversible=True,
            last_reversible_step=steps[-1].step.id if steps else "",
            why="every step can be undone",
        )
    ids = [p.step.id for p in steps]
    before = ids[: ids.index(first.id)]
    return Verdict(
        reversible=False,
        last_reversible_step=before[-1] if before else "",
        first_irreversible_step=first.id,
        why=first.why_irreversible,
    )


def ranges_meet(required: object, provided: object) -> bool:
    """Whether two ranges [lowest, highest] have a version in common."""
    if not (isinstance(required, list | tuple) and isinstance(provided, list | tuple)):
        return False
    return max(int(required[0]), int(provided[0])) <= min(int(required[1]), int(provided[1]))


def conflicts(parts: dict[str, Plain]) -> list[str]:
    """Unmet requirements among components that run at the same time, one line each.

    `parts` maps a label ("firmware 1.0.0") to {"provides": {...}, "requires": {...}}. A required
    interface that no part provides is a conflict as well.
    """
    found = []
    for label, part in parts.items():
        required = part.get("requires", {})
        for interface, versions in required.items() if isinstance(required, dict) else ():
            providers = {
                other: offer[interface]
                for other, entry in parts.items()
                if isinstance(offer := entry.get("provides", {}), dict) and interface in offer
            }
            if not providers:
                found.append(f"{label} requires {interface} {_text(versions)}; nothing provides it")
            found += [
                f"{label} requires {interface} {_text(versions)}; {other} provides {_text(offer)}"
                for other, offer in providers.items()
                if not ranges_meet(versions, offer)
            ]
    return found


def _text(versions: object) -> str:
    if isinstance(versions, list | tuple) and len(versions) == 2:
        return f"{versions[0]} to {versions[1]}"
    return str(versions)


def check_parent(plan: Plan, heads: dict[str, int], label: str) -> None:
    """Refuse when a stream the plan was made from has moved."""
    for stream, head in plan.parent.heads.items():
        now = heads.get(stream, -1)
        if now != head:
            raise Refused(
                "plan.parent.moved",
                label,
                expected=f"{stream} at entry {head}, as when the plan was made",
                found=f"entry {now}",
                remedy="make a new plan and have that one looked at: surefoot deployment plan",
            )
