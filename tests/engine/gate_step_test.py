"""Gates inside a deployment: what passes, what fails and with which figures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from surefoot.core.gate import Evidence, Finding
from surefoot.core.plan import Plan
from surefoot.core.target import Step
from surefoot.engine.gate_step import availability_step, judged
from surefoot.testing import simulator_product as product
from surefoot.testing.simulator import ENVIRONMENT, Node
from surefoot.trust.digest import digest_of

SUBJECT = digest_of(b"release")


@pytest.mark.parametrize(
    ("requests", "failed", "percent", "status", "shown"),
    [
        (1000, 0, "99.9", "done", "100.000"),
        (1000, 1, "99.9", "done", "99.900"),
        (1000, 2, "99.9", "failed", "99.800"),
        (3, 1, "66.6", "done", "66.667"),
        (3, 3, "0.1", "failed", "0.000"),
        (0, 0, "99.99", "done", "100.000"),
    ],
)
def test_availability_is_compared_with_the_declared_limit(
    node: Node, requests: int, failed: int, percent: str, status: str, shown: str
) -> None:
    step = Step(
        id="85-availability",
        target="gate",
        action="availability",
        arguments={"percent": percent},
        summary="",
    )
    outcome = availability_step(lambda plan: (requests, failed))(plan_of(node), step)
    assert outcome.status == status, outcome.reason
    assert outcome.figures == {
        "requests": requests,
        "failed": failed,
        "availability_percent": shown,
    }


def plan_of(node: Node) -> Plan:
    return node.effects.plan_of(node.log.read(lambda w: w.deployments[2]))


def evidence(**changes: object) -> Evidence:
    whole = {"gate": "smoke", "subject": SUBJECT, "tool": "t", "tool_version": "1"}
    return Evidence(**{**whole, "complete": True, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (evidence(), "done"),
        (evidence(complete=False), "failed"),
        (evidence(trouble="the tool ended early"), "failed"),
        (evidence(subject=digest_of(b"another")), "failed"),
        (
            evidence(
                findings=(
                    Finding(rule="r", title="t", place="p", severity="critical", fingerprint="f"),
                )
            ),
            "failed",
        ),
    ],
)
def test_only_a_pass_is_done_and_the_evidence_is_kept(
    node: Node, found: Evidence, status: str
) -> None:
    outcome = judged(found, SUBJECT, node.blobs)
    assert outcome.status == status, outcome.reason
    (kept,) = outcome.evidence
    assert b'"gate":"smoke"' in node.blobs.get(kept)


@pytest.fixture
def watched(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A deployment whose plan declares an availability, approved."""
    rules = product.GOVERNANCE.environments[ENVIRONMENT]
    stricter = msgspec.structs.replace(rules, availability_percent="99.9")
    planned = msgspec.structs.replace(product.GOVERNANCE, environments={ENVIRONMENT: stricter})
    monkeypatch.setattr(product, "GOVERNANCE", planned)
    node = Node(shutil.copytree(prepared, tmp_path / "watched"), "worker")
    node.request(2, "1.1.0")
    for name in ("pia", "quin"):
        node.approve(2, name)
    yield node
    node.close()


@pytest.mark.parametrize(("failed", "status"), [(1, "succeeded"), (2, "returned")])
def test_too_many_refused_requests_bring_the_service_back(
    watched: Node, monkeypatch: pytest.MonkeyPatch, failed: int, status: str
) -> None:
    """What was switched is switched back, on the target and in the record."""
    gates = {**watched._gates(), "availability": availability_step(lambda plan: (1000, failed))}
    monkeypatch.setattr(watched.effects, "_gates", gates)
    assert watched.drive(2) == status
    record = watched.log.read(lambda w: w.environments[ENVIRONMENT].components["api"])
    cause = str(watched.waits(2)["cause"])
    if status == "returned":
        assert "998 of 1000 requests answered, 99.800 %, below the declared 99.9 %" in cause
    assert record.version == ("1.1.0" if status == "succeeded" else "1.0.0")
    stable = watched.targets["process"].observe().stable
    assert record.artifact in json.dumps(dict(stable))
