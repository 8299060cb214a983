"""Puts back what a restored backup lacks: leaves that were signed once, out of a mirror.

Keeps: all of it or nothing, in one durable transaction; the mirror must continue this very tree up
to a checkpoint that the log's own keys signed, and hold every tree that is known to be signed; the
states are folded again and compared with what the entries say. Nothing is signed here: the next
start signs the same size and root, which gives the same checkpoint.
Repeatability: again is harmless, also after a crash anywhere. Needs the server stopped.
Words that a missing entry had erased go again: the backup still had them.
Does not: write entries of its own, or bring back what is not in the journal, such as secrets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from surefoot.core.errors import Corrupt, Refused
from surefoot.journal.log import LOCK, move_head, store_leaves
from surefoot.journal.memory import Memory
from surefoot.journal.seal import Folding
from surefoot.journal.source import DatabaseSource, ExportSource
from surefoot.store.database import Database, Session
from surefoot.trust import canonical
from surefoot.trust.digest import digest_of
from surefoot.trust.entry import Entry, Seal
from surefoot.trust.note import Checkpoint, NotANote, VerifierKey, open_checkpoint

_BATCH = 1_000
_ERASURE = "PayloadErased"


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """The tree's size before and after, its root (hex), and how many leaves were put back."""

    size_before: int
    size: int
    root: str
    leaves: int


def recover(
    database: Database,
    keys: Sequence[VerifierKey],
    last: Checkpoint | None,
    mirror: Path,
    make_world: Callable[[], Folding],
    *,
    fault: Callable[[str], None] = lambda place: None,
) -> Recovered:
    """Put back the leaves that an export of this log has and the database lacks.

    `last` is the newest tree known to be signed; the mirror must reach it. Raises
    `Refused("journal.mirror.missing")` when it does not, `Corrupt("journal.mirror.differs")` when
    it is of another tree, and then nothing was changed.
    """
    source = ExportSource(mirror)
    newest = _newest(source, keys, mirror)
    with database.exclusive(LOCK):
        memory: Memory[Folding] = Memory(make_world())
        memory.catch_up(DatabaseSource(database))
        before = memory.chain.size
        _check_reach(last, max(before, newest.size), mirror)
        if newest.size > before:
            fault("recover:before")
            with database.write() as session:
                _take(session, memory, source, newest, mirror)
                fault("recover:taken")
                _compare(memory, newest, last, mirror)
                root = memory.chain.tree.root().hex()
                move_head(session, before, memory.chain.size, root)
                fault("recover:written")
            fault("recover:committed")
            database.scrub("payloads")
        else:
            _compare(memory, newest, last, mirror)
    return Recovered(
        size_before=before,
        size=memory.chain.size,
        root=memory.chain.tree.root().hex(),
        leaves=memory.chain.size - before,
    )


def _newest(source: ExportSource, keys: Sequence[VerifierKey], mirror: Path) -> Checkpoint:
    note = source.checkpoint()
    if note is None:
        raise _missing(mirror, "a checkpoint", "none")
    try:
        return open_checkpoint(note, *keys)
    except NotANote as error:
        raise _differs(mirror, f"a checkpoint signed by {keys[0].text()}", str(error)) from None


def _check_reach(last: Checkpoint | None, size: int, mirror: Path) -> None:
    if last is not None and last.size > size:
        lost = last.size - size
        found = f"{size}: leaves {size} to {last.size - 1} are missing, {lost} in all"
        raise _missing(mirror, f"{last.size} leaves, as were signed", found)


def _take(
    session: Session,
    memory: Memory[Folding],
    source: ExportSource,
    newest: Checkpoint,
    mirror: Path,
) -> None:
    """Fold and store the mirror's leaves; whoever calls rolls back when they are wrong."""
    leaves: list[Entry | Seal] = []
    states: dict[int, bytes] = {}
    try:
        for row in source.rows(memory.chain.size):
            leaf = memory.take(row)
            leaves.append(leaf)
            if isinstance(leaf, Entry):
                content = canonical.encode(memory.world.state(leaf.stream))
                if digest_of(content) != leaf.state:
                    subject = f"{leaf.state} after leaf {leaf.index}"
                    raise _differs(mirror, subject, digest_of(content))
                states[leaf.index] = content
                _erase(session, leaf)
            if len(leaves) == _BATCH:
                store_leaves(session, leaves, states)
                leaves, states = [], {}
    except Corrupt as error:
        if error.code == "journal.export.differs":
            raise _missing(mirror, error.expected, f"{error.subject}: {error.found}") from error
        raise _differs(mirror, error.expected, f"{error.subject}: {error.found}") from error
    if leaves:
        store_leaves(session, leaves, states)
    if memory.chain.size != newest.size:
        raise _missing(mirror, f"{newest.size} leaves", str(memory.chain.size))


def _erase(session: Session, entry: Entry) -> None:
    if entry.kind == _ERASURE:
        commitment = str(entry.body.get("commitment"))
        session.run("journal.delete_payload", commitment=commitment)


def _compare(
    memory: Memory[Folding], newest: Checkpoint, last: Checkpoint | None, mirror: Path
) -> None:
    """The one tree holds all that was signed: the mirror's, and what is known beside it."""
    for signed in (newest, last):
        if signed is None or not signed.size:
            continue
        found = memory.chain.tree.root(signed.size).hex()
        if found != signed.root.hex():
            expected = f"root {signed.root.hex()} for {signed.size} leaves, as {signed.origin} said"
            raise _differs(mirror, expected, f"root {found}")


def _missing(mirror: Path, expected: str, found: str) -> Refused:
    return Refused(
        "journal.mirror.missing",
        f"mirror {mirror}",
        expected=expected,
        found=found[:300],
        remedy="nothing was changed: look for a newer export or backup; only when there is none, "
        "go on without: surefoot journal recover --new-epoch",
    )


def _differs(mirror: Path, expected: str, found: str) -> Corrupt:
    return Corrupt(
        "journal.mirror.differs",
        f"mirror {mirror}",
        expected=expected,
        found=found[:300],
        remedy="nothing was changed: the mirror, or this database, is not what was signed; "
        "compare both with another copy",
    )
