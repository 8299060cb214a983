"""The gate `tests`: the product's own tests passed, for exactly these artifacts.

Rules: each component that is tested names a test result signed by an allowed builder (in-toto,
subject: the artifact), or a JUnit report that the component's provenance names next to the
artifact, so that another build's report does not count. A result that says passed is believed only
with its JUnit report, which is counted again; one that says failed is believed. No test carried
out is not a pass; a missing, broken or partial report is never a pass.
Does not: run tests (the build does), or check the provenance's signature (`provenance` does).
Source: in-toto test-result v0.1; SLSA provenance v1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated

import msgspec

from surefoot.core.errors import SurefootError
from surefoot.core.gate import Evidence, Finding
from surefoot.core.target import Blobs, Plain
from surefoot.gates.junit import BadReport, Report, parse_report
from surefoot.trust import envelope
from surefoot.trust.canonical import JSON
from surefoot.trust.digest import Digest, parse_digest
from surefoot.trust.keys import PublicKey

FINDINGS_MAX = 200
TEST_RESULT_TYPE = "https://in-toto.io/attestation/test-result/v0.1"


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """One component under test: names of blobs. An empty `tests` means that nothing was run.

    `tests` names a signed test result, or a JUnit report.
    """

    name: str
    artifact: str
    provenance: str = ""
    tests: str = ""


class TestsArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The components that must have passed tests."""

    components: tuple[Tested, ...]


class TestsGate:
    """See the module. Arguments: `{"components": [{name, artifact, provenance, tests}]}`."""

    name = "tests"

    def __init__(
        self, blobs: Blobs, now_ms: Callable[[], int], builders: Iterable[PublicKey] = ()
    ) -> None:
        self._blobs = blobs
        self._builders = tuple(builders)
        self._now_ms = now_ms

    def run(self, subject: Digest, arguments: Plain) -> Evidence:
        """Read every report. Raises nothing: what cannot be read is trouble in the evidence."""
        started = self._now_ms()
        evidence = Evidence(
            gate=self.name, subject=subject, tool="junit", tool_version="1", started_at_ms=started
        )
        try:
            evidence = self._read(evidence, msgspec.convert(arguments, TestsArguments))
        except (BadReport, envelope.BadEnvelope, ValueError) as error:
            evidence = msgspec.structs.replace(evidence, trouble=f"unreadable: {error}"[:300])
        except SurefootError as error:
            evidence = msgspec.structs.replace(evidence, trouble=str(error)[:600])
        return msgspec.structs.replace(evidence, ended_at_ms=self._now_ms())

    def _read(self, evidence: Evidence, wanted: TestsArguments) -> Evidence:
        findings: list[Finding] = []
        inputs: list[Digest] = []
        rows: list[JSON] = []
        missing: list[JSON] = []
        complete = bool(wanted.components)
        for component in wanted.components:
            if not component.tests:
                missing.append(component.name)
                continue
            digest, complaints = self._report_of(component)
            report = parse_report(self._blobs.get(digest))
            inputs.append(digest)
            # What failed by name comes first: it is what a person can mend.
            findings += [*_findings(component.name, report), *complaints]
            rows.append(_row(component.name, report))
            complete = complete and report.ran > 0 and not report.disagreements
        return msgspec.structs.replace(
            evidence,
            inputs=tuple(inputs),
            complete=complete and not missing,
            coverage={"components": len(wanted.components), "without_report": missing},
            figures={"reports": rows},
            findings=tuple(findings[:FINDINGS_MAX]),
        )

    def _report_of(self, component: Tested) -> tuple[Digest, list[Finding]]:
        """The JUnit report's digest, and what speaks against it being this artifact's."""
        named = parse_digest(component.tests)
        content = self._blobs.get(named)
        if content[:1] == b"{":
            return self._signed(component, content)
        bound: set[str] = set()
        if component.provenance:
            opened = envelope.parse(self._blobs.get(parse_digest(component.provenance)))
            statement = envelope.parse_statement(opened.payload)
            bound = {digest for _, digest in statement.subjects} | _byproducts(statement.predicate)
        return named, [] if {component.artifact, named} <= bound else [_other_build(component.name)]

    def _signed(self, component: Tested, content: bytes) -> tuple[Digest, list[Finding]]:
        """The report that a signed test result names. Raises `BadEnvelope`."""
        payload, _ = envelope.open(content, self._builders, 1, envelope.IN_TOTO_TYPE)
        statement = envelope.parse_statement(payload)
        if statement.predicate_type != TEST_RESULT_TYPE:
            raise envelope.BadEnvelope(f"a statement of type {statement.predicate_type[:100]}")
        said = msgspec.convert(statement.predicate, _TestResult)
        findings = []
        if component.artifact not in {digest for _, digest in statement.subjects}:
            findings.append(_other_build(component.name))
        if said.result != "PASSED":
            # The report alone may look well: a run that crashed after writing it did not pass.
            findings.append(_not_passed(component.name))
        return parse_digest(f"sha256:{said.configuration[0].digest.get('sha256', '')}"), findings


class _Configuration(msgspec.Struct):
    digest: dict[str, str]


class _TestResult(msgspec.Struct):
    result: str
    configuration: Annotated[list[_Configuration], msgspec.Meta(min_length=1, max_length=1)]


def _other_build(component: str) -> Finding:
    return Finding(
        rule="tests.other-build",
        title=f"the test report of {component} is not of the build of this artifact",
        place=f"component {component}",
        severity="high",
        fingerprint=_fingerprint("tests.other-build", component),
        remedy="build again, with the tests in the same build",
    )


def _not_passed(component: str) -> Finding:
    return Finding(
        rule="tests.not-passed",
        title=f"the builder says that the tests of {component} did not pass",
        place=f"component {component}",
        severity="high",
        fingerprint=_fingerprint("tests.not-passed", component),
        remedy="see the build's log; mend the component and build again",
    )


def _byproducts(predicate: dict[str, JSON]) -> set[str]:
    # SLSA provenance v1: runDetails.byproducts, each a resource descriptor with digests.
    details = predicate.get("runDetails")
    listed = details.get("byproducts") if isinstance(details, dict) else None
    found = set()
    for entry in listed if isinstance(listed, list) else []:
        digests = entry.get("digest") if isinstance(entry, dict) else None
        if isinstance(digests, dict) and isinstance(digests.get("sha256"), str):
            found.add(f"sha256:{digests['sha256']}")
    return found


def _findings(component: str, report: Report) -> Iterator[Finding]:
    for kind, case in report.failed:
        rule = "tests.failed" if kind == "failure" else "tests.broken"
        verb = "failed" if kind == "failure" else "broke"
        yield Finding(
            rule=rule,
            title=f"a test {verb}: {_shown(case)}",
            place=f"component {component}",
            severity="high",
            fingerprint=_fingerprint(rule, component, case),
            remedy="see the report; mend the component and build again",
        )


def _row(component: str, report: Report) -> JSON:
    return {
        "component": component,
        "tests": report.tests,
        "ran": report.ran,
        "failures": report.failures,
        "errors": report.errors,
        "skipped": report.skipped,
        "disagreements": list(report.disagreements[:20]),
    }


def _shown(case: str) -> str:
    short = case if len(case) <= 160 else case[:157] + "..."
    return short if short.isprintable() else ascii(short)


def _fingerprint(*parts: str) -> str:
    return "v1:" + hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:32]
