"""Builds a component once, from a clean checkout of a commit, and says so under its own key.

Keeps: the artifact is read and digested before the tests run, so tests cannot change it; the same
inputs are built a second time only to be compared, and refused when the result differs; nothing
is remembered before every blob of it is stored.
Does not: judge tests (the gate does), or start processes itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from surefoot.core.errors import Failed, Refused
from surefoot.core.target import Blobs, Plain
from surefoot.supply import archive, build, junit, locks, provenance, sbom
from surefoot.supply.build import Fence, Result
from surefoot.supply.order import BuildOrder, BuiltComponent, Inputs, check_order
from surefoot.supply.repository import Repository, checkout
from surefoot.trust import canonical
from surefoot.trust.digest import Digest, digest_of
from surefoot.trust.envelope import Signer

ARTIFACT_BYTES_MAX = 1024 * 1024 * 1024
MANIFEST_BYTES_MAX = 64 * 1024


class Cache(Protocol):
    """Remembers what was built, by build key. Durable on return; keeping twice is harmless."""

    def find(self, key: Digest) -> BuiltComponent | None:
        """The component built from these inputs, if any."""

    def keep(self, built: BuiltComponent) -> None:
        """Remember a component; the first one for a key stays."""


class _Folders(msgspec.Struct, frozen=True):
    source: Path
    out: Path
    home: Path
    temporary: Path
    junit: Path


class _Product(msgspec.Struct, frozen=True):
    artifact: bytes
    manifest: Plain | None
    log: bytes
    milliseconds: int
    packages: tuple[locks.Package, ...]


class _Tests(msgspec.Struct, frozen=True):
    log: bytes = b""
    figures: Plain = {}
    content: bytes = b""
    report: junit.Report | None = None
    exit_status: int = 0


class Builder:
    """Builds components of one repository. `now_ms` gives UTC milliseconds; `progress` hears lines;
    commands do not see the `hidden` folders.

    One build of a component runs at a time on a work folder; a second waits for it.
    """

    def __init__(
        self,
        repository: Path,
        work: Path,
        *,
        blobs: Blobs,
        cache: Cache,
        signer: Signer,
        now_ms: Callable[[], int],
        progress: Callable[[str], None] = lambda _: None,
        hidden: Sequence[Path] = (),
    ) -> None:
        self._repository = repository
        self._work = work
        self._blobs = blobs
        self._cache = cache
        self._signer = signer
        self._now_ms = now_ms
        self._progress = progress
        self._hidden = tuple(str(folder.resolve()) for folder in hidden)

    def build(self, order: BuildOrder, commit: str) -> BuiltComponent:
        """The component built from the commit: as it was built before, or built now.

        Raises `Refused` for a bad order, `Failed` when the build fails or a blob was lost.
        """
        inputs = self.inputs(order, commit)
        found = self._cache.find(inputs.key())
        if found is None:
            return self._build(inputs)
        for digest in (found.artifact, found.provenance, found.sbom, found.log):
            self._blobs.path(digest)
        self._progress(f"{order.name}: built before, {found.artifact}")
        return found

    def rebuild_and_compare(self, order: BuildOrder, commit: str) -> BuiltComponent:
        """Build again and compare with the first build of the same inputs, which is returned.

        Raises `Refused` `build.not-reproducible`, naming the first difference.
        """
        inputs = self.inputs(order, commit)
        first = self._cache.find(inputs.key())
        if first is None:
            return self._build(inputs)
        with self._folders(order.name) as folders:
            again = self._produce(inputs, folders)
        _compare(order.name, first, self._blobs.get(first.artifact), again)
        self._progress(f"{order.name}: built again, identical, {first.artifact}")
        return first

    def inputs(self, order: BuildOrder, commit: str) -> Inputs:
        """Everything that goes into the build, tools on this machine included."""
        check_order(order)
        repository = Repository(self._repository)
        found = repository.commit(repository.resolve(commit))
        named = dict.fromkeys(order.tools)
        for command in (order.command, order.tests_command):
            if command and "/" not in command[0]:
                named[command[0]] = None
        apart = build.isolation()
        return Inputs(
            order=order,
            commit=found.id,
            tree=repository.tree_of(found.id, order.path),
            time_seconds=found.time_seconds,
            tools=tuple(build.tool(name, build.PATH, apart) for name in sorted(named)),
        )

    def _build(self, inputs: Inputs) -> BuiltComponent:
        name = inputs.order.name
        started_ms = self._now_ms()
        with self._folders(name) as folders:
            made = self._produce(inputs, folders)
            artifact = self._blobs.put(made.artifact)
            self._progress(f"{name}: built in {made.milliseconds} ms, {artifact}")
            tested = self._test(inputs, folders)
        built = self._record(inputs, artifact, made, tested, started_ms)
        self._cache.keep(built)
        return built

    def _record(
        self, inputs: Inputs, artifact: Digest, made: _Product, tested: _Tests, started_ms: int
    ) -> BuiltComponent:
        order = inputs.order
        log = self._blobs.put(made.log + tested.log)
        bill = self._blobs.put(
            sbom.sbom_of(
                order.name, order.kind, inputs.commit, artifact, inputs.time_seconds, made.packages
            )
        )
        byproducts = {"log": log, "sbom": bill}
        tests = result = None
        if tested.report is not None:
            tests = byproducts["junit"] = self._blobs.put(tested.content)
            result = self._blobs.put(
                provenance.test_result_of(
                    order.name, artifact, tests, tested.report, tested.exit_status, [self._signer]
                )
            )
        run = provenance.Run(
            started_ms=started_ms,
            ended_ms=self._now_ms(),
            environment=_environment(inputs),
            isolation=build.isolation().record() if order.command else {},
            byproducts=byproducts,
        )
        said = provenance.provenance_of(inputs, artifact, run, [self._signer])
        return BuiltComponent(
            name=order.name,
            kind=order.kind,
            build_key=inputs.key(),
            commit=inputs.commit,
            tree=inputs.tree,
            artifact=artifact,
            artifact_size=len(made.artifact),
            manifest=made.manifest,
            provenance=self._blobs.put(said),
            sbom=bill,
            log=log,
            tests=tests,
            test_result=result,
            figures={"built_ms": made.milliseconds, **tested.figures},
        )

    def _produce(self, inputs: Inputs, folders: _Folders) -> _Product:
        order = inputs.order
        self._progress(f"{order.name}: checking out {inputs.commit[:12]}")
        checkout(self._repository, inputs.commit, order.path, folders.source)
        packages = tuple(
            package
            for path in order.locks
            for package in locks.parse(
                path, _read(folders.source, path, locks.SIZE_BYTES_MAX, order.name)
            )
        )
        if not order.command:
            # Time 0, not the commit's: an unchanged folder is the same artifact at every commit.
            return _Product(archive.tar_of(folders.source, 0), None, b"", 0, packages)
        done = self._run(inputs, order.command, folders, "building")
        if done.exit_status != 0 or done.timed_out:
            self._fail(order, done)
        artifact = _read(folders.out, order.artifact, ARTIFACT_BYTES_MAX, order.name)
        manifest = _manifest(folders.out, order) if order.manifest else None
        return _Product(artifact, manifest, done.log, done.milliseconds, packages)

    def _test(self, inputs: Inputs, folders: _Folders) -> _Tests:
        order = inputs.order
        if not order.tests_command:
            return _Tests()
        done = self._run(inputs, order.tests_command, folders, "testing")
        counts: Plain = {"exit_status": done.exit_status, "trouble": ""}
        figures: Plain = {"tests_ms": done.milliseconds, "tests": counts}
        try:
            if done.timed_out:
                raise Refused(
                    "build.tests.slow",
                    order.name,
                    expected=f"an end in {order.timeout_seconds} s",
                    found="none",
                )
            content = _read(
                folders.junit.parent, folders.junit.name, junit.SIZE_BYTES_MAX, order.name
            )
            report = junit.parse(content)
        except Refused as error:
            # Not an error of the build: the gate finds no result for this digest and says so.
            counts["trouble"] = str(error)
            self._progress(f"{order.name}: tests gave no report")
            return _Tests(log=done.log, figures=figures)
        for result in ("passed", "failed", "error", "skipped"):
            counts[result] = len(report.names(result))
        self._progress(f"{order.name}: {counts['passed']} of {len(report.cases)} tests passed")
        return _Tests(done.log, figures, content, report, done.exit_status)

    def _run(self, inputs: Inputs, command: Sequence[str], folders: _Folders, doing: str) -> Result:
        name = inputs.order.name
        self._progress(f"{name}: {doing}")
        places = {"{out}": str(folders.out), "{junit}": str(folders.junit)}
        words = []
        for word in command:
            for mark, place in places.items():
                word = word.replace(mark, place)
            words.append(word)
        environment = _environment(inputs) | {
            "HOME": str(folders.home),
            "TMPDIR": str(folders.temporary),
        }
        return build.run(
            words,
            folders.source,
            environment,
            inputs.order.timeout_seconds,
            build.isolation(),
            lambda said: self._progress(f"{name}: {doing}, {said}"),
            self._fence(inputs, folders),
        )

    def _fence(self, inputs: Inputs, folders: _Folders) -> Fence:
        """The component's own folder, and neither the installation's nor people's folders."""
        private = build.private_folders(tool.name for tool in inputs.tools)
        return Fence(str(folders.home.parent.resolve()), (*self._hidden, *private))

    def _fail(self, order: BuildOrder, done: Result) -> None:
        log = self._blobs.put(done.log)
        lines = done.log.decode(errors="replace").strip().splitlines()
        ended = "still running" if done.timed_out else f"exit status {done.exit_status}"
        raise Failed(
            "build.command.slow" if done.timed_out else "build.command.failed",
            f"component {order.name}",
            expected=f"exit status 0 within {order.timeout_seconds} s",
            found=ended + (f": {lines[-1][:200]}" if lines else ""),
            remedy=f"read the log {log}",
        )

    @contextlib.contextmanager
    def _folders(self, name: str) -> Iterator[_Folders]:
        # The same path each time: builds that write their folder's name into the artifact are
        # then still the same. The lock makes that safe; a leftover is of a crash, and goes.
        self._work.mkdir(parents=True, exist_ok=True)
        base = self._work / name
        with (self._work / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _remove(base)
            folders = _Folders(
                base / "source", base / "out", base / "home", base / "tmp", base / "junit.xml"
            )
            for folder in (folders.out, folders.home, folders.temporary):
                folder.mkdir(parents=True)
            try:
                yield folders
            finally:
                _remove(base)


def _environment(inputs: Inputs) -> dict[str, str]:
    """The environment of the commands; HOME and TMPDIR stand for folders of the build's own."""
    return {
        "PATH": build.PATH,
        "HOME": "{home}",
        "TMPDIR": "{temporary}",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": str(inputs.time_seconds),
    }


def _compare(name: str, first: BuiltComponent, content: bytes, again: _Product) -> None:
    found = digest_of(again.artifact)
    difference = archive.first_difference(content, again.artifact)
    if found == first.artifact and again.manifest != first.manifest:
        difference = "the manifest"
    if difference:
        raise Refused(
            "build.not-reproducible",
            f"component {name}",
            expected=first.artifact,
            found=f"{found}, first difference: {difference}",
            remedy="make the build depend on its inputs alone: no clock, no order of files, "
            "no random names; use SOURCE_DATE_EPOCH",
        )


def _read(folder: Path, path: str, size_bytes_max: int, name: str) -> bytes:
    """A plain file below a folder, not through links. Raises `Refused`."""
    subject = f"component {name}: {path}"
    target = folder / path
    try:
        if not target.parent.resolve().is_relative_to(folder.resolve()):
            raise Refused("build.output.missing", subject, expected="a file", found="a link out")
        opened = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        found = str(error.strerror)
        raise Refused("build.output.missing", subject, expected="a file", found=found) from None
    try:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode) or status.st_size > size_bytes_max:
            raise Refused(
                "build.output.input",
                subject,
                expected=f"a file of at most {size_bytes_max} bytes",
                found=f"{stat.filemode(status.st_mode)} of {status.st_size} bytes",
            )
        with open(opened, "rb", closefd=False) as content:
            return content.read(size_bytes_max)
    finally:
        os.close(opened)


def _manifest(out: Path, order: BuildOrder) -> Plain:
    content = _read(out, order.manifest, MANIFEST_BYTES_MAX, order.name)
    try:
        found = json.loads(content)
        canonical.encode(found)
    except (ValueError, RecursionError) as error:
        raise Refused(
            "build.manifest.input",
            f"component {order.name}: {order.manifest}",
            expected="JSON without floating-point numbers",
            found=str(error),
        ) from None
    if not isinstance(found, dict):
        raise Refused(
            "build.manifest.input",
            f"component {order.name}: {order.manifest}",
            expected="an object",
            found=type(found).__name__,
        )
    return found


def _remove(folder: Path) -> None:
    if not folder.exists():
        return
    for at, _, _ in os.walk(folder):
        # Builds leave folders without write permission (Go's module cache does).
        os.chmod(at, 0o700)
    shutil.rmtree(folder)
