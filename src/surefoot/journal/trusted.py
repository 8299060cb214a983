"""Whose checkpoints a verification believes, and what the journal itself says of its epochs.

Keeps: with a root, a checkpoint counts only under a key that counts for it, and the tree must hold
the last trusted tree of every compromised key. Does not: read.
"""

from __future__ import annotations

from collections.abc import Iterator

from surefoot.trust.cosignature import CosignerKey, cosignatures
from surefoot.trust.entry import Entry, text_of_time
from surefoot.trust.merkle import Tree
from surefoot.trust.note import (
    LINE_START,
    Checkpoint,
    NotANote,
    VerifierKey,
    open_checkpoint,
    verifiers,
)
from surefoot.trust.root import CosignerEntry, Root, open_trusted

Trust = Root | str
"""A root that somebody pinned, or the log's keys, one a line and the present one first."""

_EPOCH_KIND = "EpochOpened"


class Trusted:
    """The log's keys for one verification. Raises `NotANote` for a text that is no key."""

    def __init__(self, trust: Trust) -> None:
        self._root = trust if isinstance(trust, Root) else None
        self.keys: tuple[VerifierKey, ...] = (
            tuple(reversed(trust.verifiers())) if isinstance(trust, Root) else verifiers(trust)
        )

    @property
    def origin(self) -> str:
        """The name of the present key."""
        return self.keys[0].name

    @property
    def expected(self) -> str:
        """Whose signature is asked for, in words."""
        if self._root is not None:
            return f"a signature by a log key of root version {self._root.version}"
        return f"a signature by {self.keys[0].text()}"

    def opened(self, note: str, time_ms: int = -1) -> Checkpoint:
        """The checkpoint; `time_ms` is its seal's time, when it is known. Raises `NotANote`."""
        if self._root is not None:
            return open_trusted(note, self._root, time_ms)[0]
        return open_checkpoint(note, *self.keys)

    def cosigned(self, note: str) -> tuple[str, ...]:
        """Who else signed a checkpoint, in words: verified with a root, else as the lines say."""
        lines = note.partition("\n\n")[2].splitlines()
        names = [line[len(LINE_START) :].partition(" ")[0] for line in lines]
        own = {key.name for key in self.keys}
        if self._root is None:
            return tuple(f"{name} (key not pinned)" for name in names if name and name not in own)
        known = {CosignerKey.parse(entry.vkey): entry for entry in self._entries(self._root)}
        try:
            found = cosignatures(note, known)
        except NotANote as error:
            return (f"not verified: {error}",)
        return tuple(
            f"{each.name} at {text_of_time(each.time_s * 1000)}"
            + ("" if entry.counts_at(each.time_s) else " (outside the key's time)")
            for each in found
            for key, entry in known.items()
            if key.text() == each.key
        )

    @staticmethod
    def _entries(root: Root) -> tuple[CosignerEntry, ...]:
        return (*root.witnesses, *root.auditors)

    def outside(self, tree: Tree) -> Iterator[tuple[str, str, str]]:
        """Last trusted trees of compromised keys that this tree does not begin with.

        Each as subject, expected and found.
        """
        for log in self._root.logs if self._root else ():
            if log.ended != "compromised":
                continue
            subject = f"last trusted tree of {log.origin}"
            if log.last_size > tree.size:
                yield subject, f"{log.last_size} leaves", f"{tree.size} leaves"
            elif log.last_size and tree.root(log.last_size).hex() != log.last_root:
                yield subject, log.last_root, tree.root(log.last_size).hex()


class Epochs:
    """What the entries say of the log's epochs, collected on the way."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._lost: list[tuple[int, int]] = []

    def take(self, entry: Entry) -> None:
        """Look at one entry."""
        if entry.kind != _EPOCH_KIND:
            return
        body = entry.body
        number, cause = body.get("epoch"), body.get("cause")
        first, end = body.get("lost_from", 0), body.get("lost_until", 0)
        said = f"entry {entry.index} opens epoch {number}: {cause}"
        if isinstance(first, int) and isinstance(end, int) and end:
            self._lost.append((first, end))
            said += f"; leaves {first} to {end - 1} were signed once and are lost"
        self.words.append(said)

    def lost(self, size: int) -> str:
        """What was lost of a tree of this size that was signed before, "" for nothing."""
        for first, end in self._lost:
            if first < size <= end:
                return (
                    f"leaves {first} to {size - 1} are lost: the journal says so itself, "
                    "and went on without them in another epoch"
                )
        return ""
