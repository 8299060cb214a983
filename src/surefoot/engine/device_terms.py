"""What an offer's row does not say by itself: whether its client can take it, and if it is forced.

Keeps: images and the terms of rollouts never change, so each is read once. Does not: decide
(`core.profile`, `store.device_retry`), or offer.
"""

from __future__ import annotations

from collections.abc import Callable

from surefoot.core.profile import profile_of, withheld
from surefoot.store.device import DeskRow, DeviceRegistry
from surefoot.store.device_retry import Terms


class DeviceTerms:
    """See the module. Call from one thread at a time."""

    def __init__(self, registry: DeviceRegistry, now_ms: Callable[[], int]) -> None:
        self._registry = registry
        self._now_ms = now_ms
        self._files: dict[str, str] = {}
        self._terms: dict[tuple[str, int], Terms] = {}

    def fits(self, row: DeskRow) -> bool:
        """Whether the device's client can take the image of its action."""
        if not row.profile:
            return True
        if row.firmware not in self._files:
            found = self._registry.firmware(row.firmware)
            self._files[row.firmware] = found.file if found else ""
        files = [[self._files[row.firmware]]]
        return not withheld(profile_of(row.profile), files, download_only=row.kind == "download")

    def is_forced(self, row: DeskRow) -> bool:
        """Whether the device must take its action now; only an update can wait for its time."""
        if row.kind != "update":
            return True
        key = (row.environment, row.deployment)
        if key not in self._terms:
            self._terms[key] = self._registry.terms(*key)
        return self._terms[key].binds(row.assigned_ms, self._now_ms())
