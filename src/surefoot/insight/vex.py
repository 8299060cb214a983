"""VEX documents, read for what they say does not affect a product: CycloneDX and OpenVEX.

Keeps: a clearing without a justification that is known clears nothing and refuses the document, so
that nobody believes it did; what is affected or under investigation says nothing here.
Does not: judge who may say so.
Source: CycloneDX 1.6, `vulnerabilities[].analysis`; OpenVEX 0.2.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from surefoot.core.bom import part_of
from surefoot.core.vex import JUSTIFICATIONS, STATEMENTS_MAX, Statement
from surefoot.insight.reports.form import BadReport, at, items, json_of, text


def read_statements(content: bytes) -> tuple[Statement, ...]:
    """What silences something. Raises `BadReport`."""
    document = json_of(content)
    if text(document, "bomFormat") == "CycloneDX" and "vulnerabilities" in document:
        found = list(_cyclonedx(document))
    elif text(document, "@context").startswith("https://openvex.dev/ns/"):
        found = list(_openvex(document))
    else:
        raise BadReport("no CycloneDX document with vulnerabilities, and no OpenVEX document")
    if len(found) > STATEMENTS_MAX:
        raise BadReport(f"more than {STATEMENTS_MAX} statements")
    return tuple(found)


def _cyclonedx(document: Any) -> Iterator[Statement]:
    parts = items(document, "components")
    purls = {text(p, "bom-ref", length=2000): text(p, "purl", length=2000) for p in parts}
    for each in items(document, "vulnerabilities"):
        if text(each, "analysis", "state") != "not_affected":
            continue
        names = [text(each, "id", length=100)]
        names += [text(r, "id", length=100) for r in items(each, "references")]
        refs = [text(a, "ref", length=2000) for a in items(each, "affects")]
        for ref in refs:
            yield _statement(
                tuple(name for name in names if name),
                purls.get(ref) or ref,
                text(each, "analysis", "justification", length=100),
                text(each, "analysis", "detail"),
            )


def _openvex(document: Any) -> Iterator[Statement]:
    for each in items(document, "statements"):
        if text(each, "status") != "not_affected":
            continue
        named = at(each, "vulnerability", "aliases")
        aliases = named if isinstance(named, list) else []
        names = [text(each, "vulnerability", "name", length=100) or text(each, "vulnerability")]
        names += [text({"name": n}, "name", length=100) for n in aliases[:20]]
        for product in items(each, "products"):
            inner = items(product, "subcomponents") or [product]
            for part in inner:
                yield _statement(
                    tuple(name for name in names if name),
                    text(part, "@id", length=2000),
                    text(each, "justification", length=100),
                    text(each, "impact_statement"),
                )


def _statement(names: tuple[str, ...], purl: str, justification: str, words: str) -> Statement:
    shown = ", ".join(names) or "a weakness without a name"
    if justification not in JUSTIFICATIONS:
        raise BadReport(f"{shown}: not affected, without a justification that is known")
    if not names or not purl.startswith("pkg:"):
        raise BadReport(f"{shown}: it names no weakness, or no package by its URL")
    part = part_of(purl)
    return Statement(
        names=names,
        package=part.shown,
        version=part.version,
        justification=justification,
        words=words[:300],
    )
