"""Kept proofs stay readable: what they show, and what must be refused, for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from surefoot.trust.bundle import NotProved
from surefoot.trust.proof import verify
from surefoot.trust.root import Root, follow_all, read_root

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "proof.json").read_text())
KEY = VECTORS["key"]


@pytest.mark.parametrize("case", VECTORS["proved"], ids=lambda case: case["name"])
def test_kept_proofs_are_proved(case: dict[str, Any]) -> None:
    proved = verify(case["bundle"].encode(), KEY)
    assert proved.stream == case["stream"]
    assert (proved.entry.index if proved.entry else -1) == case["entry"]
    assert (proved.entry.state if proved.entry else "") == case["state"]
    assert proved.changes == case["changes"]
    assert proved.pinned


@pytest.mark.parametrize("case", VECTORS["refused"], ids=lambda case: case["name"])
def test_kept_bad_proofs_are_refused_with_their_code(case: dict[str, str]) -> None:
    with pytest.raises(NotProved) as refused:
        verify(case["bundle"].encode(), KEY)
    assert refused.value.code == case["code"]


def rooted(case: dict[str, Any]) -> Root:
    first, *newer = (root.encode() for root in case["roots"])
    return follow_all(read_root(first), newer)


@pytest.mark.parametrize("case", VECTORS["rooted"], ids=lambda case: case["name"])
def test_kept_proofs_show_who_stands_behind_them(case: dict[str, Any]) -> None:
    proved = verify(case["bundle"].encode(), rooted(case), VECTORS["now_ms"])
    assert proved.before is not None and proved.after is not None
    assert [proved.before.witnessed_s, proved.after.witnessed_s] == case["witnessed_s"]
    assert list(proved.after.witnesses) == case["witnesses"]
    assert list(proved.after.auditors) == case["auditors"]
    assert proved.after.anchored == case["anchored"] and proved.backed_by == case["backed_by"]
    assert [shown.signed_by for shown in proved.evidence] == case["signed_by"]


@pytest.mark.parametrize("case", VECTORS["refused_rooted"], ids=lambda case: case["name"])
def test_kept_bad_proofs_are_refused_under_their_root(case: dict[str, Any]) -> None:
    with pytest.raises(NotProved) as refused:
        verify(case["bundle"].encode(), rooted(case), VECTORS["now_ms"])
    assert refused.value.code == case["code"]


def test_without_a_pinned_key_it_says_so() -> None:
    content = VECTORS["proved"][0]["bundle"].encode()
    assert not verify(content, None).pinned


def test_every_code_of_a_verifier_has_a_vector() -> None:
    codes = {case["code"] for case in (*VECTORS["refused"], *VECTORS["refused_rooted"])}
    assert codes == {
        "proof.form.malformed",
        "proof.key.differs",
        "proof.checkpoint.signature",
        "proof.seal.differs",
        "proof.map.differs",
        "proof.chain.broken",
        "proof.consistency.broken",
        "proof.time.outside",
        "proof.state.differs",
        "proof.claim.false",
        "proof.cosignature.differs",
        "proof.evidence.differs",
        "proof.key.ended",
        "proof.quorum.missing",
    }
