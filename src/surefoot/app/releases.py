"""Operations on releases: build a draft, register it with the cutter's signature, show."""

from __future__ import annotations

import base64
from itertools import dropwhile, islice
from typing import Annotated

import msgspec

from surefoot.app.advisories import judge_release
from surefoot.app.as_of import AsOf
from surefoot.app.draft import Draft
from surefoot.app.facade import App
from surefoot.app.jobs import Report
from surefoot.app.moment import shown
from surefoot.app.operation import Arguments, Request, operation
from surefoot.core import facts as f
from surefoot.core import manifest as manifests
from surefoot.core import policy, waiver
from surefoot.core import release as releases
from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.core.world import Release, World
from surefoot.trust import envelope
from surefoot.trust.digest import digest_of
from surefoot.trust.keys import parse_public_line


class BuildArguments(Arguments, frozen=True, kw_only=True):
    version: str
    commit: str = "HEAD"


class JobArguments(Arguments, frozen=True, kw_only=True):
    job: str
    after: int = 0


class RegisterArguments(Arguments, frozen=True, kw_only=True):
    envelope: str


class ListArguments(Arguments, frozen=True, kw_only=True):
    after: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    at: str = ""


class VersionArguments(Arguments, frozen=True, kw_only=True):
    version: str


class ShowArguments(Arguments, frozen=True, kw_only=True):
    version: str
    at: str = ""


@operation("release build", "POST", "/releases/builds", BuildArguments)
def build(app: App, request: Request, arguments: BuildArguments) -> Plain:
    """Build a release's components from a commit and run its gates; answers with a job."""
    app.ready()
    app.check(request, lambda w: releases.check_new(w, request.asker, arguments.version))

    def work(report: Report) -> Plain:
        try:
            draft = app.builder.draft(
                app, request.asker.id, arguments.version, arguments.commit, report
            )
            _list_weaknesses(app, request, draft)
            _check_gates(app, draft)
        except Refused as refused:
            app.note_refusal(request, refused)
            raise
        app.keep_draft(draft)
        return _shown_draft(draft)

    return {"job": app.jobs.start(request.asker.id, work)}


def _list_weaknesses(app: App, request: Request, draft: Draft) -> None:
    """What the gate on packages saw is in their lists, to be assigned or accepted."""
    named = any(gate.gate == "vulnerabilities" for gate in draft.gates)
    if named and app.read(lambda w: w.advisories.snapshot):
        judge_release(app, request, manifests.decode(draft.manifest), "release.create")


def _check_gates(app: App, draft: Draft) -> None:
    manifest = manifests.decode(draft.manifest)
    own, now_ms = {manifest.cutter, *manifest.contributors}, app.clock.now_ms()

    def rule(world: World) -> None:
        results = waiver.judged(world, draft.gates, own, now_ms)
        waiver.check_release(world, manifest.version, results, own, now_ms)

    app.read(rule)


def _shown_draft(draft: Draft) -> Plain:
    manifest = manifests.decode(draft.manifest)
    return {
        "manifest": base64.b64encode(draft.manifest).decode(),
        "digest": digest_of(draft.manifest),
        "version": manifest.version,
        "commit": manifest.commit,
        "contributors": list(manifest.contributors),
        "components": [_component(c) for c in manifest.components],
        "gates": [msgspec.to_builtins(g) for g in draft.gates],
    }


def _component(component: manifests.ManifestComponent) -> Plain:
    return {
        "name": component.name,
        "kind": component.kind,
        "version": component.version,
        "artifact": component.artifact,
        "size_bytes": component.size_bytes,
    }


@operation("release rebuild", "POST", "/releases/{version}/rebuilds", VersionArguments)
def rebuild(app: App, request: Request, arguments: VersionArguments) -> Plain:
    """Build a release's components again and compare them; identical, or refused."""
    app.check(request, lambda w: policy.require(w, request.asker, "release.create"))
    digest = app.read(lambda w: releases.find(w, arguments.version).digest)

    def work(report: Report) -> Plain:
        return {"version": arguments.version, "identical": app.builder.again(app, digest, report)}

    return {"job": app.jobs.start(request.asker.id, work)}


@operation(
    "job show",
    "GET",
    "/jobs/{job}",
    JobArguments,
    timeless="jobs are work under way, kept in memory; what comes of one is in the journal",
)
def show_job(app: App, request: Request, arguments: JobArguments) -> Plain:
    """A job's state, its new lines, and in the end its result or error."""
    return app.jobs.show(arguments.job, arguments.after)


@operation("release register", "POST", "/releases", RegisterArguments)
def register(app: App, request: Request, arguments: RegisterArguments) -> Plain:
    """Register a release whose manifest its cutter signed."""
    try:
        content = base64.b64decode(arguments.envelope, validate=True)
        keys = app.read(lambda w: [k for p in w.people.people.values() for k in p.keys.values()])
        payload, signers = envelope.open(
            content, [parse_public_line(k)[0] for k in keys], 1, manifests.PAYLOAD_TYPE
        )
    except ValueError as error:
        raise Refused(
            "release.manifest.signature",
            "release",
            expected="a manifest in an envelope signed by its cutter's enrolled key",
            found=str(error)[:200],
            remedy="cut the release with: surefoot release create",
        ) from None
    manifest = manifests.decode(payload)
    signed_by = app.read(lambda w: {policy.person_of_key(w, s) for s in signers})
    draft = app.find_draft(digest_of(payload))
    if manifest.cutter not in signed_by or draft is None:
        raise Refused(
            "release.manifest.signature",
            f"release {manifest.version}",
            expected=f"a manifest built here and signed by {manifest.cutter}",
            found="another signer" if draft else "a manifest that was not built here",
            remedy="cut the release with: surefoot release create",
        )
    signed = app.blobs.put(content)
    app.blobs.put(payload)
    fact = _fact(manifest, draft)
    own = {manifest.cutter, *manifest.contributors}

    def rule(world: World) -> list[f.Fact]:
        now_ms = app.clock.now_ms()
        gates = waiver.judged(world, draft.gates, own, now_ms)
        judged = msgspec.structs.replace(fact, gates=gates)
        return releases.register(world, request.asker, judged, now_ms)

    app.command(
        request,
        rule,
        (signed, fact.release, *draft.evidence),
    )
    return {"version": manifest.version, "digest": fact.release}


def _fact(manifest: manifests.Manifest, draft: Draft) -> f.ReleaseRegistered:
    return f.ReleaseRegistered(
        release=manifest.digest(),
        version=manifest.version,
        commit=manifest.commit,
        components=tuple(
            f.ReleasedComponent(
                name=c.name,
                kind=c.kind,
                artifact=c.artifact,
                size_bytes=c.size_bytes,
                version=c.version,
            )
            for c in manifest.components
        ),
        compatibility=manifest.compatibility,
        definition=manifest.definition,
        governance=manifest.governance,
        contributors=manifest.contributors,
        cutter=manifest.cutter,
        gates=draft.gates,
    )


@operation("release list", "GET", "/releases", ListArguments)
def list_releases(app: App, request: Request, arguments: ListArguments) -> Plain:
    """Registered releases, newest first."""
    then = AsOf(app, arguments.at)
    rows = then.releases()
    if arguments.after and then.release(arguments.after) is not None:
        rows = dropwhile(lambda r: r.version != arguments.after, rows)
        next(rows, None)
    return {"releases": [_row(r) for r in islice(rows, arguments.limit)]}


def _row(release: Release) -> Plain:
    return {
        "version": release.version,
        "digest": release.digest,
        "commit": release.commit,
        "cutter": release.cutter,
        "contributors": list(release.contributors),
        "registered_at": shown(release.registered_ms),
        "components": {
            name: {"version": c.version, "artifact": c.artifact, "kind": c.kind}
            for name, c in release.components.items()
        },
    }


@operation("release show", "GET", "/releases/{version}", ShowArguments)
def show(app: App, request: Request, arguments: ShowArguments) -> Plain:
    """A release: manifest, gates, where it runs, or ran then."""
    then = AsOf(app, arguments.at)
    if then.now:
        app.read(lambda w: releases.find(w, arguments.version))
    release = then.release(arguments.version)
    if release is None:
        return {"version": arguments.version, "exists": False, "at": shown(then.at_ms)}
    manifest = app.manifest(release.digest)
    places = [e.name for e in then.environments() if e.release_version == release.version]
    return {
        **_row(release),
        "gates": [msgspec.to_builtins(g) for g in release.gates],
        "manifest": msgspec.to_builtins(manifest),
        "environments": [*places],
    }
