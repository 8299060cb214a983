"""Who stands behind a connection: a client certificate of TLS here, or what a proxy says of one.

Keeps: a proxy's headers count only from addresses that are configured, with the secret when there
is one; from anybody else they are refused, never ignored. A proxy must send one name, and as many
issuers as it is configured to, one or a fixed number: one more may be the device's own, passed on,
or joined to the proxy's. What TLS verified is remembered
by fingerprint, because a resumed session shows the certificate without its issuers.
Does not: decide who speaks for a device. Source: hawkBit DDI, header names of both generations.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from starlette.requests import Request

from surefoot.core.credential import Shown
from surefoot.core.errors import Refused
from surefoot.trust.certificate import Certificate, parse_der, parse_pem

PEER = "surefoot.peer"
_BELIEVED = "surefoot.believed"
PROOF_HEADER = "x-surefoot-proxy"
_NAMES = ("x-ssl-client-cn", "x-controller-id")
_CERTIFICATE = "x-ssl-client-cert"
_ISSUERS = ("x-ssl-issuer-hash-", "x-authority")
_BETWEEN = re.compile("[,;]")
_REMEMBERED_MAX = 50_000
_LENGTH_MAX = 256
_PEM_LENGTH_MAX = 16 * 1024


class Entrance(Protocol):
    """Says for whom a certificate speaks."""

    def may_need_certificate(self, environment: str) -> bool:
        """Whether a token alone may not be enough there; from memory."""

    async def needs_certificate(self, environment: str, device: str) -> bool:
        """Whether a token alone is not enough for this device."""

    async def admits(self, environment: str, device: str, shown: Shown, *, knocking: bool) -> bool:
        """Whether the certificate speaks for this device; `knocking` may make it, to wait."""


class Peers:
    """The certificates of TLS connections; one for a door."""

    def __init__(self) -> None:
        self._remembered: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def shown(self, transport: Any) -> Shown | None:
        """The certificate of a connection, when its client showed one; asked once for each.

        One that cannot be read, or was never seen with its issuers, has no issuer and no name.
        """
        line = transport.get_extra_info("ssl_object")
        der = line.getpeercert(True) if line is not None else None
        if not der:
            return None
        try:
            found = parse_der(der)
            above = [] if line.session_reused else _above(line)
        except ValueError:
            return Shown(names=(), authorities=())
        if above:
            self._remember(found, tuple(each for each in above if each != found.fingerprint))
        authorities = self._remembered.get(found.fingerprint, ())
        return Shown(
            names=found.names,
            authorities=authorities,
            fingerprint=found.fingerprint,
            until_ms=found.until_ms,
        )

    def _remember(self, found: Certificate, above: tuple[str, ...]) -> None:
        self._remembered[found.fingerprint] = above
        self._remembered.move_to_end(found.fingerprint)
        if len(self._remembered) > _REMEMBERED_MAX:
            self._remembered.popitem(last=False)


def _above(line: Any) -> list[str]:
    """The fingerprints of a verified chain; Python before 3.13 has it under another name."""
    public = getattr(line, "get_verified_chain", None)
    if public is not None:
        return [parse_der(bytes(each)).fingerprint for each in public()]
    chain = line._sslobj.get_verified_chain() or []
    pem = "".join(each.public_bytes() for each in chain)
    return [each.fingerprint for each in parse_pem(pem.encode())] if pem else []


class Proxies:
    """The proxies that are believed, by address and, when there is one, by a shared secret."""

    def __init__(
        self, addresses: Sequence[str] = (), secret: bytes = b"", issuers: int = 1
    ) -> None:
        """`addresses` are networks in CIDR; `issuers` is how many each of them sends, always.

        Raises `ValueError` for an address that is none.
        """
        self._issuers = issuers
        self._networks = [ipaddress.ip_network(each, strict=False) for each in addresses]
        self._secret = secret

    def believed(self, request: Request) -> bool:
        """Whether the request comes from one of them; found once for a request."""
        if _BELIEVED not in request.scope:
            request.scope[_BELIEVED] = self._believed(request)
        return bool(request.scope[_BELIEVED])

    def _believed(self, request: Request) -> bool:
        try:
            address = ipaddress.ip_address(request.client.host if request.client else "")
        except ValueError:
            return False
        if not any(address in network for network in self._networks):
            return False
        given = request.headers.getlist(PROOF_HEADER)
        if not self._secret:
            return True
        return len(given) == 1 and hmac.compare_digest(given[0].encode("latin-1"), self._secret)

    def shown(self, request: Request) -> Shown | None:
        """The certificate that the proxy verified; None when it says of none.

        Raises `Refused`: the headers of anybody else, or more than one of a kind.
        """
        names = [v for n in _NAMES for v in request.headers.getlist(n)]
        sent = [v for n, v in request.headers.items() if n.startswith(_ISSUERS)]
        issuers = [each.strip() for value in sent for each in _BETWEEN.split(value)]
        whole = request.headers.getlist(_CERTIFICATE)
        if not (names or sent or whole):
            return None
        if not self.believed(request):
            raise _forged()
        if len(names) != 1 or len(issuers) != self._issuers or len(whole) > 1:
            raise _unclear(f"{len(names)} names, {len(issuers)} issuers")
        if max(len(each) for each in (*names, *issuers)) > _LENGTH_MAX:
            raise _unclear("a value of more than 256 characters")
        above = [each.lower().replace(":", "") for each in issuers if each]
        held = _certificate(whole[0]) if whole else None
        if held is not None and names[0] not in held.names:
            raise _unclear("a certificate of another name")
        return Shown(
            names=(names[0],),
            authorities=tuple(above),
            fingerprint=held.fingerprint if held else "",
            until_ms=held.until_ms if held else 0,
        )

    def behind(self, request: Request) -> None:
        """Take over whom a believed proxy speaks for: the device's address, and its scheme."""
        if not self._networks or _BELIEVED in request.scope or not self.believed(request):
            return
        scheme = request.headers.getlist("x-forwarded-proto")
        if scheme == ["https"] or scheme == ["http"]:
            request.scope["scheme"] = scheme[0]
        # The last one is the proxy's own word; those before it are the client's.
        told = ",".join(request.headers.getlist("x-forwarded-for")).rpartition(",")[2].strip()
        try:
            request.scope["client"] = (str(ipaddress.ip_address(told)), 0)
        except ValueError:
            return


def _certificate(text: str) -> Certificate:
    try:
        if len(text) > _PEM_LENGTH_MAX:
            raise ValueError
        (found,) = parse_pem(unquote_to_bytes(text))
    except ValueError:
        raise _unclear("a certificate that cannot be read") from None
    return found


def _forged() -> Refused:
    return Refused(
        "device.proxy.refused",
        "headers of a proxy",
        expected="X-Ssl-*, X-Controller-Id and X-Authority from a proxy that is configured alone",
        found="another sender",
        remedy="leave them out; or name the proxy in the installation's settings",
    )


def _unclear(found: str) -> Refused:
    return Refused(
        "device.proxy.input",
        "headers of a proxy",
        expected="one name, as many issuers as are configured, and at most one certificate",
        found=found,
        remedy="have the proxy set its headers, and drop those of the client",
    )
