"""What weaknesses are judged by: the snapshot in force, statements, and what people accepted.

Keeps: everything comes from the world and from blobs that its entries name; a snapshot in force
whose parts cannot be read is an error, never an absent one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from surefoot.core import advisory_rules as rules
from surefoot.core.advisory import Snapshot
from surefoot.core.advisory_policy import AdvisoryPolicy
from surefoot.core.finding import Acceptance, Record, Seen, known_as, known_names, severity_of
from surefoot.core.target import Blobs
from surefoot.core.vex import Statements
from surefoot.core.world import AcceptedFinding, FindingScope, World
from surefoot.insight import advisories, sheets
from surefoot.insight.vex import read_statements
from surefoot.journal.log import Log
from surefoot.trust import envelope
from surefoot.trust.digest import parse_digest

SCOPE = "packages"


def scope_of(component: str) -> str:
    """The scope that the findings of a component's packages are in."""
    return f"{SCOPE}.{component}"


class Ground:
    """See the module; each question reads for itself."""

    def __init__(self, log: Log[World], blobs: Blobs, now_ms: Callable[[], int]) -> None:
        self._log = log
        self._blobs = blobs
        self._now_ms = now_ms

    def policy(self) -> AdvisoryPolicy:
        """What the definition in force says."""
        return self._log.read(rules.policy_of)

    def snapshot(self) -> Snapshot | None:
        """The snapshot that judges now. Raises `Corrupt` when its bytes are not whole."""
        digest = self._log.read(lambda w: w.advisories.snapshot)
        if not digest:
            return None
        payload = envelope.parse(self._blobs.get(parse_digest(digest))).payload
        return advisories.Shelf(digest, advisories.read_statement(payload), self._blobs.get)

    def statements(self, component: str) -> Statements:
        """What the newest VEX document about a component says."""
        held = self._log.read(lambda w: w.advisories.vex.get(component))
        if held is None:
            return Statements()
        content = self._blobs.get(parse_digest(held.document))
        return Statements(taken_ms=held.taken_ms, statements=read_statements(content))

    def accepted(self, component: str, seen: Sequence[Seen]) -> frozenset[str]:
        """Which of these, by fingerprint, somebody lives with at this time, by findings' rules."""
        held = self._log.read(lambda w: _copy(w, scope_of(component)))
        if held is None or not held.findings or not held.accepted:
            return frozenset()
        listed = sheets.read(self._blobs.get(parse_digest(held.findings)))
        known, now_ms = known_names(listed.by_name()), self._now_ms()
        by_name = {each.fingerprint(): held.accepted.get(known_as(known, each)) for each in seen}
        return frozenset(
            each.fingerprint()
            for each in seen
            if (found := by_name[each.fingerprint()]) and _record(each, found).accepted(now_ms)
        )


def _copy(world: World, scope: str) -> FindingScope | None:
    """The scope as it is now: the world's own goes on."""
    held = world.findings.get(scope)
    return msgspec.structs.replace(held, accepted=dict(held.accepted)) if held else None


def _record(seen: Seen, found: AcceptedFinding) -> Record:
    return Record(
        fingerprint="",
        scope="",
        state="new",
        seen=seen,
        first_ms=0,
        last_ms=0,
        due_ms=0,
        acceptance=Acceptance(
            person=found.person,
            until_ms=found.until_ms,
            control="",
            severity=severity_of(found.severity),
        ),
    )
