"""Statements about weaknesses of a product's packages: what is said not to affect it, and why.

Keeps: a statement silences only with a justification, only the package and version that it names,
and nothing that became known to be exploited after it was made.
Does not: read documents.
Source: CycloneDX 1.6, `vulnerabilities[].analysis`; OpenVEX 0.2.0, "Status Justifications".
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from surefoot.core.ecosystem import Part

CYCLONEDX = frozenset(
    {
        "code_not_present",
        "code_not_reachable",
        "requires_configuration",
        "requires_dependency",
        "requires_environment",
        "protected_by_compiler",
        "protected_at_runtime",
        "protected_at_perimeter",
        "protected_by_mitigating_control",
    }
)
JUSTIFICATIONS = CYCLONEDX | frozenset(
    {
        "component_not_present",
        "vulnerable_code_not_present",
        "vulnerable_code_not_in_execute_path",
        "vulnerable_code_cannot_be_controlled_by_adversary",
        "inline_mitigations_already_exist",
    }
)
STATEMENTS_MAX = 10_000


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """One weakness, one package that it does not affect (`version` empty: none of it), and why."""

    names: tuple[str, ...]
    package: str
    version: str = ""
    justification: str
    words: str = ""


class Statements(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of one component, and when the journal took it (UTC ms)."""

    taken_ms: int = 0
    statements: tuple[Statement, ...] = ()

    def about(self, part: Part, names: Iterable[str], exploited_ms: int) -> Statement | None:
        """The statement that silences a weakness of a part, if any does."""
        if exploited_ms and self.taken_ms < exploited_ms:
            return None
        wanted = set(names)
        for each in self.statements:
            if each.package != part.shown or each.version not in ("", part.version):
                continue
            if each.justification in JUSTIFICATIONS and wanted & set(each.names):
                return each
        return None
