"""The gate `provenance`: built by an allowed builder, from this commit, and unchanged since."""

from typing import Any

import pytest

from surefoot.core.gate import Evidence, Judgement, judge
from surefoot.gates.provenance import PREDICATE_TYPE, ProvenanceGate
from surefoot.store.blobs import FileBlobs
from surefoot.trust import envelope
from surefoot.trust.digest import Digest, digest_of
from surefoot.trust.keys import PrivateKey

SUBJECT = digest_of(b"a release")
COMMIT = "c" * 40


class Desk:
    def __init__(self, blobs: FileBlobs, builder: PrivateKey) -> None:
        self.blobs = blobs
        self.builder = builder
        self.artifact = blobs.put(b"artifact")
        self.gate = ProvenanceGate(blobs, [builder.public], lambda: 1_700_000_000_000)

    def statement(
        self,
        *,
        artifact: Digest | None = None,
        commit: str = COMMIT,
        key: PrivateKey | None = None,
        kind: str = PREDICATE_TYPE,
        payload_type: str = envelope.IN_TOTO_TYPE,
    ) -> Digest:
        source = {"name": "source", "digest": {"gitCommit": commit}}
        predicate: Any = {"buildDefinition": {"resolvedDependencies": [source]}}
        payload = envelope.statement([("api", artifact or self.artifact)], kind, predicate)
        return self.blobs.put(envelope.seal(payload_type, payload, [key or self.builder]))

    def run(self, provenance: str, artifact: str = "") -> tuple[Evidence, Judgement]:
        row = {"name": "api", "artifact": artifact or self.artifact, "provenance": provenance}
        evidence = self.gate.run(SUBJECT, {"commit": COMMIT, "components": [row]})
        return evidence, judge(evidence, SUBJECT)


@pytest.fixture
def desk(blobs: FileBlobs, builder: PrivateKey) -> Desk:
    return Desk(blobs, builder)


def test_what_an_allowed_builder_made_from_the_commit_passes(desk: Desk) -> None:
    evidence, judgement = desk.run(desk.statement())
    assert judgement.verdict == "pass"
    assert desk.artifact in evidence.inputs
    assert evidence.figures["provenance"] == [
        {"component": "api", "signed_by": [desk.builder.public.fingerprint]}
    ]


def test_each_lie_is_a_finding(desk: Desk, stranger: PrivateKey) -> None:
    lies = {
        "signature": desk.statement(key=stranger),
        "subject": desk.statement(artifact=digest_of(b"another")),
        "commit": desk.statement(commit="d" * 40),
        "type": desk.statement(kind="https://example.org/other"),
        "missing": "",
    }
    for rule, provenance in lies.items():
        evidence, judgement = desk.run(provenance)
        assert judgement.verdict == "fail", rule
        assert [f.rule for f in evidence.findings] == [f"provenance.{rule}"]


def test_other_envelopes_are_findings(desk: Desk) -> None:
    for content in (b"", b"{}", b"not json"):
        _, judgement = desk.run(desk.blobs.put(content))
        assert judgement.verdict == "fail"
    assert desk.run(desk.statement(payload_type="application/json"))[1].verdict == "fail"


def test_a_tampered_statement_is_a_finding(desk: Desk) -> None:
    content = bytearray(desk.blobs.get(desk.statement()))
    at = content.index(b'"payload":"') + 40
    content[at] = content[at] ^ 1
    assert desk.run(desk.blobs.put(bytes(content)))[1].verdict == "fail"


def test_an_artifact_altered_on_disk_is_an_error(desk: Desk) -> None:
    provenance = desk.statement()
    path = desk.blobs.path(desk.artifact)
    path.chmod(0o600)
    path.write_bytes(b"altered!")
    evidence, judgement = desk.run(provenance)
    assert judgement.verdict == "error" and "store.blob.differs" in evidence.trouble


def test_a_missing_blob_is_an_error(desk: Desk) -> None:
    assert desk.run(digest_of(b"nowhere"))[1].verdict == "error"
    assert desk.run(desk.statement(), artifact=digest_of(b"nowhere"))[1].verdict == "error"


def test_no_components_is_inconclusive_and_no_builders_fails(desk: Desk) -> None:
    evidence = desk.gate.run(SUBJECT, {"commit": COMMIT, "components": []})
    assert judge(evidence, SUBJECT).verdict == "inconclusive"
    desk.gate = ProvenanceGate(desk.blobs, [], lambda: 0)
    assert desk.run(desk.statement())[1].verdict == "fail"


def test_a_threshold_counts_distinct_builders(desk: Desk, stranger: PrivateKey) -> None:
    keys = [desk.builder.public, stranger.public]
    desk.gate = ProvenanceGate(desk.blobs, keys, lambda: 0, threshold=2)
    assert desk.run(desk.statement())[1].verdict == "fail"


def test_bad_arguments_are_an_error(desk: Desk) -> None:
    for arguments in ({}, {"commit": "main", "components": []}, {"commit": COMMIT}):
        evidence = desk.gate.run(SUBJECT, arguments)  # type: ignore[arg-type]
        assert judge(evidence, SUBJECT).verdict == "error"
