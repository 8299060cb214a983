"""The gate `vulnerabilities`: no package of a release has a weakness that is known.

Rules: each component's bill of materials is matched with the advisories in force; without a
snapshot, with one that is too old, with a bill that names no packages, and with a package that
cannot be judged the evidence is not complete, and says why. What somebody accepted for a time, and
what is less severe than the rules say, is listed and does not block.
Does not: fetch anything, know where snapshots come from, or decide.
Source: OSV schema 1.7; CycloneDX 1.6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Protocol

import msgspec

from surefoot.core import bom
from surefoot.core.advisory import Snapshot
from surefoot.core.advisory_policy import AdvisoryPolicy
from surefoot.core.advisory_report import (
    HOUR_MS,
    Inventory,
    Outcome,
    outcome_of,
    staleness,
    wanted_of,
)
from surefoot.core.errors import SurefootError
from surefoot.core.finding import Seen, rank
from surefoot.core.gate import Evidence, Finding
from surefoot.core.target import Blobs, Plain
from surefoot.core.vex import Statements
from surefoot.trust.digest import Digest, parse_digest


class Rules(Protocol):
    """What is in force when the gate runs."""

    def policy(self) -> AdvisoryPolicy:
        """What the definition in force says."""

    def snapshot(self) -> Snapshot | None:
        """The snapshot that judges now; None: none was imported."""

    def statements(self, component: str) -> Statements:
        """What is said about a component's weaknesses."""

    def accepted(self, component: str, seen: Sequence[Seen]) -> frozenset[str]:
        """Which of these, by fingerprint, somebody lives with at this time."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A component; `plain` has no packages by its kind."""

    name: str
    sbom: str
    plain: bool = False


class VulnerabilitiesArguments(msgspec.Struct, frozen=True, kw_only=True):
    """Whose packages are looked at."""

    components: Annotated[tuple[Listed, ...], msgspec.Meta(min_length=1)]


class VulnerabilitiesGate:
    """See the module. Arguments: `{"components": [{name, sbom, plain}]}`."""

    name = "vulnerabilities"

    def __init__(self, blobs: Blobs, rules: Rules, now_ms: Callable[[], int]) -> None:
        self._blobs = blobs
        self._rules = rules
        self._now_ms = now_ms

    def run(self, subject: Digest, arguments: Plain) -> Evidence:
        """Match every component. Raises nothing: what cannot be read is trouble."""
        started = self._now_ms()
        evidence = Evidence(
            gate=self.name,
            subject=subject,
            tool="surefoot-advisories",
            tool_version="1",
            started_at_ms=started,
        )
        try:
            wanted = msgspec.convert(arguments, VulnerabilitiesArguments)
            evidence = self._looked(evidence, wanted)
        except (msgspec.ValidationError, ValueError) as error:
            evidence = msgspec.structs.replace(evidence, trouble=f"bad input: {error}"[:300])
        except SurefootError as error:
            evidence = msgspec.structs.replace(evidence, trouble=str(error)[:600])
        return msgspec.structs.replace(evidence, ended_at_ms=self._now_ms())

    def _looked(self, evidence: Evidence, wanted: VulnerabilitiesArguments) -> Evidence:
        snapshot, policy = self._rules.snapshot(), self._rules.policy()
        bills = tuple(parse_digest(each.sbom) for each in wanted.components)
        if snapshot is None:
            gap = "no advisories were imported: surefoot advisories import FILE"
            return msgspec.structs.replace(evidence, inputs=bills, gap=gap)
        inventories = [self._inventory(c, b) for c, b in zip(wanted.components, bills, strict=True)]
        known = snapshot.about(wanted_of(inventories))
        outcomes = [outcome_of(each, known, policy) for each in inventories]
        stale = staleness(snapshot, policy, evidence.started_at_ms)
        gaps = [*stale, *(gap for each in outcomes for gap in each.gaps)]
        return msgspec.structs.replace(
            evidence,
            inputs=(parse_digest(snapshot.digest), *bills),
            complete=not gaps,
            gap=gaps[0][:300] if gaps else "",
            coverage=_coverage(outcomes),
            figures=_figures(snapshot, evidence.started_at_ms),
            findings=tuple(f for each in outcomes for f in self._findings(each, policy)),
            raw=self._blobs.put(msgspec.json.encode(outcomes)),
        )

    def _inventory(self, component: Listed, digest: Digest) -> Inventory:
        bill = bom.read(self._blobs.get(digest))
        return Inventory(
            component=component.name,
            parts=bill.parts,
            program=bill.program and not component.plain,
            statements=self._rules.statements(component.name),
        )

    def _findings(self, outcome: Outcome, policy: AdvisoryPolicy) -> Iterator[Finding]:
        accepted = self._rules.accepted(outcome.component, outcome.seen)
        for seen in outcome.seen:
            name = seen.fingerprint()
            minor = rank(seen.severity) < rank(policy.severity_min) and not seen.exploited
            yield Finding(
                rule=seen.rule,
                title=f"{outcome.component}: {seen.title}"[:300],
                place=seen.location.place(),
                severity="info" if minor or name in accepted else seen.severity,
                fingerprint=name,
                remedy=seen.remedy,
            )


def _coverage(outcomes: list[Outcome]) -> Plain:
    unjudged = [each for o in outcomes for each in o.unjudged]
    return {
        "components": len(outcomes),
        "packages": sum(o.parts for o in outcomes),
        "judged": sum(o.judged for o in outcomes),
        "not_judged": len(unjudged),
        "excused": sum(each.excused for each in unjudged),
        "cleared": sum(len(o.cleared) for o in outcomes),
    }


def _figures(snapshot: Snapshot, now_ms: int) -> Plain:
    return {
        "snapshot": snapshot.digest,
        "made_at_ms": snapshot.made_at_ms,
        "newest_ms": snapshot.newest_ms,
        "age_hours": max(0, now_ms - snapshot.made_at_ms) // HOUR_MS,
    }
