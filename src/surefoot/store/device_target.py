"""Which of an environment's devices a rollout is for: a query, a list of names, or both together.

Keeps: without a query and a list it is for all; attributes and tags are read only where the query
asks for them, and equal ones once. Does not: judge whether a device can take the release.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from functools import lru_cache
from sys import intern

import msgspec

from surefoot.core.fiql import fields_of, parse
from surefoot.core.fiql_match import DeviceView, matcher
from surefoot.store.database import Row, Session
from surefoot.store.device_known import Candidate

_KEPT = 4_096


class Targeting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Devices that the query finds, and those of the list."""

    query: str = ""
    devices: tuple[str, ...] = ()


class Targeted:
    """Answers for many devices. Raises `Refused("device.query.input")` for a wrong query."""

    def __init__(self, targeting: Targeting, now_ms: int = 0) -> None:
        self._all = not targeting.query and not targeting.devices
        self._named = frozenset(targeting.devices)
        expression = parse(targeting.query) if targeting.query else None
        self._match = matcher(expression, now_ms) if expression is not None else None
        fields = fields_of(expression) if expression is not None else frozenset()
        self._wants_tags = "tag" in fields
        self._tags: dict[int, str] = {}
        self.wants_attributes = "attribute" in fields
        self.wants_seen = "lastseen" in fields

    def read_tags(self, session: Session, environment: str) -> None:
        """Before the first device: read what the query asks for beside the devices' rows."""
        if self._wants_tags:
            rows = session.each("device.all_tags", environment=environment)
            # Devices share their tags: each text is kept once.
            self._tags = {number: intern(tags) for number, tags in rows}

    def of(self, rows: Iterable[Row], moved: Container[int] = ()) -> Iterable[Row]:
        """Rows of `assignable`, or `assignable_seen`, that the rollout is for, or has moved."""
        if self._all:
            return rows
        return (r for r in rows if r[0] in moved or self.has(Candidate(*r[:8]), *r[8:]))

    def has(self, device: Candidate, seen_ms: int = 0) -> bool:
        """Whether the rollout is for this device."""
        if self._all or device.device in self._named:
            return True
        return self._match is not None and self._match(self._view(device, seen_ms))

    def _view(self, device: Candidate, seen_ms: int) -> DeviceView:
        return DeviceView(
            device=device.device,
            hardware=device.hardware,
            runs=device.runs,
            standing=device.standing,
            client=device.profile,
            seen_ms=seen_ms,
            tags=_split(self._tags.get(device.number, "")) if self._wants_tags else (),
            attributes=_attributes(device.attributes) if self.wants_attributes else {},
        )


@lru_cache(_KEPT)
def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@lru_cache(_KEPT)
def _attributes(text: str) -> dict[str, str]:
    return msgspec.json.decode(text, type=dict[str, str])
