"""The device desk: answers polls from memory and takes reports in durable groups.

Keeps: a poll never writes a row ("last seen" is flushed in batches); a report is durable before
it is answered, and reports that arrive together share one transaction; what another thread or
process assigned is seen at the next refresh, by change number; nothing is offered without the proof
of its claim (`engine.device_authority`), or before its image is there and checked. Does not: decide
what a report means (`core.device`) or speak HTTP. Loop-bound: call everything from one event loop.
A crash loses at most the last-seen times of one second.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Literal

import msgspec

from surefoot.core.device import OPEN, CancelFeedback, Consented, Feedback, Fetched, Opened
from surefoot.core.errors import Refused, SurefootError
from surefoot.core.offer import AutoConfirm, Firmware, Image, Offer, Poll
from surefoot.core.profile import profile_of
from surefoot.core.target import Blobs
from surefoot.engine.device_group import GroupCommit
from surefoot.engine.device_images import DeviceImages
from surefoot.engine.device_seat import Seat, seat_of
from surefoot.engine.device_terms import DeviceTerms
from surefoot.store.device import (
    AttributesPut,
    AutoConfirmPut,
    DeskRow,
    DeviceRegistry,
    Incoming,
    InstalledPut,
    ProfileLearned,
    RecordAnswer,
)
from surefoot.store.device_identity import DeviceIdentities

_log = logging.getLogger("surefoot.devices")

_REFRESH_ROWS = 2_000
# Older Zephyr clients have this tenant built in: there the device's name alone must tell.
_ANY = "default"
_NO_HASH = bytes(32)


class DeviceDesk:
    """See the module, and the contract in the device doors. Use `start` and `stop`."""

    def __init__(
        self,
        registry: DeviceRegistry,
        blobs: Blobs,
        now_ms: Callable[[], int],
        *,
        may_offer: Callable[[DeskRow], bool],
        identities: DeviceIdentities | None = None,
        sleep_seconds: Callable[[str], int] = lambda environment: 300,
        refresh_seconds: float = 0.25,
        flush_seconds: float = 1.0,
    ) -> None:
        self._registry = registry
        self._images = DeviceImages(blobs, now_ms)
        self._without: dict[int, DeskRow] = {}
        self._now_ms = now_ms
        self._may_offer = may_offer
        self._identities = identities
        self._gateways: dict[str, bytes] = {}
        self._sleep_seconds = sleep_seconds
        self._refresh_seconds = refresh_seconds
        self._flush_seconds = flush_seconds
        self._seats: dict[str, dict[str, Seat]] = {}
        self._change = (0, 0)
        self._refreshing = threading.Lock()
        self._seen: dict[int, int] = {}
        self._terms = DeviceTerms(registry, now_ms)
        self._group = GroupCommit(self._record)
        self._notice = asyncio.Event()
        self._unwatch: Callable[[], None] = lambda: None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Load the poll table and begin the work in the background."""
        await self._look()
        loop = asyncio.get_running_loop()
        self._unwatch = self._registry.watch(partial(self._told_of, loop))
        self._tasks = [
            asyncio.create_task(self._group.run()),
            asyncio.create_task(self._repeat(self._refresh_seconds, self._look)),
            asyncio.create_task(self._look_when_told()),
            asyncio.create_task(self._repeat(self._flush_seconds, self._flush)),
        ]

    async def stop(self) -> None:
        """Finish what was taken, write the last-seen times, end the work in the background."""
        if self._tasks:
            await self._group.join()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await asyncio.to_thread(self._unwatch)
        await self._flush()

    def refresh(self) -> None:
        """Take over every change since the last one seen. May be called from any thread."""
        # Two refreshes at once could put an older row over a newer one.
        with self._refreshing:
            while True:
                # In portions: between them the loop answers, and memory holds one of them only.
                rows = self._registry.changed(*self._change, limit=_REFRESH_ROWS)
                for row in rows:
                    self._take_seat(row)
                    self._change = (row.change, row.number)
                if len(rows) < _REFRESH_ROWS:
                    break
            for row in [r for r in self._without.values() if self._images.ready(r.firmware)]:
                self._take_seat(row)

    def _take_seat(self, row: DeskRow) -> None:
        seats = self._seats.setdefault(row.environment.casefold(), {})
        self._without.pop(row.number, None)
        if row.removed:
            found = seats.get(row.device)
            if found is not None and found.number == row.number:
                del seats[row.device]
            return
        seconds = self._sleep_seconds(row.environment)
        proved = row.state in OPEN and (row.cancelling or self._may_offer(row))
        if proved and not row.cancelling and not self._images.ready(row.firmware):
            self._without[row.number] = row
            proved = False
        fits, forced = self._terms.fits(row), not proved or self._terms.is_forced(row)
        seats[row.device] = seat_of(row, seconds, fits=fits, proved=proved, forced=forced)

    def _seat(self, environment: str, device: str) -> Seat | None:
        # Environments are mostly asked for as they are kept: folding the name is the exception.
        seats = self._seats.get(environment) or self._seats.get(environment.casefold())
        if seats is None and environment.casefold() == _ANY:
            found = [each[device] for each in self._seats.values() if device in each]
            return found[0] if len(found) == 1 else None
        return seats.get(device) if seats else None

    def admit(self, environment: str, device: str, token: str) -> bool:
        """Whether the token is this device's."""
        seat = self._seat(environment, device)
        return _is_of(seat, token.encode("utf-8", "surrogatepass")) and seat is not None

    async def admit_gateway(
        self, environment: str, device: str, token: str, *, knocking: bool
    ) -> bool:
        """Whether the token is a gateway's that speaks for this device; `knocking` may make it."""
        found = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        seat = self._seat(environment, device)
        name = (seat.ground.environment if seat else environment).casefold()
        opens = [n for n, held in self._gateways.items() if hmac.compare_digest(found, held)]
        if name == _ANY and name not in self._gateways and len(opens) == 1:
            name = opens[0]
        if name not in opens or self._identities is None:
            return False
        if seat is None and knocking:
            kept = await asyncio.to_thread(self._identities.knock, name, device)
            await asyncio.to_thread(self.refresh)
            seat = self._seat(environment, device) if kept else None
        return (
            seat is not None and seat.token_hash == _NO_HASH and seat.ground.standing != "revoked"
        )

    def poll(self, environment: str, device: str) -> Poll:
        """What the device should do now; notes that it was seen."""
        seat = self._must(environment, device)
        self._seen[seat.number] = self._now_ms()
        return seat

    def admitted_poll(self, environment: str, device: str, token: bytes) -> Poll | None:
        """`admit` and `poll` at once; None, and nothing noted, when the token is not right."""
        seat = self._seat(environment, device)
        if not _is_of(seat, token) or seat is None:
            return None
        self._seen[seat.number] = self._now_ms()
        return seat

    def cancelling(self, environment: str, device: str, action: int) -> bool:
        """Whether the device is asked to cancel this action."""
        seat = self._seat(environment, device)
        return seat is not None and action != 0 and seat.cancel == action

    async def offer(
        self, environment: str, device: str, action: int, messages_max: int
    ) -> Offer | None:
        """The device reads its open action; None when it has no such action."""
        seat = self._must(environment, device)
        if action == 0 or seat.action != action:
            return None
        # Withdrawn while the device asked: it must not learn of it any more.
        if await self._submit(seat, action, Opened()) == "gone":
            return None
        return self._described(seat, action, messages_max)

    async def installed(
        self, environment: str, device: str, action: int, messages_max: int
    ) -> Offer | None:
        """The device's last finished action; None when this is not it."""
        seat = self._must(environment, device)
        if action == 0 or seat.installed != action:
            return None
        return self._described(seat, action, messages_max)

    def _described(self, seat: Seat, action: int, messages_max: int) -> Offer | None:
        found = self._registry.offer(seat.number, action, messages_max)
        part = profile_of(seat.ground.profile).part
        return msgspec.structs.replace(found, part=part) if found else None

    async def confirmation(
        self, environment: str, device: str, action: int, messages_max: int
    ) -> Offer | None:
        """The action that waits for the device's user; None when it is not this one."""
        seat = self._must(environment, device)
        if action == 0 or seat.confirm != action:
            return None
        return self._described(seat, action, messages_max)

    async def consent(
        self, environment: str, device: str, action: int, told: Consented
    ) -> RecordAnswer:
        """Take what the device's user said; it is durable on return."""
        return await self._told(environment, device, action, told)

    def auto_confirm(self, environment: str, device: str) -> AutoConfirm | None:
        """Who wants the device's actions confirmed by themselves, or None."""
        return self._registry.auto_confirm(self._must(environment, device).number)

    async def set_auto_confirm(
        self, environment: str, device: str, wanted: AutoConfirm | None
    ) -> bool:
        """Confirm actions by themselves from now on; None ends that. False when it was so."""
        if wanted is not None:
            wanted = msgspec.structs.replace(wanted, activated_ms=self._now_ms())
        seat = self._must(environment, device)
        return await self._submit(seat, 0, AutoConfirmPut(wanted=wanted)) == "taken"

    async def installed_is(
        self, environment: str, device: str, name: str, version: str
    ) -> Literal["taken", "unchanged", "not_found"]:
        """The device says what it runs. `not_found`: no rollout ever assigned that."""
        seat = self._must(environment, device)
        answer = await self._submit(seat, 0, InstalledPut(name=name, version=version))
        return answer if answer in ("taken", "unchanged") else "not_found"

    def described(self, environment: str, device: str, action: int) -> Firmware | None:
        """The image of the device's open or last action."""
        seat = self._must(environment, device)
        if action == 0 or not self._may_read(seat, action):
            return None
        found = self._registry.offer(seat.number, action, 0)
        return found.firmware if found else None

    def _may_read(self, seat: Seat, action: int) -> bool:
        # A closed action's image stays readable until the next one; one not begun yet is not.
        return action == seat.installed or (action == seat.newest and seat.ground.readable)

    async def learn(self, environment: str, device: str, profile: str) -> None:
        """Take over which client the device runs, unless that is known already."""
        seat = self._must(environment, device)
        if not seat.ground.profile:
            await self._submit(seat, 0, ProfileLearned(profile=profile))

    async def feedback(
        self, environment: str, device: str, action: int, told: Feedback
    ) -> RecordAnswer:
        """Take a report; it is durable on return."""
        return await self._told(environment, device, action, told)

    async def cancel_feedback(
        self, environment: str, device: str, action: int, told: CancelFeedback
    ) -> RecordAnswer:
        """Take the outcome of a cancel; it is durable on return."""
        return await self._told(environment, device, action, told)

    async def _told(
        self,
        environment: str,
        device: str,
        action: int,
        told: Feedback | CancelFeedback | Consented,
    ) -> RecordAnswer:
        if action == 0:  # to the registry this means "the newest", which no device may say
            return "not_found"
        return await self._submit(self._must(environment, device), action, told)

    async def attributes(
        self, environment: str, device: str, mode: str, values: Mapping[str, str]
    ) -> None:
        """Take attributes. Raises `Refused` when the device would have too many."""
        seat = self._must(environment, device)
        told = AttributesPut(mode=mode, values=dict(values))
        if await self._submit(seat, 0, told) == "too_many":
            raise Refused(
                "device.attributes.input",
                f"device {device}",
                expected="at most 100 attributes",
                found="more, with those it has",
                remedy="send them with mode replace",
            )

    async def image(
        self, environment: str, device: str, action: int, file: str, *, began: bool
    ) -> Image | None:
        """The image of the device's open or last action; None when it is not on this machine."""
        seat = self._must(environment, device)
        if action == 0 or not self._may_read(seat, action):
            return None
        offer = self._registry.offer(seat.number, action, 0)
        if offer is None or offer.firmware.file != file:
            return None
        path = await asyncio.to_thread(self._images.path, offer.firmware.digest)
        if not path:
            return None
        begins = began and seat.ground.offered and offer.state in ("assigned", "offered")
        if begins and await self._submit(seat, action, Fetched()) == "gone":
            return None
        return Image(path=path, firmware=offer.firmware)

    def _must(self, environment: str, device: str) -> Seat:
        seat = self._seat(environment, device)
        if seat is None:
            raise Refused(
                "device.name.unknown",
                f"device {device[:80]}",
                expected="an enrolled device",
                found="none of that name in this environment",
                remedy="enrol it first",
            )
        return seat

    async def _submit(self, seat: Seat, action: int, told: Any) -> RecordAnswer:
        incoming = Incoming(
            environment=seat.ground.environment, device=seat.device, action=action, told=told
        )
        return await self._group.submit(incoming)

    def _record(self, group: Sequence[Incoming]) -> list[RecordAnswer]:
        answers = self._registry.record(group)
        self.refresh()
        return answers

    async def _flush(self) -> None:
        seen, self._seen = self._seen, {}
        if seen:
            await asyncio.to_thread(self._registry.note_seen, seen)

    async def _look(self) -> None:
        await asyncio.to_thread(self.refresh)
        if self._identities is not None:
            self._gateways = await asyncio.to_thread(self._identities.gateways)

    def _told_of(self, loop: asyncio.AbstractEventLoop, change: str) -> None:
        """Another process may have changed something; called in the watch's thread."""
        if not change.isdigit() or int(change) > self._change[0]:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(self._notice.set)

    async def _look_when_told(self) -> None:
        while True:
            await self._notice.wait()
            self._notice.clear()
            await self._tried(self._look)

    async def _repeat(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self._tried(work)

    async def _tried(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except SurefootError as error:
            _log.error("device desk: %s", error)


def _is_of(seat: Seat | None, token: bytes) -> bool:
    """Compare as long for a device that is not there."""
    found = hashlib.sha256(token).digest()
    return hmac.compare_digest(found, seat.token_hash if seat else _NO_HASH)
