"""Certificates: dates, names, keys and signatures."""

from __future__ import annotations

import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from tls_scene import NOW, make_certificate

from surefoot.gates.transport.certificate import complaints, pin_of

NOW_MS = int(NOW.timestamp() * 1000)
ADDRESS = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


def rules(certificate: x509.Certificate, name: str = "example.test", pin: str = "") -> list[str]:
    chain = (certificate.public_bytes(Encoding.DER),)
    return [found.rule for found in complaints(chain, name, NOW_MS, 21, pin)]


def with_sha1(key: rsa.RSAPrivateKey) -> bytes:
    """A certificate that says SHA-1, which the library no longer signs with."""
    sha256, sha1 = (bytes.fromhex(f"2a864886f70d0101{last}") for last in ("0b", "05"))
    made = make_certificate(key)[0].public_bytes(Encoding.DER)
    assert made.count(sha256) == 2
    return made.replace(sha256, sha1)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ((-1, 365), []),
        ((-1, 22), []),
        ((-1, 20), ["tls-certificate-ends-soon"]),
        ((-9, -1), ["tls-certificate-ended"]),
        ((-1, 0), ["tls-certificate-ended"]),
        ((1, 365), ["tls-certificate-early"]),
    ],
)
def test_dates(days: tuple[int, int], expected: list[str]) -> None:
    assert rules(make_certificate(days=days)[0]) == expected


@pytest.mark.parametrize(
    ("names", "asked", "good"),
    [
        ((x509.DNSName("example.test"),), "EXAMPLE.test.", True),
        ((x509.DNSName("*.example.test"),), "a.example.test", True),
        ((x509.DNSName("*.example.test"),), "a.b.example.test", False),
        ((x509.DNSName("*.example.test"),), "example.test", False),
        ((x509.DNSName("*.test"),), "example.test", False),
        ((x509.DNSName("*"),), "test", False),
        ((x509.DNSName("xexample.test"),), "example.test", False),
        ((ADDRESS,), "127.0.0.1", True),
        ((x509.DNSName("127.0.0.1"),), "127.0.0.1", False),
        ((), "example.test", False),
    ],
)
def test_names(names: tuple[x509.GeneralName, ...], asked: str, good: bool) -> None:
    found = rules(make_certificate(names=names)[0], asked)
    assert found == ([] if good else ["tls-certificate-name"])


def test_keys_and_signatures() -> None:
    short = rsa.generate_private_key(65_537, 1024)
    assert rules(make_certificate(short)[0]) == ["tls-certificate-key"]
    assert rules(make_certificate(ec.generate_private_key(ec.SECP192R1()))[0]) == [
        "tls-certificate-key"
    ]
    assert rules(make_certificate(rsa.generate_private_key(65_537, 2048))[0]) == []
    old = with_sha1(rsa.generate_private_key(65_537, 2048))
    assert rules(x509.load_der_x509_certificate(old)) == ["tls-certificate-signature"]


def test_dsa_is_no_key_for_tls() -> None:
    assert rules(make_certificate(dsa.generate_private_key(1024))[0]) == ["tls-certificate-key"]


def test_ed25519_needs_no_digest() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW.replace(year=2027))
        .sign(key, None)
    )
    assert rules(made, "") == []


def test_a_pin_is_the_key_alone() -> None:
    first, key = make_certificate()
    again, _ = make_certificate(key, days=(-2, 300))
    assert rules(again, pin=pin_of(first)) == []
    assert rules(make_certificate()[0], pin=pin_of(first)) == ["tls-certificate-pin"]


def test_an_authority_that_is_weak_is_found_but_not_for_its_own_signature() -> None:
    leaf = make_certificate()[0].public_bytes(Encoding.DER)
    root = with_sha1(rsa.generate_private_key(65_537, 1024))
    found = list(complaints((leaf, root), "example.test", NOW_MS, 21))
    assert [each.rule for each in found] == ["tls-certificate-key"]
    assert found[0].expected.startswith("authority 1")


@pytest.mark.parametrize("chain", [(), (b"",), (b"0\x82\x01",), (b"x" * 100,)])
def test_what_cannot_be_read_is_wrong(chain: tuple[bytes, ...]) -> None:
    found = {each.rule for each in complaints(chain, "example.test", NOW_MS, 21)}
    assert found == {"tls-certificate-form"}
