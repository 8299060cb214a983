"""Who may speak as a device: standings, tokens, gateways' tokens, profiles set by people.

Keeps: a token is stored as its SHA-256 only; a device that came through a gateway has none of its
own, and a gateway speaks for no other; each change of a standing is a report, so that a sealed
batch proves it; at most 10,000 devices wait in an environment. Does not: decide who is let in
(`core.enrolment`) or compare tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from surefoot.core.device import Standing
from surefoot.core.enrolment import PENDING_MAX
from surefoot.core.errors import Refused
from surefoot.store.database import Database, Session
from surefoot.store.device_ledger import DeviceLedger
from surefoot.store.device_new import NewDevice, checked_name, insert_devices
from surefoot.store.device_rows import DeviceRow

NO_TOKEN = bytes(32)
# The hash of no token that anybody knows: neither a token nor a gateway speaks for the device.
CERTIFICATE_ONLY = b"\xff" * 32

Way = Literal["gateway", "certificate"]


class DeviceIdentities:
    """See the module. May be called from any thread, by many processes."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms

    def set_standing(self, environment: str, device: str, standing: Standing, via: str) -> Standing:
        """Change it, and end what the device was to do; what it was before.

        Raises `Refused` when there is no such device.
        """
        with self._database.write() as session:
            ledger = DeviceLedger(session, self._now_ms())
            found = _must(ledger, environment, device)
            was = found.standing
            ledger.set_standing(found, standing, via)
            ledger.finish()
        return was

    def set_profile(self, environment: str, device: str, profile: str) -> None:
        """Say which client the device runs; "" lets it be learned. Raises `Refused`."""
        with self._database.write() as session:
            ledger = DeviceLedger(session, self._now_ms())
            found = _must(ledger, environment, device)
            found.profile, found.profile_by = profile, "set" if profile else ""
            ledger.note_traits(found)
            ledger.finish()

    def set_gateway(self, environment: str, token_hash: bytes) -> None:
        """Let devices come with this gateway token, in place of the one before; empty: none may."""
        with self._database.write() as session:
            session.run("device.drop_gateway", environment=environment)
            if token_hash:
                session.run("device.put_gateway", environment=environment, token_hash=token_hash)

    def gateways(self) -> dict[str, bytes]:
        """The hash of each environment's gateway token, by the environment's folded name."""
        with self._database.read() as session:
            return {r[0].casefold(): bytes(r[1]) for r in session.rows("device.gateways")}

    def knock(self, environment: str, device: str, by: Way = "gateway") -> bool:
        """A device nobody knows came through the gateway, or with a certificate: it is pending.

        False when too many wait already. Raises `Refused` for a name outside the form.
        """
        checked_name(device)
        with self._database.write() as session:
            ledger = DeviceLedger(session, self._now_ms())
            if ledger.device(environment, device) is not None:
                return True
            if self._waiting(session, environment) >= PENDING_MAX:
                return False
            held = NO_TOKEN if by == "gateway" else CERTIFICATE_ONLY
            new = NewDevice(device=device, token_hash=held)
            insert_devices(session, environment, [new], self._now_ms())
            ledger.set_standing(_must(ledger, environment, device), "pending", by)
            ledger.finish()
        return True

    def _waiting(self, session: Session, environment: str) -> int:
        row = session.row("device.waiting", environment=environment)
        return int(row[0]) if row else 0


def _must(ledger: DeviceLedger, environment: str, device: str) -> DeviceRow:
    found = ledger.device(environment, device)
    if found is None:
        raise Refused(
            "device.name.unknown",
            f"device {device[:80]}",
            expected=f"a device enrolled in {environment}",
            found="none of that name",
            remedy=f"see: surefoot device list {environment}",
        )
    return found
