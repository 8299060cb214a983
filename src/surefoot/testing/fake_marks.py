"""A target that does anything by making a mark: a database or a fleet in one JSON file.

Each act appends `[operation, action, component, fence]` to `effects`, as `FakeTarget` does, and
keeps the contract: receipts, fences, and looking first after a crash. A mark is found again by the
operation that made it. Does not: plan; tests give its steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from surefoot.core.errors import Refused
from surefoot.core.interlock import Interlock
from surefoot.core.target import Capabilities, Observation, Outcome, Plain, Step, Token
from surefoot.store.durable import write_durably
from surefoot.targets.words import Receipts
from surefoot.trust import canonical
from surefoot.trust.digest import digest_of

_ACTIONS = ("backup", "migrate", "restore", "destroy", "wave", "return_devices")

Mark = tuple[str, str, str, int]


class Marks(msgspec.Struct, kw_only=True):
    """Every mark ever made, in order."""

    effects: list[Mark] = []


def read_marks(path: Path) -> list[Mark]:
    """The marks on disk."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Marks).effects
    except FileNotFoundError:
        return []


class FakeMarks:
    """See the module. `broken` are ends of step ids whose outcome is a failure, nothing marked."""

    def __init__(
        self,
        path: Path,
        interlock: Interlock,
        *,
        name: str,
        fault: Callable[[str], None] = lambda place: None,
        broken: frozenset[str] = frozenset(),
    ) -> None:
        self._path = path
        self._interlock = interlock
        self._name = name
        self._fault = fault
        self._broken = broken
        self._receipts = Receipts(path.with_suffix(".receipts.json"))

    @property
    def capabilities(self) -> Capabilities:
        """Constant."""
        return Capabilities(name=self._name, actions=_ACTIONS, can_roll_back=True)

    def observe(self) -> Observation:
        """How many marks there are."""
        return Observation(target=self._name, stable={"marks": len(read_marks(self._path))})

    def plan(
        self, desired: Mapping[str, canonical.JSON], observed: Observation
    ) -> tuple[Step, ...]:
        """Nothing: a test gives the steps."""
        return ()

    def apply(self, step: Step, token: Token) -> Outcome:
        """Make the mark. See the contract."""
        self._interlock.check(step, token)
        if step.action not in _ACTIONS:
            raise Refused(
                "target.action.input", step.id, expected=", ".join(_ACTIONS), found=step.action
            )
        with self._receipts.admit(step, token) as receipt:
            if receipt is not None:
                return receipt
            return self._receipts.record(step, token, self._act(step, token))

    def _act(self, step: Step, token: Token) -> Outcome:
        if any(step.id.endswith(end) for end in self._broken):
            return Outcome(status="failed", reason=f"{step.id} is broken")
        marks = read_marks(self._path)
        figures: Plain = {}
        if step.action == "backup":
            figures["backup"] = digest_of(token.operation.encode())
        if any(mark[0] == token.operation for mark in marks):
            return Outcome(status="done", reason="it was so already", figures=figures)
        self._fault("act:before")
        marks.append((token.operation, step.action, step.component, token.fence))
        write_durably(self._path, msgspec.json.encode(Marks(effects=marks)))
        # A crash here leaves a mark without receipt: the next attempt looks and finds it.
        self._fault("act:after")
        return Outcome(status="done", figures=figures)
