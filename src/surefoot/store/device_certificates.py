"""Certificates of devices: whose an environment believes, and which one a device is bound to.

Keeps: what is bound belongs to one device, and goes with it; the certificates of issuers are kept
whole, since TLS needs them. Does not: decide who speaks (`core.credential`).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import msgspec

from surefoot.core.credential import Authorities
from surefoot.core.errors import Refused
from surefoot.store.database import Database
from surefoot.trust.certificate import fingerprint_of


class DeviceCertificates:
    """See the module. May be called from any thread, by many processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_authorities(
        self, environment: str, certificates: Sequence[bytes], *, required: bool
    ) -> None:
        """Believe these issuers (DER) in place of those before; none: no certificate counts."""
        held = msgspec.json.encode([base64.b64encode(each).decode() for each in certificates])
        with self._database.write() as session:
            session.run("enrolment.drop_authorities", environment=environment)
            if certificates:
                session.run(
                    "enrolment.put_authorities",
                    environment=environment,
                    certificates=held.decode(),
                    required=int(required),
                )

    def authorities(self) -> tuple[dict[str, Authorities], list[bytes]]:
        """Whom each environment believes, by its folded name; and every issuer's DER."""
        with self._database.read() as session:
            rows = session.rows("enrolment.authorities")
        found: dict[str, Authorities] = {}
        issuers: dict[str, bytes] = {}
        for environment, text, required in rows:
            held = [base64.b64decode(each) for each in msgspec.json.decode(text, type=list[str])]
            named = {fingerprint_of(each): each for each in held}
            issuers |= named
            found[environment.casefold()] = Authorities(
                environment=environment, trusted=frozenset(named), required=bool(required)
            )
        return found, list(issuers.values())

    def bind(self, environment: str, device: str, fingerprint: str) -> None:
        """Bind a device to one certificate; "" lets its issuer name it. Raises `Refused`."""
        with self._database.write() as session:
            session.run("device.lock")
            changed = session.run(
                "enrolment.bind", environment=environment, device=device, fingerprint=fingerprint
            )
        if not changed:
            raise Refused(
                "device.name.unknown",
                f"device {device[:80]}",
                expected=f"a device enrolled in {environment}",
                found="none of that name",
                remedy=f"see: surefoot device list {environment}",
            )

    def credential(self, environment: str, device: str) -> tuple[str, str] | None:
        """A device's standing, and the certificate it is bound to or ""; None: nobody."""
        with self._database.read() as session:
            row = session.row("enrolment.credential", environment=environment, device=device)
        return (row[0], row[1]) if row else None
