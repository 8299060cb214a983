"""The tags of devices: one row for each device that has some, its tags sorted, between spaces.

Keeps: a change is one transaction, and making it again changes nothing. Does not: decide who may.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from surefoot.core.device_tags import changed
from surefoot.store.database import Database, Session, Value
from surefoot.store.device_target import Targeted, Targeting


class DeviceTags:
    """See the module. May be called from any thread, by many processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, environment: str, devices: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The tags of those devices that there are, by name."""
        with self._database.read() as session:
            return {name: tags for name, _, tags in _rows(session, environment, devices)}

    def meant(self, environment: str, query: str, now_ms: int, most: int) -> list[str]:
        """The first `most` devices that a query finds, in no order. Raises `Refused`."""
        targeted = Targeted(Targeting(query=query), now_ms)
        found: list[str] = []
        with self._database.read() as session:
            targeted.read_tags(session, environment)
            asked: dict[str, Value] = {"environment": environment, "whole": 1, "version": ""}
            for row in targeted.of(session.each("device.assignable_seen", **asked)):
                if len(found) < most:
                    found.append(row[1])
        return found

    def change(
        self, environment: str, devices: Sequence[str], add: Sequence[str], remove: Sequence[str]
    ) -> None:
        """Add tags to devices and remove others; a device that is not there is left out."""
        with self._database.write() as session:
            session.run("device.lock")
            found = _rows(session, environment, devices)
            rows: list[dict[str, Value]] = [
                {"number": number, "tags": " ".join(changed(tags, add, remove))}
                for _, number, tags in found
            ]
            session.run_many("device.put_tags", rows)
            for statement, named in (
                ("device.put_tag_name", add),
                ("device.drop_tag_name", remove),
            ):
                names: list[dict[str, Value]] = [
                    {"environment": environment, "tag": tag, "device": name, "number": number}
                    for name, number, _ in found
                    for tag in dict.fromkeys(named)
                ]
                session.run_many(statement, names)


def _rows(
    session: Session, environment: str, devices: Iterable[str]
) -> list[tuple[str, int, tuple[str, ...]]]:
    names = list(dict.fromkeys(devices))
    asked = [{"environment": environment, "device": name} for name in names]
    found = zip(names, session.row_many("device.tags", asked), strict=True)
    return [(name, row[0], tuple(row[1].split())) for name, row in found if row is not None]
