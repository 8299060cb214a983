"""What the device door may offer: only what a claim in a signed checkpoint assigned.

Keeps: before a device is told of an action, the claim of the wave's step is verified with the keys
of the log that were pinned at the start; it names this environment, deployment, wave and image. A
wave is verified once in a process; one that does not verify is offered to nobody, and logged.
Does not: judge reports, or withhold a cancel.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from surefoot.core.errors import SurefootError
from surefoot.core.interlock import Interlock, decode_claimed
from surefoot.core.rollout import NEWCOMERS_WAVE, RETURN_WAVE, wave_of
from surefoot.core.target import Plain, Step
from surefoot.store.device import DeskRow, DeviceRegistry
from surefoot.trust.note import VerifierKey

_log = logging.getLogger("surefoot.devices")

_Wave = tuple[str, int, str, str, str]


class DeviceAuthority:
    """Answers for one door; any thread."""

    def __init__(self, registry: DeviceRegistry, keys: Sequence[VerifierKey]) -> None:
        self._registry = registry
        self._keys = tuple(keys)
        self._known: dict[_Wave, bool] = {}
        self._guard = threading.Lock()

    def may_offer(self, row: DeskRow) -> bool:
        """Whether the claim behind the device's action allows to offer it."""
        wave = (row.environment, row.deployment, row.wave, row.firmware, row.kind)
        with self._guard:
            if wave not in self._known:
                self._known[wave] = self._verified(wave)
            return self._known[wave]

    def _verified(self, wave: _Wave) -> bool:
        environment, deployment, label, firmware, kind = wave
        name = wave_of(label)
        subject = f"deployment {deployment} wave {name} of {environment}"
        content = self._registry.claim(environment, deployment, name)
        if not content:
            _log.error("%s: offered to nobody: no proof of its claim", subject)
            return False
        try:
            claimed = decode_claimed(content)
            Interlock(environment, self._keys).verify(
                claimed.step, claimed.intent, deployment, subject
            )
        except (SurefootError, ValueError) as error:
            _log.error("%s: offered to nobody: %s", subject, error)
            return False
        given = _assigns(claimed.step, deployment, name, firmware)
        if not given or not _allows(claimed.step, kind):
            _log.error("%s: offered to nobody: the claim assigns something else", subject)
            return False
        return True


def _assigns(step: Step, deployment: int, wave: str, firmware: str) -> bool:
    """Whether the step gives this image to devices of this wave, or return, now or on their way."""
    found: Plain = step.arguments
    back = wave == RETURN_WAVE
    offered = found.get("previous") if back else found
    return (
        step.action == ("return_devices" if back else "wave")
        and found.get("deployment") == deployment
        and (back or str(found.get("wave")) == wave or _for_all(found, wave))
        and isinstance(offered, dict)
        and firmware in _images(offered)
    )


def _allows(step: Step, kind: str) -> bool:
    """Whether the device is told to install exactly when the step says so."""
    policy = step.arguments.get("policy")
    only = isinstance(policy, dict) and policy.get("urgency") == "download-only"
    return step.action == "return_devices" or only == (kind == "download")


def _for_all(found: Plain, wave: str) -> bool:
    """Whether these are newcomers, and the claimed wave is for all that the rollout is for."""
    return wave == NEWCOMERS_WAVE and found.get("percent") == 100


def _images(offered: Plain) -> set[object]:
    """The digests of all images that a step may give."""
    listed = [each for name in ("parts", "stones") if isinstance(each := offered.get(name), list)]
    images = [offered.get("firmware"), *(image for each in listed for image in each)]
    return {image.get("digest") for image in images if isinstance(image, dict)}
