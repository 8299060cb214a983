"""An issuer of certificates for tests of the device door: keys and certificates as PEM files.

Keeps: everything it makes is short-lived and in one folder. Does not: read the clock for its names.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from surefoot.engine.clock import SystemClock

_DAY = dt.timedelta(days=1)


class Issuer:
    """A certificate authority, at the top or below another one; `file` is its own certificate."""

    def __init__(self, folder: Path, name: str, above: Issuer | None = None) -> None:
        self._folder = folder
        self._name = _subject(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        signer, signed_as = (above._key, above._name) if above else (self._key, self._name)
        made = _builder(self._name, signed_as, self._key.public_key(), _DAY)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate = made.sign(signer, hashes.SHA256())
        self.pem = self.certificate.public_bytes(Encoding.PEM)
        self.der = self.certificate.public_bytes(Encoding.DER)
        self.fingerprint = self.certificate.fingerprint(hashes.SHA256()).hex()
        self.file = folder / f"{name}.crt"
        self.file.write_bytes(self.pem)

    def issue(
        self,
        common: str,
        *,
        file: str = "",
        lasts: dt.timedelta = _DAY,
        server: bool = False,
        names: tuple[str, ...] = (),
    ) -> tuple[Path, Path]:
        """A certificate (with this issuer's own behind it) and its key, as two files."""
        key = ec.generate_private_key(ec.SECP256R1())
        use = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        made = _builder(_subject(common), self._name, key.public_key(), lasts)
        made = made.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        if names:
            listed = [x509.DNSName(name) for name in names]
            made = made.add_extension(x509.SubjectAlternativeName(listed), critical=False)
        signed = made.sign(self._key, hashes.SHA256())
        paths = (self._folder / f"{file or common}.crt", self._folder / f"{file or common}.key")
        paths[0].write_bytes(signed.public_bytes(Encoding.PEM) + self.pem)
        paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return paths


def _subject(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lasts: dt.timedelta
) -> x509.CertificateBuilder:
    now = dt.datetime.fromtimestamp(SystemClock().now_ms() / 1000, dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 2 * _DAY)
        .not_valid_after(now + lasts)
    )
