"""How facts about findings change the world; the rules are those of `fold`."""

from __future__ import annotations

from typing import Any

from surefoot.core import facts_finding as f
from surefoot.core import world as w
from surefoot.core.fact import Fact


def _scope(world: w.World, name: str) -> w.FindingScope:
    return world.findings.setdefault(name, w.FindingScope(scope=name))


def _imported(world: w.World, fact: f.FindingsImported, entry: w.Recorded) -> None:
    scope = _scope(world, fact.scope)
    scope.component, scope.findings = fact.component, fact.findings
    scope.reports += 1
    scope.newest_ms, scope.conclusive = entry.time_ms, fact.conclusive


def _accepted(world: w.World, fact: f.FindingAccepted, entry: w.Recorded) -> None:
    _scope(world, fact.scope).accepted[fact.fingerprint] = w.AcceptedFinding(
        person=fact.person, until_ms=fact.until_ms, severity=fact.severity
    )


def _assigned(world: w.World, fact: f.FindingAssigned, entry: w.Recorded) -> None:
    _scope(world, fact.scope).owners[fact.fingerprint] = fact.owner


FOLDS: dict[type[Fact], Any] = {
    f.FindingsImported: _imported,
    f.FindingAccepted: _accepted,
    f.FindingAssigned: _assigned,
}
