"""The gate `smoke`: the declared quick checks, at each deployment.

Rules: every declared check is carried out; what does not answer is a finding; a check that may not
be carried out (an address that is not declared, no way to the database) is trouble, never a pass;
no checks at all is inconclusive. Figures are milliseconds; bodies are looked at and not kept.
Does not: retry, follow redirects, or reach what is neither loopback nor declared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection

import msgspec

from surefoot.core.errors import SurefootError
from surefoot.core.gate import Evidence, Finding
from surefoot.core.target import Plain
from surefoot.gates.reach import Look, NotAllowed, connect, get, split_endpoint
from surefoot.trust.canonical import JSON
from surefoot.trust.digest import Digest

Scalar = str | int | bool
AskDatabase = Callable[[str, str], Scalar | None]
CHECKS_MAX = 100
_TIMEOUT_SECONDS = 5.0


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check of the product definition; exactly one of `http`, `tcp`, `sql`."""

    name: str
    http: str | None = None
    status: int | None = None
    contains: str | None = None
    milliseconds_max: int | None = None
    tcp: str | None = None
    sql: str | None = None
    expect: Scalar | None = None
    database: str | None = None


class SmokeArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The checks, and `host:port` of the service that the HTTP checks ask."""

    checks: tuple[Check, ...]
    listener: str = ""


class _CannotCheck(Exception):
    """The check could not be carried out at all."""


class SmokeGate:
    """See the module. Arguments: `{"listener": "host:port", "checks": [...]}`.

    `ask` answers a question with one value from a database by name; it raises `SurefootError`.
    """

    name = "smoke"

    def __init__(
        self,
        now_ms: Callable[[], int],
        ask: AskDatabase | None = None,
        allowed: Collection[str] = (),
    ) -> None:
        self._now_ms = now_ms
        self._ask = ask
        self._allowed = frozenset(allowed)

    def run(self, subject: Digest, arguments: Plain) -> Evidence:
        """Carry out every check, one after the other. Raises nothing."""
        evidence = Evidence(
            gate=self.name,
            subject=subject,
            tool="surefoot-smoke",
            tool_version="1",
            started_at_ms=self._now_ms(),
        )
        try:
            wanted = msgspec.convert(arguments, SmokeArguments)
            if len(wanted.checks) > CHECKS_MAX:
                raise ValueError(f"more than {CHECKS_MAX} checks")
            evidence = self._check_all(evidence, wanted)
        except (msgspec.ValidationError, ValueError) as error:
            evidence = msgspec.structs.replace(evidence, trouble=f"bad arguments: {error}"[:300])
        return msgspec.structs.replace(evidence, ended_at_ms=self._now_ms())

    def _check_all(self, evidence: Evidence, wanted: SmokeArguments) -> Evidence:
        findings: list[Finding] = []
        rows: list[JSON] = []
        trouble = ""
        for check in wanted.checks:
            try:
                look, complaint = self._one(check, wanted.listener)
            except (_CannotCheck, NotAllowed) as error:
                trouble = trouble or f"check {check.name}: {error}"[:300]
                continue
            complaint = complaint or _too_slow(check, look)
            row: dict[str, JSON] = {"name": check.name, "milliseconds": look.milliseconds}
            rows.append(row | ({"status": look.status} if look.status else {}))
            if complaint:
                findings.append(_finding(check, complaint))
        return msgspec.structs.replace(
            evidence,
            complete=bool(wanted.checks) and len(rows) == len(wanted.checks),
            coverage={"declared": len(wanted.checks), "carried_out": len(rows)},
            figures={"checks": rows},
            findings=tuple(findings),
            trouble=trouble,
        )

    def _one(self, check: Check, listener: str) -> tuple[Look, str]:
        """What came back, and the complaint about it, empty when all is well."""
        kinds = [k for k in (check.http, check.tcp, check.sql) if k is not None]
        if len(kinds) != 1:
            raise _CannotCheck("exactly one of http, tcp, sql is needed")
        if check.http is not None:
            endpoint = split_endpoint(listener, self._allowed)
            look = get(endpoint, check.http, _timeout(check))
            return look, _http_complaint(check, look)
        if check.tcp is not None:
            look = connect(split_endpoint(check.tcp, self._allowed), _timeout(check))
            return look, look.trouble
        return self._sql(check)

    def _sql(self, check: Check) -> tuple[Look, str]:
        if self._ask is None or check.database is None:
            raise _CannotCheck("no way to the database")
        assert check.sql is not None
        started = self._now_ms()
        try:
            value = self._ask(check.database, check.sql)
        except SurefootError as error:
            return Look(milliseconds=self._now_ms() - started), f"the database: {error.code}"
        look = Look(milliseconds=max(0, self._now_ms() - started))
        if value is None:
            return look, "the answer is empty"
        if check.expect is not None and value != check.expect:
            # The value may be anything in the database: it is not shown.
            return look, "the answer is another than expected"
        return look, ""


def _http_complaint(check: Check, look: Look) -> str:
    if look.trouble:
        return look.trouble
    if check.status is not None and look.status != check.status:
        return f"status {look.status}, expected {check.status}"
    if check.status is None and not 200 <= look.status <= 299:
        return f"status {look.status}, expected 200 to 299"
    if check.contains is not None and check.contains.encode() not in look.body:
        return f"the body does not contain {check.contains[:80]!r}"
    return ""


def _timeout(check: Check) -> float:
    # Time to see that an answer is late, not only that it is missing.
    if check.milliseconds_max is None:
        return _TIMEOUT_SECONDS
    return max(_TIMEOUT_SECONDS, 2 * check.milliseconds_max / 1000)


def _too_slow(check: Check, look: Look) -> str:
    if check.milliseconds_max is None or look.milliseconds <= check.milliseconds_max:
        return ""
    return f"{look.milliseconds} ms, at most {check.milliseconds_max}"


def _finding(check: Check, complaint: str) -> Finding:
    kind = "http" if check.http is not None else "tcp" if check.tcp is not None else "sql"
    place = check.http or check.tcp or f"database {check.database}"
    joined = f"smoke.{kind}\0{check.name}\0{place}"
    return Finding(
        rule=f"smoke.{kind}",
        title=f"{check.name}: {complaint}",
        place=place,
        severity="high",
        fingerprint="v1:" + hashlib.sha256(joined.encode()).hexdigest()[:32],
        remedy="look at the service's log for the time of the check",
    )
