"""One-time codes: who has one becomes a device, once, whatever process asks.

Keeps: a code is stored as its SHA-256 only; the use of a code, the device it makes and the report
of it are one transaction behind the registry's lock, so that of two devices with one code one wins.
A code nobody made costs one look, and no lock. Does not: decide what a use is (`core.enrolment`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from surefoot.core.enrolment import Code, Knock, code_name, use_of
from surefoot.core.errors import Refused
from surefoot.store.database import Database, Row, Session, Value
from surefoot.store.device_ledger import DeviceLedger
from surefoot.store.device_new import NewDevice, checked_name, insert_devices

OPEN_MAX = 10_000
_PAGE_MAX = 1_000
_KEPT_MS = 90 * 86_400_000

Redeemed = Literal["first", "again", "void", "other"]


class CodeSummary(msgspec.Struct, frozen=True, array_like=True):
    """A code as a list shows it, in the order of the statement `codes`."""

    name: str
    hardware: str
    device: str
    expires_ms: int
    tries: int
    withdrawn: bool
    used_by: str
    used_ms: int


class EnrolmentCodes:
    """See the module. May be called from any thread, by many processes."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms

    def put(self, kept: Sequence[bytes], code: Code) -> None:
        """Keep codes by their hashes, each as `code` says; long expired ones go.

        Raises `Refused` when too many would be open.
        """
        rows: list[dict[str, Value]] = [
            {
                "code_hash": each,
                "name": code_name(each),
                "environment": code.environment,
                "hardware": code.hardware,
                "device": code.device,
                "expires_ms": code.expires_ms,
                "token_hash": b"",
            }
            for each in kept
        ]
        now = self._now_ms()
        with self._database.write() as session:
            session.run("device.lock")
            session.run(
                "enrolment.drop_old_codes",
                environment=code.environment,
                before_ms=now - _KEPT_MS,
            )
            _check_room(session, code.environment, now, len(kept))
            session.run_many("enrolment.insert_code", rows)

    def check_room(self, environment: str, count: int) -> None:
        """Raises `Refused` when `count` more open codes would be too many."""
        with self._database.read() as session:
            _check_room(session, environment, self._now_ms(), count)

    def page(self, environment: str, after: str = "", limit: int = 100) -> list[CodeSummary]:
        """Codes by name from `after` on, at most 1,000."""
        with self._database.read() as session:
            rows = session.rows(
                "enrolment.codes",
                environment=environment,
                after=after,
                limit=min(limit, _PAGE_MAX),
            )
        return [_summary((*row[:5], bool(row[5]), *row[6:])) for row in rows]

    def open_names(self, environment: str) -> list[str]:
        """The names of all codes that still let a device in."""
        now = self._now_ms()
        with self._database.read() as session:
            rows = session.rows("enrolment.open_codes", environment=environment, now_ms=now)
        return [row[0] for row in rows]

    def withdraw(self, environment: str, names: Sequence[str]) -> None:
        """Refuse these from now on; one that was used stays so."""
        with self._database.write() as session:
            session.run("device.lock")
            for name in names:
                session.run("enrolment.withdraw_code", environment=environment, name=name)

    def find(self, kept: bytes) -> Code | None:
        """A code by its hash."""
        with self._database.read() as session:
            return _code(session, kept)

    def redeem(self, kept: bytes, knock: Knock) -> Redeemed:
        """Let the device in with the token of `knock`, or say why not; durable on return.

        Raises `Refused` for a name outside the form.
        """
        checked_name(knock.device)
        with self._database.write() as session:
            ledger = DeviceLedger(session, self._now_ms())
            code = _code(session, kept)  # looked for under the lock: this one is not used meanwhile
            if code is None:
                return "void"
            number, held = _device(session, code.environment, knock.device)
            use: Redeemed = use_of(code, knock, self._now_ms(), number)
            found = ledger.device(code.environment, knock.device) if number else None
            if use == "again" and (found is None or found.standing or held != code.token_hash):
                use = "void"
            if use == "first" and found is not None and found.standing:
                use = "other"
            if use == "first":
                self._let_in(session, ledger, kept, code, knock)
            if use == "other":
                session.run("enrolment.misuse_code", code_hash=kept)
            ledger.finish()
        return use

    def _let_in(
        self, session: Session, ledger: DeviceLedger, kept: bytes, code: Code, knock: Knock
    ) -> None:
        environment, device = code.environment, knock.device
        found = ledger.device(environment, device)
        via, hardware = f"code {code_name(kept)}", ""
        if found is None:
            hardware = code.hardware or knock.hardware
            new = NewDevice(device=device, token_hash=knock.token_hash, hardware=hardware)
            insert_devices(session, environment, [new], self._now_ms())
            found = ledger.device(environment, device)
            assert found is not None
        else:
            via = f"new token by {via}"
            session.run(
                "device.set_token",
                environment=environment,
                device=device,
                token_hash=knock.token_hash,
            )
        session.run(
            "enrolment.use_code",
            code_hash=kept,
            used_by=device,
            used_ms=self._now_ms(),
            token_hash=knock.token_hash,
            number=found.number,
        )
        ledger.set_standing(found, "", via, hardware)


def _summary(values: Row) -> CodeSummary:
    return CodeSummary(*values)


def _check_room(session: Session, environment: str, now_ms: int, count: int) -> None:
    row = session.row("enrolment.count_codes", environment=environment, now_ms=now_ms)
    there = int(row[0]) if row else 0
    if there + count > OPEN_MAX:
        raise Refused(
            "device.code.many",
            f"codes of {environment}",
            expected=f"at most {OPEN_MAX} that still let a device in",
            found=f"{there}, and {count} more",
            remedy=f"withdraw some: surefoot device withdraw-codes {environment}",
        )


def _code(session: Session, kept: bytes) -> Code | None:
    row = session.row("enrolment.code", code_hash=kept)
    if row is None:
        return None
    return Code(
        environment=row[0],
        hardware=row[1],
        device=row[2],
        expires_ms=row[3],
        tries=row[4],
        withdrawn=bool(row[5]),
        used_by=row[6],
        used_ms=row[7],
        token_hash=bytes(row[8]),
        number=row[9],
    )


def _device(session: Session, environment: str, device: str) -> tuple[int, bytes]:
    row = session.row("enrolment.device_token", environment=environment, device=device)
    return (row[0], bytes(row[1])) if row else (0, b"")
