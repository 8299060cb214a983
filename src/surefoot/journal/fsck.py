"""Looks at every row and file of a journal, and names all that does not agree.

Keeps: unlike a verification it goes on after the first bad thing, so that one look shows how far a
damage goes; it only reads. `mend` writes nothing but what can be computed again with certainty: a
missing state that the fold of sound entries gives with the very digest the entry names, and the row
of a checkpoint that the log's key signed for this very tree. Durable, and harmless to repeat.
Does not: judge signatures of people or rules (`verify`), or change a row that is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from surefoot.journal.leaf_checks import columns_of
from surefoot.journal.seal import Folding
from surefoot.journal.source import DatabaseSource
from surefoot.journal.trusted import Trusted
from surefoot.store.database import Database
from surefoot.trust import canonical
from surefoot.trust.chain import Broken, Chain
from surefoot.trust.cosignature import CosignerKey, cosignatures
from surefoot.trust.digest import Digest, digest_of
from surefoot.trust.entry import NO_STATE, Entry, NotAnEntry, Seal, parse
from surefoot.trust.merkle import EMPTY_ROOT, Tree, leaf_hash
from surefoot.trust.note import NOTE_BYTES_MAX, Checkpoint, NotANote, split_note

LISTED_MAX = 100
_PAGE = 1_000
Progress = Callable[[int], None]
BlobFault = Callable[[Digest], tuple[str, str] | None]
"""What is wrong with a blob, as code and what was found; None when it is there and whole."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that does not agree. `mends` says that it can be computed again."""

    code: str
    subject: str
    expected: str
    found: str
    mends: bool = False


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at and found. Of each code at most 100 are listed; `counts` has them all."""

    leaves: int
    states: int
    checkpoints: int
    cosignatures: int
    blobs: int
    findings: tuple[Finding, ...]
    counts: dict[str, int]


class Examination:
    """One look at a journal; `world` is an empty one, to fold missing states again."""

    def __init__(self, database: Database, keys: str, last: Path, world: Folding) -> None:
        self._database = database
        self._source = DatabaseSource(database)
        self._trusted = Trusted(keys)
        self._last = last
        self._world = world
        self._chain: Chain | None = Chain()
        self._tree = Tree()
        self._streams: dict[str, list[int]] = {}
        self._kept: dict[int, Digest] = {}
        self._evidence: dict[Digest, int] = {}
        self._findings: list[Finding] = []
        self._counts: Counter[str] = Counter()
        self._seen: Counter[str] = Counter()
        self._folded: dict[int, bytes] = {}
        self._unkept = ""

    def run(self, blob: BlobFault, progress: Progress) -> Examined:
        """Look at everything; `progress` gets positions in the tree."""
        self._states()
        self._leaves(progress)
        self._unnamed()
        self._head()
        self._indexes()
        self._checkpoints()
        self._cosignatures()
        self._file()
        for digest, index in self._evidence.items():
            fault = blob(digest)
            if fault is not None:
                self._bad(fault[0], f"blob named by entry {index}", digest, fault[1])
        return Examined(
            leaves=self._tree.size,
            states=self._seen["states"],
            checkpoints=self._seen["checkpoints"],
            cosignatures=self._seen["cosignatures"],
            blobs=len(self._evidence),
            findings=tuple(self._findings),
            counts=dict(sorted(self._counts.items())),
        )

    def mend(self) -> tuple[str, ...]:
        """Write what was found missing and can be computed with certainty; what was written."""
        done = []
        with self._database.write() as session:
            for index, content in sorted(self._folded.items()):
                if session.run("journal.mend_state", idx=index, content=content):
                    done.append(f"state after entry {index}")
            if self._unkept:
                size = self._trusted.opened(self._unkept).size
                if session.run("journal.insert_checkpoint", size=size, note=self._unkept):
                    done.append(f"checkpoint of size {size}")
        return tuple(done)

    def root(self, size: int) -> bytes | None:
        """The root of the first leaves, None when there are not so many."""
        if size > self._tree.size:
            return None
        return self._tree.root(size) if size else EMPTY_ROOT

    # -- leaves -----------------------------------------------------------------------------------

    def _leaves(self, progress: Progress) -> None:
        for row in self._source.rows():
            if row.index != self._tree.size and self._chain is not None:
                subject, found = "leaves of the journal", f"leaf {row.index}"
                self._bad("journal.entry.missing", subject, f"leaf {self._tree.size}", found)
                self._chain = None
            self._tree.append(leaf_hash(row.raw))
            if row.index % 1000 == 0:
                progress(row.index)
            try:
                leaf = parse(row.index, row.raw)
            except NotAnEntry as error:
                subject = f"leaf {row.index} of the journal"
                expected = "bytes as they were written"
                self._bad("journal.entry.malformed", subject, expected, str(error))
                self._chain = None
                continue
            if row.columns != columns_of(leaf):
                subject = f"row of leaf {row.index}"
                expected, found = str(columns_of(leaf)), str(row.columns)
                self._bad("journal.row.differs", subject, expected, found)
            self._links(leaf)
            if isinstance(leaf, Entry):
                self._entry(leaf)

    def _links(self, leaf: Entry | Seal) -> None:
        """After the first broken link nothing is said of later ones: all of them break."""
        if self._chain is None:
            return
        try:
            self._chain.add(leaf)
        except Broken as error:
            subject = f"leaf {error.index} of the journal"
            self._bad(error.code, subject, error.expected, error.found)
            self._chain = None

    def _entry(self, entry: Entry) -> None:
        self._streams.setdefault(entry.stream, []).append(entry.index)
        for digest in entry.evidence:
            self._evidence.setdefault(digest, entry.index)
        certain = self._fold(entry)
        found = self._kept.pop(entry.index, "missing")
        if found == entry.state:
            return
        mends = found == "missing" and certain is not None
        if mends:
            assert certain is not None
            self._folded[entry.index] = certain
        subject = f"state of {entry.stream} after entry {entry.index}"
        self._bad("journal.state.differs", subject, entry.state, found, mends=mends)

    def _fold(self, entry: Entry) -> bytes | None:
        """The state after a sound entry, when it is the one that the entry names."""
        if self._chain is None:
            return None
        try:
            self._world.apply(msgspec.structs.replace(entry, state=NO_STATE))
            content = canonical.encode(self._world.state(entry.stream))
        except Exception as error:  # noqa: BLE001 -- whatever a body does to the fold is a finding
            subject, found = f"entry {entry.index}", f"{type(error).__name__}: {error}"
            self._bad("journal.entry.fold", subject, "an entry to fold", found)
            self._chain = None
            return None
        return content if digest_of(content) == entry.state else None

    # -- states, head, indexes --------------------------------------------------------------------

    def _states(self) -> None:
        """What the kept states are, by position; a wrong content is there, and so not missing."""
        first = 0
        while True:
            with self._database.read() as session:
                page = session.rows("journal.states_from", first=first, limit=_PAGE)
            for index, content in page:
                self._kept[int(index)] = digest_of(bytes(content))
            self._seen["states"] += len(page)
            if len(page) < _PAGE:
                return
            first = int(page[-1][0]) + 1

    def _unnamed(self) -> None:
        """What is left of the kept states belongs to no entry."""
        for index in sorted(self._kept):
            expected = "an entry of that position"
            self._bad("journal.state.unnamed", f"state {index}", expected, "none")

    def _head(self) -> None:
        root = self._tree.root().hex() if self._tree.size else ""
        head = self._source.head()
        if head != (self._tree.size, root):
            found = f"size {head[0]}, root {head[1]}" if head else "no row"
            expected = f"size {self._tree.size}, root {root}"
            self._bad("journal.head.differs", "head of the journal", expected, found)

    def _indexes(self) -> None:
        """What the index by stream gives, beside what reading everything gave."""
        for stream, indices in sorted(self._streams.items()):
            found: list[int] = []
            first = 0
            while True:
                with self._database.read() as session:
                    page = session.rows(
                        "journal.stream_oldest", stream=stream, first=first, limit=_PAGE
                    )
                found += [int(row[0]) for row in page]
                if len(page) < _PAGE:
                    break
                first += _PAGE
            if found != indices:
                expected = f"{len(indices)} entries in their order"
                self._bad("journal.index.differs", f"index of {stream}", expected, str(len(found)))

    # -- checkpoints and cosignatures -------------------------------------------------------------

    def _checkpoints(self) -> None:
        for note in self._source.checkpoints():
            self._seen["checkpoints"] += 1
            self._checkpoint(note, "stored checkpoint")

    def _checkpoint(self, note: str, subject: str) -> Checkpoint | None:
        try:
            checkpoint = self._trusted.opened(note)
        except NotANote as error:
            expected = self._trusted.expected
            self._bad("journal.checkpoint.signature", subject, expected, str(error)[:200])
            return None
        root, subject = self.root(checkpoint.size), f"{subject} of size {checkpoint.size}"
        if root is None:
            expected, found = f"{checkpoint.size} leaves", f"{self._tree.size} leaves"
            self._bad("journal.tail.missing", subject, expected, found)
        elif root != checkpoint.root:
            self._bad("journal.root.differs", subject, checkpoint.root.hex(), root.hex())
        else:
            return checkpoint
        return None

    def _cosignatures(self) -> None:
        size = 0
        while True:
            with self._database.read() as session:
                sizes = session.rows("cosignature.sizes_after", size=size, limit=_PAGE)
                for (size,) in sizes:
                    note = session.row("journal.checkpoint_upto", size=size)
                    rows = session.rows("cosignature.keyed", size=size)
                    text = str(note[1]) if note and note[0] == size else ""
                    for key, time_s, line in rows:
                        self._cosignature(size, text, str(key), (int(time_s), str(line)))
            if len(sizes) < _PAGE:
                return

    def _cosignature(self, size: int, note: str, key: str, kept: tuple[int, str]) -> None:
        self._seen["cosignatures"] += 1
        try:
            text = split_note(note)[0]
            (found,) = cosignatures(f"{text}\n{kept[1]}", [CosignerKey.parse(key)])
            fault = "" if found.time_s == kept[0] else f"a signature of second {found.time_s}"
        except (NotANote, ValueError) as error:
            fault = str(error)[:200] or "none"
        if fault:
            subject = f"cosignature of size {size}"
            self._bad("journal.cosignature.differs", subject, f"one by {key[:60]}", fault)

    def _file(self) -> None:
        """The last checkpoint, kept outside: signed, of this tree, and stored inside as well."""
        subject = f"last checkpoint in {self._last}"
        try:
            with self._last.open("rb") as file:
                note = file.read(NOTE_BYTES_MAX).decode("utf-8", "replace")
        except FileNotFoundError:
            if self._tree.size:
                expected = "the file of the last signed checkpoint"
                self._bad("journal.checkpoint.missing", subject, expected, "no file")
            return
        checkpoint = self._checkpoint(note, subject)
        if checkpoint is None:
            return
        with self._database.read() as session:
            row = session.row("journal.checkpoint_upto", size=checkpoint.size)
        if row is None or int(row[0]) != checkpoint.size:
            self._unkept = note
            subject = f"stored checkpoint of size {checkpoint.size}"
            self._bad("journal.checkpoint.row", subject, "a row", "none", mends=True)

    def _bad(
        self, code: str, subject: str, expected: str, found: str, *, mends: bool = False
    ) -> None:
        self._counts[code] += 1
        if self._counts[code] <= LISTED_MAX:
            self._findings.append(
                Finding(code=code, subject=subject, expected=expected, found=found, mends=mends)
            )
