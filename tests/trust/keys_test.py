"""Keys read and write what the real ssh-keygen reads and writes."""

import contextlib
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.trust import keys

SEED = bytes(range(32))


def test_a_key_written_here_is_the_same_key_for_ssh_keygen(tmp_path):
    key = keys.private_key(SEED)
    path = tmp_path / "key"
    path.write_bytes(keys.private_text(key, "ann"))
    path.chmod(0o600)
    line = subprocess.check_output(["ssh-keygen", "-y", "-f", path], text=True).strip()
    shown = subprocess.check_output(["ssh-keygen", "-l", "-f", path], text=True).split()
    assert line == key.public.line("ann")
    assert shown[1] == key.public.fingerprint == key.keyid


def test_a_key_written_by_ssh_keygen_is_read(tmp_path):
    path = tmp_path / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ann b", "-f", path], check=True
    )
    key = keys.load_private(path.read_bytes())
    public, comment = keys.parse_public_line((tmp_path / "key.pub").read_text())
    assert (public, comment) == (key.public, "ann b")
    assert keys.load_private(keys.private_text(key)).seed() == key.seed()


def test_a_key_under_a_passphrase_needs_it_and_never_opens_without(tmp_path):
    path = tmp_path / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "long enough", "-f", path], check=True
    )
    with pytest.raises(keys.BadKey):
        keys.load_private(path.read_bytes())


def test_other_kinds_of_key_are_refused(tmp_path):
    path = tmp_path / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ecdsa", "-b", "256", "-N", "", "-f", path], check=True
    )
    with pytest.raises(keys.BadKey, match="only Ed25519"):
        keys.load_private(path.read_bytes())
    with pytest.raises(keys.BadKey, match="only Ed25519"):
        keys.parse_public_line((tmp_path / "key.pub").read_text())


def test_a_private_key_never_shows_itself():
    key = keys.private_key(SEED)
    assert SEED.hex() not in repr(key) and str(SEED) not in f"{key!r} {key}"


def test_a_signature_holds_for_its_message_alone():
    key = keys.private_key(SEED)
    signature = key.sign(b"message")
    assert key.public.verify(signature, b"message")
    assert not key.public.verify(signature, b"messag")
    assert not key.public.verify(signature[:-1], b"message")
    assert not keys.private_key(b"\1" * 32).public.verify(signature, b"message")


@pytest.mark.parametrize("raw", [b"\0" * 32, b"\1" + b"\0" * 31, b"\0" * 31 + b"\x80", b"\1" * 31])
def test_keys_of_small_order_or_wrong_length_are_refused(raw):
    with pytest.raises(keys.BadKey):
        keys.PublicKey(raw)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 !!!!",
        "ssh-ed25519 AAAA",
        "ssh-rsa " + keys.private_key(SEED).public.line().split()[1],
        keys.private_key(SEED).public.line() + " caf\u00e9",
        "ssh-ed25519 " + "A" * 2000,
    ],
)
def test_a_damaged_line_is_refused(line):
    with pytest.raises(keys.BadKey):
        keys.parse_public_line(line)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_key_or_a_bad_key(content):
    for read in (keys.public_key_of_blob, keys.load_private):
        with contextlib.suppress(keys.BadKey):
            read(content)
