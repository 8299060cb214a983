"""Kept proofs stay readable: what they show, and what must be refused, for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from surefoot.trust.bundle import NotProved
from surefoot.trust.proof import verify

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


def test_without_a_pinned_key_it_says_so() -> None:
    content = VECTORS["proved"][0]["bundle"].encode()
    assert not verify(content, None).pinned


def test_every_code_of_a_verifier_has_a_vector() -> None:
    codes = {case["code"] for case in VECTORS["refused"]}
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
    }
