"""What proves a claim, and everything else that is handed to an actor instead."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from surefoot.core.target import Step
from surefoot.testing.claims import Claims
from surefoot.trust import merkle
from surefoot.trust.intent import Act, Intent, NotIntended, verify_intent
from surefoot.trust.note import Checkpoint, SignerKey

STEP = Step(id="01-start", target="process", action="start")
CLAIMS = Claims("production")
ACT = Act(environment="production", deployment=7, digest=STEP.digest())
KEYS = (CLAIMS.signer.verifier,)


def intent(index: int = 5, **changes: Any) -> Intent:
    return CLAIMS.proof(CLAIMS.claim(STEP, 7, index, changes), index)


@pytest.mark.parametrize("index", [0, 1, 2, 3, 6, 255, 256, 2**40])
def test_a_claim_at_any_place_is_proved(index: int) -> None:
    entry = verify_intent(intent(index), KEYS, ACT)
    assert (entry.index, entry.body["act"]) == (index, STEP.digest())


def test_a_claim_inside_a_larger_tree_is_proved() -> None:
    raw = CLAIMS.claim(STEP, 7, 3)
    tree = merkle.Tree(merkle.leaf_hash(raw if n == 3 else b"%d" % n) for n in range(11))
    note = CLAIMS.signer.sign(Checkpoint(origin=KEYS[0].name, size=11, root=tree.root()).text())
    proof = Intent(entry=raw, index=3, path=tuple(tree.inclusion(3)), checkpoint=note)
    assert verify_intent(proof, KEYS, ACT).index == 3


def test_any_of_several_keys_will_do() -> None:
    other = SignerKey("surefoot.example/old", b"\x01" * 32).verifier
    assert verify_intent(intent(), (other, *KEYS), ACT)
    with pytest.raises(NotIntended) as refused:
        verify_intent(intent(), (other,), ACT)
    assert not refused.value.proved
    with pytest.raises(NotIntended):
        verify_intent(intent(), (), ACT)


@pytest.mark.parametrize(
    "change",
    [
        {"environment": "staging"},
        {"deployment": 8},
        {"deployment": True},
        {"deployment": "7"},
        {"act": "sha256:" + "0" * 64},
        {"act": ""},
        {"act": 7},
    ],
)
def test_a_claim_of_something_else_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(NotIntended) as refused:
        verify_intent(intent(**change), KEYS, ACT)
    assert refused.value.proved


@pytest.mark.parametrize(
    "change",
    [
        {"index": 4},
        {"index": -1},
        {"index": 6},
        {"path": ()},
        {"path": (bytes(32),) * 65},
        {"path": (b"short",)},
        {"entry": b"{}"},
        {"checkpoint": ""},
        {"checkpoint": "a\n1\nb\n\n"},
    ],
)
def test_a_broken_proof_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(NotIntended) as refused:
        verify_intent(msgspec.structs.replace(intent(), **change), KEYS, ACT)
    assert not refused.value.proved


def test_bytes_that_are_no_claim_are_refused_though_proved() -> None:
    for raw in (CLAIMS.claim(STEP, 7, 5).replace(b"StepClaimed", b"StepPromised"), b"{}"):
        with pytest.raises(NotIntended):
            verify_intent(CLAIMS.proof(raw, 5), KEYS, ACT)
