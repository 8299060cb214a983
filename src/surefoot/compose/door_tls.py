"""TLS of the device door, and the proxies it believes, from the installation's settings.

Keeps: TLS 1.2 or newer; a client may show a certificate, and then it must verify against an issuer
that some environment believes, and be made for clients; no session tickets and no renegotiation.
Paths are relative to the data folder. Does not: say who speaks for which device.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

from surefoot.compose.folder import Settings
from surefoot.core.errors import Refused
from surefoot.doors.devices.entrance import Proxies

_SECRET_BYTES_MIN = 16


def server_tls(folder: Path, settings: Settings) -> ssl.SSLContext | None:
    """The door's TLS; None when no certificate is named. Raises `Refused`."""
    if not (settings.device_certificate or settings.device_key):
        return None
    try:
        return context_of(folder / settings.device_certificate, folder / settings.device_key)
    except (OSError, ValueError) as error:
        raise _refused(
            "device_certificate and device_key: PEM files that belong together",
            f"{type(error).__name__}: {error}"[:160],
        ) from None


def certificate_of(
    folder: Path, settings: Settings, context: ssl.SSLContext | None
) -> ServerCertificate | None:
    """What renews this TLS; None when there is none."""
    if context is None:
        return None
    certificate, key = settings.device_certificate, settings.device_key
    return ServerCertificate(context, folder / certificate, folder / key)


def context_of(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS with this certificate and key. Raises `OSError`, of which `ssl.SSLError` is one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.num_tickets = 0
    context.load_cert_chain(certificate, key)
    context.verify_mode = ssl.CERT_OPTIONAL
    # An environment may believe an issuer that another one issued, and not that other one.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


class ServerCertificate:
    """The door's certificate and key on disk, and the TLS that shows them.

    Keeps: a pair that was replaced is shown to who comes next, without a restart; one that does not
    fit together, or cannot be read, is not taken, and the one before goes on.
    """

    def __init__(self, context: ssl.SSLContext, certificate: Path, key: Path) -> None:
        self._context = context
        self._paths = certificate, key
        self._taken = self._look()

    def renew(self) -> bool:
        """Take a changed pair. Call it where handshakes are made: in the loop's thread.

        Returns whether one was taken. Raises `OSError` once for each change that cannot be.
        """
        found = self._look()
        if found == self._taken:
            return False
        self._taken = found
        context_of(*self._paths)  # a pair that does not fit would leave the live one without a key
        self._context.load_cert_chain(*self._paths)
        return True

    def _look(self) -> tuple[tuple[int, ...], ...]:
        try:
            found = [path.stat() for path in self._paths]
        except OSError:
            return ()
        return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found)


def believe(context: ssl.SSLContext, issuers: Sequence[bytes]) -> None:
    """Let TLS verify against these as well. One that is believed no more still verifies, until the
    next start; but it speaks for nobody, which is asked with every request."""
    known = set(context.get_ca_certs(binary_form=True))
    for each in issuers:
        if each not in known:
            context.load_verify_locations(cadata=each)


def proxies_of(folder: Path, settings: Settings) -> Proxies:
    """The proxies that are believed. Raises `Refused`."""
    try:
        secret = b""
        if settings.device_proxy_secret:
            secret = (folder / settings.device_proxy_secret).read_bytes().strip()
            if len(secret) < _SECRET_BYTES_MIN:
                raise ValueError("a secret of less than 16 characters")
        return Proxies(settings.device_proxies, secret, settings.device_proxy_issuers)
    except (OSError, ValueError) as error:
        raise _refused(
            "device_proxies: networks like 10.0.0.5/32; device_proxy_secret: a file",
            f"{type(error).__name__}: {error}"[:160],
        ) from None


def _refused(expected: str, found: str) -> Refused:
    return Refused(
        "server.tls.input",
        "settings of the device door",
        expected=expected,
        found=found,
        remedy="correct settings.json in the data folder",
    )
