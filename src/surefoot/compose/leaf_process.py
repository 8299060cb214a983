"""The process that looks at each leaf alone while a verification reads the journal.

Does not: decide what is sound (`journal.leaf_checks`).
"""

from __future__ import annotations

import gc
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from types import TracebackType

from surefoot.core.errors import SurefootError
from surefoot.journal.leaf_checks import Again, Sound, check_leaves


class LeafChecks:
    """The process; use as a context, which ends it."""

    def __init__(self, again: Again) -> None:
        # Nothing read from JSON holds a cycle, and looking for one costs a tenth.
        context = get_context("spawn")
        self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=gc.disable)
        self._found: Future[Sound | None] = self._pool.submit(check_leaves, again)

    def __enter__(self) -> LeafChecks:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in list((self._pool._processes or {}).values()):
            process.terminate()  # it only reads, and nobody waits for its answer any more
        self._pool.shutdown(cancel_futures=True)

    def sound(self) -> Sound | None:
        """Waits for the answer."""
        try:
            return self._found.result()
        except (OSError, RuntimeError, SurefootError):
            return None
