"""The gate `hardening`: rules about files and configurations, over a host, a folder or artifacts.

Keeps: a rule that could not be evaluated counts against the coverage, and below the declared share
the evidence is not complete; a group that is asked for by name must be there; an exception holds
until its end and then no more. Does not: change anything, start a program, use the network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from surefoot.core.errors import SurefootError
from surefoot.core.gate import Evidence, Finding
from surefoot.core.target import Blobs, Plain
from surefoot.gates.hardening.archive import ArchiveLook
from surefoot.gates.hardening.evaluate import Evaluation, Row, Wrong
from surefoot.gates.hardening.folder import FolderLook, HostLook
from surefoot.gates.hardening.look import Look, Unseen
from surefoot.gates.hardening.rule import Rule, standard
from surefoot.trust.canonical import JSON
from surefoot.trust.digest import Digest, digest_of

VERSION = "1"
COMPONENTS_MAX = 100
_TITLE_MAX = 300


class Exemption(msgspec.Struct, frozen=True, kw_only=True, rename={"until_ms": "until"}):
    """What is lived with until a time: a rule, at places of a pattern or all."""

    rule: str
    reason: str
    until_ms: int
    place: str = "*"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A component whose artifact is looked into."""

    name: str
    artifact: Digest


class Arguments(msgspec.Struct, frozen=True, kw_only=True, rename={"exemptions": "except"}):
    """A `root`, "/" for this host, or `components`; findings are kept by `role`."""

    root: str = ""
    role: str = ""
    components: tuple[Part, ...] = ()
    groups: tuple[str, ...] = ()
    evaluated_percent_min: int = 80
    exemptions: tuple[Exemption, ...] = ()


class HardeningGate:
    """See the module. `blobs` hold the artifacts; `rules` are the package's, unless given."""

    name = "hardening"

    def __init__(
        self,
        blobs: Blobs | None,
        now_ms: Callable[[], int],
        rules: tuple[Rule, ...] | None = None,
    ) -> None:
        self._blobs = blobs
        self._now_ms = now_ms
        self._rules = standard() if rules is None else rules

    def run(self, subject: Digest, arguments: Plain) -> Evidence:
        """Evaluate every rule of the groups. Raises nothing."""
        started = self._now_ms()
        evidence = Evidence(
            gate=self.name,
            subject=subject,
            tool="surefoot-hardening",
            tool_version=VERSION,
            inputs=(digest_of(msgspec.json.encode(self._rules)),),
            started_at_ms=started,
        )
        try:
            wanted = msgspec.convert(arguments, Arguments)
            rules = self._chosen(wanted)
            evidence = _judged(evidence, wanted, self._evaluated(wanted, rules), started)
        except (msgspec.ValidationError, ValueError) as error:
            evidence = msgspec.structs.replace(evidence, trouble=f"bad arguments: {error}"[:300])
        except SurefootError as error:
            evidence = msgspec.structs.replace(evidence, trouble=str(error)[:300])
        return msgspec.structs.replace(evidence, ended_at_ms=self._now_ms())

    def _chosen(self, wanted: Arguments) -> tuple[Rule, ...]:
        groups = {rule.group for rule in self._rules}
        if unknown := sorted(set(wanted.groups) - groups):
            raise ValueError(f"no group of rules {unknown[0]!r}, but {', '.join(sorted(groups))}")
        names = {rule.id for rule in self._rules}
        if missing := [e.rule for e in wanted.exemptions if e.rule not in names]:
            raise ValueError(f"an exception for {missing[0]!r}, which is no rule")
        if bool(wanted.root) == bool(wanted.components):
            raise ValueError("a root or components, and not both")
        if len(wanted.components) > COMPONENTS_MAX or not 0 < wanted.evaluated_percent_min <= 100:
            raise ValueError("too many components, or no share of rules from 1 to 100")
        return tuple(r for r in self._rules if not wanted.groups or r.group in wanted.groups)

    def _evaluated(self, wanted: Arguments, rules: tuple[Rule, ...]) -> dict[str, tuple[Row, ...]]:
        """Rows by the name of what was looked at."""
        if wanted.root:
            role = wanted.role or "host"
            look: Look = HostLook() if wanted.root == "/" else FolderLook(Path(wanted.root))
            return {role: _rows(look, rules)}
        found = {}
        if self._blobs is None:
            raise ValueError("components, and no artifacts to look into")
        for part in wanted.components:
            try:
                archive = ArchiveLook(Path(self._blobs.path(part.artifact)), part.name)
            except Unseen as error:
                found[part.name] = tuple(Row(rule=r, state="unseen", why=str(error)) for r in rules)
                continue
            try:
                found[part.name] = _rows(archive, rules)
            finally:
                archive.close()
        return found


def _rows(look: Look, rules: tuple[Rule, ...]) -> tuple[Row, ...]:
    try:
        present = look.stat("/") is not None and bool(look.names("/"))
    except (Unseen, OSError) as error:
        return tuple(Row(rule=rule, state="unseen", why=str(error)[:300]) for rule in rules)
    if not present:
        return tuple(Row(rule=rule, state="unseen", why="nothing is in the root") for rule in rules)
    return Evaluation(look, rules).rows()


def _judged(
    evidence: Evidence, wanted: Arguments, found: dict[str, tuple[Row, ...]], now_ms: int
) -> Evidence:
    findings = [
        _finding(name, row, wrong, wanted.exemptions, now_ms)
        for name, rows in found.items()
        for row in rows
        for wrong in row.wrong
    ]
    coverage: dict[str, JSON] = {}
    complete = bool(found)
    for name, rows in found.items():
        evaluated = [row for row in rows if row.state in ("good", "bad")]
        unseen = [row for row in rows if row.state == "unseen"]
        counted = len(evaluated) + len(unseen)
        percent = 100 * len(evaluated) // counted if counted else 0
        empty = set(wanted.groups) - {row.rule.group for row in evaluated}
        complete = complete and percent >= wanted.evaluated_percent_min and not empty
        coverage[name] = {
            "evaluated": len(evaluated),
            "not_evaluated": len(unseen),
            "not_there": len(rows) - counted,
            "percent": percent,
            **({"groups_without_a_rule_evaluated": [*sorted(empty)]} if empty else {}),
        }
    return msgspec.structs.replace(
        evidence,
        complete=complete,
        coverage=coverage,
        figures={name: [_figure(row) for row in rows] for name, rows in found.items()},
        findings=tuple(sorted(findings, key=lambda f: _WORST.index(f.severity))),
    )


_WORST = ("critical", "high", "medium", "low", "info")


def _figure(row: Row) -> dict[str, JSON]:
    figure: dict[str, JSON] = {"rule": row.rule.id, "state": row.state}
    return figure | ({"why": row.why} if row.why else {})


def _finding(
    name: str, row: Row, wrong: Wrong, exemptions: tuple[Exemption, ...], now_ms: int
) -> Finding:
    rule = row.rule
    title = f"{name}: {rule.title}; expected {wrong.expected}, found {wrong.found}"
    accepted = next(_holding(exemptions, rule, wrong, now_ms), None)
    if accepted is not None:
        title = f"{title} (accepted: {accepted.reason})"
    joined = "\0".join((name, rule.id, wrong.scope))
    return Finding(
        rule=rule.id,
        title=title[:_TITLE_MAX],
        place=wrong.place,
        severity=rule.severity if accepted is None else "info",
        fingerprint="v1:" + hashlib.sha256(joined.encode("utf-8", "replace")).hexdigest()[:32],
        remedy=f"{rule.fix}. {rule.reason}",
    )


def _holding(
    exemptions: tuple[Exemption, ...], rule: Rule, wrong: Wrong, now_ms: int
) -> Iterator[Exemption]:
    for each in exemptions:
        if each.rule == rule.id and now_ms < each.until_ms and fnmatchcase(wrong.place, each.place):
            yield each
