"""The list of a scope's findings: read, and moved on by a report, whoever made it.

Keeps: a list is made from the one that is the newest when it is written, or not written; the same
report again changes nothing; a scope is about one component.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from surefoot.app.facade import App
from surefoot.app.operation import Request
from surefoot.core import facts as f
from surefoot.core import finding as rules
from surefoot.core import policy
from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.core.world import FindingScope, World
from surefoot.insight import sheets
from surefoot.trust.digest import Digest

_TRIES = 5


class Taking(msgspec.Struct, frozen=True, kw_only=True):
    """A report on its way into a scope; `digest` is its own bytes, a blob."""

    scope: str
    component: str
    report: rules.Report
    digest: Digest
    covered: bool = False
    reason: str = ""
    permission: str = "finding.manage"


def enter(app: App, request: Request, taking: Taking) -> f.FindingsImported | None:
    """Move the list on; None when this report was taken before. Raises `Refused`."""
    report = taking.report
    for _ in range(_TRIES):
        before = app.read(lambda w: _copy(w, taking.scope))
        _check_component(taking, before)
        sheet = sheet_of(app, before)
        if taking.digest in sheet.reports:
            return None
        merged = rules.merge(sheet.by_name(), report, taking.scope, app.clock.now_ms())
        findings = app.blobs.put(sheet.after(taking.digest, merged.records).encoded())
        fact = f.FindingsImported(
            scope=taking.scope,
            component=taking.component,
            form=report.form,
            tool=report.tool,
            version=report.version,
            report=taking.digest,
            findings=findings,
            conclusive=report.conclusive,
            trouble=report.trouble,
            covered=taking.covered,
            counts=merged.counts,
        )
        if _appended(app, request, fact, before.findings, taking):
            return fact
    raise Refused(
        "finding.import.busy",
        f"scope {taking.scope}",
        expected="a scope that nobody else writes at the same time",
        found=f"it moved {_TRIES} times",
        remedy="send the report again",
    )


def shown(report: rules.Report, fact: f.FindingsImported) -> Plain:
    """What a report did."""
    return {
        "scope": fact.scope,
        "report": fact.report,
        "known": False,
        "tool": report.tool,
        "conclusive": report.conclusive,
        "trouble": report.trouble,
        "figures": dict(report.figures),
        "counts": dict(fact.counts),
    }


def sheet_of(app: App, held: FindingScope) -> sheets.Sheet:
    """The newest list of a scope; an empty one when there is none."""
    if not held.findings:
        return sheets.Sheet()
    return sheets.read(app.blobs.get(held.findings))  # type: ignore[arg-type]


def _copy(world: World, scope: str) -> FindingScope:
    """As it is now: the world's own goes on."""
    return msgspec.structs.replace(world.findings.get(scope) or FindingScope(scope=scope))


def _appended(
    app: App, request: Request, fact: f.FindingsImported, base: str, taking: Taking
) -> bool:
    """False when the scope has moved since `base`: the list was made from an older one."""
    moved = False

    def rule(world: World) -> Sequence[f.Fact]:
        nonlocal moved
        policy.require(world, request.asker, taking.permission)
        held = world.findings.get(fact.scope)
        moved = (held.findings if held else "") != base
        return [] if moved else [fact]

    app.command(request, rule, (fact.report, fact.findings), taking.reason)
    return not moved


def _check_component(taking: Taking, held: FindingScope) -> None:
    if held.component not in ("", taking.component):
        raise Refused(
            "finding.scope.component",
            f"scope {taking.scope}",
            expected=f"reports about {held.component}",
            found=f"one about {taking.component}",
            remedy="use a scope of its own for each component and way of checking",
        )
