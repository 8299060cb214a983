"""The gate `transport`: TLS versions, suites and certificates, and SSH algorithms, of endpoints.

Keeps: only declared endpoints are reached; nobody logs in and nothing is sent but first messages;
an endpoint that does not answer, or of which something could not be found out, makes the evidence
incomplete; no endpoints at all is inconclusive. Does not: judge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from surefoot.core.gate import Evidence, Finding
from surefoot.core.target import Plain
from surefoot.gates.reach import NotAllowed, split_endpoint
from surefoot.gates.transport.certificate import complaints, ends_at_ms
from surefoot.gates.transport.hello import SSL3, TLS12, VERSIONS, Peer, Silent
from surefoot.gates.transport.secure_shell import NotSsh, flaws, offer
from surefoot.gates.transport.suites import SUITES, SUITES_13, Flaw, flaw
from surefoot.gates.transport.survey import Survey, survey
from surefoot.trust.canonical import JSON
from surefoot.trust.digest import Digest

ENDPOINTS_MAX = 100
GROUP_BITS_MIN = 2048
DAYS_MIN = 21
_SUITES_SHOWN = 4
_REMEDY = {
    "tls-version": "leave the version out of the server's list",
    "tls-suite": "leave them out of the server's list; ECDHE with AES-GCM or CHACHA20 is enough",
    "tls-group": "give the server a group of 2048 bits or more, or leave DHE out",
    "tls-certificate": "get a new certificate for the name, from an authority that clients trust",
    "ssh": "leave the algorithm out of the server's list",
}
Severity = Literal["info", "low", "medium", "high", "critical"]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint; see `Endpoint` of the product definition."""

    address: str
    kind: Literal["tls", "postgresql", "ssh"] = "tls"
    name: str = ""
    pin: str = ""
    authorities: str = ""


class Exemption(msgspec.Struct, frozen=True, kw_only=True, rename={"until_ms": "until"}):
    """What is lived with until a time: a rule, at endpoints of a pattern or all."""

    rule: str
    reason: str
    until_ms: int
    place: str = "*"


class Arguments(msgspec.Struct, frozen=True, kw_only=True, rename={"exemptions": "except"}):
    """What is asked for. `seconds` bounds each connection."""

    endpoints: tuple[Endpoint, ...]
    certificate_days_min: int = DAYS_MIN
    exemptions: tuple[Exemption, ...] = ()
    seconds: float = 5.0


class _Row(msgspec.Struct):
    """What came of one endpoint."""

    findings: list[Finding]
    unknown: list[str]
    figure: dict[str, JSON]


class TransportGate:
    """See the module."""

    name = "transport"

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms

    def run(self, subject: Digest, arguments: Plain) -> Evidence:
        """Ask every endpoint, one after the other. Raises nothing."""
        evidence = Evidence(
            gate=self.name,
            subject=subject,
            tool="surefoot-transport",
            tool_version="1",
            started_at_ms=self._now_ms(),
        )
        try:
            wanted = msgspec.convert(arguments, Arguments)
            if len(wanted.endpoints) > ENDPOINTS_MAX or not 0 < wanted.seconds <= 60:
                raise ValueError(f"more than {ENDPOINTS_MAX} endpoints, or no seconds from 1 to 60")
            evidence = self._looked(evidence, wanted)
        except (msgspec.ValidationError, ValueError) as error:
            evidence = msgspec.structs.replace(evidence, trouble=f"bad arguments: {error}"[:300])
        return msgspec.structs.replace(evidence, ended_at_ms=self._now_ms())

    def _looked(self, evidence: Evidence, wanted: Arguments) -> Evidence:
        rows = [self._endpoint(endpoint, wanted) for endpoint in wanted.endpoints]
        unknown = [f"{row.figure['endpoint']}: {text}" for row in rows for text in row.unknown]
        findings = [_accepted(f, wanted, self._now_ms()) for row in rows for f in row.findings]
        coverage: dict[str, JSON] = {
            "declared": len(rows),
            "found_out_whole": len([row for row in rows if not row.unknown]),
        }
        return msgspec.structs.replace(
            evidence,
            complete=bool(rows) and not unknown,
            coverage=coverage | ({"not_found_out": [*unknown[:50]]} if unknown else {}),
            figures={"endpoints": [row.figure for row in rows]},
            findings=tuple(sorted(findings, key=lambda f: _WORST.index(f.severity))),
        )

    def _endpoint(self, endpoint: Endpoint, wanted: Arguments) -> _Row:
        row = _Row([], [], {"endpoint": endpoint.address, "kind": endpoint.kind})
        try:
            # Declared is what the definition names: that is this list.
            host, port = split_endpoint(endpoint.address, (endpoint.address,))
            if endpoint.kind == "ssh":
                _ssh(row, endpoint, host, port, wanted.seconds)
            else:
                self._tls(row, endpoint, host, port, wanted)
        except NotAllowed as error:
            raise ValueError(str(error)) from None
        except (Silent, NotSsh) as error:
            row.unknown.append(str(error))
        return row

    def _tls(self, row: _Row, endpoint: Endpoint, host: str, port: int, wanted: Arguments) -> None:
        assert endpoint.kind != "ssh"
        peer = Peer(
            host=host,
            port=port,
            name=endpoint.name or host,
            kind=endpoint.kind,
            seconds=wanted.seconds,
        )
        found = survey(peer, endpoint.authorities)
        row.unknown += found.unknown
        row.figure["connections"] = found.connections
        row.figure["offers"] = {VERSIONS[v]: [*_names(v, found)] for v in sorted(found.suites)}
        if found.chain:
            row.figure["certificate_ends_at_ms"] = ends_at_ms(found.chain)
        _versions(row, endpoint, found)
        _suites(row, endpoint, found)
        if found.suites and not found.chain:
            row.unknown.append("the endpoint showed no certificate that could be read")
        if not found.chain:
            return
        name = endpoint.name or host
        for each in complaints(
            found.chain, name, self._now_ms(), wanted.certificate_days_min, endpoint.pin
        ):
            title = f"certificate: expected {each.expected}, found {each.found}"
            key = f"{each.rule} {each.expected.partition(':')[0] if ':' in each.expected else ''}"
            row.findings.append(_finding(endpoint, each.rule, each.severity, title, key))
        # A pinned key is trusted by itself, whoever signed it.
        if found.trust and not endpoint.pin:
            title = f"certificate: expected a chain that is trusted, found: {found.trust}"
            row.findings.append(_finding(endpoint, "tls-certificate-chain", "high", title))


_WORST = ("critical", "high", "medium", "low", "info")


def _names(version: int, found: Survey) -> list[str]:
    names = SUITES | SUITES_13
    return [names[suite] for suite in found.suites[version]]


def _versions(row: _Row, endpoint: Endpoint, found: Survey) -> None:
    for version in sorted(found.suites):
        if version < TLS12:
            severity: Severity = "critical" if version == SSL3 else "high"
            title = f"offers {VERSIONS[version]}; expected TLS 1.2 and later alone"
            key = f"tls-version {VERSIONS[version]}"
            row.findings.append(_finding(endpoint, "tls-version", severity, title, key))


def _suites(row: _Row, endpoint: Endpoint, found: Survey) -> None:
    """One finding for each thing that is wrong, whatever the number of suites."""
    wrong: dict[str, tuple[Flaw, dict[str, None]]] = {}
    for version in sorted(found.suites):
        for name in _names(version, found) if version <= TLS12 else ():
            what = flaw(name)
            if what is not None:
                wrong.setdefault(what.rule, (what, {}))[1][name] = None
    for what, names in wrong.values():
        shown = ", ".join([*names][:_SUITES_SHOWN])
        more = f" and {len(names) - _SUITES_SHOWN} more" if len(names) > _SUITES_SHOWN else ""
        title = f"offers suites in which {what.why}: {shown}{more}"
        row.findings.append(_finding(endpoint, what.rule, what.severity, title))
    if 0 < found.group_bits < GROUP_BITS_MIN:
        title = f"agrees in a group of {found.group_bits} bits; expected {GROUP_BITS_MIN} or more"
        row.findings.append(_finding(endpoint, "tls-group", "high", title))


def _ssh(row: _Row, endpoint: Endpoint, host: str, port: int, seconds: float) -> None:
    found = offer(host, port, seconds)
    row.figure["banner"] = found.banner
    row.figure["offers"] = {
        use: [*getattr(found, use)] for use in ("kex", "host_key", "cipher", "mac")
    }
    for use, name, severity, why in flaws(found):
        what = use.replace("_", " ")
        rule = f"ssh-{what.replace(' ', '-')}"
        title = f"offers the {what} {name}: {why}"
        row.findings.append(_finding(endpoint, rule, severity, title, f"{rule} {name}"))


def _finding(
    endpoint: Endpoint, rule: str, severity: Severity, title: str, key: str = ""
) -> Finding:
    joined = "\0".join((endpoint.address, endpoint.kind, key or rule))
    family = next(name for name in _REMEDY if rule.startswith(name))
    return Finding(
        rule=rule,
        title=title[:300],
        place=endpoint.address,
        severity=severity,
        fingerprint="v1:" + hashlib.sha256(joined.encode("utf-8", "replace")).hexdigest()[:32],
        remedy=_REMEDY[family],
    )


def _accepted(finding: Finding, wanted: Arguments, now_ms: int) -> Finding:
    for each in wanted.exemptions:
        matches = fnmatchcase(finding.rule, each.rule) and fnmatchcase(finding.place, each.place)
        if matches and now_ms < each.until_ms:
            title = f"{finding.title} (accepted: {each.reason})"
            return msgspec.structs.replace(finding, severity="info", title=title[:400])
    return finding
