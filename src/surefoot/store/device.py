"""The device registry: who may speak, what each device said, and what it is to do.

Keeps: a token is stored as its SHA-256 only; numbers of actions are never used twice, also after
a database was restored (they start above a floor that grows with time); "last seen" is written in
batches to a narrow table. Does not: decide what a report means (`core.device`) or speak HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from surefoot.core.device import OPEN, Answer, Event, Expired
from surefoot.core.errors import Refused
from surefoot.core.offer import ACTION_MAX, AutoConfirm, Firmware, Offer
from surefoot.core.profile import profile_of, withheld
from surefoot.store.database import Database, Row, Value
from surefoot.store.device_ledger import DeviceLedger
from surefoot.store.device_new import NewDevice as NewDevice
from surefoot.store.device_new import checked_name, insert_devices
from surefoot.store.device_retry import Terms
from surefoot.store.device_rows import take_numbers
from surefoot.store.device_shown import Shown, shown_versions

_FLOOR_FROM_MS = 1_704_067_200_000  # 2024-01-01; two numbers a second last until 2058
_FLOOR_A_MS = 500
_PAGE_MAX = 1_000
_OF_DESTROYED = ("enrolment.drop_codes", "enrolment.drop_authorities")

RecordAnswer = Answer | Literal["not_found", "too_many", "unchanged"]


class AttributesPut(msgspec.Struct, frozen=True, kw_only=True):
    """Attributes as a device sent them; `mode` is merge, replace or remove."""

    mode: str
    values: dict[str, str]


class AutoConfirmPut(msgspec.Struct, frozen=True, kw_only=True):
    """The device's user wants every action confirmed by itself; None ends that."""

    wanted: AutoConfirm | None


class InstalledPut(msgspec.Struct, frozen=True, kw_only=True):
    """A device says by name and version what it runs."""

    name: str
    version: str


class ProfileLearned(msgspec.Struct, frozen=True, kw_only=True):
    """Which client the device runs, as its requests show."""

    profile: str


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a device said. `action` 0 is its newest."""

    environment: str
    device: str
    action: int = 0
    told: Event | AttributesPut | AutoConfirmPut | InstalledPut | ProfileLearned


class DeskRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the desk keeps of a device, in the order of the statement `changed`."""

    change: int
    number: int
    environment: str
    device: str
    token_hash: bytes
    wants_attributes: bool
    installed: int
    removed: bool
    action: int
    state: str
    cancelling: bool
    deployment: int = 0
    wave: str = ""
    firmware: str = ""
    consent: str = ""
    standing: str = ""
    profile: str = ""
    profile_by: str = ""
    held: str = ""
    kind: str = ""
    assigned_ms: int = 0


class DeviceSummary(msgspec.Struct, frozen=True, array_like=True):
    """A device as a page shows it, in the order of the statement `page`; times in ms, 0 = never.

    `withheld` says why the device's client cannot take the image of its action.
    """

    device: str
    hardware: str
    runs: str
    attributes: str
    enrolled_ms: int
    seen_ms: int
    action: int
    version: str
    state: str
    reason: str
    deployment: int
    wave: str
    consent: str
    strength: str
    standing: str
    profile: str
    profile_by: str
    firmware: str
    auto_confirm: bool
    withheld: str = ""
    tags: tuple[str, ...] = ()


class DeviceRegistry:
    """The registry on one database; may be called from any thread, by many processes."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms
        floor = min((now_ms() - _FLOOR_FROM_MS) // _FLOOR_A_MS, ACTION_MAX // 2)
        with database.write() as session:
            session.run("device.raise_number", name="action", value=max(floor, 0))

    def enrol(self, environment: str, devices: Iterable[NewDevice]) -> int:
        """Admit devices in one transaction; those already there are left as they are.

        Returns how many are new. Raises `Refused` for a device name outside the form.
        """
        wanted = {checked_name(new.device): new for new in devices}
        with self._database.write() as session:
            session.run("device.lock")
            return insert_devices(session, environment, list(wanted.values()), self._now_ms())

    def set_token(self, environment: str, device: str, token_hash: bytes) -> None:
        """Replace a device's token. Raises `Refused` when there is no such device."""
        with self._database.write() as session:
            session.run("device.lock")
            changed = session.run(
                "device.set_token",
                environment=environment,
                device=device,
                token_hash=token_hash,
            )
            change = take_numbers(session, "change", 1)
            session.run("device.touch", environment=environment, device=device, change=change)
        if not changed:
            raise Refused(
                "device.name.unknown",
                f"device {device}",
                expected=f"a device enrolled in {environment}",
                found="none of that name",
                remedy="enrol it first",
            )

    def remove_environment(self, environment: str) -> int:
        """Forget all devices of a destroyed environment; their reports stay. Returns how many."""
        with self._database.write() as session:
            ledger = DeviceLedger(session, self._now_ms())
            for row in session.rows("device.candidates", environment=environment):
                ledger.forget(ledger.adopt(environment, row))
            ledger.finish()
            for each in ("device.drop_gateway", *_OF_DESTROYED):
                session.run(each, environment=environment)
            change = take_numbers(session, "change", 1)
            session.run("device.touch_all", environment=environment, change=change)
            return session.run("device.remove_environment", environment=environment)

    def record(self, incoming: Sequence[Incoming]) -> list[RecordAnswer]:
        """Take events in order, in one durable transaction; one answer for each."""
        with self._database.write() as session:
            ledger = DeviceLedger(session, self._now_ms())
            if len(incoming) > 1:
                ledger.fetch([(one.environment, one.device, one.action) for one in incoming])
            answers = [_record(ledger, one) for one in incoming]
            ledger.finish()
        return answers

    def expire(self, limit: int = 1_000) -> int:
        """Time out actions whose deadline passed; how many."""
        now = self._now_ms()
        with self._database.read() as session:
            due = session.rows("device.due", now_ms=now, limit=limit)
        if due:
            self.record(
                [
                    Incoming(environment=e, device=d, action=action, told=Expired())
                    for e, d, _, action in due
                ]
            )
        return len(due)

    def changed(
        self, since: int, number: int = ACTION_MAX, limit: int = ACTION_MAX
    ) -> list[DeskRow]:
        """Devices that changed after this change number, oldest first.

        A `number` goes on inside one change: after that device.
        """
        with self._database.read() as session:
            rows = session.rows("device.changed", change=since, number=number, limit=limit)
        return [_desk_row(row) for row in rows]

    def watch(self, told: Callable[[str], None]) -> Callable[[], None]:
        """Hear of changes that any process commits, by number; see `Database.watch`."""
        return self._database.watch("device_change", told)

    def newest_change(self) -> int:
        """The change number of the newest change."""
        with self._database.read() as session:
            row = session.row("device.newest_change")
        return int(row[0]) if row else 0

    def note_seen(self, seen: Mapping[int, int]) -> None:
        """Write when devices (by number) were last seen, UTC ms. Not durable: a poll repairs it."""
        rows = [{"number": n, "seen_ms": seen[n]} for n in sorted(seen)]
        with self._database.write(durable=False) as session:
            session.run_many("device.insert_seen", rows)

    def offer(self, number: int, action: int, messages_max: int) -> Offer | None:
        """One of the device's actions with its image; None when it is not the device's."""
        with self._database.read() as session:
            row = session.row("device.offer", action=action, number=number)
            if row is None:
                return None
            found = (
                session.rows("device.messages", number=number, action=action, limit=messages_max)
                if messages_max
                else []
            )
        return Offer(
            action=action,
            state=row[0],
            firmware=msgspec.json.decode(row[1], type=Firmware),
            # What takes a rollout back is never left to the device.
            forced=not row[3]
            or msgspec.json.decode(row[3], type=Terms).binds(row[2], self._now_ms()),
            download_only=row[4] == "download",
            messages=tuple(line[0] for line in found),
        )

    def terms(self, environment: str, deployment: int) -> Terms:
        """What a rollout's plan says about its pace and urgency; it never changes."""
        with self._database.read() as session:
            row = session.row("device_pace.find", environment=environment, deployment=deployment)
        return msgspec.json.decode(row[0], type=Terms) if row else Terms()

    def claim(self, environment: str, deployment: int, wave: str) -> bytes:
        """A wave's step with the proof of its claim, as the fleet target kept it; or nothing."""
        with self._database.read() as session:
            row = session.row(
                "device.claim", environment=environment, deployment=deployment, wave=wave
            )
        return bytes(row[0]) if row else b""

    def auto_confirm(self, number: int) -> AutoConfirm | None:
        """Who wants the device's actions confirmed by themselves, or None."""
        with self._database.read() as session:
            row = session.row("device.auto_confirm", number=number)
        return msgspec.json.decode(row[0], type=AutoConfirm) if row and row[0] else None

    def firmware(self, digest: str) -> Firmware | None:
        """An image that some rollout assigned, described."""
        with self._database.read() as session:
            row = session.row("device.firmware", digest=digest)
        return msgspec.json.decode(row[0], type=Firmware) if row else None

    def page(self, environment: str, after: str = "", limit: int = 100) -> list[DeviceSummary]:
        """Devices by name from `after` on, at most 1,000."""
        with self._database.read() as session:
            rows = session.rows(
                "device.page", environment=environment, after=after, limit=min(limit, _PAGE_MAX)
            )
        return [summary_of(row) for row in rows]

    def find(self, environment: str, device: str) -> DeviceSummary | None:
        """One device, or None when it is not enrolled."""
        with self._database.read() as session:
            row = session.row("device.summary", environment=environment, device=device)
        if row is None:
            return None
        found = summary_of(row)
        firmware = self.firmware(found.firmware) if found.state in OPEN and found.profile else None
        if firmware is None:
            return found
        with self._database.read() as session:
            kind = session.row("device.kind", action=found.action)
        only = kind is not None and kind[0] == "download"
        why = withheld(profile_of(found.profile), [[firmware.file]], download_only=only)
        return msgspec.structs.replace(found, withheld=why)

    def timeline(
        self, environment: str, device: str, limit: int = 100, before: int = 2**53
    ) -> list[bytes]:
        """Reports below a number, newest first, as the canonical bytes a batch holds."""
        asked: dict[str, Value] = {"environment": environment, "device": device, "before": before}
        with self._database.read() as session:
            rows = session.rows("device.timeline", **asked, limit=min(limit, _PAGE_MAX))
        return [bytes(row[0]) for row in rows]

    def runs(self, environment: str) -> dict[str, int]:
        """How many devices last said they run each version; "" is: not known."""
        with self._database.read() as session:
            return {row[0]: row[1] for row in session.rows("device.runs", environment=environment)}

    def shown(self, environment: str, attributes: Sequence[str]) -> list[Shown]:
        """The versions that devices may run, with some names; see `shown_versions`."""
        with self._database.read() as session:
            return shown_versions(session, environment, attributes)

    def states(self, environment: str, deployment: int) -> dict[str, dict[str, int]]:
        """Live counters by wave and state: for pages, never for a rule."""
        counters: dict[str, dict[str, int]] = {}
        with self._database.read() as session:
            rows = session.rows("device.states", environment=environment, deployment=deployment)
        for wave, state, count in rows:
            counters.setdefault(wave, {})[state] = count
        return counters


def _desk_row(row: Row) -> DeskRow:
    # PostgreSQL gives a memoryview for bytes, and both give 0 or 1 for booleans.
    values = (
        *row[:4],
        bytes(row[4]),
        bool(row[5]),
        row[6],
        bool(row[7]),
        *row[8:10],
        bool(row[10]),
        *row[11:],
    )
    return DeskRow(*values)


def summary_of(row: Row) -> DeviceSummary:
    """A row of `page` or of the inventory."""
    values = (*row[:-2], bool(row[-2]), "", tuple(row[-1].split()))
    return DeviceSummary(*values)


def _record(ledger: DeviceLedger, one: Incoming) -> RecordAnswer:
    device = ledger.device(one.environment, one.device)
    if device is None:
        return "not_found"
    if device.standing and not isinstance(one.told, Expired):
        return "not_found"  # whoever is not let in moves nothing
    if isinstance(one.told, AttributesPut):
        fits = ledger.attributes(device, one.told.mode, one.told.values)
        return "taken" if fits else "too_many"
    if isinstance(one.told, AutoConfirmPut):
        wanted = one.told.wanted
        about = msgspec.json.encode(wanted).decode() if wanted is not None else ""
        return "taken" if ledger.auto_confirm(device, about) else "unchanged"
    if isinstance(one.told, ProfileLearned):
        if device.profile:
            return "unchanged"
        device.profile, device.profile_by = one.told.profile, "learned"
        ledger.note_traits(device)
        return "taken"
    if isinstance(one.told, InstalledPut):
        return ledger.declare(device, one.told.name, one.told.version)
    action = ledger.action(device, one.action)
    return ledger.apply(device, action, one.told).answer if action else "not_found"
