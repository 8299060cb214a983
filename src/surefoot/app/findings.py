"""Operations on findings: taking reports of other tools, and what people decide about findings.

Keeps: the list of a scope is a blob named by the entry that made it, so what was known at any time
can be read and proved; the same report again changes nothing, whoever sends it and how often.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from surefoot.app import finding_list
from surefoot.app.as_of import AsOf
from surefoot.app.facade import App
from surefoot.app.moment import shown
from surefoot.app.operation import Arguments, Reason, Request, operation
from surefoot.core import facts as f
from surefoot.core import finding as rules
from surefoot.core import policy
from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.core.world import FindingScope, World
from surefoot.insight.exports import FORMS as OUT
from surefoot.insight.reports import FORMS as IN
from surefoot.insight.reports import read_report
from surefoot.insight.reports.form import SIZE_BYTES_MAX
from surefoot.trust.digest import digest_of

_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,60}$")]
_Fingerprint = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8,64}$")]


class ImportArguments(Arguments, frozen=True, kw_only=True):
    scope: _Name
    component: _Name
    form: Annotated[str, msgspec.Meta(max_length=20)]
    report: str
    covered: bool = False
    reason: Reason = ""


class ListArguments(Arguments, frozen=True, kw_only=True):
    scope: str = ""
    state: Literal["", "open", "new", "confirmed", "fixed", "regressed", "accepted"] = ""
    severity: Literal["", "info", "low", "medium", "high", "critical"] = ""
    text: Annotated[str, msgspec.Meta(max_length=100)] = ""
    after: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    at: str = ""


class OneArguments(Arguments, frozen=True, kw_only=True):
    scope: _Name
    fingerprint: _Fingerprint
    at: str = ""


class AcceptArguments(Arguments, frozen=True, kw_only=True):
    scope: _Name
    fingerprint: _Fingerprint
    days: Annotated[int, msgspec.Meta(ge=1, le=3650)]
    control: Reason


class AssignArguments(Arguments, frozen=True, kw_only=True):
    scope: _Name
    fingerprint: _Fingerprint
    owner: str


class ExportArguments(Arguments, frozen=True, kw_only=True):
    scope: _Name
    form: Annotated[str, msgspec.Meta(max_length=20)]
    at: str = ""


@operation("finding import", "POST", "/findings/{scope}/reports", ImportArguments)
def take(app: App, request: Request, arguments: ImportArguments) -> Plain:
    """Take a tool's report into a scope; the same report again changes nothing."""
    app.ready()
    app.check(request, lambda w: policy.require(w, request.asker, "finding.manage"))
    content = unpacked(arguments.report)
    report = read_report(arguments.form, content, arguments.component)
    if arguments.covered and not report.conclusive:
        _check_cover(arguments, report)
        report = msgspec.structs.replace(report, conclusive=True, trouble="")
    entered = finding_list.enter(
        app,
        request,
        finding_list.Taking(
            scope=arguments.scope,
            component=arguments.component,
            report=report,
            digest=app.blobs.put(content),
            covered=arguments.covered,
            reason=arguments.reason,
        ),
    )
    if entered is None:
        digest = digest_of(content)
        return {"scope": arguments.scope, "report": digest, "known": True, "counts": {}}
    return finding_list.shown(report, entered)


def _check_cover(arguments: ImportArguments, report: rules.Report) -> None:
    if not arguments.reason:
        raise Refused(
            "finding.cover.input",
            f"report of {report.tool}",
            expected="how you know what it covered, as it does not say so itself",
            found=report.trouble,
            remedy="say it: --reason TEXT",
        )


def unpacked(text: str) -> bytes:
    """Base64 of zlib, which is bounded before it is unpacked."""
    try:
        packed = base64.b64decode(text, validate=True)
        opened = zlib.decompressobj()
        content = opened.decompress(packed, SIZE_BYTES_MAX + 1)
    except (binascii.Error, zlib.error, ValueError):
        content, found = b"", "something else"
    else:
        found = "more" if len(content) > SIZE_BYTES_MAX else "" if opened.eof else "a part of it"
    if found:
        raise Refused(
            "finding.report.packed",
            "report",
            expected=f"base64 of zlib, at most {SIZE_BYTES_MAX} bytes unpacked",
            found=found,
            remedy="send it with: surefoot finding import",
        )
    return content


@operation("finding list", "GET", "/findings", ListArguments)
def listed(app: App, request: Request, arguments: ListArguments) -> Plain:
    """Findings, the most severe first, of one scope or all, now or as they were known then."""
    then = AsOf(app, arguments.at)
    scopes = [arguments.scope] if arguments.scope else app.read(lambda w: sorted(w.findings))
    found = [r for name in scopes for r in _records(app, then, name)]
    chosen = sorted((r for r in found if _wanted(r, arguments, then.at_ms)), key=_order)
    names = [f"{r.scope}/{r.fingerprint}" for r in chosen]
    first = names.index(arguments.after) + 1 if arguments.after in names else 0
    page = chosen[first : first + arguments.limit]
    more = first + arguments.limit < len(chosen)
    return {
        "findings": [_row(r, then.at_ms) for r in page],
        "total": len(chosen),
        "blocking": sum(r.blocks(then.at_ms) for r in chosen),
        "next": names[first + arguments.limit - 1] if more else "",
    }


@operation("finding show", "GET", "/findings/{scope}/{fingerprint}", OneArguments)
def show(app: App, request: Request, arguments: OneArguments) -> Plain:
    """One finding with all that is known of it."""
    then = AsOf(app, arguments.at)
    if not then.now and not _named(app, then, arguments.scope, arguments.fingerprint):
        return {"scope": arguments.scope, "fingerprint": arguments.fingerprint, "exists": False}
    record = _find(app, then, arguments.scope, arguments.fingerprint)
    seen: Plain = msgspec.to_builtins(record.seen)
    return {**_row(record, then.at_ms), "details": seen, "reports": record.reports}


@operation("finding accept", "POST", "/findings/{scope}/{fingerprint}/acceptance", AcceptArguments)
def accept(app: App, request: Request, arguments: AcceptArguments) -> Plain:
    """Live with a finding for some days, saying what protects until it is fixed."""
    app.ready()
    app.check(request, lambda w: policy.require(w, request.asker, "finding.manage"))
    record = _find(app, AsOf(app), arguments.scope, arguments.fingerprint)
    now = app.clock.now_ms()
    acceptance = rules.Acceptance(
        person=request.asker.id,
        until_ms=now + arguments.days * rules.DAY_MS,
        control=arguments.control,
        severity=record.seen.severity,
    )
    app.check(request, lambda w: rules.check_acceptance(record, acceptance, now))
    fact = f.FindingAccepted(
        scope=arguments.scope,
        fingerprint=record.fingerprint,
        person=request.asker.id,
        until_ms=acceptance.until_ms,
        severity=record.seen.severity,
    )
    _decided(app, request, fact, arguments.control)
    return _row(_find(app, AsOf(app), arguments.scope, record.fingerprint), now)


@operation("finding assign", "PUT", "/findings/{scope}/{fingerprint}/owner", AssignArguments)
def assign(app: App, request: Request, arguments: AssignArguments) -> Plain:
    """Say who sees to a finding; its due date stays."""
    app.ready()
    app.check(request, lambda w: policy.require(w, request.asker, "finding.manage"))
    record = _find(app, AsOf(app), arguments.scope, arguments.fingerprint)
    app.read(lambda w: policy.person_of(w, policy.Asker(type="person", id=arguments.owner)))
    fact = f.FindingAssigned(
        scope=arguments.scope, fingerprint=record.fingerprint, owner=arguments.owner
    )
    _decided(app, request, fact, "")
    return _row(_find(app, AsOf(app), arguments.scope, record.fingerprint), app.clock.now_ms())


def _decided(app: App, request: Request, fact: f.Fact, words: str) -> None:
    def rule(world: World) -> Sequence[f.Fact]:
        policy.require(world, request.asker, "finding.manage")
        return [fact]

    app.command(request, rule, (), words)


@operation("finding export", "GET", "/findings/{scope}/export/{form}", ExportArguments)
def export(app: App, request: Request, arguments: ExportArguments) -> Plain:
    """A scope's findings for other tools: sarif, junit, vex or csv."""
    if arguments.form not in OUT:
        raise Refused(
            "finding.export.form",
            f"form {arguments.form[:20]}",
            expected=f"one of {', '.join(OUT)}",
            found=arguments.form[:20],
            remedy=f"these can be imported: {', '.join(IN)}",
        )
    then = AsOf(app, arguments.at)
    if then.state(f"findings/{arguments.scope}") is None:
        return {"scope": arguments.scope, "exists": False, "content": ""}
    records = sorted(_records(app, then, arguments.scope), key=_order)
    return {"content": OUT[arguments.form](records, then.at_ms)}


def _wanted(record: rules.Record, arguments: ListArguments, now_ms: int) -> bool:
    state = arguments.state
    if state == "open" and (record.state not in rules.OPEN or record.accepted(now_ms)):
        return False
    if state == "accepted" and not (record.state in rules.OPEN and record.accepted(now_ms)):
        return False
    if state not in ("", "open", "accepted") and record.state != state:
        return False
    if arguments.severity and record.seen.severity != arguments.severity:
        return False
    words = f"{record.seen.title} {record.seen.rule} {record.seen.location.place()}".casefold()
    return arguments.text.casefold() in words


def _order(record: rules.Record) -> tuple[int, int, str, str]:
    return (-rules.rank(record.seen.severity), record.due_ms, record.scope, record.fingerprint)


def _row(record: rules.Record, now_ms: int) -> Plain:
    accepted = record.acceptance if record.accepted(now_ms) else None
    overdue = record.blocks(now_ms) and 0 < record.due_ms < now_ms
    return {
        "scope": record.scope,
        "fingerprint": record.fingerprint,
        "state": record.state,
        "severity": record.seen.severity,
        "title": record.seen.title,
        "place": record.seen.location.place(),
        "rule": record.seen.rule,
        "cwe": record.seen.cwe,
        "owner": record.owner,
        "first_at": shown(record.first_ms),
        "last_at": shown(record.last_ms),
        "due_at": shown(record.due_ms) if record.due_ms else "",
        "overdue": overdue,
        "blocks": record.blocks(now_ms),
        "accepted_by": accepted.person if accepted else "",
        "accepted_until": shown(accepted.until_ms) if accepted else "",
        "cleared": record.seen.cleared,
    }


def _find(app: App, then: AsOf, scope: str, fingerprint: str) -> rules.Record:
    found = _named(app, then, scope, fingerprint)
    if len(found) != 1:
        raise Refused(
            "finding.unknown",
            f"finding {fingerprint[:16]} of scope {scope}",
            expected="the beginning of one fingerprint",
            found=f"{len(found)} findings",
            remedy=f"see: surefoot finding list --scope {scope}",
        )
    return found[0]


def _named(app: App, then: AsOf, scope: str, fingerprint: str) -> list[rules.Record]:
    return [r for r in _records(app, then, scope) if r.fingerprint.startswith(fingerprint)]


def _records(app: App, then: AsOf, scope: str) -> list[rules.Record]:
    """A scope's findings with what people decided about them."""
    state = then.state(f"findings/{scope}")
    if state is None:
        return []
    held = msgspec.convert(state, FindingScope)
    return [_with(record, held) for record in finding_list.sheet_of(app, held).records]


def _with(record: rules.Record, held: FindingScope) -> rules.Record:
    accepted = held.accepted.get(record.fingerprint)
    if accepted is None and record.fingerprint not in held.owners:
        return record
    return msgspec.structs.replace(
        record,
        owner=held.owners.get(record.fingerprint, ""),
        acceptance=None
        if accepted is None
        else msgspec.convert({**msgspec.to_builtins(accepted), "control": ""}, rules.Acceptance),
    )
