"""What lets devices begin, welcomes those that come later, and ends that when too many fail."""

from __future__ import annotations

from collections.abc import Callable

from surefoot.core.target import Blobs
from surefoot.core.world import World
from surefoot.engine.device_pacer import DevicePacer
from surefoot.engine.newcomers import NewcomerJudge
from surefoot.journal.log import Log
from surefoot.store.database import Database
from surefoot.store.device_newcomers import DeviceNewcomers
from surefoot.store.device_pacing import DevicePacing
from surefoot.trust.entry import Actor


def pacing(
    database: Database, now_ms: Callable[[], int], log: Log[World], blobs: Blobs, actor: Actor
) -> Callable[[], int]:
    """One look at everything that may be due; how many devices it touched."""
    newcomers = DeviceNewcomers(database, now_ms)
    judge = NewcomerJudge(log, blobs, newcomers, actor)
    pacer = DevicePacer(DevicePacing(database, now_ms), newcomers, log.read, now_ms)

    def run() -> int:
        # Judged first: who is stopped now is not welcomed in the same look.
        judge.run()
        return pacer.run()

    return run
