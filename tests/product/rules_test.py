"""What counts as a change of the rules: everything that would weaken them unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from surefoot.core.fold import governance_digest
from surefoot.product import parse_definition
from surefoot.product.rules import governance_of

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "thermostat" / "surefoot.yaml"


def digest(text: str) -> str:
    return governance_digest(governance_of(parse_definition(text.encode())))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("release: [provenance, tests, secrets, hardening]", "release: []"),
        ("release: [provenance, tests, secrets, hardening]", "release: [provenance, tests]"),
        ("http: /health, status: 200", "http: /health"),
        ("data: {masked: [telemetry.room]}\n    freezes", "freezes"),
        ("approvals: {count: 2", "approvals: {count: 3"),
        ("after: staging", "after: dev"),
        ("waves: [10, 50, 100]", "waves: [100]"),
        ("availability_percent: 99.9", "availability_percent: 9"),
        ("approver: [approve]", "approver: [approve, freeze]"),
        ("waves: [100]", "waves: [100], allow_downgrade: true"),
        ("freezes: []", "freezes: []\nsmall_team: {delay_hours: 1}"),
    ],
)
def test_a_weaker_definition_is_another_rule(old: str, new: str) -> None:
    text = EXAMPLE.read_text()
    assert old in text
    assert digest(text.replace(old, new)) != digest(text)


def test_where_a_database_is_counts() -> None:
    """A development environment with production's address would be production unprotected."""
    text = EXAMPLE.read_text()
    there = text.replace(
        "{main: {engine: sqlite}}", '{main: {engine: postgresql, address: "postgresql://db/one"}}'
    )
    assert digest(there) != digest(there.replace("db/one", "db/two", 1))


def test_what_a_plan_shows_is_no_change_of_the_rules() -> None:
    text = EXAMPLE.read_text()
    assert digest(text.replace('greeting: "hello"', 'greeting: "hi"')) == digest(text)
