"""Which images are on this machine, whole: the condition for offering them.

Keeps: an image is checked against its digest once in this process before any device hears of it;
one that is missing or damaged is looked for again after a while, and logged once. Any thread.
Does not: serve it, or decide who gets it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from surefoot.core.errors import Corrupt, Failed
from surefoot.core.target import Blobs
from surefoot.trust.digest import parse_digest

_log = logging.getLogger("surefoot.devices")

_AGAIN_MS = 5_000


class DeviceImages:
    """See the module."""

    def __init__(self, blobs: Blobs, now_ms: Callable[[], int]) -> None:
        self._blobs = blobs
        self._now_ms = now_ms
        self._paths: dict[str, str] = {}
        self._missed: dict[str, int] = {}
        self._guard = threading.Lock()

    def ready(self, digest: str) -> bool:
        """Whether the image is there and its digest right; a whole file may be read for it."""
        return digest in self._paths or bool(self._checked(digest))

    def path(self, digest: str) -> str:
        """Path of the checked file; empty when it is not there, or has gone since."""
        found = self._paths.get(digest)
        if found is not None and Path(found).is_file():
            return found
        self._paths.pop(digest, None)
        return self._checked(digest)

    def _checked(self, digest: str) -> str:
        # One check at a time: a fleet that asks at once waits for one reading of the file.
        with self._guard:
            if digest in self._paths:
                return self._paths[digest]
            missed = self._missed.get(digest)
            if missed is not None and self._now_ms() - missed < _AGAIN_MS:
                return ""
            try:
                self._paths[digest] = str(self._blobs.path(parse_digest(digest)))
            except (Failed, Corrupt) as error:
                if missed is None:
                    _log.error("image offered to nobody: %s", error)
                self._missed[digest] = self._now_ms()
                return ""
            self._missed.pop(digest, None)
            return self._paths[digest]
