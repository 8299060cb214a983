"""A process that ends itself by SIGKILL at a named place, for demonstrations and crash tests.

`SUREFOOT_KILL_AT=claim:after#3` kills at the third time the place `claim:after` is passed. The
places are those of the journal (`append:...`) and of the engine (`claim:...`, `record:...`).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable


def kill_point(text: str) -> Callable[[str], None]:
    """A fault hook for `PLACE#COUNT`; an empty text never kills."""
    place, _, count = text.partition("#")
    left = [int(count or "1")]
    guard = threading.Lock()

    def hook(passed: str) -> None:
        if not place or passed != place:
            return
        with guard:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook
