"""The gate `secrets`: no secret in the source, in the whole history of the repository.

Rules: every object is scanned, reachable or not: files of all branches and commits, and the texts
of commits and tags; a cut-off clone, an object left out or not scanned in time is incomplete and
so never a pass; findings name rule, commit and path, and their fingerprint is keyed, so that
neither the secret nor anything to guess it by leaves this module. An accepted finding has a reason
and an end; after it, it is a finding again.
Does not: start git or use the network; the composition passes the history. Tree objects hold
names only and are not scanned; the coverage says so.
Source: kingfisher-secret-scanner 1.5.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import kingfisher_sdk
import msgspec

from surefoot.core.errors import SurefootError
from surefoot.core.gate import Evidence, Finding
from surefoot.core.target import Plain
from surefoot.trust import canonical
from surefoot.trust.digest import Digest, digest_of

FINDINGS_MAX = 500
LOCATED_MAX = 100
_OBJECT_TIMEOUT_SECONDS = 60.0
_SEVERITY: dict[str, Literal["medium", "high", "critical"]] = {"low": "medium", "medium": "high"}
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# Signatures are random text that a rule may take for a secret. Only a whole, well-formed armor is
# masked, so that nothing hides in a header that merely bears the name.
_ARMOR = re.compile(
    rb"-----BEGIN (?P<kind>SSH SIGNATURE|PGP SIGNATURE)-----(?: ?\n)"
    rb"(?: ?(?:[A-Za-z]+: [ -~]{1,80})?\n){0,4}"
    rb"(?P<body>(?: ?[A-Za-z0-9+/=]{1,76}\n){1,400}) ?-----END (?P=kind)-----"
)
# SSHSIG's magic; OpenPGP's signature packets, old form (one and two length bytes) and new form.
_SIGNATURE_STARTS = (b"SSHSIG", b"\x88", b"\x89", b"\xc2")


class HistoryObject(Protocol):
    """One object of the repository; `skipped` means that its content was left out."""

    @property
    def id(self) -> str:
        """The object's name."""

    @property
    def type(self) -> str:
        """commit, tag, blob or tree."""

    @property
    def content(self) -> bytes:
        """Its bytes."""

    @property
    def skipped(self) -> bool:
        """True when it was too large to be read."""


class HistoryPlace(Protocol):
    """Where an object came in."""

    @property
    def commit(self) -> str:
        """The commit's name."""

    @property
    def path(self) -> str:
        """The path in it; empty for the text of a commit or tag."""


class History(msgspec.Struct, frozen=True, kw_only=True):
    """A repository to scan. `cut_off` says why objects are missing from it; empty: none are."""

    objects: Callable[[], Iterable[HistoryObject]]
    locate: Callable[[str], Sequence[HistoryPlace]]
    references: int
    cut_off: str = ""


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """A finding that somebody accepted, by its keyed fingerprint, until a UTC time."""

    fingerprint: str
    reason: str
    until_ms: int


class SecretsArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The commit the release is cut from: it must be in the history that is scanned."""

    commit: str


class _Hit(msgspec.Struct, frozen=True):
    rule: str
    title: str
    confidence: str
    object_id: str
    line: int
    secret_mac: str


class _Count(msgspec.Struct):
    seen: int = 0
    scanned: int = 0
    trees: int = 0
    too_large: int = 0
    not_in_time: int = 0
    scanned_bytes: int = 0
    commit_seen: bool = False


class SecretsGate:
    """See the module. Arguments: `{"commit": full object name}`.

    `key` is the installation's, for fingerprints; `cache` is a private folder for compiled rules.
    """

    name = "secrets"

    def __init__(
        self,
        history: History,
        *,
        key: bytes,
        cache: Path,
        now_ms: Callable[[], int],
        accepted: Iterable[Accepted] = (),
        confidence: Literal["low", "medium", "high"] = "medium",
    ) -> None:
        self._history = history
        self._key = hmac.digest(key, b"surefoot secrets gate", "sha256")
        self._now_ms = now_ms
        self._accepted = {entry.fingerprint: entry for entry in accepted}
        rules = kingfisher_sdk.Rules(cache_dir=cache, confidence=confidence)
        self._rules = _rules_digest(rules)
        self._scanner = kingfisher_sdk.Scanner(rules, redact=True)

    def run(self, subject: Digest, arguments: Plain) -> Evidence:
        """Scan everything. Raises nothing: what git did not give is trouble in the evidence."""
        evidence = Evidence(
            gate=self.name,
            subject=subject,
            tool="kingfisher",
            tool_version=kingfisher_sdk.__version__,
            inputs=(self._rules,),
            started_at_ms=self._now_ms(),
        )
        try:
            wanted = msgspec.convert(arguments, SecretsArguments)
            if not _COMMIT.fullmatch(wanted.commit):
                raise ValueError("commit is not a full object name")
            evidence = self._scan(evidence, wanted.commit)
        except (msgspec.ValidationError, ValueError) as error:
            evidence = msgspec.structs.replace(evidence, trouble=f"bad arguments: {error}"[:300])
        except SurefootError as error:
            evidence = msgspec.structs.replace(evidence, trouble=f"the walk ended: {error.code}")
        return msgspec.structs.replace(evidence, ended_at_ms=self._now_ms())

    def _scan(self, evidence: Evidence, commit: str) -> Evidence:
        count, hits = _Count(), []
        for held in self._history.objects():
            count.seen += 1
            if held.id == commit and held.type == "commit":
                count.commit_seen = True
            if held.type == "tree":
                count.trees += 1
            elif held.skipped:
                count.too_large += 1
            else:
                hits += self._scan_one(held, count)
        findings, accepted, repeated = self._findings(hits)
        whole = count.commit_seen and not (
            count.too_large or count.not_in_time or self._history.cut_off
        )
        return msgspec.structs.replace(
            evidence,
            complete=whole and len(findings) <= FINDINGS_MAX,
            coverage=_coverage(count, self._history),
            figures={"accepted": accepted, "repeated": repeated, "findings": len(findings)},
            findings=tuple(findings[:FINDINGS_MAX]),
        )

    def _scan_one(self, held: HistoryObject, count: _Count) -> list[_Hit]:
        content = held.content
        if held.type in ("commit", "tag"):
            content = _ARMOR.sub(_masked, content)
        try:
            found = self._scanner.scan(content, timeout=_OBJECT_TIMEOUT_SECONDS)
        except (TimeoutError, RuntimeError):
            count.not_in_time += 1
            return []
        count.scanned += 1
        count.scanned_bytes += len(content)
        return [
            _Hit(
                rule=finding.rule_id,
                title=finding.rule_name,
                confidence=finding.confidence,
                object_id=held.id,
                line=finding.location["line"],
                secret_mac=self._mac(_secret(content, finding.location)),
            )
            for finding in found
            if finding.visible
        ]

    def _findings(self, hits: list[_Hit]) -> tuple[list[Finding], int, int]:
        """Findings, one a rule, path and secret; how many were accepted, and how many repeated."""
        places: dict[str, tuple[str, str]] = {}
        known: set[str] = set()
        findings: list[Finding] = []
        accepted = repeated = 0
        for hit in hits:
            commit, path = self._place(hit.object_id, places)
            mark = self._fingerprint(hit, path)
            if mark in known:
                repeated += 1
                continue
            known.add(mark)
            entry = self._accepted.get(mark)
            if entry and entry.reason.strip() and entry.until_ms > self._now_ms():
                accepted += 1
                continue
            findings.append(_finding(hit, commit, path, mark, expired=entry is not None))
        return findings, accepted, repeated

    def _place(self, object_id: str, places: dict[str, tuple[str, str]]) -> tuple[str, str]:
        """Commit and path that brought an object in; bounded, for each look-up reads history."""
        if object_id not in places:
            found = self._history.locate(object_id) if len(places) < LOCATED_MAX else ()
            first = min(((p.commit, p.path) for p in found), key=lambda p: p[1], default=None)
            places[object_id] = first or ("", "")
        return places[object_id]

    def _fingerprint(self, hit: _Hit, path: str) -> str:
        joined = canonical.encode({"rule": hit.rule, "path": ascii(path), "secret": hit.secret_mac})
        return "k1:" + self._mac(joined)

    def _mac(self, content: bytes) -> str:
        return hmac.new(self._key, content, "sha256").hexdigest()[:40]


def _masked(found: re.Match[bytes]) -> bytes:
    """Empty lines instead of a signature; what only looks like one stays, and is scanned."""
    lines = found["body"].replace(b" ", b"").split(b"\n")
    joined = b"".join(line for line in lines if not line.startswith(b"="))
    try:
        content = base64.b64decode(joined, validate=True)
    except binascii.Error:
        return found[0]
    return b"\n" * found[0].count(b"\n") if content.startswith(_SIGNATURE_STARTS) else found[0]


def _secret(content: bytes, location: dict[str, int]) -> bytes:
    return content[location["start_offset"] : location["end_offset"]]


def _coverage(count: _Count, history: History) -> Plain:
    return {
        "references": history.references,
        "objects_seen": count.seen,
        "objects_scanned": count.scanned,
        "bytes_scanned": count.scanned_bytes,
        "trees_not_scanned": count.trees,
        "skipped_too_large": count.too_large,
        "skipped_not_in_time": count.not_in_time,
        "commit_seen": count.commit_seen,
        "cut_off": history.cut_off,
    }


def _finding(hit: _Hit, commit: str, path: str, mark: str, *, expired: bool) -> Finding:
    where = f"commit {commit[:12]}" if commit else f"object {hit.object_id[:12]} of no commit"
    shown = path if path.isprintable() else ascii(path)
    remedy = "make the secret useless first (rotate it); then accept the finding with an end"
    return Finding(
        rule=f"secrets.{hit.rule}",
        title=f"{hit.title[:160]}{' (its acceptance has ended)' if expired else ''}",
        place=f"{where} {shown}:{hit.line}" if path else f"{where} text, line {hit.line}",
        severity=_SEVERITY.get(hit.confidence, "critical"),
        fingerprint=mark,
        remedy=remedy,
    )


def _rules_digest(rules: kingfisher_sdk.Rules) -> Digest:
    names = sorted(f"{rule['id']}" for rule in rules.metadata())
    return digest_of("\n".join([kingfisher_sdk.__version__, *names]).encode())
