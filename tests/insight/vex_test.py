"""VEX documents: what they clear, and what refuses them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from surefoot.insight.reports.form import BadReport
from surefoot.insight.vex import read_statements


def cyclonedx(**analysis: Any) -> dict[str, Any]:
    return {
        "bomFormat": "CycloneDX",
        "components": [{"bom-ref": "c1", "name": "demo", "purl": "pkg:pypi/Demo@1.0"}],
        "vulnerabilities": [
            {
                "id": "CVE-2026-1",
                "references": [{"id": "GHSA-1"}],
                "analysis": {
                    "state": "not_affected",
                    "justification": "code_not_reachable",
                    **analysis,
                },
                "affects": [{"ref": "c1"}, {"ref": "pkg:npm/%40a/b"}],
            }
        ],
    }


def openvex(**more: Any) -> dict[str, Any]:
    statement = {
        "vulnerability": {"name": "CVE-2026-1", "aliases": ["GHSA-1"]},
        "products": [{"@id": "pkg:oci/app", "subcomponents": [{"@id": "pkg:pypi/demo@1.0"}]}],
        "status": "not_affected",
        "justification": "vulnerable_code_not_in_execute_path",
        **more,
    }
    return {"@context": "https://openvex.dev/ns/v0.2.0", "statements": [statement]}


def read(document: Any) -> list[tuple[Any, ...]]:
    found = read_statements(json.dumps(document).encode())
    return [(s.names, s.package, s.version, s.justification) for s in found]


def test_what_is_cleared() -> None:
    names = ("CVE-2026-1", "GHSA-1")
    assert read(cyclonedx()) == [
        (names, "pkg:pypi/demo", "1.0", "code_not_reachable"),
        (names, "pkg:npm/%40a/b", "", "code_not_reachable"),
    ]
    why = "vulnerable_code_not_in_execute_path"
    assert read(openvex()) == [(names, "pkg:pypi/demo", "1.0", why)]
    assert read(openvex(products=[{"@id": "pkg:pypi/demo"}])) == [(names, "pkg:pypi/demo", "", why)]


@pytest.mark.parametrize("state", ["exploitable", "in_triage", "resolved", "", None, 1])
def test_other_states_clear_nothing(state: Any) -> None:
    assert read(cyclonedx(state=state)) == []
    assert read(openvex(status=state)) == []


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"bomFormat": "CycloneDX"},
        {"@context": "https://other.example/", "statements": []},
        cyclonedx(justification=""),
        cyclonedx(justification="we think so"),
        cyclonedx(justification=None),
        openvex(justification=""),
        openvex(vulnerability={}),
        openvex(products=[{"@id": "demo"}]),
        openvex(products=[{}]),
    ],
)
def test_a_document_is_refused(document: Any) -> None:
    with pytest.raises(BadReport):
        read(document)


def test_a_document_that_is_cut_short_is_refused() -> None:
    with pytest.raises(BadReport):
        read_statements(json.dumps(openvex()).encode()[:-1])
