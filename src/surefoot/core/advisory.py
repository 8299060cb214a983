"""Advisories in OSV's form, and whether one is about a version.

Keeps: a range of another kind of order than the ecosystem's, or with a bound that cannot be read,
is no answer: the version counts as not judged, never as safe. What was withdrawn says nothing.
Does not: read files, know dates, or decide what blocks.
Source: OSV schema 1.7, "affected[].ranges[] field", "Evaluation"; "withdrawn", "aliases".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Protocol

import msgspec

from surefoot.core import ecosystem as ecosystems
from surefoot.core.ecosystem import Ecosystem, Part

Answer = Literal["affected", "safe", "unknown"]


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One bound of a range."""

    introduced: str = ""
    fixed: str = ""
    last_affected: str = ""
    limit: str = ""


class Range(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bounds in the ecosystem's order (ECOSYSTEM), the semantic one (SEMVER), or commits (GIT)."""

    type: str
    events: tuple[Event, ...] = ()


class Package(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which package, by ecosystem and name."""

    ecosystem: str = ""
    name: str = ""


class Scored(msgspec.Struct, frozen=True, omit_defaults=True):
    """A severity by a scheme."""

    type: str = ""
    score: str = ""


class Affected(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which versions of one package."""

    package: Package = Package()
    ranges: tuple[Range, ...] = ()
    versions: tuple[str, ...] = ()
    severity: tuple[Scored, ...] = ()
    ecosystem_specific: dict[str, Any] | None = None
    database_specific: dict[str, Any] | None = None


class Advisory(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record; members that are not used here are not kept."""

    id: str
    modified: str = ""
    withdrawn: str | None = None
    summary: str = ""
    details: str = ""
    aliases: tuple[str, ...] | None = None
    upstream: tuple[str, ...] | None = None
    affected: tuple[Affected, ...] | None = None
    severity: tuple[Scored, ...] | None = None
    database_specific: dict[str, Any] | None = None


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot says of some packages.

    `exploited` is the time (UTC ms) since when a CVE is known to be used by attackers, and
    `likely` its likelihood of that in millionths (EPSS); `ecosystems` counts all records that
    are about an ecosystem, whether wanted or not.
    """

    advisories: tuple[Advisory, ...] = ()
    exploited: dict[str, int] = {}
    likely: dict[str, int] = {}
    ecosystems: dict[str, int] = {}
    withdrawn: int = 0


Wanted = frozenset[tuple[str, str]]
"""(ecosystem without release, normal name) of packages."""


class Dated(Protocol):
    """What age is counted from."""

    @property
    def made_at_ms(self) -> int:
        """When it was made."""

    @property
    def newest_ms(self) -> int:
        """When its newest record was last changed."""


class Snapshot(Dated, Protocol):
    """Advisories as they were at one moment, under one digest."""

    @property
    def digest(self) -> str:
        """The digest of its signed statement."""

    def about(self, wanted: Wanted) -> Known:
        """What it says of these packages. Raises `Corrupt` when its bytes are not whole."""


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """What an advisory says of one part; `fixed` are the versions that it names as fixed."""

    part: Part
    advisory: Advisory
    answer: Answer
    fixed: tuple[str, ...] = ()
    affected: Affected = Affected()
    why: str = ""


def match(part: Part, advisory: Advisory) -> Match | None:
    """What an advisory says of a part; None when it is about other packages."""
    entries = [a for a in advisory.affected or () if _is_about(a.package, part)]
    if not entries or advisory.withdrawn:
        return None
    kind = ecosystems.known(part.ecosystem)
    assert kind is not None, "a part of an unknown ecosystem is not matched"
    answers = [(*_answer(kind, part.version, each), each) for each in entries]
    for wanted in ("affected", "unknown"):
        for answer, why, entry in answers:
            if answer == wanted:
                fixed = _fixed(entries) if answer == "affected" else ()
                return Match(
                    part=part,
                    advisory=advisory,
                    answer=answer,
                    fixed=fixed,
                    affected=entry,
                    why=why,
                )
    return Match(part=part, advisory=advisory, answer="safe")


def _is_about(package: Package, part: Part) -> bool:
    """The name, and the release: an advisory without a release is about every one."""
    if ecosystems.base_of(package.ecosystem) != ecosystems.base_of(part.ecosystem):
        return False
    if ":" in package.ecosystem and package.ecosystem != part.ecosystem:
        return False
    return ecosystems.normal(part.ecosystem, package.name) == part.name


def _answer(kind: Ecosystem, version: str, affected: Affected) -> tuple[Answer, str]:
    if any(ecosystems.same_version(kind, version, each) for each in affected.versions):
        return "affected", ""
    found = kind.order(version)
    if found is None:
        return "unknown", f"version {version[:40]} has no place in the order of {kind.name}"
    answers = [_in_range(kind, found, r) for r in affected.ranges if r.type != "GIT"]
    if ("affected", "") in answers:
        return "affected", ""
    unknown = next((each for each in answers if each[0] == "unknown"), None)
    if unknown is not None:
        return unknown
    if not answers and not affected.versions:
        return "unknown", "it names commits alone, or nothing"
    return "safe", ""


def _in_range(kind: Ecosystem, version: Any, found: Range) -> tuple[Answer, str]:
    if (found.type == "SEMVER" and not kind.semver) or found.type not in ("SEMVER", "ECOSYSTEM"):
        return "unknown", f"a range of type {found.type[:20]}"
    bounds: list[tuple[Any, int, str]] = []
    limits: list[Any] = []
    for event in found.events:
        for rank, name in enumerate(("introduced", "fixed", "last_affected", "limit")):
            text = getattr(event, name)
            if not text or (name == "limit" and text == "*"):
                continue
            key = _LOWEST if name == "introduced" and text == "0" else _bound(kind, text)
            if key is None:
                return "unknown", f"a bound that cannot be read: {text[:40]}"
            if name == "limit":
                limits.append(key)
            else:
                bounds.append((key, rank, name))
    if not any(name == "introduced" for _, _, name in bounds):
        return "unknown", "a range without a beginning"
    if limits and not any((1, version) < limit for limit in limits):
        return "safe", ""
    return ("affected", "") if _inside((1, version), bounds) else ("safe", "")


_LOWEST: tuple[int, Any] = (0, ())


def _bound(kind: Ecosystem, text: str) -> tuple[int, Any] | None:
    key = kind.bound(text)
    return None if key is None else (1, key)


def _inside(version: tuple[int, Any], bounds: list[tuple[Any, int, str]]) -> bool:
    """Where the version stands after the events up to it, from the lowest bound to the highest."""
    inside = False
    for key, _, name in sorted(bounds, key=lambda bound: (bound[0], _TURN[bound[2]])):
        if name == "introduced" and version >= key:
            inside = True
        elif (name == "fixed" and version >= key) or (name == "last_affected" and version > key):
            inside = False
    return inside


# At one version the end of an earlier span comes first, so that the next may begin there; a span's
# own last version ends it after it began.
_TURN = {"fixed": 0, "introduced": 1, "last_affected": 2}


def _fixed(entries: Iterable[Affected]) -> tuple[str, ...]:
    ranges = (r for a in entries for r in a.ranges if r.type != "GIT")
    return tuple(dict.fromkeys(e.fixed for r in ranges for e in r.events if e.fixed))


def names_of(advisory: Advisory) -> tuple[str, ...]:
    """Every name of what an advisory is about: its own, its aliases, and what it was made from.

    A distribution's notice about several weaknesses has its own name alone.
    """
    upstream = advisory.upstream or ()
    return tuple(
        dict.fromkeys(
            (advisory.id, *(advisory.aliases or ()), *(upstream if len(upstream) == 1 else ()))
        )
    )
