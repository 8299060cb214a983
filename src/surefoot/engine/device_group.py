"""Group commit: what devices say at about the same time becomes durable in one transaction.

Keeps: the order in which things were said; each asker hears only what is durable, or the failure
that left nothing of its group. Does not: decide what a report means. Loop-bound, as the desk is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from surefoot.store.device import Incoming, RecordAnswer

_GROUP_MAX = 500


class GroupCommit:
    """`record` takes a group in one transaction; it is called in a thread."""

    def __init__(self, record: Callable[[Sequence[Incoming]], list[RecordAnswer]]) -> None:
        self._record = record
        self._queue: asyncio.Queue[tuple[Incoming, asyncio.Future[RecordAnswer]]] = asyncio.Queue()

    async def submit(self, incoming: Incoming) -> RecordAnswer:
        """The answer, when it is durable."""
        done: asyncio.Future[RecordAnswer] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((incoming, done))
        return await done

    async def join(self) -> None:
        """Wait until all that was submitted has its answer."""
        await self._queue.join()

    async def run(self) -> None:
        """Take groups for ever; cancelled from outside."""
        while True:
            group = [await self._queue.get()]
            while len(group) < _GROUP_MAX and not self._queue.empty():
                group.append(self._queue.get_nowait())
            try:
                answers = await asyncio.to_thread(self._record, [incoming for incoming, _ in group])
                for (_, done), answer in zip(group, answers, strict=True):
                    if not done.done():
                        done.set_result(answer)
            except Exception as error:  # noqa: BLE001 (handed to each asker)
                # Nothing of the group was written: each asker is told, and may send again.
                for _, done in group:
                    if not done.done():
                        done.set_exception(error)
            finally:
                for _ in group:
                    self._queue.task_done()
