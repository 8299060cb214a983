"""Full verification of a journal, trusting nobody but one pinned key.

Keeps: every leaf is read and hashed as stored; every rule between leaves, every seal, every state
blob, every kept checkpoint's root and the newest one's signature are checked; with `make_world`
the entries are folded again and every state is compared. The first bad thing is named.
Does not: write, or use anything the journal's writer keeps in memory. Only the pinned checkpoint
from outside shows a tail that was cut off together with its checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from surefoot.core.errors import Corrupt, Refused
from surefoot.core.orphan import OpenClaims
from surefoot.journal.leaf_checks import Begin, columns_of, is_large
from surefoot.journal.report import Problem, Report
from surefoot.journal.seal import Folding
from surefoot.journal.source import DatabaseSource, ExportSource, Row, Source
from surefoot.journal.trusted import Epochs, Trust, Trusted
from surefoot.store.database import Database
from surefoot.trust import canonical, tiles
from surefoot.trust.chain import Broken, Chain
from surefoot.trust.digest import Digest, digest_of
from surefoot.trust.entry import NO_STATE, Entry, NotAnEntry, Seal, parse, read_stored
from surefoot.trust.merkle import EMPTY_ROOT
from surefoot.trust.note import (
    NOTE_BYTES_MAX,
    Checkpoint,
    NotANote,
    parse_checkpoint,
)

MakeWorld = Callable[[], Folding]
Signed = Callable[[Folding, Entry], str | None]
"""What speaks against the signature under a person's act, in the world before it; "" for nothing,
None for an entry that nobody signs."""
Rules = Callable[[Folding, Entry], Refused | None]
"""The rule that an entry breaks, in the world before it; None when it breaks none."""
Progress = Callable[[int], None]


def verify_live(
    database: Database,
    trust: Trust,
    last_checkpoint_path: Path | None,
    *,
    make_world: MakeWorld | None = None,
    progress: Progress | None = None,
    signed: Signed | None = None,
    begin: Begin | None = None,
) -> Report:
    """Verify the journal in a database against the log's keys and the checkpoint kept outside.

    With `signed` and `make_world` the signatures of people are verified as well; with `begin` a
    large journal is read by two processes. Never raises `Corrupt`: what is bad is in the report.
    """
    pinned = _read_note(last_checkpoint_path) if last_checkpoint_path else None
    source = DatabaseSource(database)
    made = partial(_Verification, source, trust, make_world, progress, signed)
    return _verified(made, source, begin, pinned)


def _verified(
    made: Callable[..., _Verification], source: Source, begin: Begin | None, pinned: str | None
) -> Report:
    """By two processes when that is worth it and all is well, else in one pass."""
    if begin is not None and is_large(source):
        verification = made(beside=True)
        with begin() as checks:
            report = verification.run(pinned)
            sound = checks.sound() if report.ok else None
        if sound is not None and verification.read(sound.leaves):
            return msgspec.structs.replace(report, states=sound.states)
    return made(beside=False).run(pinned)


def verify_export(
    directory: Path,
    trust: Trust,
    *,
    pinned: str | None = None,
    make_world: MakeWorld | None = None,
    progress: Progress | None = None,
    signed: Signed | None = None,
    rules: Rules | None = None,
    begin: Begin | None = None,
) -> Report:
    """Verify an export with the pinned key or root alone; `pinned` is a note seen earlier.

    `signed` and `rules` need `make_world`. Never raises `Corrupt`: what is bad is in the report.
    """
    source = ExportSource(directory)
    made = partial(_Verification, source, trust, make_world, progress, signed, rules=rules)
    return _verified(made, source, begin, pinned)


class _Verification:
    """One pass over a source; collects problems in the order they are met."""

    def __init__(
        self,
        source: Source,
        trust: Trust,
        make_world: MakeWorld | None,
        progress: Progress | None,
        signed: Signed | None = None,
        *,
        rules: Rules | None = None,
        beside: bool = False,
    ) -> None:
        self._source = source
        self._beside = beside  # another process looks at each leaf by itself
        self._rules = rules
        self._ruled = 0
        self._trusted = Trusted(trust)
        self._epochs = Epochs()
        self._world = make_world() if make_world else None
        self._progress = progress or (lambda size: None)
        self._signed = signed or (lambda world, entry: None)
        self._signatures = 0
        self._chain = Chain()
        self._states = 0
        self._shared: set[Digest] = set()
        self._problems: list[Problem] = []
        self._batch: list[Entry] = []
        self._entries = self._seals = 0
        self._claims = OpenClaims()
        self._whole = True
        self._head: tuple[int, str] | None = None

    def run(self, pinned: str | None) -> Report:
        """Verify all, up to the head at the start: a live journal may grow meanwhile."""
        newest = self._newest()
        self._head = self._source.head()
        self._leaves()
        if self._whole:
            self._compare_head()
            self._compare_checkpoints(newest)
            self._compare_tiles()
            self._compare_trusted(newest)
        elif newest is not None and self._chain.size > newest.size:
            self._compare(newest, "newest checkpoint")
        if pinned is not None:
            self._compare_pinned(pinned)
        return Report(
            origin=self._trusted.origin,
            size=self._chain.size,
            root=self._chain.tree.root().hex(),
            entries=self._entries,
            seals=self._seals,
            streams=len(self._chain.heads.heads),
            states=self._states,
            checkpoint_size=newest.size if newest else 0,
            replayed=self._world is not None,
            signatures=self._signatures,
            rules=self._ruled,
            orphans=len(self._claims),
            epochs=tuple(self._epochs.words),
            cosigned=self._trusted.cosigned(self._source.checkpoint() or ""),
            problems=tuple(self._problems),
        )

    def _leaves(self) -> None:
        """Stops at the first bad leaf: nothing after it can be judged."""
        try:
            for row in self._rows():
                if self._head is not None and row.index >= self._head[0]:
                    self._beyond(self._head)
                    break
                self._leaf(row)
                if row.index % 1000 == 0:
                    self._progress(row.index)
        except Broken as error:
            self._whole = False
            subject = f"leaf {error.index} of the journal"
            self._bad(error.code, subject, error.expected, error.found, error.index)
        except Corrupt as error:
            self._whole = False
            self._bad(error.code, error.subject, error.expected, error.found)

    def read(self, leaves: bytes) -> bool:
        """Whether these hashes begin with those of all the leaves that were read."""
        return leaves.startswith(self._chain.tree.levels[0])

    def _rows(self) -> Iterator[Row]:
        return self._source.bare_rows() if self._beside else self._source.rows_with_states()

    def _beyond(self, head: tuple[int, str]) -> None:
        """More leaves than the head says are right only when the head has moved since."""
        if self._source.head() == head:
            subject, expected = "tail of the journal", f"{head[0]} leaves"
            self._bad("journal.head.differs", subject, expected, "more", head[0])

    def _leaf(self, row: Row) -> None:
        try:
            leaf = (read_stored if self._beside else parse)(row.index, row.raw)
        except NotAnEntry as error:
            expected = "bytes as they were written"
            raise Broken("journal.entry.malformed", row.index, expected, str(error)) from None
        self._chain.add(leaf)
        if self._beside:
            pass
        elif row.columns is not None and row.columns != columns_of(leaf):
            expected, found = str(columns_of(leaf)), str(row.columns)
            raise Broken("journal.row.differs", row.index, expected, found)
        if isinstance(leaf, Seal):
            self._seals += 1
            self._fold()
            return
        self._entries += 1
        self._claims.add(leaf.kind, leaf.body)
        self._epochs.take(leaf)
        if self._beside:
            pass
        elif row.state is None:
            self._state_beside(leaf, keyed=row.columns is not None)
        elif digest_of(row.state) == leaf.state:
            self._states += 1
        else:
            self._state_differs(leaf, digest_of(row.state))
        if self._world is not None:
            self._batch.append(leaf)

    def _fold(self) -> None:
        """Fold a batch again, once its seal is known to be good."""
        for entry in self._batch:
            assert self._world is not None
            self._act(self._world, entry)
            try:
                self._rule(self._world, entry)
                self._world.apply(msgspec.structs.replace(entry, state=NO_STATE))
                found = digest_of(canonical.encode(self._world.state(entry.stream)))
            except Broken:
                raise
            except Exception as error:
                what = f"{type(error).__name__}: {error}"
                raise Broken("journal.entry.fold", entry.index, "an entry to fold", what) from error
            if found != entry.state:
                raise Broken("journal.state.fold", entry.index, entry.state, found)
        self._batch.clear()

    def _act(self, world: Folding, entry: Entry) -> None:
        """The journal's own signature does not make somebody's act out of an entry."""
        fault = self._signed(world, entry)
        if fault is None:
            return
        self._signatures += 1
        if fault:
            subject = f"{entry.kind} of {entry.stream}, entry {entry.index}"
            expected = "the person's own signature over it"
            self._bad("journal.act.signature", subject, expected, fault, entry.index)

    def _rule(self, world: Folding, entry: Entry) -> None:
        """The journal's own signature does not make an entry one that the rules allow."""
        if self._rules is None:
            return
        self._ruled += 1
        broken = self._rules(world, entry)
        if broken is not None:
            expected = f"{entry.kind} of {entry.stream}: {broken.expected} [{broken.code}]"
            raise Broken("journal.rule.broken", entry.index, expected, broken.found)

    def _state_beside(self, entry: Entry, *, keyed: bool) -> None:
        """A state that did not come with its row; a file may be the state of several entries."""
        if entry.state in self._shared:
            return
        content = self._source.state(entry)
        found = "missing" if content is None else digest_of(content)
        if found != entry.state:
            self._state_differs(entry, found)
            return
        self._states += 1
        if not keyed:
            self._shared.add(entry.state)

    def _state_differs(self, entry: Entry, found: str) -> None:
        subject = f"state of {entry.stream} after entry {entry.index}"
        self._bad("journal.state.differs", subject, entry.state, found, entry.index)

    def _newest(self) -> Checkpoint | None:
        note = self._source.checkpoint()
        if note is None:
            if self._source.head() is None:
                self._bad("journal.checkpoint.missing", "export", "a checkpoint", "none")
            return None
        try:
            return self._trusted.opened(note)
        except NotANote as error:
            expected = self._trusted.expected
            self._bad("journal.checkpoint.signature", "newest checkpoint", expected, str(error))
            return None

    def _compare_head(self) -> None:
        head = self._head
        if head is None:
            return
        root = self._chain.tree.root().hex() if self._chain.size else ""
        if head != (self._chain.size, root):
            found = f"size {self._chain.size}, root {root}"
            expected = f"size {head[0]}, root {head[1]}"
            self._bad("journal.head.differs", "head of the journal", expected, found)
        if self._chain.size and self._chain.last_seal != self._chain.size - 1:
            found = f"leaf {self._chain.size - 1} is an entry"
            self._bad("journal.seal.missing", "tail of the journal", "a seal at the end", found)

    def _compare_checkpoints(self, newest: Checkpoint | None) -> None:
        for note in self._source.checkpoints():
            try:
                checkpoint = parse_checkpoint(note.partition("\n\n")[0] + "\n")
            except NotANote as error:
                self._bad("journal.checkpoint.malformed", "checkpoint", "a note", str(error))
                return
            if newest is not None and checkpoint.size > newest.size:
                return  # signed since this verification began
            if not self._compare(checkpoint, f"checkpoint of size {checkpoint.size}"):
                return

    def _compare_pinned(self, pinned: str) -> None:
        subject = "last checkpoint kept outside"
        try:
            checkpoint = self._trusted.opened(pinned)
        except NotANote as error:
            self._bad("journal.checkpoint.signature", subject, "a good signature", str(error))
            return
        lost = self._epochs.lost(checkpoint.size)
        if lost and checkpoint.origin != self._trusted.origin:
            expected = f"{checkpoint.size} leaves, root {checkpoint.root.hex()}"
            self._bad("journal.epoch.discontinuity", subject, expected, lost)
            return
        self._compare(checkpoint, subject)

    def _compare(self, checkpoint: Checkpoint, subject: str) -> bool:
        """True when the tree begins with what the checkpoint says."""
        size = self._chain.size
        if checkpoint.size > size:
            if self._whole:
                self._bad(
                    "journal.tail.missing",
                    subject,
                    f"{checkpoint.size} leaves",
                    f"{size} leaves: the last {checkpoint.size - size} are missing",
                    size,
                )
            return False
        root = self._chain.tree.root(checkpoint.size) if checkpoint.size else EMPTY_ROOT
        if root != checkpoint.root:
            expected, found = checkpoint.root.hex(), root.hex()
            self._bad("journal.root.differs", subject, expected, found, checkpoint.size - 1)
        return root == checkpoint.root

    def _compare_trusted(self, newest: Checkpoint | None) -> None:
        """A key counts at the time of the seal; and what was trusted of a stolen one is there."""
        note = self._source.checkpoint()
        if note is not None and newest is not None and newest.size == self._chain.size:
            try:
                self._trusted.opened(note, self._chain.time_ms)
            except NotANote as error:
                subject, expected = "newest checkpoint", self._trusted.expected
                self._bad("journal.checkpoint.signature", subject, expected, str(error))
        for subject, expected, found in self._trusted.outside(self._chain.tree):
            self._bad("journal.root.differs", subject, expected, found)

    def _compare_tiles(self) -> None:
        tree = self._chain.tree
        for level, number, width in tiles.spans(tree.size):
            path = tiles.tile_path(level, number, width)
            content = self._source.tile(path)
            if content is None:
                return
            if content != tiles.tile_of(tree, level, number, width):
                self._bad("journal.tile.differs", path, "the hashes of the entries", "others")
                return

    def _bad(self, code: str, subject: str, expected: str, found: str, index: int = -1) -> None:
        self._problems.append(
            Problem(code=code, subject=subject, expected=expected, found=found, index=index)
        )


def _read_note(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(NOTE_BYTES_MAX).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
