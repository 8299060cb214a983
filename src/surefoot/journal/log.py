"""The journal: the only writer of entries.

Keeps: commit, then sign, then act. A batch is one transaction of entries, their states and a seal
with the root and the heads map; the committed root is then signed, and only a signed receipt is
returned. Does not: know what a body means, or act.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from surefoot.core.errors import Corrupt
from surefoot.trust.digest import Digest
from surefoot.trust.entry import Actor, Draft, Entry, Plain

T = TypeVar("T")


class Folding(Protocol):
    """The world: a fold of the entries, changed by `apply` alone."""

    def apply(self, entry: Entry) -> None:
        """Fold one entry; `entry.state` may be empty, since the state is computed after."""

    def state(self, stream: str) -> Plain:
        """The complete state of the stream after the last `apply`."""


W = TypeVar("W", bound=Folding)


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


class Log(Generic[W]):
    """See the module; all methods may be called from any thread."""

    def __init__(
        self,
        database: Any,
        signer: Any,
        make_world: Callable[[], W],
        now_ms: Callable[[], int],
        *,
        free_bytes_min: int = 64 * 1024 * 1024,
        fault: Callable[[str], None] = lambda place: None,
    ) -> None:
        self.alarm: Corrupt | None = None

    def transact(
        self, decide: Callable[[W], Sequence[Draft]], actor: Actor, request: str
    ) -> Receipt | None:
        """Decide under the writer lock on the caught-up world and write the drafts as one batch.

        An exception from `decide` changes nothing; no drafts give None. The receipt is signed.
        Raises `Corrupt` in read-only mode, `Failed("store.disk.full")`.
        """
        raise NotImplementedError

    def read(self, question: Callable[[W], T]) -> T:
        """Answer from the caught-up world, under the lock; do not keep the world."""
        raise NotImplementedError

    def size(self) -> int:
        raise NotImplementedError

    def checkpoint(self) -> str:
        """The newest signed checkpoint, a C2SP note."""
        raise NotImplementedError

    def entries(self, first: int, limit: int) -> list[Entry]:
        """Entries (no seals) from tree position `first` on."""
        raise NotImplementedError

    def stream_entries(
        self, stream: str, first_n: int, limit: int, newest: bool = False
    ) -> list[Entry]:
        """Entries of one stream from `first_n` up; with `newest` the last ones, newest first."""
        raise NotImplementedError

    def entry_at(self, stream: str, time_ms: int) -> Entry | None:
        """The stream's last entry at or before this time."""
        raise NotImplementedError

    def state_at(self, stream: str, time_ms: int) -> tuple[Entry, Plain] | None:
        """That entry and the state it proves."""
        raise NotImplementedError

    def state(self, digest: Digest) -> Plain:
        """A state by its digest. Raises `Failed` when missing, `Corrupt` when it differs."""
        raise NotImplementedError

    def streams(self) -> list[str]:
        raise NotImplementedError

    def heartbeat(self) -> Receipt:
        """Seal and checkpoint while idle: bounds the time uncertainty of answers."""
        raise NotImplementedError

    def wait_for_change(self, size: int, timeout_seconds: float) -> int:
        """Wait until the tree is larger than `size`, or the timeout; return its size."""
        raise NotImplementedError
