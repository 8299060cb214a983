"""A small world and a small journal for tests of everything that writes entries.

Run as a program it writes numbered entries until it is done or killed:
`python -m surefoot.testing.journal STORE CHECKPOINT_FILE COUNT KILL_PLACE KILL_AT`, where STORE is
a directory or a PostgreSQL address. Keeps: a receipt is printed only after `transact` returned.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from surefoot.engine.clock import SystemClock
from surefoot.journal.checkpoint import CheckpointSigner
from surefoot.journal.leaf_checks import Again, Sound, check_leaves
from surefoot.journal.log import Log
from surefoot.journal.snapshot import SnapshotFile
from surefoot.journal.source import DatabaseSource
from surefoot.store.database import Database
from surefoot.store.postgres import PostgresDatabase
from surefoot.store.sqlite import SqliteDatabase
from surefoot.trust import canonical
from surefoot.trust.entry import Actor, Draft, Entry, Plain
from surefoot.trust.note import SignerKey

KEY = SignerKey("surefoot.example/journal", b"a seed of thirty-two bytes: test")
CLOCK = SystemClock()
ANN = Actor(type="person", id="ann", auth="test")


class TallyWorld:
    """Counts each stream's entries, keeps the last body and all requests."""

    def __init__(self) -> None:
        self.streams: dict[str, Plain] = {}
        self.requests: list[str] = []

    def apply(self, entry: Entry) -> None:
        """Fold one entry. A body with `explode` raises, like a world with a bug."""
        if "explode" in entry.body:
            raise RuntimeError("the world explodes")
        before = self.streams.get(entry.stream, {})
        count = int(str(before.get("count", 0))) + 1
        self.streams[entry.stream] = {"count": count, "last": entry.body}
        self.requests.append(entry.request)

    def state(self, stream: str) -> Plain:
        """The complete state of the stream."""
        return self.streams[stream]


def draft(stream: str = "env/dev", kind: str = "Noted", **body: canonical.JSON) -> Draft:
    """A draft with this body."""
    return Draft(stream=stream, kind=kind, body=body)


def open_log(
    database: Database,
    checkpoint: Path,
    *,
    now_ms: Callable[[], int] = CLOCK.now_ms,
    fault: Callable[[str], None] = lambda place: None,
    adopt: bool = False,
    snapshot: SnapshotFile[TallyWorld] | None = None,
) -> Log[TallyWorld]:
    """A journal of a `TallyWorld`, signed with the test key."""
    signer = CheckpointSigner(KEY, checkpoint)
    return Log(
        database,
        signer,
        TallyWorld,
        now_ms,
        fault=fault,
        adopt=adopt,
        free_bytes_min=1,
        snapshot=snapshot,
    )


def snapshot_in(
    path: Path, *, key: bytes = b"test", version: str = "1"
) -> SnapshotFile[TallyWorld]:
    """A snapshot file of a `TallyWorld`."""

    def decode(content: bytes) -> TallyWorld:
        world = TallyWorld()
        world.streams, world.requests = msgspec.msgpack.decode(content)
        return world

    def encode(world: TallyWorld) -> bytes:
        return msgspec.msgpack.encode((world.streams, world.requests))

    return SnapshotFile(path, key, version, encode, decode)


def open_database(store: str) -> Database:
    """The database at a PostgreSQL address or in a directory."""
    return PostgresDatabase(store) if "://" in store else SqliteDatabase(Path(store))


def main(arguments: list[str]) -> int:
    """See the module. Each process names its entries by its process id."""
    store, checkpoint, count, kill_place, kill_at = arguments
    written = 0

    def fault(place: str) -> None:
        if place == kill_place and written == int(kill_at):
            os.kill(os.getpid(), signal.SIGKILL)

    database = open_database(store)
    log = open_log(database, Path(checkpoint), fault=fault, adopt="://" in store)
    for number in range(int(count)):
        written = number
        request = f"{os.getpid()}-{number}"
        receipt = log.transact(lambda world: [draft(total=len(world.requests))], ANN, request)
        assert receipt is not None
        print(request, receipt.indices[0], flush=True)  # the caller reads what was promised
    database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))


class SameProcess:
    """In the place of `LeafChecks`: the same checks in this process, counted in `asked`."""

    asked = 0

    def __init__(self, again: Again) -> None:
        self._again = again

    def __enter__(self) -> SameProcess:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def sound(self) -> Sound | None:
        """The answer."""
        SameProcess.asked += 1
        return check_leaves(self._again)


def journal_in(folder: Path) -> DatabaseSource:
    """A SQLite journal to verify, opened again; another process can call this as well."""
    return DatabaseSource(SqliteDatabase(folder, read_only=True))
