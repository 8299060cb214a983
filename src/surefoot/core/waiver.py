"""Waivers: a named person takes an inconclusive verdict of a gate upon themselves for a time.

Keeps: only "inconclusive" can be waived, never what failed or broke; nobody waives for their own
work or that of somebody they alone stand for (unless the small-team mode is declared); a waiver
counts only for what was asked for after it, so that approvers could see it, and only while its
person may still waive. Times are UTC milliseconds. Does not: read the time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from surefoot.core import environment as environments
from surefoot.core import facts as f
from surefoot.core.errors import Refused
from surefoot.core.facts_gate import GateWaived, GateWaiverEnded
from surefoot.core.policy import Asker, behind, require, who_can
from surefoot.core.world import Deployment, Waiver, World

PERMISSION = "gate.waive"
DAYS_MAX = 90
DAY_MS = 86_400_000


def known(world: World, environment: str) -> Mapping[str, Waiver]:
    """Waivers of an environment, or with an empty name those before releases, by gate."""
    if environment:
        return environments.find(world, environment).waivers
    return world.waivers.gates


def grant(world: World, asker: Asker, fact: GateWaived, now_ms: int) -> list[f.Fact]:
    """Waive a gate's inconclusive verdicts for at most 90 days."""
    require(world, asker, PERMISSION)
    known(world, fact.environment)
    if not now_ms < fact.until_ms <= now_ms + DAYS_MAX * DAY_MS:
        raise Refused(
            "waiver.until.input",
            f"waiver of {fact.gate[:40]}",
            expected=f"an end within {DAYS_MAX} days from now",
            found=f"{(fact.until_ms - now_ms) / DAY_MS:.1f} days from now",
            remedy="give --days",
        )
    return [fact]


def end(world: World, asker: Asker, environment: str, gate: str) -> list[f.Fact]:
    """End a waiver before its time."""
    person = require(world, asker, PERMISSION).id
    if gate not in known(world, environment):
        raise Refused(
            "waiver.unknown",
            f"waiver of {gate[:40]}",
            expected="a waiver that is in force",
            found="none of that gate there",
            remedy="see: surefoot waiver list",
        )
    return [GateWaiverEnded(environment=environment, gate=gate, person=person)]


def for_deployment(world: World, deployment: Deployment, gate: str, now_ms: int) -> Waiver | None:
    """The waiver that lets an inconclusive gate of a deployment pass."""
    own = {deployment.requester, *deployment.excluded}
    found = _free_of(world, known(world, deployment.environment).get(gate), own, now_ms)
    return found if found is not None and found.given_ms <= deployment.requested_ms else None


def for_release(
    world: World, gate: str, own: Collection[str], given_by: str, now_ms: int
) -> Waiver | None:
    """The waiver that lets an inconclusive gate before a release pass; `own` made the release."""
    found = _free_of(world, world.waivers.gates.get(gate), own, now_ms)
    return found if found is not None and given_by in ("", found.person) else None


def _free_of(
    world: World, waiver: Waiver | None, own: Collection[str], now_ms: int
) -> Waiver | None:
    if waiver is None or now_ms >= waiver.until_ms:
        return None
    if waiver.person not in who_can(world, PERMISSION):
        return None
    if waiver.person in behind(world, own) and not world.definition.governance.small_team:
        return None
    return waiver


def judged(
    world: World, results: Collection[f.GateResult], own: Collection[str], now_ms: int
) -> tuple[f.GateResult, ...]:
    """Results of gates before a release, each waived one with the name of who waived it."""
    found = []
    for result in results:
        waiver = None
        if result.verdict == "inconclusive":
            waiver = for_release(world, result.gate, own, "", now_ms)
        found.append(msgspec.structs.replace(result, waived_by=waiver.person if waiver else ""))
    return tuple(found)


def check_release(
    world: World, version: str, results: Collection[f.GateResult], own: Collection[str], now_ms: int
) -> None:
    """Refuse a release with a gate that neither passed nor is waived."""
    for result in results:
        if result.verdict == "pass" and not result.waived_by:
            continue
        waived = result.verdict == "inconclusive" and result.waived_by
        if waived and for_release(world, result.gate, own, result.waived_by, now_ms):
            continue
        raise Refused(
            f"gate.{result.gate}.{result.verdict}",
            f"release {version}",
            expected=f"gate {result.gate}: pass",
            found=f"{result.verdict}: {result.reason}",
            remedy="mend what the gate found and cut the release again",
        )
