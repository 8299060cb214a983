"""What has to happen to a database: a pure function of what is wanted and what was seen.

Rules: nothing is changed before a verified backup; expand and backfill go before the new service,
contract goes after the old one is gone, in a step of its own that cannot be undone, with the
reason in words; a new, empty database takes everything at once, as there is nothing to lose.
Does not: decide when the contract step may run; the deployment's plan does.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from surefoot.core.errors import Refused
from surefoot.core.target import Observation, Step
from surefoot.targets.database.migration import CLASSES, Brief, pending
from surefoot.trust import canonical

_BEFORE = ("expand", "backfill")


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """What a release wants. `before` names the release that runs now, for the reasons given."""

    artifact: str = ""
    migrations: tuple[Brief, ...] = ()
    before: str = ""
    component: str = ""


def plan(
    target: str, desired: Mapping[str, canonical.JSON], observed: Observation
) -> tuple[Step, ...]:
    """Steps from observed to desired.

    Raises `Refused("database.desired.input")` for an unknown form,
    `Refused("migration.applied.changed")` when applied content changed, and
    `Refused("migration.order.refused")` when an expand comes after a contract that is still to be
    done, or the database is already contracted beyond what the release knows.
    """
    wanted = _desired(desired)
    stable = observed.stable
    applied = {
        int(name.removeprefix("schema/")): str(value)
        for name, value in stable.items()
        if name.removeprefix("schema/").isdigit()
    }
    fresh = not applied and not any(name.startswith("schema/object/") for name in stable)
    todo = pending(applied, wanted.migrations)
    _refuse_contracted(wanted, int(str(stable.get("schema/contract", 0))))
    steps = []
    if stable.get("state") != "present":
        steps.append(_step(target, "create", "create", "create an empty database", wanted))
    if fresh:
        if todo:
            steps.append(_migrate(target, "install", todo, wanted))
        return tuple(steps)
    before, contract = _parted(todo)
    for name, briefs in (("expand", before), ("contract", contract)):
        if briefs:
            steps.append(
                _step(target, f"backup-{name}", "backup", f"verified backup before {name}", wanted)
            )
            steps.append(_migrate(target, name, briefs, wanted))
    return tuple(steps)


def _desired(desired: Mapping[str, canonical.JSON]) -> Desired:
    try:
        wanted = msgspec.convert(dict(desired), Desired)
    except msgspec.ValidationError as error:
        raise Refused(
            "database.desired.input",
            "desired database",
            expected="artifact, migrations, before, component",
            found=str(error),
            remedy="describe the migrations artifact anew",
        ) from None
    numbers = [brief.number for brief in wanted.migrations]
    if numbers != list(range(1, len(numbers) + 1)) or (numbers and not wanted.artifact):
        raise Refused(
            "database.desired.input",
            "desired database",
            expected="migrations from 1 without gaps, and their artifact",
            found=str(numbers)[:80],
            remedy="describe the migrations artifact anew",
        )
    return wanted


def _refuse_contracted(wanted: Desired, contracted: int) -> None:
    known = len(wanted.migrations)
    if wanted.migrations and contracted > known:
        raise Refused(
            "migration.order.refused",
            f"contract {contracted:04d}",
            expected=f"a release that knows migration {contracted:04d}",
            found=f"one that ends at {known:04d}",
            remedy="deploy a later release, or restore the backup made before the contract",
        )


def _parted(todo: tuple[Brief, ...]) -> tuple[tuple[Brief, ...], tuple[Brief, ...]]:
    """Those before the new service, and the contracts after it."""
    contract = tuple(brief for brief in todo if brief.kind == "contract")
    before = tuple(brief for brief in todo if brief.kind in _BEFORE)
    if contract and before and before[-1].number > contract[0].number:
        raise Refused(
            "migration.order.refused",
            f"{before[-1].kind} {before[-1].number:04d}",
            expected=f"contract {contract[0].number:04d} applied before it",
            found="both in one deployment",
            remedy=f"first deploy the release that ends with contract {contract[0].number:04d}",
        )
    return before, contract


def _migrate(target: str, name: str, briefs: tuple[Brief, ...], wanted: Desired) -> Step:
    classes = [kind for kind in CLASSES if any(brief.kind == kind for brief in briefs)]
    lost = "" if name == "install" else _why_irreversible(briefs, wanted.before)
    said = ", ".join(f"{b.kind} {b.number:04d} {b.words.replace('_', ' ')}".strip() for b in briefs)
    return Step(
        id=f"{target}.migrate-{name}",
        target=target,
        action="migrate",
        component=wanted.component,
        arguments={"artifact": wanted.artifact, "classes": [*classes], "to": briefs[-1].number},
        summary=f"migrate: {said}"[:500],
        reversible=not lost,
        why_irreversible=lost,
    )


def _why_irreversible(briefs: tuple[Brief, ...], before: str) -> str:
    reasons = []
    for brief in briefs:
        if brief.kind == "contract":
            lost = ", ".join(brief.takes_away) or "ends what the old release needs"
            reasons.append(f"{brief.kind} {brief.number:04d} {lost}")
    if not reasons:
        return ""
    release = f"release {before}" if before else "the release before"
    return f"{'; '.join(reasons)[:800]}: rows written since cannot be read by {release}"


def _step(target: str, name: str, action: str, summary: str, wanted: Desired) -> Step:
    return Step(
        id=f"{target}.{name}",
        target=target,
        action=action,
        component=wanted.component,
        summary=summary,
    )
