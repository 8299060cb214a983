"""Says where an artifact comes from, signed by its builder, and checks what was said.

Keeps: provenance is SLSA v1, test results are in-toto test-result v0.1, both as in-toto statements
in DSSE envelopes; the subject is the artifact's digest alone; a check names the commit, the
command and the test outcome it found, so that the asker compares them.
Does not: decide which builders count; the caller passes their keys.
Source: SLSA v1.0 provenance, in-toto test-result v0.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

import surefoot
from surefoot.core.errors import Refused
from surefoot.core.target import Plain
from surefoot.supply.junit import Report
from surefoot.supply.order import Inputs
from surefoot.trust import canonical, envelope
from surefoot.trust.digest import Digest, parse_digest
from surefoot.trust.keys import PublicKey

PROVENANCE_TYPE = "https://slsa.dev/provenance/v1"
TEST_RESULT_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
BUILD_TYPE = "urn:surefoot:build:1"
BUILDER_ID = "urn:surefoot:builder:1"

_NAMES_MAX = 1000


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """How a build went. Times are UTC milliseconds; `byproducts` are blobs by name."""

    started_ms: int
    ended_ms: int
    environment: dict[str, str]
    isolation: dict[str, str]
    byproducts: dict[str, Digest]


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a verified provenance says."""

    artifact: Digest
    component: str
    commit: str
    tree: str
    build_key: Digest
    builders: tuple[str, ...]
    isolation: dict[str, str]


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """What a verified test result says: PASSED or FAILED, counts, and the JUnit file."""

    artifact: Digest
    result: str
    passed: int
    failed: int
    skipped: int
    junit: Digest
    failed_names: tuple[str, ...]


def provenance_of(
    inputs: Inputs, artifact: Digest, run: Run, signers: Iterable[envelope.Signer]
) -> bytes:
    """The signed provenance envelope of one build."""
    order = inputs.order
    external: Plain = {
        "component": order.name,
        "kind": order.kind,
        "path": order.path,
        "command": [*order.command],
        "artifact": order.artifact,
        "manifest": order.manifest,
        "testsCommand": [*order.tests_command],
        "commit": inputs.commit,
    }
    metadata: Plain = {
        "invocationId": inputs.key(),
        "startedOn": _time(run.started_ms),
        "finishedOn": _time(run.ended_ms),
    }
    predicate: Plain = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": external,
            "internalParameters": {
                "environment": {**run.environment},
                "isolation": {**run.isolation},
            },
            "resolvedDependencies": _dependencies(inputs),
        },
        "runDetails": {
            "builder": {"id": BUILDER_ID, "version": {"surefoot": surefoot.__version__}},
            "metadata": metadata,
            "byproducts": [
                {"name": name, "digest": _hex(digest)}
                for name, digest in sorted(run.byproducts.items())
            ],
        },
    }
    return _seal(order.name, artifact, PROVENANCE_TYPE, predicate, signers)


def test_result_of(
    name: str,
    artifact: Digest,
    junit: Digest,
    report: Report,
    exit_status: int,
    signers: Iterable[envelope.Signer],
) -> bytes:
    """The signed test result of one artifact.

    PASSED only when the command ended with status 0, nothing failed and at least one test passed.
    """
    passed, skipped = report.names("passed"), report.names("skipped")
    failed = report.names("failed", "error")
    good = exit_status == 0 and passed and not failed
    annotations: Plain = {
        "passed": len(passed),
        "failed": len(failed),
        "skipped": len(skipped),
        "exitStatus": exit_status,
    }
    predicate: Plain = {
        "result": "PASSED" if good else "FAILED",
        "configuration": [{"name": "junit", "digest": _hex(junit), "annotations": annotations}],
        "passedTests": [*passed[:_NAMES_MAX]],
        "warnedTests": [*skipped[:_NAMES_MAX]],
        "failedTests": [*failed[:_NAMES_MAX]],
    }
    return _seal(name, artifact, TEST_RESULT_TYPE, predicate, signers)


def verify_provenance(content: bytes, builders: Iterable[PublicKey], artifact: Digest) -> Origin:
    """What a provenance envelope says of the artifact, signed by at least one of the builders.

    Raises `Refused` when it is not signed so, is about something else, or of another build type.
    """
    predicate, signed = _open(content, builders, artifact, PROVENANCE_TYPE)
    try:
        definition = msgspec.convert(predicate["buildDefinition"], _Definition)
        details = msgspec.convert(predicate["runDetails"], _Details)
        found = {k: v for d in definition.resolvedDependencies for k, v in d.digest.items()}
        if definition.buildType != BUILD_TYPE or details.builder.id != BUILDER_ID:
            raise ValueError(f"build type {definition.buildType[:80]!r}, expected {BUILD_TYPE}")
        return Origin(
            artifact=artifact,
            component=definition.externalParameters.component,
            commit=found["gitCommit"],
            tree=found["gitTree"],
            build_key=parse_digest(details.metadata.invocationId),
            builders=signed,
            isolation=definition.internalParameters.isolation,
        )
    except (ValueError, KeyError) as error:
        raise Refused(
            "provenance.statement.input",
            artifact,
            expected="a statement of the builder's own form",
            found=str(error)[:200],
        ) from None


def verify_test_result(content: bytes, builders: Iterable[PublicKey], artifact: Digest) -> Tested:
    """What a test result envelope says of the artifact, signed by at least one of the builders.

    Raises `Refused` as `verify_provenance` does.
    """
    predicate, _ = _open(content, builders, artifact, TEST_RESULT_TYPE)
    try:
        said = msgspec.convert(predicate, _TestResult)
        (junit,) = said.configuration
        return Tested(
            artifact=artifact,
            result=said.result,
            passed=junit.annotations["passed"],
            failed=junit.annotations["failed"],
            skipped=junit.annotations["skipped"],
            junit=parse_digest(f"sha256:{junit.digest['sha256']}"),
            failed_names=tuple(said.failedTests),
        )
    except (ValueError, KeyError) as error:
        raise Refused(
            "provenance.statement.input",
            artifact,
            expected="a statement of the builder's own form",
            found=str(error)[:200],
        ) from None


class _Resource(msgspec.Struct):
    digest: dict[str, str]
    annotations: dict[str, int] = {}


class _Dependency(msgspec.Struct):
    digest: dict[str, str]


class _Parameters(msgspec.Struct):
    component: str


class _Internal(msgspec.Struct):
    isolation: dict[str, str]


class _Definition(msgspec.Struct):
    buildType: str  # noqa: N815 - names of the standard
    externalParameters: _Parameters  # noqa: N815
    internalParameters: _Internal  # noqa: N815
    resolvedDependencies: list[_Dependency]  # noqa: N815


class _Builder(msgspec.Struct):
    id: str


class _Metadata(msgspec.Struct):
    invocationId: str  # noqa: N815


class _Details(msgspec.Struct):
    builder: _Builder
    metadata: _Metadata


class _TestResult(msgspec.Struct):
    result: str
    configuration: list[_Resource]
    failedTests: list[str]  # noqa: N815


def _dependencies(inputs: Inputs) -> list[canonical.JSON]:
    found: list[canonical.JSON] = [
        {"name": "source", "digest": {"gitCommit": inputs.commit}},
        {"name": inputs.order.path or ".", "digest": {"gitTree": inputs.tree}},
    ]
    found += [
        {"name": t.name, "digest": _hex(t.digest), "annotations": {"version": t.version}}
        for t in inputs.tools
    ]
    return found


def _seal(
    name: str,
    artifact: Digest,
    kind: str,
    predicate: Plain,
    signers: Iterable[envelope.Signer],
) -> bytes:
    payload = envelope.statement([(name, artifact)], kind, predicate)
    return envelope.seal(envelope.IN_TOTO_TYPE, payload, list(signers))


def _open(
    content: bytes, builders: Iterable[PublicKey], artifact: Digest, kind: str
) -> tuple[Plain, tuple[str, ...]]:
    try:
        payload, signed = envelope.open(content, builders, 1, envelope.IN_TOTO_TYPE)
        said = envelope.parse_statement(payload)
    except envelope.BadEnvelope as error:
        raise Refused(
            "provenance.envelope.signature",
            artifact,
            expected="an envelope signed by a known builder",
            found=str(error),
            remedy="build it with a builder whose key is enrolled",
        ) from None
    if said.predicate_type != kind or [digest for _, digest in said.subjects] != [artifact]:
        raise Refused(
            "provenance.subject.other",
            artifact,
            expected=f"{kind} about {artifact}",
            found=f"{said.predicate_type[:100]} about {said.subjects[0][1]}",
        )
    return said.predicate, tuple(sorted(signed))


def _hex(digest: Digest) -> dict[str, canonical.JSON]:
    return {"sha256": digest.removeprefix("sha256:")}


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
