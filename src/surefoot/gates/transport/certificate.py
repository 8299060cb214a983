"""What is wrong with the certificates that an endpoint shows.

Keeps: a certificate that cannot be read is wrong, not passed over. The times are the caller's.
Source: RFC 5280 (4.1.2.5), RFC 9525 (6.3: names), RFC 9325 (4.5: sizes and digests).
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Severity = Literal["low", "medium", "high", "critical"]
RSA_BITS_MIN = 2048
CURVE_BITS_MIN = 255
_WEAK_DIGESTS = ("md2", "md4", "md5", "sha1")
_CHAIN_MAX = 10


class Complaint(NamedTuple):
    """A rule, how bad it is, what was expected and what was found."""

    rule: str
    severity: Severity
    expected: str
    found: str


def complaints(
    chain: tuple[bytes, ...], name: str, now_ms: int, days_min: int, pin: str = ""
) -> Iterator[Complaint]:
    """Everything wrong with a chain, leaf first. `pin` is the SHA-256 of the leaf's public key."""
    read = []
    for der in chain[:_CHAIN_MAX]:
        try:
            read.append(x509.load_der_x509_certificate(der))
        except (ValueError, UnsupportedAlgorithm):
            yield Complaint("tls-certificate-form", "high", "a certificate (X.509)", "other bytes")
    if not read or len(chain) > _CHAIN_MAX:
        yield Complaint("tls-certificate-form", "high", "a chain of certificates", str(len(chain)))
        return
    leaf = read[0]
    yield from _times(leaf, now_ms, days_min)
    if name:
        yield from _name(leaf, name)
    if pin and pin != pin_of(leaf):
        yield Complaint("tls-certificate-pin", "critical", f"the key {pin}", pin_of(leaf))
    for at, each in enumerate(read):
        yield from _key(each, "certificate" if not at else f"authority {at}")
        # Nobody trusts an authority for its signature on itself.
        if not at or each.issuer != each.subject:
            yield from _signature(each, "certificate" if not at else f"authority {at}")


def pin_of(certificate: x509.Certificate) -> str:
    """The SHA-256 of the public key (SubjectPublicKeyInfo), in hexadecimal."""
    key = certificate.public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


def ends_at_ms(chain: tuple[bytes, ...]) -> int:
    """When the leaf ends; 0 when it cannot be read."""
    with suppress(ValueError, IndexError, UnsupportedAlgorithm):
        return int(x509.load_der_x509_certificate(chain[0]).not_valid_after_utc.timestamp() * 1000)
    return 0


def _times(leaf: x509.Certificate, now_ms: int, days_min: int) -> Iterator[Complaint]:
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    if now < leaf.not_valid_before_utc:
        expected = f"valid at {now:%Y-%m-%d}"
        found = f"only from {leaf.not_valid_before_utc:%Y-%m-%d}"
        yield Complaint("tls-certificate-early", "high", expected, found)
    ends = leaf.not_valid_after_utc
    if now >= ends:
        expected = f"valid at {now:%Y-%m-%d}"
        yield Complaint("tls-certificate-ended", "critical", expected, f"ended {ends:%Y-%m-%d}")
    elif now + timedelta(days=days_min) > ends:
        expected = f"valid for {days_min} days more"
        yield Complaint("tls-certificate-ends-soon", "medium", expected, f"ends {ends:%Y-%m-%d}")


def _name(leaf: x509.Certificate, name: str) -> Iterator[Complaint]:
    hosts: list[str] = []
    addresses: list[str] = []
    with suppress(x509.ExtensionNotFound, ValueError):
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = found.get_values_for_type(x509.DNSName)
        addresses = [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    try:
        good = str(ipaddress.ip_address(name)) in addresses
    except ValueError:
        good = any(_matches(host, name) for host in hosts)
    if not good:
        shown = ", ".join([*hosts, *addresses][:5]) or "no name"
        yield Complaint("tls-certificate-name", "high", f"the name {name}", shown[:200])


def _matches(pattern: str, name: str) -> bool:
    """A name, or `*.` before at least two labels for exactly one label."""
    pattern, name = pattern.casefold().rstrip("."), name.casefold().rstrip(".")
    if pattern.startswith("*.") and pattern.count(".") > 1:
        return name.partition(".")[2] == pattern[2:]
    return pattern == name


def _key(certificate: x509.Certificate, what: str) -> Iterator[Complaint]:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        yield Complaint("tls-certificate-key", "high", f"{what}: a key that is known", "another")
        return
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return
    if isinstance(key, rsa.RSAPublicKey):
        least, kind = RSA_BITS_MIN, "RSA"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        least, kind = CURVE_BITS_MIN, "a curve"
    elif isinstance(key, dsa.DSAPublicKey):
        least, kind = 1 << 30, "DSA"
    else:
        yield Complaint("tls-certificate-key", "high", f"{what}: a key to sign with", "another")
        return
    if key.key_size < least:
        expected = f"{what}: RSA of {RSA_BITS_MIN} bits, a curve of 256, or Ed25519"
        yield Complaint("tls-certificate-key", "high", expected, f"{kind} of {key.key_size} bits")


def _signature(certificate: x509.Certificate, what: str) -> Iterator[Complaint]:
    try:
        digest = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        expected = f"{what}: a signature that is known"
        yield Complaint("tls-certificate-signature", "high", expected, "another")
        return
    if digest is not None and digest.name in _WEAK_DIGESTS:
        expected = f"{what}: signed with SHA-256 or better"
        yield Complaint("tls-certificate-signature", "high", expected, digest.name.upper())
