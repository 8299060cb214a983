"""The one line that the device door logs of each request it refuses, a hundred a second at most.

Keeps: what an outsider chose is one line of bounded length; beyond the bound there is a count of
the rest; no token and no body is in a line. Does not: answer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from surefoot.core.device import clean_text

_log = logging.getLogger("surefoot.devices")
_A_SECOND = 100
_PATH_LENGTH_MAX = 200
_METHOD_LENGTH_MAX = 10


class Lines:
    """The lines of one door. `now` is a clock in seconds that does not go back."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._second = 0
        self._count = 0

    def refused(self, code: str, status: int, method: str, path: str, address: str) -> None:
        """One line, unless this second has had its share."""
        second = int(self._now())
        if second != self._second:
            if self._count > _A_SECOND:
                _log.warning("device door: %d more refused", self._count - _A_SECOND)
            self._second, self._count = second, 0
        self._count += 1
        if self._count <= _A_SECOND:
            asked = f"{clean_text(method, _METHOD_LENGTH_MAX)} {clean_text(path, _PATH_LENGTH_MAX)}"
            words = (code, status, asked, address or "nobody")
            _log.warning("device door: refused: %s (%d): %s from %s", *words)
