"""What is read of a certificate, and what is none."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.testing.issuer import Issuer
from surefoot.trust.certificate import parse_der, parse_pem, plain_fingerprint


def test_names_end_and_fingerprint(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path, "issuer")
    found = parse_pem(issuer.issue("dev1", names=("a.example", "dev1"))[0].read_bytes())
    assert found[0].names == ("dev1", "a.example", "dev1") and not found[0].issues
    assert found[1].fingerprint == issuer.fingerprint and found[1].issues
    assert found[0].until_ms > 1_700_000_000_000
    assert parse_der(found[1].der) == found[1]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 255))
def test_any_bytes_are_a_certificate_or_a_value_error(
    content: bytes, place: int, changed: int
) -> None:
    for each in (content, MADE[:place] + bytes([changed]) + MADE[place + 1 :], MADE[:place]):
        for parse in (parse_der, parse_pem):
            try:
                parse(each)
            except ValueError:
                continue


def _made() -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return Issuer(Path(folder), "issuer").der


MADE = _made()


def test_fingerprints_are_read_as_they_are_written() -> None:
    plain = "ab" * 32
    for text in (plain, plain.upper(), "sha256:" + plain, ":".join(["AB"] * 32), f" {plain}\n"):
        assert plain_fingerprint(text) == plain
    for text in ("", plain[:-1], plain + "a", "zz" * 32, "sha1:" + plain):
        with pytest.raises(ValueError, match="64 hex digits"):
            plain_fingerprint(text)
    with pytest.raises(ValueError, match="more than"):
        parse_pem(b"x" * 70_000)
