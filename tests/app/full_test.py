"""Full verification of an export: the rules are asked again about every entry."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from dishonest import Change, history, log_signer, rewritten, with_seals

from surefoot.compose import offline
from surefoot.compose.signed import evidence_of
from surefoot.store.blobs import FileBlobs
from surefoot.trust.entry import Actor, Entry


def quiet(done: int, total: int) -> None:
    """No progress."""


def verified(delivered: Path, export: Path) -> dict[str, Any]:
    """The report of full verification under the log's key."""
    return offline.verify_export(export, log_signer(delivered).verifier.text(), None, quiet)


def forged(
    delivered: Path, place: Path, change: Change, *, evidence: bool = False
) -> dict[str, Any]:
    """The report of a log that a dishonest server wrote."""
    carried = partial(evidence_of, FileBlobs(delivered / "blobs")) if evidence else lambda leaf: ()
    return verified(delivered, rewritten(delivered, place, change, carried))


def test_an_honest_journal_is_intact_under_every_rule(delivered: Path, tmp_path: Path) -> None:
    made = offline.export(delivered, tmp_path / "export", quiet, evidence=True)
    assert made["blobs"] > 3
    report = verified(delivered, tmp_path / "export")
    assert (report["ok"], report["problems"]) == (True, ())
    assert report["rules"] == report["entries"] == len(history(delivered))
    assert report["signatures"] == 3  # two approvals, ann's manifest


def test_without_evidence_no_signature_is_claimed(delivered: Path, tmp_path: Path) -> None:
    offline.export(delivered, tmp_path / "export", quiet)
    report = verified(delivered, tmp_path / "export")
    assert (report["ok"], report["signatures"]) == (True, 0)
    assert not (tmp_path / "export" / "blobs").exists()


def test_the_honest_story_written_again_is_intact(delivered: Path, tmp_path: Path) -> None:
    report = forged(delivered, tmp_path, lambda leaf: leaf, evidence=True)
    assert (report["ok"], report["problems"], report["signatures"]) == (True, (), 3)


def body(leaf: Entry, **changed: Any) -> Entry:
    return msgspec.structs.replace(leaf, body={**leaf.body, **changed})


def of(leaf: Entry, kind: str, environment: str = "production") -> bool:
    return leaf.kind == kind and leaf.body.get("environment", environment) == environment


LIES: dict[str, tuple[str, Change]] = {
    "no approval": (
        "breach.approvals",
        lambda leaf: None if leaf.kind == "ApprovalGiven" else leaf,
    ),
    "approved by ann, who cut it": (
        "policy.own-work",
        lambda leaf: body(leaf, person="ann") if leaf.kind == "ApprovalGiven" else leaf,
    ),
    "fewer approvals demanded": (
        "breach.approvals",
        lambda leaf: body(leaf, approvals_needed=0) if of(leaf, "DeploymentRequested") else leaf,
    ),
    "nobody held off": (
        "breach.approvals",
        lambda leaf: body(leaf, excluded=[]) if of(leaf, "DeploymentRequested") else leaf,
    ),
    "no claim": (
        "breach.sequence",
        lambda leaf: None if of(leaf, "StepClaimed") else leaf,
    ),
    "no result": (
        "breach.sequence",
        lambda leaf: None if of(leaf, "StepFinished") else leaf,
    ),
    "not deployed to dev before": (
        "deployment.order",
        lambda leaf: None if of(leaf, "DeploymentFinished", "dev") else leaf,
    ),
    "settings of another plan": (
        "breach.change",
        lambda leaf: (
            body(leaf, settings="sha256:" + "0" * 64) if of(leaf, "SettingsChanged") else leaf
        ),
    ),
    "a role one gave oneself": (
        "policy.own-role",
        lambda leaf: (
            msgspec.structs.replace(leaf, actor=Actor(type="person", id="ann", auth="x"))
            if leaf.kind == "RoleGranted" and leaf.body["person"] == "ann"
            else leaf
        ),
    ),
    "a machine accepts the rules": (
        "policy.person.unknown",
        lambda leaf: (
            msgspec.structs.replace(leaf, actor=Actor(type="machine", id="m", auth="x"))
            if leaf.kind == "DefinitionAccepted"
            else leaf
        ),
    ),
    "no role, and yet a request": (
        "policy.permission.missing",
        lambda leaf: (
            None if leaf.kind == "RoleGranted" and leaf.body["role"] == "developer" else leaf
        ),
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_story_against_the_rules_is_found(delivered: Path, tmp_path: Path, lie: str) -> None:
    rule, change = LIES[lie]
    report = forged(delivered, tmp_path, change)
    problem = report["problems"][0]
    assert not report["ok"]
    assert problem["code"] == "journal.rule.broken", problem
    assert f"[{rule}]" in problem["expected"], problem
    assert problem["index"] > 0


def test_a_plan_that_is_another_one_is_found_when_its_blob_is_there(
    delivered: Path, tmp_path: Path
) -> None:
    def change(leaf: Entry) -> Entry:
        return body(leaf, purpose="rebuild") if of(leaf, "DeploymentRequested", "dev") else leaf

    report = forged(delivered, tmp_path, change, evidence=True)
    assert report["problems"][0]["code"] == "journal.rule.broken"


def test_an_approval_that_bob_never_signed_is_found(delivered: Path, tmp_path: Path) -> None:
    envelope = next(e.body["envelope"] for e in history(delivered) if e.kind == "ApprovalGiven")
    export = rewritten(
        delivered,
        tmp_path,
        lambda leaf: leaf,
        partial(evidence_of, FileBlobs(delivered / "blobs")),
    )
    digits = str(envelope).removeprefix("sha256:")
    (export / "blobs" / digits[:2] / digits[2:]).unlink()
    report = verified(delivered, export)
    assert [p["code"] for p in report["problems"]] == ["journal.act.signature"]


def test_a_signed_wrong_heads_map_is_found(delivered: Path, tmp_path: Path) -> None:
    offline.export(delivered, tmp_path / "export", quiet)
    with_seals(delivered, tmp_path / "export", lambda seal: seal)
    assert verified(delivered, tmp_path / "export")["ok"]
    with_seals(
        delivered, tmp_path / "export", lambda seal: msgspec.structs.replace(seal, heads="0" * 64)
    )
    assert verified(delivered, tmp_path / "export")["problems"][0]["code"] == "journal.seal.heads"


def test_a_changed_state_is_found(delivered: Path, tmp_path: Path) -> None:
    offline.export(delivered, tmp_path / "export", quiet)
    state = next(p for p in (tmp_path / "export" / "states").rglob("*") if p.is_file())
    state.write_bytes(state.read_bytes().replace(b"a", b"b", 1) + b" ")
    assert (
        verified(delivered, tmp_path / "export")["problems"][0]["code"] == "journal.state.differs"
    )
