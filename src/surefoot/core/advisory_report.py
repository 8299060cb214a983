"""From packages and advisories to findings: one for each weakness, and what could not be judged.

Keeps: every part given is judged or named as not judged; names of one weakness make one finding;
what is known to be exploited is critical; what nobody could judge keeps the outcome from being
conclusive, unless the policy names it.
Does not: read anything, or know the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from surefoot.core import ecosystem as ecosystems
from surefoot.core.advisory import Advisory, Dated, Known, Match, Wanted, match, names_of
from surefoot.core.advisory_policy import AdvisoryPolicy
from surefoot.core.cvss import base_score
from surefoot.core.device import clean_text
from surefoot.core.ecosystem import Part
from surefoot.core.finding import (
    TITLE_MAX,
    Location,
    Seen,
    Severity,
    advisory_name,
    rank,
    severity_of,
)
from surefoot.core.vex import Statement, Statements

HOUR_MS = 3_600_000
LIKELY = 500_000
"""Millionths: from here on exploitation is more likely than not, and the severity at least high."""
AHEAD_MS = 24 * HOUR_MS
"""How far a record may be dated after the snapshot that holds it: clocks of sources differ."""


class Unjudged(msgspec.Struct, frozen=True, kw_only=True):
    """A part that nothing can be said about, and why."""

    part: Part
    why: str
    excused: bool = False


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a component's packages come to. `gaps` says in words why it is not conclusive."""

    component: str
    seen: tuple[Seen, ...] = ()
    unjudged: tuple[Unjudged, ...] = ()
    parts: int = 0
    withdrawn: int = 0
    gaps: tuple[str, ...] = ()

    @property
    def cleared(self) -> tuple[Seen, ...]:
        """What a statement says does not affect the component."""
        return tuple(each for each in self.seen if each.cleared)

    @property
    def judged(self) -> int:
        """How many parts could be judged."""
        return self.parts - len({each.part for each in self.unjudged})


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """The packages of a component; `program`: it has some, unless the policy says it has none."""

    component: str
    parts: tuple[Part, ...]
    program: bool = True
    statements: Statements = Statements()


def staleness(snapshot: Dated, policy: AdvisoryPolicy, now_ms: int) -> tuple[str, ...]:
    """Why advisories of this age are no ground for a verdict; nothing when they are."""
    age, quiet = now_ms - snapshot.made_at_ms, now_ms - snapshot.newest_ms
    found = []
    if age > policy.age_hours_max * HOUR_MS:
        limit = policy.age_hours_max
        found.append(f"the advisories are {_hours(age)} old, at most {limit} h are allowed")
    if quiet > policy.quiet_hours_max * HOUR_MS:
        limit = policy.quiet_hours_max
        found.append(f"the newest advisory is {_hours(quiet)} old, at most {limit} h are allowed")
    if age < -AHEAD_MS:
        found.append("the advisories are of the future")
    return tuple(found)


def _hours(span_ms: int) -> str:
    return f"{span_ms // HOUR_MS} h"


def wanted_of(inventories: Iterable[Inventory]) -> Wanted:
    """The packages to ask a snapshot about."""
    return frozenset(
        (ecosystems.base_of(p.ecosystem), p.name) for i in inventories for p in i.parts
    )


def outcome_of(inventory: Inventory, known: Known, policy: AdvisoryPolicy) -> Outcome:
    """Judge one component's parts."""
    by_name = _by_name(known.advisories)
    seen: list[Seen] = []
    unjudged: list[Unjudged] = []
    for part in inventory.parts:
        trouble = part.trouble or _uncovered(part, known)
        if trouble:
            unjudged.append(_unjudged(part, trouble, policy))
            continue
        about = by_name.get((ecosystems.base_of(part.ecosystem), part.name), ())
        found = [m for each in about if (m := match(part, each)) is not None]
        for group in _groups([m for m in found if m.answer == "affected"]):
            one = _seen(inventory.component, part, group, known)
            said = inventory.statements.about(part, _all_names(group), _exploited(group, known))
            seen.append(one if said is None else _cleared(one, said))
        unjudged += [_unjudged(part, f"{m.advisory.id}: {m.why}", policy) for m in _open(found)]
    return Outcome(
        component=inventory.component,
        seen=tuple(seen),
        unjudged=tuple(unjudged),
        parts=len(inventory.parts),
        withdrawn=known.withdrawn,
        gaps=_gaps(inventory, unjudged, policy),
    )


def _by_name(advisories: Iterable[Advisory]) -> dict[tuple[str, str], list[Advisory]]:
    """Advisories by ecosystem without release and normal name, each once."""
    found: dict[tuple[str, str], list[Advisory]] = {}
    for advisory in advisories:
        packages = (each.package for each in advisory.affected or ())
        bases = ((ecosystems.base_of(p.ecosystem), p.name) for p in packages)
        for base, name in {(b, ecosystems.normal(b, n)) for b, n in bases}:
            found.setdefault((base, name), []).append(advisory)
    return found


def _cleared(seen: Seen, said: Statement) -> Seen:
    """Listed with the reason that was given, and not blocking."""
    return msgspec.structs.replace(seen, severity="info", cleared=said.justification)


def _uncovered(part: Part, known: Known) -> str:
    """Why nothing can be said of a part, whatever the advisories are."""
    kind = ecosystems.known(part.ecosystem)
    if kind is None:
        return "its ecosystem is not known"
    if not known.ecosystems.get(part.ecosystem):
        return f"the advisories hold nothing about {part.ecosystem}"
    if kind.order(part.version) is None:
        return f"version {part.version[:40]!r} has no place in the order of {kind.name}"
    return ""


def _unjudged(part: Part, why: str, policy: AdvisoryPolicy) -> Unjudged:
    return Unjudged(part=part, why=clean_text(why, 200), excused=part.shown in policy.not_judged)


def _gaps(
    inventory: Inventory, unjudged: Sequence[Unjudged], policy: AdvisoryPolicy
) -> tuple[str, ...]:
    found = []
    left = [each for each in unjudged if not each.excused]
    if left:
        first = left[0]
        more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
        where = f"{inventory.component}: {first.part.shown} {first.part.version}"
        found.append(f"{where[:160]} is not judged: {first.why}{more}")
    named = inventory.component in policy.without_packages
    if inventory.program and not inventory.parts and not named:
        found.append(f"{inventory.component}: its bill of materials names no packages")
    return tuple(found)


def _open(found: Sequence[Match]) -> list[Match]:
    """Unknown answers about weaknesses that no other advisory answers."""
    answered = {n for m in found if m.answer != "unknown" for n in names_of(m.advisory)}
    return [m for m in found if m.answer == "unknown" and not answered & set(names_of(m.advisory))]


def _groups(found: Sequence[Match]) -> list[list[Match]]:
    """Matches that share a name are one weakness."""
    groups: list[tuple[set[str], list[Match]]] = []
    for each in found:
        names = set(names_of(each.advisory))
        joined = [each]
        rest = []
        for held, members in groups:
            if held & names:
                names |= held
                joined = [*members, *joined]
            else:
                rest.append((held, members))
        groups = [*rest, (names, joined)]
    alone = {name for held, _ in groups for name in held}
    return [members for _, members in groups if not _is_notice(members, alone)]


def _is_notice(members: Sequence[Match], names: set[str]) -> bool:
    """A distribution's notice of several weaknesses, each of which is found by itself."""
    upstream = [members[0].advisory.upstream or ()] if len(members) == 1 else [()]
    return len(upstream[0]) > 1 and set(upstream[0]) <= names


def _all_names(group: Iterable[Match]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(n for m in group for n in names_of(m.advisory)))


def _exploited(group: Iterable[Match], known: Known) -> int:
    """Since when (UTC ms) a weakness is known to be exploited; 0: it is not."""
    return min((known.exploited[n] for n in _all_names(group) if n in known.exploited), default=0)


def _seen(component: str, part: Part, group: Sequence[Match], known: Known) -> Seen:
    names = _all_names(group)
    rule = advisory_name(names)
    exploited = bool(_exploited(group, known))
    likely = max((known.likely.get(name, 0) for name in names), default=0)
    severity = max((_severity(m) for m in group), key=rank)
    if likely >= LIKELY:
        severity = max(severity, "high", key=rank)
    if exploited:
        severity = "critical"
    notes = ["attackers use it now"] if exploited else []
    if likely:
        notes.append(f"likelihood of exploitation {likely // 10_000} %")
    summary = next((m.advisory.summary for m in group if m.advisory.summary), "")
    if not summary:
        summary = next((m.advisory.details for m in group if m.advisory.details), "")
    fixed = _next_fixed(part, group)
    advice = f"update {part.shown} to {fixed}" if fixed else "no fixed version is known: replace it"
    return Seen(
        rule=rule,
        title=clean_text(f"{part.name} {part.version}: {rule} {summary}", TITLE_MAX),
        severity=severity,
        location=Location(kind="package", component=component, package=part.shown),
        aliases=tuple(sorted(n for n in names if n != rule)),
        version=part.version[:100],
        fixed_in=fixed[:100],
        remedy=clean_text("; ".join((advice, *notes)), 300),
        exploited=exploited,
    )


def _next_fixed(part: Part, group: Sequence[Match]) -> str:
    """The lowest version above this one that every advisory of the group calls fixed, or ""."""
    kind = ecosystems.known(part.ecosystem)
    assert kind is not None
    now = kind.order(part.version)
    lowest = []
    for each in group:
        later = [(k, v) for v in each.fixed if (k := kind.bound(v)) is not None and k > now]
        if later:
            lowest.append(min(later))
    return max(lowest)[1] if lowest else ""


def _severity(found: Match) -> Severity:
    """By a CVSS 3 score, else the database's own word, else medium: unknown is not harmless."""
    advisory = found.advisory
    scores = [
        score
        for each in (*(advisory.severity or ()), *found.affected.severity)
        if (score := base_score(each.score)) is not None
    ]
    if scores:
        return severity_of(str(max(scores)))
    places = (advisory.database_specific, found.affected.database_specific)
    words = [p.get("severity") for p in places if p]
    words += [(found.affected.ecosystem_specific or {}).get("urgency")]
    word = next((w for w in words if isinstance(w, str)), "")
    return "low" if word == "unimportant" else severity_of(word)
