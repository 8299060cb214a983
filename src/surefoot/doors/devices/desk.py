"""What the device doors ask for: the one thing behind every device protocol.

The door parses, asks a `DeviceDesk` and renders; it holds no rule, no state and no SQL. `admit`
and `poll` answer from memory; the rest is durable when it returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from surefoot.core.device import Answer, CancelFeedback, Consented, Feedback
from surefoot.core.offer import AutoConfirm, Firmware, Image, Offer, Poll

FeedbackAnswer = Answer | Literal["not_found", "too_many", "unchanged"]


class DeviceDesk(Protocol):
    """Answers devices. An environment's name is matched without regard to case."""

    def admit(self, environment: str, device: str, token: str) -> bool:
        """Whether the token is this device's; takes the same time for right and wrong ones."""

    async def admit_gateway(
        self, environment: str, device: str, token: str, *, knocking: bool
    ) -> bool:
        """Whether the token is the environment's gateway's, and speaks for this device.

        `knocking`: a device nobody knows is kept as one that waits to be let in.
        """

    def poll(self, environment: str, device: str) -> Poll:
        """What the device should do now; notes that it was seen. Call it after `admit`."""

    def admitted_poll(self, environment: str, device: str, token: bytes) -> Poll | None:
        """`admit` and `poll` at once; None, and nothing noted, when the token is not right."""

    async def offer(
        self, environment: str, device: str, action: int, messages_max: int
    ) -> Offer | None:
        """The device reads its open action; None when it has no such action."""

    async def installed(
        self, environment: str, device: str, action: int, messages_max: int
    ) -> Offer | None:
        """The device's last finished action; None when this is not it."""

    def cancelling(self, environment: str, device: str, action: int) -> bool:
        """Whether the device is asked to cancel this action."""

    async def feedback(
        self, environment: str, device: str, action: int, told: Feedback
    ) -> FeedbackAnswer:
        """Take a report; it is durable on return."""

    async def confirmation(
        self, environment: str, device: str, action: int, messages_max: int
    ) -> Offer | None:
        """The action that waits for the device's user; None when it is not this one."""

    async def consent(
        self, environment: str, device: str, action: int, told: Consented
    ) -> FeedbackAnswer:
        """Take what the device's user said; it is durable on return."""

    def auto_confirm(self, environment: str, device: str) -> AutoConfirm | None:
        """Who wants the device's actions confirmed by themselves, or None."""

    async def set_auto_confirm(
        self, environment: str, device: str, wanted: AutoConfirm | None
    ) -> bool:
        """Confirm actions by themselves from now on; None ends that. False when it was so."""

    async def installed_is(
        self, environment: str, device: str, name: str, version: str
    ) -> Literal["taken", "unchanged", "not_found"]:
        """The device says what it runs. `not_found`: no rollout ever assigned that."""

    def described(self, environment: str, device: str, action: int) -> Firmware | None:
        """The image of the device's open or last action."""

    async def learn(self, environment: str, device: str, profile: str) -> None:
        """Take over which client the device runs, unless that is known already."""

    async def cancel_feedback(
        self, environment: str, device: str, action: int, told: CancelFeedback
    ) -> FeedbackAnswer:
        """Take the outcome of a cancel; it is durable on return."""

    async def attributes(
        self, environment: str, device: str, mode: str, values: Mapping[str, str]
    ) -> None:
        """Take attributes. `mode` is merge, replace or remove. Raises `Refused` over the quota."""

    async def image(
        self, environment: str, device: str, action: int, file: str, *, began: bool
    ) -> Image | None:
        """The image of the device's open or last action; `began` notes a download's start."""
