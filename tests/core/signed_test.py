"""An approval is somebody's for their own signature, whatever the journal says."""

from __future__ import annotations

import msgspec
import pytest

from surefoot.core import facts as f
from surefoot.core.manifest import Manifest
from surefoot.core.signed import APPROVAL_TYPE, fault_of
from surefoot.testing import simulator_product as product
from surefoot.testing.history import History
from surefoot.trust import canonical, envelope
from surefoot.trust.digest import digest_of
from surefoot.trust.keys import PrivateKey, private_key

PLAN = digest_of(b"plan")


def key_of(name: str) -> PrivateKey:
    return private_key(digest_of(name.encode())[7:39].encode())


def sealed(signer: str, **changes: object) -> bytes:
    said = {"deployment": 1, "environment": "production", "plan": PLAN, "verdict": "approve"}
    payload = canonical.encode({**said, **changes})
    return envelope.seal(APPROVAL_TYPE, payload, [key_of(signer)])


def approval(content: bytes, person: str = "pia", **changes: object) -> f.ApprovalGiven:
    fact = f.ApprovalGiven(
        deployment=1,
        environment="production",
        plan=PLAN,
        person=person,
        verdict="approve",
        envelope=digest_of(content),
        key=key_of(person).public.fingerprint,
    )
    return msgspec.structs.replace(fact, **changes)


def fault(history: History, fact: f.Fact, *blobs: bytes, evidence: bytes = b"") -> str | None:
    held = {digest_of(content): content for content in blobs}
    named = (digest_of(evidence),) if evidence else ()
    return fault_of(history.world, fact, named, held.get)


def test_a_persons_own_signature_holds(history: History) -> None:
    content = sealed("pia")
    assert fault(history, approval(content), content) == ""
    assert fault(history, approval(content, key=""), content) == ""


@pytest.mark.parametrize(
    ("signer", "changes"),
    [
        ("dora", {}),
        ("pia", {"deployment": 2}),
        ("pia", {"environment": "staging"}),
        ("pia", {"plan": digest_of(b"another")}),
        ("pia", {"verdict": "reject"}),
    ],
)
def test_an_approval_that_was_not_given_is_found(
    history: History, signer: str, changes: dict[str, object]
) -> None:
    """Written by somebody with the journal's key, who has not the person's."""
    content = sealed(signer, **changes)
    assert fault(history, approval(content), content)


def test_what_cannot_be_shown_does_not_hold(history: History) -> None:
    content = sealed("pia")
    assert fault(history, approval(content)) == "no envelope"
    assert fault(history, approval(content, "nobody"), content) == "nobody of that name"
    revoked = f.KeyRevoked(person="pia", fingerprint=key_of("pia").public.fingerprint)
    history.tell(revoked)
    assert fault(history, approval(content), content)


def test_a_release_is_its_cutters(history: History) -> None:
    manifest = product.manifest_of("1.0.0")
    fact = _registered(manifest)
    good = _envelope("dora", manifest.encode())
    assert fault(history, fact, good, evidence=good) == ""
    forged = _envelope("quin", manifest.encode())
    assert fault(history, fact, forged, evidence=forged)
    other = _envelope("dora", product.manifest_of("1.1.0").encode())
    assert "another manifest" in (fault(history, fact, other, evidence=other) or "")
    alone = msgspec.structs.replace(fact, contributors=())
    assert "another contributors" in (fault(history, alone, good, evidence=good) or "")
    assert fault(history, fact) == "no envelope"


def _envelope(signer: str, manifest: bytes) -> bytes:
    return envelope.seal("application/vnd.surefoot.release+json", manifest, [key_of(signer)])


def _registered(manifest: Manifest) -> f.ReleaseRegistered:
    return f.ReleaseRegistered(
        release=manifest.digest(),
        version=manifest.version,
        commit=manifest.commit,
        components=(),
        compatibility={},
        definition=manifest.definition,
        governance=manifest.governance,
        contributors=manifest.contributors,
        cutter=manifest.cutter,
    )


def test_nobody_signs_a_freeze(history: History) -> None:
    assert fault(history, f.FreezeLifted(environment="production", freeze="x")) is None
