"""The journal: the only writer of entries.

Keeps: commit, then sign, then act. A batch is one transaction of entries, their states and a seal
with the root and the heads map; the committed root is then signed, and only a signed receipt is
returned. Any failure after folding began throws the world in memory away; it is folded again from
what is stored, which is also how a start works. A journal that disagrees with its own rules or with
the last checkpoint outside is opened read-only with an alarm.
Durability: what a receipt names survives a crash. Repeatability: `transact` is not; after `Failed`
the batch may be in, so decide again on the world. Concurrency: threads, and on PostgreSQL
processes, one at a time. Does not: know what a body means, or act.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from surefoot.core.errors import Corrupt, Failed, Refused
from surefoot.journal.checkpoint import CheckpointFile, CheckpointSigner
from surefoot.journal.history import History
from surefoot.journal.leaf_checks import columns_of
from surefoot.journal.memory import Memory, load
from surefoot.journal.seal import Folding, check_drafts, write_up
from surefoot.journal.snapshot import SnapshotFile, begin
from surefoot.journal.source import DatabaseSource
from surefoot.journal.verify import verify_live
from surefoot.store.database import Database, Session, Value
from surefoot.store.payload import keep_words
from surefoot.trust.chain import Chain
from surefoot.trust.entry import Actor, Draft, Entry, Seal
from surefoot.trust.intent import Intent
from surefoot.trust.note import Checkpoint

__all__ = ["Folding", "Log", "Receipt"]

T = TypeVar("T")
W = TypeVar("W", bound=Folding)

LOCK = "journal"
_POLL_SECONDS = 0.2
_SERVER = Actor(type="machine", id="surefoot", auth="self")


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """Proof that a batch is in: its first entry, the tree's size and root, the signed checkpoint.

    `root` is 64 hex digits; `indices` are the positions of the batch's entries in the tree.
    """

    first: int
    size: int
    root: str
    checkpoint: str
    time_ms: int
    indices: tuple[int, ...]


class Log(History, Generic[W]):
    """See the module; all methods may be called from any thread."""

    def __init__(
        self,
        database: Database,
        signer: CheckpointFile,
        make_world: Callable[[], W],
        now_ms: Callable[[], int],
        *,
        free_bytes_min: int = 64 * 1024 * 1024,
        adopt: bool = False,
        fault: Callable[[str], None] = lambda place: None,
        snapshot: SnapshotFile[W] | None = None,
    ) -> None:
        """Open and catch up; sign what a crash left unsigned.

        A `CheckpointFile` that is no signer opens for questions only. `adopt` accepts the
        database's own newest checkpoint when this machine has no checkpoint file yet (a process
        that joins others on PostgreSQL). `fault` is called at named places, for crash tests. With
        `snapshot` a start folds what came after it; call `recheck` then, until it says False.
        """
        super().__init__(database)
        self._signer = signer
        self._make_world = make_world
        self._now_ms = now_ms
        self._free_bytes_min = free_bytes_min
        self._adopt = adopt
        self._fault = fault
        self._snapshot = snapshot
        self._mutex = threading.RLock()
        self._changed = threading.Condition()
        self._memory: Memory[W] | None = None
        self._note = ""
        self._size = 0
        self.alarm: Corrupt | None = None
        with self._mutex:
            self._open()

    def transact(
        self, decide: Callable[[W], Sequence[Draft]], actor: Actor, request: str
    ) -> Receipt | None:
        """Decide under the writer lock on the caught-up world and write the drafts as one batch.

        An exception from `decide` changes nothing; no drafts give None. The receipt is signed.
        Raises `Corrupt` in read-only mode, `Failed("store.disk.full")` before anything changed.
        """
        with self._mutex:
            signer = self._writable()
            with self._database.exclusive(LOCK):
                memory = self._sound()
                self._settle(signer, memory)
                drafts = tuple(decide(memory.world))
                if not drafts:
                    return None
                check_drafts(drafts, actor, request)
                return self._append(signer, memory, drafts, actor, request)

    def check_writable(self) -> None:
        """Raise what `transact` would raise before anything changed; for work that precedes it."""
        with self._mutex:
            self._writable()

    def heartbeat(self) -> Receipt:
        """Seal and checkpoint while idle: bounds the time uncertainty of answers."""
        with self._mutex:
            signer = self._writable()
            with self._database.exclusive(LOCK):
                memory = self._sound()
                self._settle(signer, memory)
                return self._append(signer, memory, (), _SERVER, "heartbeat")

    def read(self, question: Callable[[W], T]) -> T:
        """Answer from the caught-up world, under the lock; do not keep the world.

        With an alarm, the answer is from the entries before the first bad one.
        """
        with self._mutex:
            return question(self._caught_up().world)

    def prove(self, question: Callable[[Chain], T]) -> T:
        """Answer from the caught-up tree and heads, under the lock; do not keep them.

        Raises the alarm of a journal that is not sound: nothing is proved from it.
        """
        with self._mutex:
            return question(self._sound().chain)

    def intent(self, receipt: Receipt) -> Intent:
        """The batch's first entry with its proof, for an actor who verifies it before acting.

        Raises the alarm of a journal that is not sound.
        """
        (entry,) = self.entries(receipt.first, 1)
        path = self.prove(lambda chain: chain.tree.inclusion(receipt.first, receipt.size))
        place, note = receipt.first, receipt.checkpoint
        return Intent(entry=entry.raw, index=place, path=tuple(path), checkpoint=note)

    def size(self) -> int:
        """Leaves in the tree, seals included."""
        with self._mutex:
            return self._caught_up().chain.size

    def checkpoint(self) -> str:
        """The newest signed checkpoint, a C2SP note; empty before the first."""
        with self._mutex:
            if self._database.kind == "postgres" or not self._note:
                self._note = DatabaseSource(self._database).checkpoint() or ""
            return self._note

    def wait_for_change(self, size: int, timeout_seconds: float) -> int:
        """Wait until the tree is larger than `size`, or the timeout; return its size."""
        deadline = time.monotonic() + timeout_seconds
        shared = self._database.kind == "postgres"
        while True:
            found = self._head_size() if shared else self._size
            left = deadline - time.monotonic()
            if found > size or left <= 0:
                return found
            with self._changed:
                if self._size <= size:
                    self._changed.wait(min(left, _POLL_SECONDS) if shared else left)

    def keep_snapshot(self, leaves_min: int = 0) -> bool:
        """Keep a snapshot if the journal grew by so many leaves since the last; True if kept."""
        with self._mutex:
            if self._snapshot is None or self.alarm is not None:
                return False
            memory, origin = self._sound(), self._signer.verifier.name
            write = self._snapshot.prepare(memory, origin, leaves_min)
        return write is not None and write()

    def recheck(self, leaves: int) -> bool:
        """Compare the next rows that a snapshot spared the start; True while there are more.

        A row that differs is an alarm, as if the start had found it.
        """
        with self._mutex:
            memory = self._memory
        try:
            return memory is not None and memory.recheck(DatabaseSource(self._database), leaves)
        except Corrupt as error:
            with self._mutex:
                self._raise_alarm(error)
            return False

    def _writable(self) -> CheckpointSigner:
        """The signer, when a batch may be written now."""
        if self.alarm is not None:
            raise self.alarm
        if not isinstance(self._signer, CheckpointSigner):
            raise Refused(
                "journal.reader.only",
                "journal",
                expected="a journal opened by the server",
                found="one opened for questions",
                remedy="send the command to the server",
            )
        free = self._database.free_bytes()
        if free is not None and free < self._free_bytes_min:
            raise Failed(
                "store.disk.full",
                "journal",
                expected=f"at least {self._free_bytes_min} bytes free",
                found=f"{free} bytes",
                remedy="free some space; nothing was changed",
            )
        return self._signer

    def _open(self) -> None:
        """Catch up, compare with the last checkpoints, and sign what a crash left unsigned.

        The checkpoints are read first: another process may write and sign meanwhile, and what it
        signed after the look would be missing in what was looked at.
        """
        stored = DatabaseSource(self._database).checkpoint()
        try:
            last = self._signer.last()
        except Corrupt as error:
            self._raise_alarm(error)
            return
        memory = self._caught_up()
        if self.alarm is not None:
            return
        try:
            self._compare_last(memory, last, stored)
            if isinstance(self._signer, CheckpointSigner):
                self._signer.compare_witnesses(stored, lambda: self._caught_up().chain.size)
        except Corrupt as error:
            self._raise_alarm(error)
            return
        if isinstance(self._signer, CheckpointSigner):
            with self._database.exclusive(LOCK):
                self._settle(self._signer, self._sound())

    def _raise_alarm(self, error: Corrupt) -> Memory[W]:
        """Find the first bad thing, go read-only for good, and keep the world before it."""
        path = self._signer.path if self._signer.path.exists() else None
        report = verify_live(self._database, self._signer.keys_text(), path)
        self.alarm = report.error() or error
        first_bad = report.problems[0].index if report.problems else -1
        memory = load(DatabaseSource(self._database), self._make_world(), first_bad)
        self._memory = memory
        self._size = memory.chain.size
        return memory

    def _sound(self) -> Memory[W]:
        """The caught-up memory of a journal that is sound. Raises the alarm otherwise."""
        memory = self._caught_up()
        if self.alarm is not None:
            raise self.alarm
        return memory

    def _caught_up(self) -> Memory[W]:
        """The world and the tree, with what other processes wrote; see `alarm` afterwards."""
        if self.alarm is not None and self._memory is not None:
            return self._memory
        memory, self._memory = self._memory, None
        source = DatabaseSource(self._database)
        try:
            if memory is None:
                memory = begin(source, self._make_world, self._snapshot, self._signer.known)
            memory.catch_up(source)
        except Corrupt as error:
            return self._raise_alarm(error)
        self._memory = memory
        self._size = memory.chain.size
        return memory

    def _compare_last(self, memory: Memory[W], last: Checkpoint | None, newest: str | None) -> None:
        """The last signed checkpoints, outside and inside, must be in the tree."""
        stored = memory.opened(newest, self._signer.known)
        if last is None and stored is not None and not self._adopt:
            raise Corrupt(
                "journal.checkpoint.missing",
                f"last checkpoint in {self._signer.path}",
                expected=f"a checkpoint of size {stored.size} or before",
                found="no file",
                remedy="put the file back; it must never be deleted with the database",
            )
        if last is not None:
            memory.compare(last, f"last checkpoint in {self._signer.path}")

    def _settle(self, signer: CheckpointSigner, memory: Memory[W]) -> None:
        """Sign what was committed by a process that crashed before it signed."""
        size = memory.chain.size
        if size and memory.signed_size != size:
            newest = DatabaseSource(self._database).checkpoint()
            stored = memory.opened(newest, signer.known)
            if stored is None or stored.size != size:
                self._sign(signer, memory)
            memory.signed_size = size

    def _append(
        self,
        signer: CheckpointSigner,
        memory: Memory[W],
        drafts: Sequence[Draft],
        actor: Actor,
        request: str,
    ) -> Receipt:
        self._memory = None  # whatever fails from here on, the world is folded again
        before = memory.chain.size
        batch = write_up(memory.chain, memory.world, drafts, actor, request, self._now_ms())
        root = memory.chain.tree.root()
        with self._database.write() as session:
            self._fault("append:before")
            # The head first: a process that lost the lock is told so, and waits for nobody.
            move_head(session, before, memory.chain.size, root.hex())
            store_leaves(session, (*batch.entries, batch.seal), batch.states)
            keep_words(session, drafts)
            self._fault("append:written")
        self._fault("append:committed")
        note = self._sign(signer, memory)
        memory.signed_size = memory.chain.size
        self._memory = memory
        with self._changed:
            self._size = memory.chain.size
            self._changed.notify_all()
        return Receipt(
            first=before,
            size=memory.chain.size,
            root=root.hex(),
            checkpoint=note,
            time_ms=batch.seal.time_ms,
            indices=tuple(entry.index for entry in batch.entries),
        )

    def _sign(self, signer: CheckpointSigner, memory: Memory[W]) -> str:
        """A crash before or in here leaves a committed root that the next start signs."""
        note = signer.sign(memory.chain.size, memory.chain.tree.root())
        self._fault("append:signed")
        with self._database.write(durable=False) as session:
            session.run("journal.insert_checkpoint", size=memory.chain.size, note=note)
        self._fault("append:stored")
        self._note = note
        return note

    def _head_size(self) -> int:
        with self._database.read() as session:
            row = session.row("journal.head")
        return 0 if row is None else int(row[0])


def store_leaves(
    session: Session, leaves: Sequence[Entry | Seal], states: Mapping[int, bytes]
) -> None:
    """Insert leaves with their states by position; the head is moved in the same transaction."""
    rows: list[dict[str, Value]] = []
    for leaf in leaves:
        stream, n, kind, time_ms = columns_of(leaf)
        rows.append(
            {
                "idx": leaf.index,
                "stream": stream,
                "n": n,
                "kind": kind,
                "time_ms": time_ms,
                "raw": leaf.raw,
            }
        )
    session.run_many("journal.insert_entry", rows)
    kept: list[dict[str, Value]] = [
        {"idx": index, "content": content} for index, content in states.items()
    ]
    if kept:
        session.run_many("journal.insert_state", kept)


def move_head(session: Session, old: int, size: int, root: str) -> None:
    """Say that the journal has grown. Raises `Failed` when it is not as it was."""
    if session.run("journal.move_head", old=old, size=size, root=root) != 1:
        raise Failed(
            "journal.head.moved",
            "head of the journal",
            expected=f"size {old}",
            found="another size",
            remedy="another process wrote without the lock; the batch was not written: try again",
        )
