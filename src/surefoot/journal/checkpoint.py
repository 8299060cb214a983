"""The signer of checkpoints, and the file outside the database that remembers the last one.

Keeps: never two roots for one size and never a smaller size; the file is durable before the
signature is given out, so a database put back from a backup is seen at the next start. Ed25519 is
deterministic and a checkpoint holds no time: signing the same again gives the same note. A key that
was rotated away signs beside the new one until its overlap ends. Another origin is another epoch of
the log: what was signed under the one before does not bind it, and its key signs no more.
Concurrency: processes on one machine may share the file, under the journal's writer lock.
Does not: look into the tree. Source: c2sp.org/tlog-checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from surefoot.core.errors import Corrupt, Failed
from surefoot.journal.witness_client import witness_ahead
from surefoot.store.durable import write_durably
from surefoot.trust.note import (
    NOTE_BYTES_MAX,
    Checkpoint,
    NotANote,
    SignerKey,
    VerifierKey,
    open_checkpoint,
)


class CheckpointFile:
    """The last signed checkpoint of a log, in a file.

    `earlier` are keys that ended: what they signed before is still the log's. `afresh` is set for
    one thing alone: to open an epoch whose first entry says what was signed before and is lost.
    """

    afresh = False

    def __init__(
        self, verifier: VerifierKey, path: Path, earlier: Sequence[VerifierKey] = ()
    ) -> None:
        self.verifier = verifier
        self.known = (verifier, *earlier)
        self.path = path
        self._seen: tuple[bytes, Checkpoint] | None = None

    def last(self) -> Checkpoint | None:
        """The checkpoint in the file, None when there is no file, or it is of an epoch given up.

        Raises `Corrupt("journal.checkpoint.signature")` when it is not the log's own.
        """
        try:
            with self.path.open("rb") as file:
                content = file.read(NOTE_BYTES_MAX + 1)
        except FileNotFoundError:
            return None
        if self._seen is None or self._seen[0] != content:
            self._seen = (content, self._opened(content))
        found = self._seen[1]
        return None if self.afresh and found.origin != self.verifier.name else found

    def keys_text(self) -> str:
        """All keys, one a line, the present one first."""
        return "\n".join(key.text() for key in self.known)

    def _opened(self, content: bytes) -> Checkpoint:
        try:
            return open_checkpoint(content.decode(), *self.known)
        except (NotANote, UnicodeDecodeError) as error:
            raise Corrupt(
                "journal.checkpoint.signature",
                f"last checkpoint in {self.path}",
                expected=f"a checkpoint signed by {self.verifier.text()}",
                found=str(error),
                remedy="put the last good checkpoint file back; look for who changed it",
            ) from None


class CheckpointSigner(CheckpointFile):
    """Signs checkpoints of a log and remembers the last.

    `retiring` says which rotated keys of the same origin still sign beside the present one;
    `witnessed` says, for the newest checkpoint, the sizes that witnesses cosigned, by name.
    """

    def __init__(
        self,
        key: SignerKey,
        path: Path,
        earlier: Sequence[VerifierKey] = (),
        retiring: Callable[[], Sequence[SignerKey]] = tuple,
    ) -> None:
        super().__init__(key.verifier, path, earlier)
        self._key = key
        self._retiring = retiring
        self.witnessed: Callable[[str], Mapping[str, int]] = lambda note: {}

    def compare_witnesses(self, newest: str | None, size: Callable[[], int]) -> None:
        """Before the first signature: no witness may have cosigned a larger tree than there is.

        `size` is asked after the witnesses: other processes may write meanwhile. Raises `Corrupt`.
        """
        sizes = {} if newest is None else self.witnessed(newest)
        for name, cosigned in sizes.items():
            if cosigned > (found := size()):
                raise witness_ahead(name, found, cosigned)

    def sign(self, size: int, root: bytes) -> str:
        """The signed checkpoint of this size and root; the file is durable when this returns.

        Raises `Corrupt("journal.checkpoint.equivocation")` for another root of the last size or
        for a smaller size, `Failed("store.disk.full")` when the file cannot be written.
        """
        last = self.last()
        if last is not None and last.origin != self.verifier.name:
            last = None
        if last is not None and (size < last.size or (size == last.size and root != last.root)):
            raise Corrupt(
                "journal.checkpoint.equivocation",
                f"checkpoint of size {size}",
                expected=f"a tree that continues size {last.size}, root {last.root.hex()}",
                found=f"size {size}, root {root.hex()}",
                remedy="the database is older than, or differs from, what was signed: "
                "restore the newest copy",
            )
        checkpoint = Checkpoint(origin=self.verifier.name, size=size, root=root)
        note = self._key.sign(checkpoint.text())
        note += "".join(key.line(checkpoint.text()) for key in self._retiring())
        if checkpoint != last:
            self._keep(note.encode())
            self._seen = (note.encode(), checkpoint)
        return note

    def _keep(self, content: bytes) -> None:
        """Replace the file. A crash before the rename leaves the old, good file."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(self.path, content, 0o644)
        except OSError as error:
            raise Failed(
                "store.disk.full",
                f"last checkpoint in {self.path}",
                expected="room and right to write",
                found=error.strerror or str(error),
                remedy="free some space or correct the directory's owner, then try again",
            ) from error
