"""X.509 certificates as far as enrolment needs them: whom one names, until when, which one it is.

Keeps: strict and bounded; a certificate that cannot be read is a `ValueError`. Names are the common
name, when there is one alone, and the DNS names of the subject's alternatives.
Does not: verify a chain; TLS does. Source: RFC 5280.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

PEM_BYTES_MAX = 64 * 1024
_NAMES_MAX = 20
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


class Certificate(NamedTuple):
    """What a certificate says. `fingerprint` is the SHA-256 of its DER in lower-case hex; `issues`
    is whether it may issue others; `until_ms` is its end, UTC ms."""

    fingerprint: str
    names: tuple[str, ...]
    until_ms: int
    issues: bool
    der: bytes


def parse_der(der: bytes) -> Certificate:
    """The certificate of its DER bytes. Raises `ValueError`."""
    try:
        found = x509.load_der_x509_certificate(der)
        commons = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        names = [str(commons[0].value)] if len(commons) == 1 else []
        names += _dns_names(found)
        until = int(found.not_valid_after_utc.timestamp() * 1000)
        issues = _issues(found)
    except Exception as error:  # noqa: BLE001 -- the parser raises many kinds for odd fields
        raise ValueError(f"not a certificate: {type(error).__name__}") from None
    return Certificate(fingerprint_of(der), tuple(names[:_NAMES_MAX]), until, issues, der)


def parse_pem(content: bytes) -> list[Certificate]:
    """All certificates of a PEM text, at least one. Raises `ValueError`."""
    if len(content) > PEM_BYTES_MAX:
        raise ValueError(f"more than {PEM_BYTES_MAX} bytes")
    try:
        found = x509.load_pem_x509_certificates(content)
        return [parse_der(each.public_bytes(Encoding.DER)) for each in found]
    except ValueError:
        raise ValueError("no certificate in PEM") from None


def fingerprint_of(der: bytes) -> str:
    """The SHA-256 of a certificate, as everything here names it."""
    return hashlib.sha256(der).hexdigest()


def plain_fingerprint(text: str) -> str:
    """A SHA-256 fingerprint as it is kept, however it was written. Raises `ValueError`."""
    plain = text.strip().lower().removeprefix("sha256:").replace(":", "")
    if not _FINGERPRINT.fullmatch(plain):
        raise ValueError("not a SHA-256 of 64 hex digits")
    return plain


def _dns_names(found: x509.Certificate) -> list[str]:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(each) for each in names.get_values_for_type(x509.DNSName)]


def _issues(found: x509.Certificate) -> bool:
    try:
        return found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
