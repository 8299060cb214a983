"""Certificates, and the settings of a real nginx, for the tests of this room."""

from __future__ import annotations

import datetime
import socket
from collections.abc import Callable
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
Serve: TypeAlias = Callable[[Callable[[socket.socket], None]], int]

NGINX = """\
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log warn; worker_processes 1;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
  server {{ listen 127.0.0.1:{port} ssl; {settings} }}
}}
"""


def make_certificate(
    key: Any = None,
    *,
    names: tuple[x509.GeneralName, ...] = (x509.DNSName("example.test"),),
    days: tuple[int, int] = (-1, 365),
    start: datetime.datetime = NOW,
) -> tuple[x509.Certificate, Any]:
    """A certificate that signs itself, and its key."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(start + datetime.timedelta(days=days[0]))
        .not_valid_after(start + datetime.timedelta(days=days[1]))
    )
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return made.sign(key, hashes.SHA256()), key
