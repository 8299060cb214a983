"""The arguments of each action, read strictly.

Rules: an unknown action or argument is refused before anything is touched.
Does not: act.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from surefoot.core.errors import Refused
from surefoot.core.target import Step
from surefoot.targets.database.migration import MigrationClass

DigestText = Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]


class Create(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make an empty database."""


class Destroy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Remove the database with all its data."""


class Backup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make a verified backup."""


class Migrate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Apply the pending migrations of an artifact up to number `to`, of these classes only."""

    artifact: DigestText
    classes: tuple[MigrationClass, ...]
    to: int = 9999


class Restore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Put a backup into place; `backup` is the digest of its manifest."""

    backup: DigestText
    writers_stopped: bool = False


class CloneFrom(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fill an empty database from a backup under a data policy."""

    backup: DigestText
    policy: Literal["none", "masked", "full"]
    masked: list[str] = []


class Check(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask one value; with `expect`, another value fails."""

    sql: str
    expect: str | int | bool | None = None


Action: TypeAlias = Create | Destroy | Backup | Migrate | Restore | CloneFrom | Check

_ACTIONS: dict[str, type[Action]] = {
    "create": Create,
    "destroy": Destroy,
    "backup": Backup,
    "migrate": Migrate,
    "restore": Restore,
    "clone_from": CloneFrom,
    "check": Check,
}


def parse(step: Step) -> Action:
    """The typed action of a step. Raises `Refused("database.action.input")`."""
    kind = _ACTIONS.get(step.action)
    if kind is None:
        raise _refused(step, f"one of {', '.join(_ACTIONS)}", step.action[:80])
    try:
        action: Action = msgspec.convert(step.arguments, kind)
    except msgspec.ValidationError as error:
        raise _refused(step, f"the arguments of {step.action}", str(error)) from None
    return action


def _refused(step: Step, expected: str, found: str) -> Refused:
    return Refused(
        "database.action.input",
        f"step {step.id}",
        expected=expected,
        found=found,
        remedy="plan again with this version",
    )
