"""From a commit to a release manifest: who contributed, what is built, what the gates say.

Keeps: every commit since the release that protected environments run is signed by an enrolled
person; each component is built once, from a clean checkout; the manifest names all by digest; the
gates' evidence is about exactly these bytes. Does not: sign for the cutter, or register.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from surefoot.app.desired import infrastructure_of
from surefoot.app.draft import Draft, Source
from surefoot.app.facade import App
from surefoot.app.gate_asks import baselines, gate_arguments
from surefoot.app.jobs import Report
from surefoot.app.people import commitment
from surefoot.app.tools import tools_of
from surefoot.core import facts as f
from surefoot.core import fold
from surefoot.core.errors import Refused
from surefoot.core.gate import Evidence, Gate, judge
from surefoot.core.manifest import Manifest, ManifestComponent
from surefoot.core.target import Plain
from surefoot.core.world import World
from surefoot.product import FILE_NAME, Definition, Firmware, Migrations, Service, parse_definition
from surefoot.product.rules import governance_of
from surefoot.supply.builder import Builder
from surefoot.supply.commit import Commit
from surefoot.supply.order import BuildOrder, BuiltComponent
from surefoot.supply.repository import Repository, require_signer
from surefoot.targets.database.migration import describe
from surefoot.targets.database.sql import Engine
from surefoot.trust.digest import Digest, digest_of

BASELINE_BYTES_MAX = 8 * 1024 * 1024


class Releasing:
    """Makes drafts of releases from one repository."""

    def __init__(
        self,
        repository: Path,
        make_builder: Callable[[Report], Builder],
        make_gates: Mapping[str, Callable[[], Gate]],
    ) -> None:
        self._repository = repository
        self._make_builder = make_builder
        self._make_gates = make_gates

    def history(self) -> Repository:
        """The repository, to be asked which commit set what."""
        return Repository(self._repository)

    def definition_of(self, app: App, ref: str) -> Source:
        """The definition at a commit that an enrolled person signed, with its authors."""
        repository = Repository(self._repository)
        commit = repository.resolve(ref)
        keys = app.read(_keys)
        repository.verify_commit(commit, keys)
        base = app.read(lambda w: w.definition.commit)
        changed = repository.definition_history(FILE_NAME, base, commit)
        for found in changed:
            # An unsigned commit below a signed one may name anybody as its author.
            require_signer(found, keys)
        return Source(
            commit=commit,
            content=repository.read_file(commit, FILE_NAME),
            authors=tuple(sorted(self._people(app, changed))),
        )

    def draft(self, app: App, asker: str, version: str, ref: str, report: Report) -> Draft:
        """Build every component, write the manifest, run the release's gates.

        Raises `Refused` with the first thing that is not as it must be.
        """
        repository = Repository(self._repository)
        commit = repository.resolve(ref)
        report(f"commit {commit[:12]}: who contributed")
        contributors = self._contributors(app, repository, commit)
        content = repository.read_file(commit, FILE_NAME)
        definition = parse_definition(content)
        app.blobs.put(content)
        _keep_baselines(app, repository, commit, definition)
        builder = self._make_builder(report)
        built: dict[str, BuiltComponent] = {}
        found: dict[str, str] = {}
        for name in definition.components:
            report(f"building {name}")
            order = _order(name, definition)
            found |= {t.name: t.version for t in builder.inputs(order, commit).tools}
            tools_of(definition.tools, found)
            built[name] = builder.build(order, commit)
        manifest = self._manifest(app, definition, content, version, commit, built)
        manifest = msgspec.structs.replace(
            manifest,
            contributors=tuple(sorted(contributors)),
            cutter=asker,
            tools={**tools_of(definition.tools, found)},
        )
        app.blobs.put(manifest.encode())
        gates, evidence = self._judged(app, manifest, definition, report)
        return Draft(manifest=manifest.encode(), gates=gates, evidence=evidence)

    def again(self, app: App, release: str, report: Report) -> int:
        """Build a release's components again from its commit; returns how many are identical.

        Raises `Refused("build.not-reproducible")` with the first difference.
        """
        manifest = app.manifest(release)
        definition = app.definition(manifest.definition)
        builder = self._make_builder(report)
        for component in manifest.components:
            order = _order(component.name, definition)
            found = builder.rebuild_and_compare(order, manifest.commit)
            if found.artifact != component.artifact:
                raise Refused(
                    "build.not-reproducible",
                    f"component {component.name}",
                    expected=component.artifact,
                    found=found.artifact,
                    remedy="make the build a function of its inputs, and cut a new release",
                )
        return len(manifest.components)

    def _contributors(self, app: App, repository: Repository, commit: str) -> set[str]:
        """Everybody who brought in something that protected environments do not run yet."""
        keys = app.read(_keys)
        people: set[str] = set()
        for base in app.read(_base_commits):
            commits = repository.contributors(base, commit)
            for found in commits:
                require_signer(found, keys)
            people |= self._people(app, commits)
        return people

    def _people(self, app: App, commits: tuple[Commit, ...]) -> set[str]:
        owners, identities = app.read(lambda w: (_owners(w), _identities(w)))
        people: set[str] = set()
        for commit in commits:
            if commit.signer in owners:
                people.add(owners[commit.signer])
            for email in (commit.author.email, commit.committer.email, *commit.coauthors):
                person = identities.get(commitment(app.identity_salt, email))
                if person is None:
                    raise _unknown_author(commit)
                people.add(person)
        return people

    def _manifest(
        self,
        app: App,
        definition: Definition,
        content: bytes,
        version: str,
        commit: str,
        built: dict[str, BuiltComponent],
    ) -> Manifest:
        return Manifest(
            product=definition.product,
            version=version,
            commit=commit,
            definition=digest_of(content),
            governance=Digest(fold.governance_digest(governance_of(definition))),
            components=tuple(
                _component(app, definition, name, version, part) for name, part in built.items()
            ),
            compatibility={
                name: msgspec.to_builtins(c) for name, c in definition.compatibility.items()
            },
            settings={
                name: {
                    "values": dict(e.values),
                    "secrets": list(e.secrets),
                    "infrastructure": infrastructure_of(e),
                }
                for name, e in definition.environments.items()
            },
            pipeline={
                "release": list(definition.pipeline.release),
                "deploy": list(definition.pipeline.deploy),
            },
            tools={},
            contributors=(),
            cutter="",
        )

    def _judged(
        self, app: App, manifest: Manifest, definition: Definition, report: Report
    ) -> tuple[tuple[f.GateResult, ...], tuple[Digest, ...]]:
        results = []
        for name in definition.pipeline.release:
            report(f"gate {name}")
            evidence = self._make_gates[name]().run(
                manifest.digest(), gate_arguments(name, manifest, definition)
            )
            result = judged(app, evidence, manifest.digest())
            report(f"gate {name}: {result.verdict}, {result.reason}")
            results.append(result)
        return tuple(results), tuple(r.evidence for r in results)


def _keep_baselines(app: App, repository: Repository, commit: str, definition: Definition) -> None:
    """Keep the approved snapshots at the commit; their digests are what people agreed to."""
    for named in baselines(definition):
        content = repository.read_file(commit, named.file, BASELINE_BYTES_MAX)
        if digest_of(content) != named.digest:
            raise Refused(
                "baseline.digest",
                f"baseline {named.file}",
                expected=named.digest,
                found=digest_of(content),
                remedy="name the digest of the file in surefoot.yaml, and have both reviewed",
            )
        app.blobs.put(content)


def judged(app: App, evidence: Evidence, subject: Digest) -> f.GateResult:
    """Keep the evidence and judge it."""
    found = judge(evidence, subject)
    return f.GateResult(
        gate=evidence.gate,
        verdict=found.verdict,
        reason=found.reason[:300],
        evidence=app.blobs.put(msgspec.json.encode(evidence)),
    )


def _order(name: str, definition: Definition) -> BuildOrder:
    component = definition.components[name]
    if isinstance(component, Migrations):
        return BuildOrder(name=name, kind="migrations", path=component.path)
    build = component.build
    return BuildOrder(
        name=name,
        kind=component.kind,
        path=component.path,
        command=build.command,
        artifact=build.artifact,
        manifest=build.manifest or "",
        tests_command=build.tests.command if build.tests else (),
        locks=build.locks,
        tools=build.tools,
    )


def _component(
    app: App, definition: Definition, name: str, version: str, built: BuiltComponent
) -> ManifestComponent:
    part = definition.components[name]
    detail: Plain = {}
    shown = version
    if isinstance(part, Migrations):
        engine = _engine(definition, part.database)
        migrations = describe(app.blobs.get(built.artifact), engine)
        detail = {"database": part.database, "migrations": [*migrations]}
        shown = f"{len(migrations):04d}"
    elif isinstance(part, Firmware):
        shown = str((built.manifest or {}).get("version", version))
        detail = {"image": _image(app, part, built, shown)}
    elif isinstance(part, Service):
        detail = {"database": part.run.database} if part.run.database else {}
    return ManifestComponent(
        name=name,
        kind=built.kind,
        artifact=built.artifact,
        size_bytes=built.artifact_size,
        version=shown,
        provenance=built.provenance,
        sbom=built.sbom,
        tests=built.test_result or built.tests or "",
        detail=detail,
    )


def _engine(definition: Definition, database: str) -> Engine:
    """Whose SQL the migrations are read as; of several engines, the first environment's."""
    for environment in definition.environments.values():
        if database in environment.targets.databases:
            declared = environment.targets.databases[database].engine
            return "sqlite" if declared == "sqlite" else "postgres"
    raise AssertionError("the definition was checked: every database is declared")


def _image(app: App, part: Firmware, built: BuiltComponent, version: str) -> Plain:
    """A firmware image as devices' clients need it described."""
    sha1, md5 = hashlib.sha1(usedforsecurity=False), hashlib.md5(usedforsecurity=False)
    with Path(app.blobs.path(built.artifact)).open("rb") as image:
        while chunk := image.read(1 << 20):
            sha1.update(chunk)
            md5.update(chunk)
    return {
        "digest": built.artifact,
        "name": str((built.manifest or {}).get("name", built.name)),
        "version": version,
        "file": part.build.artifact,
        "size_bytes": built.artifact_size,
        "sha1": sha1.hexdigest(),
        "md5": md5.hexdigest(),
        "hardware": list(part.hardware),
        **({"from_version": part.from_version} if part.from_version else {}),
        **({"through": True} if part.through else {}),
        **({"attribute": part.attribute} if part.attribute else {}),
    }


def _keys(world: World) -> set[str]:
    return {key for person in world.people.people.values() for key in person.keys}


def _owners(world: World) -> dict[str, str]:
    """Fingerprint to person; revoked keys still name whose work it was."""
    return {
        key: person.id
        for person in world.people.people.values()
        for key in (*person.keys, *person.revoked)
    }


def _identities(world: World) -> dict[str, str]:
    return {mark: p.id for p in world.people.people.values() for mark in p.identities}


def _base_commits(world: World) -> list[str]:
    """The commits that protected environments run; `[""]`, the beginning, when one runs none.

    What one of them lacks is new to it, however long another has it: all of them count.
    """
    rules = world.definition.governance.environments
    protected = [
        e for e in world.environments.values() if e.protected and (not e.source or e.name in rules)
    ]
    running = [world.release_by_digest(e.release) for e in protected if e.release]
    known = {r.commit for r in running if r is not None}
    if not known or len(running) < len(protected) or None in running:
        return [""]
    return sorted(known)


def _unknown_author(commit: Commit) -> Refused:
    return Refused(
        "release.author.unknown",
        f"commit {commit.id[:12]}",
        expected="authors who are enrolled people",
        found="an author or co-author address of nobody enrolled",
        remedy="enrol the person with that address: surefoot person enrol --identity",
    )
