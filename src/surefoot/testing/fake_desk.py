"""A device desk in memory: devices with tokens and one action each, and everything it was told.

Keeps: the contract of `surefoot.doors.devices.desk`; what a door asked is kept in order, so that a
test sees what reached the desk and what did not. `broken` makes every answer but `admit` fail.
Does not: judge reports, or survive its process.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from surefoot.core.device import CancelFeedback, Consented, Feedback
from surefoot.core.errors import Failed, Refused
from surefoot.core.offer import ATTRIBUTES_MAX, AutoConfirm, Firmware, Image, Offer, Poll
from surefoot.doors.devices.desk import FeedbackAnswer
from surefoot.trust.digest import digest_of

Asked = tuple[str, tuple[Any, ...]]


class FakeDesk:
    """See the module. `folder` holds the images."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tokens: dict[tuple[str, str], str] = {}
        self._offers: dict[tuple[str, str], Offer] = {}
        self._ended: dict[tuple[str, str], Offer] = {}
        self._cancelling: set[tuple[str, str]] = set()
        self._waiting: set[tuple[str, str]] = set()
        self._auto: dict[tuple[str, str], AutoConfirm] = {}
        self._images: dict[str, Path] = {}
        self.heard: list[Asked] = []
        self.broken = False

    # -- what a test sets up ----------------------------------------------------------------------

    def enrol(self, environment: str, device: str, token: str) -> None:
        """A device that may speak."""
        self._tokens[(environment.casefold(), device)] = token

    def keep(self, content: bytes, version: str) -> Firmware:
        """Keep an image and describe it."""
        digest = digest_of(content)
        path = self._folder / digest.removeprefix("sha256:")
        path.write_bytes(content)
        self._images[digest] = path
        return Firmware(
            digest=digest,
            name="firmware",
            version=version,
            file=f"firmware-{version}.bin",
            size_bytes=len(content),
            sha1=hashlib.sha1(content, usedforsecurity=False).hexdigest(),
            md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
        )

    def assign(self, environment: str, device: str, action: int, firmware: Firmware) -> None:
        """Offer an action."""
        offer = Offer(action=action, state="assigned", firmware=firmware)
        self._offers[(environment.casefold(), device)] = offer

    def cancel(self, environment: str, device: str) -> None:
        """Ask for the open action to be cancelled."""
        self._cancelling.add((environment.casefold(), device))

    def wait(self, environment: str, device: str) -> None:
        """Let the open action wait for the device's user."""
        self._waiting.add((environment.casefold(), device))

    def end(self, environment: str, device: str) -> None:
        """End the open action: it is the last one from now on."""
        place = (environment.casefold(), device)
        self._ended[place] = self._offers.pop(place)
        self._cancelling.discard(place)
        self._waiting.discard(place)

    # -- the contract -----------------------------------------------------------------------------

    def admit(self, environment: str, device: str, token: str) -> bool:
        """Whether the token is this device's."""
        known = self._tokens.get((environment.casefold(), device))
        given = token.encode("utf-8", "surrogatepass")
        return hmac.compare_digest(given, (known or "").encode()) and known is not None

    def admitted_poll(self, environment: str, device: str, token: bytes) -> Poll | None:
        """`admit` and `poll` at once."""
        known = self.admit(environment, device, token.decode("latin-1"))
        return self.poll(environment, device) if known else None

    async def admit_gateway(
        self, environment: str, device: str, token: str, *, knocking: bool
    ) -> bool:
        """No gateway."""
        return False

    def poll(self, environment: str, device: str) -> Poll:
        """What the device should do now."""
        place = self._note("poll", environment, device)
        offer = self._offers.get(place)
        cancelling, waiting = place in self._cancelling, place in self._waiting
        ended = self._ended.get(place)
        return Poll(
            sleep_seconds=300,
            action=offer.action if offer and not (cancelling or waiting) else 0,
            confirm=offer.action if offer and waiting and not cancelling else 0,
            cancel=offer.action if offer and cancelling else 0,
            installed=ended.action if ended else 0,
        )

    def cancelling(self, environment: str, device: str, action: int) -> bool:
        """Whether the device is asked to cancel this action."""
        place = self._note("cancelling", environment, device, action)
        offer = self._offers.get(place)
        return place in self._cancelling and offer is not None and offer.action == action

    async def offer(
        self, environment: str, device: str, action: int, messages_max: int
    ) -> Offer | None:
        """The open action."""
        place = self._note("offer", environment, device, action)
        found = self._offers.get(place)
        known = found and found.action == action and place not in self._waiting
        return found if known else None

    async def installed(
        self, environment: str, device: str, action: int, messages_max: int
    ) -> Offer | None:
        """The last finished action."""
        place = self._note("installed", environment, device, action)
        found = self._ended.get(place)
        return found if found and found.action == action else None

    async def confirmation(
        self, environment: str, device: str, action: int, messages_max: int
    ) -> Offer | None:
        """The action that waits."""
        place = self._note("confirmation", environment, device, action)
        found = self._offers.get(place)
        return found if found and found.action == action and place in self._waiting else None

    async def consent(
        self, environment: str, device: str, action: int, told: Consented
    ) -> FeedbackAnswer:
        """Take the user's answer."""
        place = self._note("consent", environment, device, action, told)
        answer = self._stands(place, action)
        if answer == "taken" and place not in self._waiting:
            return "not_waiting"
        if answer == "taken" and told.given:
            self._waiting.discard(place)
        return answer

    def auto_confirm(self, environment: str, device: str) -> AutoConfirm | None:
        """Who wants actions confirmed by themselves."""
        return self._auto.get(self._note("auto_confirm", environment, device))

    async def set_auto_confirm(
        self, environment: str, device: str, wanted: AutoConfirm | None
    ) -> bool:
        """Confirm actions by themselves, or not."""
        place = self._note("set_auto_confirm", environment, device, wanted)
        was = self._auto.pop(place, None)
        if wanted is not None:
            self._auto[place] = wanted
        return (was is None) != (wanted is None)

    async def installed_is(
        self, environment: str, device: str, name: str, version: str
    ) -> Literal["taken", "unchanged", "not_found"]:
        """The device says what it runs."""
        place = self._note("installed_is", environment, device, name, version)
        held = [o.firmware for o in (self._offers.get(place), self._ended.get(place)) if o]
        known = any((each.name, each.version) == (name, version) for each in held)
        return "taken" if known else "not_found"

    def described(self, environment: str, device: str, action: int) -> Firmware | None:
        """The image of the open or the last action."""
        place = self._note("described", environment, device, action)
        for offer in (self._offers.get(place), self._ended.get(place)):
            if offer and offer.action == action and place not in self._waiting:
                return offer.firmware
        return None

    async def learn(self, environment: str, device: str, profile: str) -> None:
        """Nothing is kept: what a client takes is no part of the contract's tests."""

    async def feedback(
        self, environment: str, device: str, action: int, told: Feedback
    ) -> FeedbackAnswer:
        """Take a report."""
        place = self._note("feedback", environment, device, action, told)
        return self._stands(place, action)

    async def cancel_feedback(
        self, environment: str, device: str, action: int, told: CancelFeedback
    ) -> FeedbackAnswer:
        """Take the outcome of a cancel."""
        place = self._note("cancel_feedback", environment, device, action, told)
        answer = self._stands(place, action)
        return "not_cancelling" if answer == "taken" and place not in self._cancelling else answer

    async def attributes(
        self, environment: str, device: str, mode: str, values: Mapping[str, str]
    ) -> None:
        """Take attributes. Raises `Refused` over the quota."""
        self._note("attributes", environment, device, mode, dict(values))
        if len(values) > ATTRIBUTES_MAX:
            raise Refused(
                "device.attributes.input",
                f"device {device}",
                expected=f"at most {ATTRIBUTES_MAX} attributes",
                found=str(len(values)),
                remedy="send fewer",
            )

    async def image(
        self, environment: str, device: str, action: int, file: str, *, began: bool
    ) -> Image | None:
        """The image of the open or the last action."""
        place = self._note("image", environment, device, action, file, began)
        for offer in (self._offers.get(place), self._ended.get(place)):
            if offer and offer.action == action and offer.firmware.file == file:
                path = self._images[offer.firmware.digest]
                return Image(path=str(path), firmware=offer.firmware)
        return None

    def _stands(self, place: tuple[str, str], action: int) -> FeedbackAnswer:
        offer, ended = self._offers.get(place), self._ended.get(place)
        if offer and offer.action == action:
            return "taken"
        return "gone" if ended and ended.action == action else "not_found"

    def _note(self, what: str, environment: str, device: str, *more: Any) -> tuple[str, str]:
        if self.broken:
            raise Failed(
                "store.database.unreachable",
                "device registry",
                expected="a database that answers",
                found="none",
                remedy="send it again",
            )
        self.heard.append((what, more))
        return environment.casefold(), device
