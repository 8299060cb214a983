"""SSH signatures are exchanged with the real ssh-keygen, in both directions."""

import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from surefoot.trust import keys, sshsig, wire

KEY = keys.private_key(bytes(range(32)))
MESSAGE = b"what was approved\n"


def _ssh_keygen_accepts(folder, signature, message, namespace):
    (folder / "allowed").write_text(f"ann {KEY.public.line()}\n")
    (folder / "sig").write_bytes(signature)
    command = ["ssh-keygen", "-Y", "verify", "-f", folder / "allowed", "-I", "ann"]
    command += ["-n", namespace, "-s", folder / "sig"]
    return subprocess.run(command, input=message, capture_output=True).returncode == 0


@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
def test_ssh_keygen_accepts_our_signature_and_only_for_its_namespace(tmp_path, hash_name):
    signature = sshsig.sign(KEY, MESSAGE, "surefoot", hash_name)
    assert _ssh_keygen_accepts(tmp_path, signature, MESSAGE, "surefoot")
    assert not _ssh_keygen_accepts(tmp_path, signature, MESSAGE, "git")
    assert not _ssh_keygen_accepts(tmp_path, signature, MESSAGE + b"!", "surefoot")


@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
def test_we_accept_the_signature_of_ssh_keygen(tmp_path, hash_name):
    (tmp_path / "key").write_bytes(keys.private_text(KEY))
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "m").write_bytes(MESSAGE)
    command = ["ssh-keygen", "-Y", "sign", "-f", tmp_path / "key", "-n", "surefoot"]
    command += ["-O", f"hashalg={hash_name}", tmp_path / "m"]
    subprocess.run(command, check=True, capture_output=True)
    signature = (tmp_path / "m.sig").read_bytes()
    assert sshsig.verify(signature, MESSAGE, "surefoot") == KEY.public
    # Ed25519 is deterministic: the same key, message and namespace give the same bytes.
    assert sshsig.dearmored(signature) == sshsig.sign_raw(KEY, MESSAGE, "surefoot", hash_name)


def test_another_message_or_namespace_is_refused():
    signature = sshsig.sign(KEY, MESSAGE, "surefoot")
    with pytest.raises(sshsig.BadSignature, match="does not hold"):
        sshsig.verify(signature, MESSAGE + b"!", "surefoot")
    with pytest.raises(sshsig.BadSignature, match="namespace"):
        sshsig.verify(signature, MESSAGE, "git")


def test_a_weak_or_unknown_hash_is_refused():
    with pytest.raises(ValueError, match="sha256 or sha512"):
        sshsig.sign(KEY, MESSAGE, "surefoot", "md5")


def _security_key_signature(flags):
    inner = Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
    public = keys.PublicKey(inner.public_key().public_bytes_raw(), "ssh:")
    import hashlib

    to_sign = sshsig.MAGIC + b"".join(
        wire.string(f) for f in (b"surefoot", b"", b"sha512", hashlib.sha512(MESSAGE).digest())
    )
    tail = bytes([flags]) + (5).to_bytes(4, "big")
    signed = hashlib.sha256(b"ssh:").digest() + tail + hashlib.sha256(to_sign).digest()
    blob = wire.string(keys.SECURITY_KEY_TYPE) + wire.string(inner.sign(signed)) + tail
    fields = (public.blob, b"surefoot", b"", b"sha512", blob)
    raw = sshsig.MAGIC + (1).to_bytes(4, "big") + b"".join(wire.string(f) for f in fields)
    return public, raw


def test_a_security_key_counts_only_when_its_user_touched_it(tmp_path):
    public, raw = _security_key_signature(flags=1)
    assert sshsig.verify(raw, MESSAGE, "surefoot") == public
    (tmp_path / "allowed").write_text(f"ann {public.line()}\n")
    (tmp_path / "sig").write_bytes(sshsig.armored(raw))
    command = ["ssh-keygen", "-Y", "verify", "-f", tmp_path / "allowed", "-I", "ann"]
    command += ["-n", "surefoot", "-s", tmp_path / "sig"]
    assert subprocess.run(command, input=MESSAGE, capture_output=True).returncode == 0
    with pytest.raises(sshsig.BadSignature):
        sshsig.verify(_security_key_signature(flags=0)[1], MESSAGE, "surefoot")


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_signature_with_any_byte_changed_is_refused(at, change):
    raw = bytearray(sshsig.sign_raw(KEY, MESSAGE, "surefoot"))
    raw[at % len(raw)] ^= change
    with pytest.raises(sshsig.BadSignature):
        sshsig.verify(bytes(raw), MESSAGE, "surefoot")


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_and_nothing_else(content):
    for prefix in (b"", sshsig.MAGIC):
        with pytest.raises(sshsig.BadSignature):
            sshsig.verify(prefix + content, MESSAGE, "surefoot")
