"""Envelopes open only with enough distinct known keys, and never after a change."""

import base64
import json
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.trust import canonical, envelope, keys, sshsig
from surefoot.trust.digest import digest_of

VECTORS = json.loads((pathlib.Path(__file__).parents[1] / "vectors" / "envelope.json").read_text())
ANN, BOB, EVE = (keys.private_key(bytes([n]) * 32) for n in (1, 2, 3))
KNOWN = (ANN.public, BOB.public)


class Person:
    """Signs as a person does, with ssh-keygen's kind of signature."""

    def __init__(self, key, namespace="surefoot"):
        self.key, self.namespace, self.keyid = key, namespace, key.keyid

    def sign(self, message):
        return sshsig.sign_raw(self.key, message, self.namespace)


def test_the_encoding_before_signing_is_the_standards():
    assert envelope.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@pytest.mark.parametrize("vector", VECTORS["envelopes"], ids=lambda v: v["name"])
def test_vectors_are_kept_for_ever(vector):
    signers = [keys.private_key(bytes.fromhex(seed)) for seed in vector["seeds"]]
    payload = vector["payload"].encode()
    assert [s.public.line() for s in signers] == vector["public_lines"]
    assert [s.keyid for s in signers] == vector["keyids"]
    sealed = envelope.seal(vector["payload_type"], payload, signers)
    assert sealed.decode() == vector["envelope"]
    opened = envelope.open(sealed, [s.public for s in signers], len(signers))
    assert opened == (payload, frozenset(vector["keyids"]))
    raw = base64.b64decode(vector["sshsig_of_first"])
    assert raw == sshsig.sign_raw(signers[0], payload, envelope.NAMESPACE)


def test_both_kinds_of_signature_count_side_by_side():
    sealed = envelope.seal("text/plain", b"x", [ANN, Person(BOB)])
    assert envelope.open(sealed, KNOWN, 2) == (b"x", frozenset({ANN.keyid, BOB.keyid}))


def test_a_threshold_counts_distinct_known_keys():
    sealed = envelope.seal("text/plain", b"x", [ANN, EVE])
    with pytest.raises(envelope.BadEnvelope, match="1 known"):
        envelope.open(sealed, KNOWN, 2)
    with pytest.raises(envelope.BadEnvelope, match="1 known"):
        envelope.open(sealed, (ANN.public, ANN.public), 2)
    with pytest.raises(envelope.BadEnvelope, match="twice"):
        envelope.seal("text/plain", b"x", [ANN, Person(ANN)])
    with pytest.raises(ValueError, match="threshold"):
        envelope.open(sealed, KNOWN, 0)


def test_a_name_on_someone_elses_signature_is_refused():
    members = json.loads(envelope.seal("text/plain", b"x", [EVE]))
    members["signatures"][0]["keyid"] = ANN.keyid
    with pytest.raises(envelope.BadEnvelope, match="does not hold"):
        envelope.open(canonical.encode(members), KNOWN, 1)


@pytest.mark.parametrize("member", ["payload", "payloadType"])
def test_tampering_is_seen(member):
    sealed = envelope.seal("text/plain", b"good", [ANN])
    members = json.loads(sealed)
    members[member] = {"payload": base64.b64encode(b"evil").decode(), "payloadType": "text/html"}[
        member
    ]
    with pytest.raises(envelope.BadEnvelope, match="does not hold"):
        envelope.open(canonical.encode(members), KNOWN, 1)


def test_another_type_or_namespace_is_refused():
    sealed = envelope.seal("text/plain", b"x", [ANN])
    with pytest.raises(envelope.BadEnvelope, match="expected 'text/html'"):
        envelope.open(sealed, KNOWN, 1, "text/html")
    with pytest.raises(envelope.BadEnvelope, match="does not hold"):
        envelope.open(envelope.seal("text/plain", b"x", [Person(ANN, "git")]), KNOWN, 1)


def test_a_signature_made_elsewhere_is_attached_once():
    sealed = envelope.seal("text/plain", b"x", [ANN])
    signature = sshsig.sign(BOB, envelope.pae("text/plain", b"x"), "surefoot")
    both = envelope.attach(sealed, signature)
    assert envelope.open(both, KNOWN, 2)[1] == {ANN.keyid, BOB.keyid}
    with pytest.raises(envelope.BadEnvelope, match="twice"):
        envelope.attach(both, signature)
    with pytest.raises(envelope.BadEnvelope, match="does not hold"):
        envelope.attach(sealed, sshsig.sign(BOB, b"other", "surefoot"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"payload":"eA==","payloadType":"t","signatures":[]}',
        b'{"payload":"eA==","payloadType":"t","signatures":[1]}',
        b'{"payload":"eA==","payload":"eA==","payloadType":"t","signatures":[]}',
        b'{"payload":"eA=","payloadType":"t","signatures":[{"keyid":"x","sig":""}]}',
        b'{"payload":"eA==","payloadType":"t","signatures":[{"sig":""}]}',
        b'{"extra":1,"payload":"eA==","payloadType":"t","signatures":[]}',
        b" " * (envelope.SIZE_BYTES_MAX + 1),
    ],
)
def test_other_forms_are_refused(content):
    with pytest.raises(envelope.BadEnvelope):
        envelope.parse(content)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_and_nothing_else(content):
    with pytest.raises(envelope.BadEnvelope):
        envelope.open(content, KNOWN, 1)
    with pytest.raises(envelope.BadEnvelope):
        envelope.parse_statement(content)


def test_a_statement_says_what_it_is_about():
    digest = digest_of(b"artifact")
    payload = envelope.statement([("api.tar", digest)], "https://example.com/p/v1", {"ok": True})
    read = envelope.parse_statement(payload)
    assert read.subjects == (("api.tar", digest),)
    assert (read.predicate_type, read.predicate) == ("https://example.com/p/v1", {"ok": True})
    assert json.loads(payload)["subject"][0]["digest"] == {"sha256": digest[7:]}
