"""The process target passes the suite for targets, with real processes."""

from collections.abc import Sequence

import pytest

from surefoot.core.target import Plain, Step
from surefoot.targets.process import ProcessTarget
from surefoot.testing.target_conformance import TargetConformance


class ProcessCase:
    def __init__(self, world) -> None:  # type: ignore[no-untyped-def]
        self._world = world
        self.claims = world.claims
        self.desired: Plain = {"api": world.service(drain_seconds=1)}
        self.other: Plain = {"api": world.service(drain_seconds=1, values={"greeting": "two"})}

    def open(self) -> ProcessTarget:
        return self._world.open()

    def bad_steps(self) -> Sequence[Step]:
        start = self._world.service(generation="g9")
        cases = [
            ("start", "api", {}),
            ("start", "api", {**start, "extra": 1}),
            ("start", "api", {**start, "artifact": "sha256:12"}),
            ("start", "api", {**start, "artifact": "sha256:" + "0" * 64}),
            ("start", "api", {**start, "generation": "../g9"}),
            ("start", "../api", start),
            ("start", "api", {**start, "listener": "somewhere"}),
            ("start", "api", {**start, "command": []}),
            ("start", "api", {**start, "secrets": {"other": 1}}),
            ("check", "api", {"generation": "g9", "health": {"path": "no"}}),
            ("switch", "api", {"generation": "gone"}),
            ("drain", "api", {"generation": self._live()}),
            ("stop", "api", {"generation": self._live()}),
            ("revert", "api", {"generation": self._live(), "previous": "gone"}),
            ("remove", "api", {"force": True}),
            ("remove", "../api", {}),
        ]
        return [
            Step(id=f"bad-{n}", target="process", action=a, component=c, arguments=g)
            for n, (a, c, g) in enumerate(cases)
        ]

    def _live(self) -> str:
        return str(self.open().observe().volatile["api/generation"])

    def forget(self, operation: str) -> None:
        self._world.forget(operation)

    def effects(self) -> int:
        """Processes started, as the pids show: a second start would be another one."""
        volatile = self.open().observe().volatile
        pid = volatile.get("api/process/pid", 0)
        return hash((pid, volatile.get("api/process/restarts", 0)))


class TestProcessTarget(TargetConformance):
    @pytest.fixture
    def case(self, world):  # type: ignore[no-untyped-def]
        return ProcessCase(world)
