"""Whether a client certificate speaks for a device: a pure rule.

Keeps: an issuer counts only where a person put it; a device that is bound to one certificate speaks
with no other; one that is not is named by its certificate, letter by letter; after its end a
certificate is nobody's, also on a connection that is older. Does not: verify a chain, or read time.
"""

from __future__ import annotations

import hmac

import msgspec


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that was verified, by TLS here or by a proxy that is believed.

    `authorities` are the SHA-256 of those above it; `fingerprint` is its own, "" when the proxy
    did not send it; `until_ms` is its end, 0 when that is not known.
    """

    names: tuple[str, ...]
    authorities: tuple[str, ...]
    fingerprint: str = ""
    until_ms: int = 0


class Authorities(msgspec.Struct, frozen=True, kw_only=True):
    """Whose certificates an environment believes; `required`: no device speaks without one."""

    environment: str
    trusted: frozenset[str]
    required: bool


def speaks_for(shown: Shown, device: str, bound: str, trusted: frozenset[str], now_ms: int) -> bool:
    """Whether the certificate speaks for the device; `bound` is the one it is bound to, or ""."""
    if not trusted.intersection(shown.authorities):
        return False
    if shown.until_ms and now_ms >= shown.until_ms:
        return False
    if bound:
        return hmac.compare_digest(bound, shown.fingerprint)
    return device in shown.names
