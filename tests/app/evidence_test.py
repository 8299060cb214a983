"""A proof of an environment with what led there: the release, two approvals, results of gates."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from house import LAMP, AppHouse

from surefoot.trust import canonical
from surefoot.trust.bundle import NotProved
from surefoot.trust.proof import verify


def test_the_evidence_shows_who_approved_with_their_own_signatures(
    house: Callable[[str], AppHouse],
) -> None:
    made = house(LAMP)
    made.set_up()
    made.enrol("carl")
    made.call("person grant", "bob", person="carl", role="approver")
    made.release("1.0.0")
    assert made.carry(made.request("dev", release="1.0.0")) == "succeeded"
    number = made.request("production", release="1.0.0")
    for approver in ("bob", "carl"):
        made.approve(number, "production", approver)
    assert made.carry(number) == "succeeded"
    answer = made.call("journal prove", "ann", name="production", evidence=True)
    content = answer["bundle"].encode()
    key = json.loads(content)["keys"]["log"]
    shown = verify(content, key).evidence
    kinds = [each.entry.kind for each in shown]
    assert {"PersonEnrolled", "ReleaseRegistered", "DeploymentRequested"} <= set(kinds)
    approvals = [each for each in shown if each.entry.kind == "ApprovalGiven"]
    assert [(each.signed_by, each.enrolled) for each in approvals] == [
        ("bob", True),
        ("carl", True),
    ]
    registered = next(each for each in shown if each.entry.kind == "ReleaseRegistered")
    assert len(registered.digests) >= 2
    bundle = json.loads(content)
    first, second = (e for e in bundle["evidence"] if '"ApprovalGiven"' in e["raw"])
    first["texts"], second["texts"] = second["texts"], first["texts"]
    with pytest.raises(NotProved) as refused:
        verify(canonical.encode(bundle), key)
    assert refused.value.code == "proof.evidence.differs"
    plain = made.call("journal prove", "ann", name="production")
    assert "evidence" not in json.loads(plain["bundle"])
