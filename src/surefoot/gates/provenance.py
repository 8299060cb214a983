"""The gate `provenance`: every artifact was built by an allowed builder from the release's commit.

Rules: an artifact is hashed again from its bytes; its provenance is an in-toto statement of SLSA
provenance v1 in a DSSE envelope, signed by an allowed builder's key; the statement's subjects hold
the artifact's digest, and its materials the release's commit. A component without provenance is a
finding, never a gap in coverage.
Does not: fetch anything, or trust a key that is not given to it.
Source: SLSA provenance v1; in-toto statement v1; DSSE v1.0.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from surefoot.core.errors import SurefootError
from surefoot.core.gate import Evidence, Finding
from surefoot.core.target import Blobs, Plain
from surefoot.trust import envelope
from surefoot.trust.canonical import JSON
from surefoot.trust.digest import Digest, digest_of_chunks, parse_digest
from surefoot.trust.keys import PublicKey

PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
_CHUNK_BYTES = 1024 * 1024
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """One component: the names of its artifact and of its provenance, both blobs."""

    name: str
    artifact: str
    provenance: str = ""


class ProvenanceArguments(msgspec.Struct, frozen=True, kw_only=True):
    """What must have been built, and from which commit."""

    commit: str
    components: tuple[Built, ...]


class ProvenanceGate:
    """See the module. Arguments: `{"commit", "components": [{name, artifact, provenance}]}`."""

    name = "provenance"

    def __init__(
        self,
        blobs: Blobs,
        builders: Iterable[PublicKey],
        now_ms: Callable[[], int],
        threshold: int = 1,
    ) -> None:
        self._blobs = blobs
        self._builders = tuple(builders)
        self._now_ms = now_ms
        self._threshold = threshold

    def run(self, subject: Digest, arguments: Plain) -> Evidence:
        """Check every component. Raises nothing: what cannot be read is trouble or a finding."""
        evidence = Evidence(
            gate=self.name,
            subject=subject,
            tool="surefoot-provenance",
            tool_version="1",
            started_at_ms=self._now_ms(),
        )
        try:
            wanted = msgspec.convert(arguments, ProvenanceArguments)
            if not _COMMIT.fullmatch(wanted.commit):
                raise ValueError("commit is not a full object name")
            evidence = self._check(evidence, wanted)
        except (msgspec.ValidationError, ValueError) as error:
            evidence = msgspec.structs.replace(evidence, trouble=f"bad arguments: {error}"[:300])
        except SurefootError as error:
            evidence = msgspec.structs.replace(evidence, trouble=str(error)[:600])
        return msgspec.structs.replace(evidence, ended_at_ms=self._now_ms())

    def _check(self, evidence: Evidence, wanted: ProvenanceArguments) -> Evidence:
        findings: list[Finding] = []
        inputs: list[Digest] = []
        rows: list[JSON] = []
        for component in wanted.components:
            artifact = self._hash(parse_digest(component.artifact))
            inputs.append(artifact)
            signers: list[JSON] = []
            if component.provenance:
                inputs.append(parse_digest(component.provenance))
            for rule, title, remedy in self._mistakes(component, artifact, wanted.commit, signers):
                findings.append(_finding(component.name, rule, title, remedy))
            rows.append({"component": component.name, "signed_by": signers})
        return msgspec.structs.replace(
            evidence,
            inputs=tuple(inputs),
            complete=bool(wanted.components),
            coverage={"components": len(wanted.components), "builders": len(self._builders)},
            figures={"provenance": rows},
            findings=tuple(findings),
        )

    def _hash(self, digest: Digest) -> Digest:
        """Digest of the artifact's bytes as they are on disk now."""
        with Path(self._blobs.path(digest)).open("rb") as file:
            return digest_of_chunks(iter(lambda: file.read(_CHUNK_BYTES), b""))

    def _mistakes(
        self, component: Built, artifact: Digest, commit: str, signers: list[JSON]
    ) -> Iterator[tuple[str, str, str]]:
        """(rule, title, remedy) for everything wrong; fills `signers` with fingerprints."""
        if artifact != component.artifact:
            yield "altered", "the artifact's bytes are not the ones named", "build again"
            return
        if not component.provenance:
            yield "missing", "the artifact has no provenance", "build it with an allowed builder"
            return
        content = self._blobs.get(parse_digest(component.provenance))
        try:
            payload, signed = envelope.open(
                content, self._builders, self._threshold, envelope.IN_TOTO_TYPE
            )
            statement = envelope.parse_statement(payload)
        except envelope.BadEnvelope as error:
            yield "signature", f"the provenance is not accepted: {error}", "use an allowed builder"
            return
        signers.extend(sorted(signed))
        if statement.predicate_type != PREDICATE_TYPE:
            yield "type", f"the statement is no SLSA provenance v1: {statement.predicate_type}", ""
        if artifact not in {digest for _, digest in statement.subjects}:
            yield "subject", "the provenance is of another artifact", "build again"
        if commit not in _commits(statement.predicate):
            yield "commit", "the provenance names another commit", "build from the release's commit"


def _commits(predicate: dict[str, JSON]) -> set[str]:
    # SLSA provenance v1: buildDefinition.resolvedDependencies, digest gitCommit.
    definition = predicate.get("buildDefinition")
    listed = definition.get("resolvedDependencies") if isinstance(definition, dict) else None
    found = set()
    for entry in listed if isinstance(listed, list) else []:
        digests = entry.get("digest") if isinstance(entry, dict) else None
        if isinstance(digests, dict):
            found |= {v for k, v in digests.items() if k == "gitCommit" and isinstance(v, str)}
    return found


def _finding(component: str, rule: str, title: str, remedy: str) -> Finding:
    joined = f"provenance.{rule}\0{component}"
    return Finding(
        rule=f"provenance.{rule}",
        title=f"{component}: {title}"[:300],
        place=f"component {component}",
        severity="critical",
        fingerprint="v1:" + hashlib.sha256(joined.encode()).hexdigest()[:32],
        remedy=remedy,
    )
