"""Which versions devices may run, each with some names: for plans that would leave them behind.

Keeps: what counts is what a device showed last and what it may have installed since, however long
it has been silent; a device that is not let in does not count. Does not: judge.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from surefoot.store.database import Session
from surefoot.store.device_known import Candidate, begun, known_of

NAMES_MAX = 10


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A version of one part, how many devices may run it, and the first of their names.

    The part is named by its attribute, empty for the one that the usual names tell. An empty
    version: nothing is known.
    """

    attribute: str
    version: str
    count: int
    names: tuple[str, ...]


def shown_versions(session: Session, environment: str, attributes: Sequence[str]) -> list[Shown]:
    """All versions of these parts that a device of the environment may run, sorted."""
    doubts = begun(session, environment)
    counts: dict[tuple[str, str], int] = {}
    names: dict[tuple[str, str], list[str]] = {}
    parts = [name for name in attributes if name]
    whole = int(bool(doubts or parts))
    for row in session.each("device.assignable", environment=environment, whole=whole, version=""):
        device = Candidate(*row)
        if device.standing:
            continue
        for key in _versions(device, parts, doubts.get(device.number)):
            counts[key] = counts.get(key, 0) + 1
            some = names.setdefault(key, [])
            if len(some) < NAMES_MAX:
                some.append(device.device)
    return [
        Shown(attribute=key[0], version=key[1], count=counts[key], names=tuple(sorted(names[key])))
        for key in sorted(counts)
    ]


def _versions(device: Candidate, parts: Sequence[str], doubt: object) -> set[tuple[str, str]]:
    if device.runs and not parts and not doubt:
        return {("", device.runs)}
    known = known_of(device, doubt if isinstance(doubt, dict) else {})
    found = set()
    for part in ("", *parts):
        versions = {known.shown.get(part, ""), *known.may_run.get(part, ())} - {""}
        found |= {(part, version) for version in versions} or ({("", "")} if not part else set())
    return found
