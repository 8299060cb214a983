"""Operations on advisories: take a signed snapshot, show it, and judge packages by it.

Keeps: nothing is stored that no believed signer named; the snapshot in force is the newest that was
taken, and never an older one; what is judged becomes findings of the existing list, by a report
that is conclusive only when it covered all and the advisories were young enough.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

import msgspec

from surefoot.app import finding_list
from surefoot.app.advisory_ground import Ground, scope_of
from surefoot.app.as_of import AsOf
from surefoot.app.facade import App
from surefoot.app.findings import unpacked
from surefoot.app.moment import shown
from surefoot.app.operation import Arguments, Reason, Request, operation
from surefoot.core import advisory_rules as rules
from surefoot.core import bom, dpkg, policy
from surefoot.core import facts as f
from surefoot.core import release as releases
from surefoot.core.advisory_report import Inventory, Outcome, outcome_of, staleness, wanted_of
from surefoot.core.errors import Refused
from surefoot.core.finding import Report
from surefoot.core.manifest import Manifest
from surefoot.core.target import Plain
from surefoot.core.world import AdvisoryState
from surefoot.insight import advisories
from surefoot.insight.reports.form import BadReport
from surefoot.insight.vex import read_statements
from surefoot.trust.digest import Digest, digest_of

_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,50}$")]
_Packed = Annotated[str, msgspec.Meta(max_length=4 * 1024 * 1024)]


class TakeArguments(Arguments, frozen=True, kw_only=True):
    envelope: _Packed
    part: _Packed = ""
    less: bool = False
    reason: Reason = ""


class ShowArguments(Arguments, frozen=True, kw_only=True):
    at: str = ""


class CheckArguments(Arguments, frozen=True, kw_only=True):
    version: str


class ListArguments(Arguments, frozen=True, kw_only=True):
    component: _Name
    form: Literal["sbom", "dpkg"]
    content: _Packed
    system: Annotated[str, msgspec.Meta(max_length=100_000)] = ""


class VexArguments(Arguments, frozen=True, kw_only=True):
    component: _Name
    document: _Packed


@operation("advisories import", "POST", "/advisories", TakeArguments)
def take(app: App, request: Request, arguments: TakeArguments) -> Plain:
    """Take a signed snapshot: its envelope first, then each part that is missing."""
    app.ready()
    app.check(request, lambda w: policy.require(w, request.asker, rules.PERMISSION))
    if arguments.less and not arguments.reason:
        raise _no_reason()
    content = _bytes(arguments.envelope)
    statement, signer = _opened(app, request, content)
    digest = digest_of(content)
    now = app.clock.now_ms()
    is_new = app.check(request, lambda w: rules.check_new(w, statement.made_at_ms, digest, now))
    if is_new:
        known = statement.ecosystems()
        app.check(request, lambda w: rules.check_whole(w, known, arguments.less))
    if is_new and arguments.part:
        _keep_part(app, statement, _bytes(arguments.part))
    missing = [p.digest for p in statement.parts if not app.blobs.has(p.digest)]
    if is_new and not missing:
        _in_force(app, request, arguments, statement, signer)
    return {
        "snapshot": digest,
        "known": not is_new,
        "made_at": shown(statement.made_at_ms),
        "signer": signer,
        "missing": [*missing],
        "in_force": not missing,
        "ecosystems": dict(statement.ecosystems()),
    }


def _opened(app: App, request: Request, content: bytes) -> tuple[advisories.Statement, str]:
    known = app.check(request, rules.signers_of)
    try:
        statement, signers = advisories.open_statement(content, known)
    except advisories.BadSnapshot as error:
        refused = Refused(
            "advisories.snapshot.signature",
            "snapshot",
            expected="a statement signed by a key that the definition in force names",
            found=str(error)[:200],
            remedy="import a snapshot as it was made, by one of the signers",
        )
        app.note_refusal(request, refused)
        raise refused from None
    return statement, min(signers)


def _keep_part(app: App, statement: advisories.Statement, content: bytes) -> None:
    digest = digest_of(content)
    entry = next((part for part in statement.parts if part.digest == digest), None)
    try:
        if entry is None:
            raise advisories.BadSnapshot("a part that the statement does not name")
        advisories.check_part(entry, content)
    except advisories.BadSnapshot as error:
        raise Refused(
            "advisories.part.input",
            "snapshot",
            expected="a part as the signed statement says",
            found=str(error)[:200],
            remedy="fetch the file again: it is damaged, or was changed",
        ) from None
    app.blobs.put(content)


def _in_force(
    app: App,
    request: Request,
    arguments: TakeArguments,
    statement: advisories.Statement,
    signer: str,
) -> None:
    fact = f.AdvisoriesImported(
        snapshot=app.blobs.put(_bytes(arguments.envelope)),
        signer=signer,
        made_at_ms=statement.made_at_ms,
        newest_ms=statement.newest_ms,
        records=statement.total("records"),
        withdrawn=statement.total("withdrawn"),
        exploited=statement.total("exploited"),
        likely=statement.total("likely"),
        ecosystems=statement.ecosystems(),
    )
    now, less = app.clock.now_ms(), arguments.less
    app.command(
        request,
        lambda w: rules.take(w, request.asker, fact, now, less),
        (fact.snapshot,),
        arguments.reason,
    )


def _no_reason() -> Refused:
    return Refused(
        "advisories.less.input",
        "snapshot",
        expected="why it may hold less than the one in force",
        found="no reason",
        remedy="say it: --reason TEXT",
    )


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(
            "advisories.part.input",
            "snapshot",
            expected="base64",
            found="something else",
            remedy="send it with: surefoot advisories import",
        ) from None


@operation("advisories show", "GET", "/advisories", ShowArguments)
def show(app: App, request: Request, arguments: ShowArguments) -> Plain:
    """The snapshot in force, now or then: its age, what it covers, and whether it can judge."""
    then = AsOf(app, arguments.at)
    state = then.state("advisories")
    held = msgspec.convert(state or {}, AdvisoryState)
    limits = then.definition().governance.advisories
    row: Plain = {
        "limits": msgspec.to_builtins(limits),
        "vex": {name: msgspec.to_builtins(each) for name, each in sorted(held.vex.items())},
    }
    if not held.snapshot:
        return {**row, "snapshot": "", "usable": False, "because": "none was imported"}
    gaps = staleness(held, limits, then.at_ms)
    return {
        **row,
        "snapshot": held.snapshot,
        "signer": held.signer,
        "made_at": shown(held.made_at_ms),
        "newest_at": shown(held.newest_ms),
        "taken_at": shown(held.taken_ms),
        "records": held.records,
        "withdrawn": held.withdrawn,
        "exploited": held.exploited,
        "likely": held.likely,
        "ecosystems": dict(held.ecosystems),
        "usable": not gaps,
        "because": "; ".join(gaps),
    }


@operation("advisories check", "POST", "/advisories/releases/{version}", CheckArguments)
def check(app: App, request: Request, arguments: CheckArguments) -> Plain:
    """Judge a registered release by the snapshot in force, and move its lists of findings on."""
    app.ready()
    app.check(request, lambda w: policy.require(w, request.asker, rules.PERMISSION))
    release = app.read(lambda w: releases.find(w, arguments.version).digest)
    return judge_release(app, request, app.manifest(release), rules.PERMISSION)


def judge_release(app: App, request: Request, manifest: Manifest, permission: str) -> Plain:
    """Judge every component that may have packages; one row each. Raises `Refused`."""
    ground = _ground(app)
    inventories = []
    for each in manifest.components:
        if each.kind == "migrations":
            continue
        bill = bom.read(app.blobs.get(Digest(each.sbom)))
        inventories.append(
            Inventory(
                component=each.name,
                parts=bill.parts,
                program=bill.program,
                statements=ground.statements(each.name),
            )
        )
    return {"components": [*_judged(app, request, inventories, permission)]}


@operation("advisories host", "POST", "/advisories/hosts/{component}", ListArguments)
def host(app: App, request: Request, arguments: ListArguments) -> Plain:
    """Judge a list of packages: a system's dpkg status with its os-release, or a CycloneDX bill."""
    app.ready()
    app.check(request, lambda w: policy.require(w, request.asker, rules.PERMISSION))
    content = unpacked(arguments.content)
    try:
        if arguments.form == "sbom":
            parts = bom.read(content).parts
        else:
            system, release = dpkg.distribution(arguments.system.encode())
            parts = dpkg.parts_of(dpkg.read_status(content), system, release)
    except ValueError as error:
        raise Refused(
            "advisories.list.input",
            f"packages of {arguments.component}",
            expected=f"a whole list of the form {arguments.form}",
            found=str(error)[:200],
            remedy="read it from the system again",
        ) from None
    inventory = Inventory(
        component=arguments.component,
        parts=parts,
        statements=_ground(app).statements(arguments.component),
    )
    return _judged(app, request, [inventory], rules.PERMISSION)[0]


@operation("advisories vex", "POST", "/advisories/vex/{component}", VexArguments)
def vex(app: App, request: Request, arguments: VexArguments) -> Plain:
    """Take what a VEX document says does not affect a component; it replaces the one before."""
    app.ready()
    content = unpacked(arguments.document)
    try:
        statements = read_statements(content)
    except BadReport as error:
        raise Refused(
            "advisories.vex.input",
            f"VEX document about {arguments.component}",
            expected="a CycloneDX or OpenVEX document, each clearing with its justification",
            found=str(error)[:200],
            remedy="say why each weakness does not affect it",
        ) from None
    fact = f.VexImported(
        component=arguments.component,
        document=app.blobs.put(content),
        statements=len(statements),
    )

    def rule(world: object) -> list[f.Fact]:
        policy.require(world, request.asker, rules.PERMISSION)  # type: ignore[arg-type]
        return [fact]

    app.command(request, rule, (fact.document,))
    return {"component": fact.component, "document": fact.document, "statements": len(statements)}


def _ground(app: App) -> Ground:
    return Ground(app.log, app.blobs, app.clock.now_ms)


def _judged(
    app: App, request: Request, inventories: list[Inventory], permission: str
) -> list[Plain]:
    ground = _ground(app)
    snapshot, limits = ground.snapshot(), ground.policy()
    if snapshot is None:
        raise Refused(
            "advisories.snapshot.none",
            "advisories",
            expected="a snapshot that was imported",
            found="none",
            remedy="import one: surefoot advisories import FILE",
        )
    now = app.clock.now_ms()
    known = snapshot.about(wanted_of(inventories))
    stale = staleness(snapshot, limits, now)
    rows = []
    for each in inventories:
        outcome = outcome_of(each, known, limits)
        report, content = _report(outcome, (*stale, *outcome.gaps), snapshot.digest, now)
        taking = finding_list.Taking(
            scope=scope_of(outcome.component),
            component=outcome.component,
            report=report,
            digest=app.blobs.put(content),
            permission=permission,
        )
        rows.append(_row(outcome, snapshot.digest, finding_list.enter(app, request, taking)))
    return rows


def _report(
    outcome: Outcome, gaps: tuple[str, ...], snapshot: str, now_ms: int
) -> tuple[Report, bytes]:
    """The report and its bytes, which name the snapshot and the moment."""
    content = msgspec.json.encode({"snapshot": snapshot, "at_ms": now_ms, "outcome": outcome})
    report = Report(
        form="advisories",
        tool="surefoot-advisories",
        version="1",
        conclusive=not gaps,
        trouble="; ".join(gaps)[:300],
        figures={
            "packages": outcome.parts,
            "judged": outcome.judged,
            "not_judged": len(outcome.unjudged),
            "cleared": len(outcome.cleared),
            "results": len(outcome.seen),
        },
        seen=outcome.seen,
    )
    return report, content


def _row(outcome: Outcome, snapshot: str, entered: f.FindingsImported | None) -> Plain:
    row: Plain = {
        "component": outcome.component,
        "scope": scope_of(outcome.component),
        "snapshot": snapshot,
        "packages": outcome.parts,
        "judged": outcome.judged,
        "not_judged": [
            {"package": u.part.shown, "version": u.part.version, "why": u.why, "excused": u.excused}
            for u in outcome.unjudged[:100]
        ],
        "cleared": [
            {"rule": s.rule, "package": s.location.package, "justification": s.cleared}
            for s in outcome.cleared[:100]
        ],
    }
    if entered is None:
        return {**row, "known": True}
    return {
        **row,
        "known": False,
        "report": entered.report,
        "conclusive": entered.conclusive,
        "trouble": entered.trouble,
        "counts": dict(entered.counts),
    }
