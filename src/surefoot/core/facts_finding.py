"""Facts about findings: reports that were taken, what is accepted for a time, who sees to what."""

from __future__ import annotations

from surefoot.core.fact import Fact
from surefoot.trust.digest import Digest


class FindingsImported(Fact, frozen=True, kw_only=True):
    """A report was taken into a scope; `findings` is the scope's complete list after it, a blob.

    `trouble` says why the report is not conclusive; `covered` that the person vouched for what it
    covered, where its form cannot tell. `counts` is how many became what.
    """

    scope: str
    component: str
    form: str
    tool: str
    version: str
    report: Digest
    findings: Digest
    conclusive: bool
    trouble: str = ""
    covered: bool = False
    counts: dict[str, int] = {}


class FindingAccepted(Fact, frozen=True, kw_only=True):
    """Somebody accepts a finding until a time; the entry's words say what protects meanwhile."""

    scope: str
    fingerprint: str
    person: str
    until_ms: int
    severity: str


class FindingAssigned(Fact, frozen=True, kw_only=True):
    """A person sees to a finding."""

    scope: str
    fingerprint: str
    owner: str
