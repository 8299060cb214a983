"""The database target passes the suite for targets, on both engines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from surefoot.core.target import Step
from surefoot.targets.database import DatabaseTarget
from surefoot.testing.target_conformance import TargetConformance


class DatabaseCase:
    """One database that is not there yet."""

    def __init__(self, stand: Any, files: dict[str, str]) -> None:
        self._stand = stand
        self.claims = stand.claims
        self.desired = stand.desired(dict(list(files.items())[:2]))
        self.other = stand.desired(files)

    def open(self) -> DatabaseTarget:
        return self._stand.target_with(self._stand.driver)

    def bad_steps(self) -> Sequence[Step]:
        artifact = self.other["artifact"]
        unknown = "sha256:" + "0" * 64
        no_sql = self._stand.artifact({"0001_expand_a.sql": "COMMIT;"})
        cases: list[tuple[str, dict[str, Any]]] = [
            ("create", {"extra": 1}),
            ("migrate", {}),
            ("migrate", {"artifact": unknown, "classes": ["expand"], "to": 4}),
            ("migrate", {"artifact": "sha256:12", "classes": ["expand"], "to": 4}),
            ("migrate", {"artifact": artifact, "classes": ["expand"], "to": 4}),
            ("migrate", {"artifact": no_sql, "classes": ["expand"], "to": 1}),
            ("restore", {"backup": unknown}),
            ("restore", {"backup": unknown, "writers_stopped": True}),
            ("restore", {"backup": artifact, "writers_stopped": True}),
            ("clone_from", {"backup": unknown, "policy": "full"}),
            ("clone_from", {"backup": unknown, "policy": "most"}),
            ("check", {"sql": "delete from telemetry"}),
        ]
        return [
            Step(id=f"bad-{n}", target="main", action=action, arguments=arguments)
            for n, (action, arguments) in enumerate(cases)
        ]

    def forget(self, operation: str) -> None:
        path = self._stand.folder / "target" / "receipts.json"
        ledger = json.loads(path.read_text())
        del ledger["outcomes"][operation]
        path.write_text(json.dumps(ledger))

    def effects(self) -> int:
        """The rows that migrations wrote, and their entries in the ledger."""
        if not self._stand.driver.exists():
            return 0
        look = self._stand.driver.look()
        return sum(look.counts.values()) * 1_000 + len(look.applied)


class TestDatabaseTarget(TargetConformance):
    @pytest.fixture
    def case(self, make: Any, files: Any) -> DatabaseCase:
        return DatabaseCase(make("main"), files)
