"""The snapshot: tree, heads and world at one size, in a file that may be lost at any time.

Keeps: a start uses it only when its seal by the installation's key is right, its code is this code,
the root over its leaf hashes is the signed one of that size, its heads are those that the last seal
names, and the state of every stream is the one that its newest entry names. Anything odd, and the
journal is folded from the start as if there were no file: never an error. Verification never looks
here. Durability: the old file or the new one, never a part. Does not: make an entry or a root true.
"""

from __future__ import annotations

import hashlib
import hmac
import platform
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from surefoot.core.errors import Corrupt
from surefoot.journal.memory import Memory
from surefoot.journal.seal import Folding
from surefoot.journal.source import DatabaseSource
from surefoot.store.durable import write_durably
from surefoot.trust import canonical, merkle
from surefoot.trust.digest import digest_of
from surefoot.trust.entry import Seal, read_stored
from surefoot.trust.heads import Head
from surefoot.trust.note import VerifierKey, open_checkpoint

W = TypeVar("W", bound=Folding)

COMPARED_AT_ONCE = 50_000
"""Journals up to this many leaves have all their rows compared before they open, about a second."""
FILE_BYTES_MAX = 2**30
_MAGIC = b"surefoot snapshot 1\n"
_MAC_BYTES = 32


class _Content(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is in the file. `leaves` are the leaf hashes one after the other."""

    version: str
    origin: str
    root: bytes
    leaves: bytes
    heads: dict[str, Head]
    world: bytes


class _Odd(ValueError):
    """The snapshot is of no use here."""


class SnapshotFile(Generic[W]):
    """A snapshot file of one journal. `version` names the code that folds; empty for no use."""

    def __init__(
        self,
        path: Path,
        key: bytes,
        version: str,
        encode: Callable[[W], bytes],
        decode: Callable[[bytes], W],
    ) -> None:
        self._path = path
        self._key = hmac.digest(key, _MAGIC, "sha256")
        self._version = version
        self._encode = encode
        self._decode = decode
        self._kept = 0

    def load(self, source: DatabaseSource, keys: Sequence[VerifierKey]) -> Memory[W] | None:
        """The memory at the snapshot's size, None when there is nothing to be used."""
        try:
            content = self._read()
            memory = Memory(self._decode(content.world))
            self._bind(memory, content, source, keys)
            if memory.unread <= COMPARED_AT_ONCE:
                memory.recheck(source, COMPARED_AT_ONCE)
        except Exception:  # noqa: BLE001 -- a file that may be lost may also be odd in any way
            return None
        self._kept = memory.chain.size
        return memory

    def prepare(self, memory: Memory[W], origin: str, leaves_min: int) -> Callable[[], bool] | None:
        """Take what is to be kept, under the journal's lock; call what is returned without it.

        None when the journal grew by fewer leaves than that since the last. The call says whether
        the file was written; a full disk costs the snapshot alone.
        """
        chain = memory.chain
        if not self._version or chain.size - self._kept < max(1, leaves_min):
            return None
        if memory.signed_size != chain.size:
            return None
        try:
            world = self._encode(memory.world)
        except (TypeError, ValueError):
            return None  # a part that the form lacks: the next start folds, as without a snapshot
        content = _Content(
            version=self._version,
            origin=origin,
            root=chain.tree.root(),
            leaves=bytes(chain.tree.levels[0]),
            heads=dict(chain.heads.heads),
            world=world,
        )
        size = chain.size

        def write() -> bool:
            body = msgspec.msgpack.encode(content)
            if len(body) > FILE_BYTES_MAX - len(_MAGIC) - _MAC_BYTES:
                return False
            with suppress(OSError):
                write_durably(self._path, _MAGIC + self._mac(body) + body)
                self._kept = size
                return True
            return False

        return write

    def _read(self) -> _Content:
        with self._path.open("rb") as file:
            stored = memoryview(file.read(FILE_BYTES_MAX + 1))
        start = len(_MAGIC) + _MAC_BYTES
        body = stored[start:]
        if len(stored) > FILE_BYTES_MAX or stored[: len(_MAGIC)] != _MAGIC:
            raise _Odd
        if not hmac.compare_digest(stored[len(_MAGIC) : start], self._mac(body)):
            raise _Odd
        content = msgspec.msgpack.decode(body, type=_Content)
        if not self._version or content.version != self._version:
            raise _Odd
        return content

    def _mac(self, body: bytes | memoryview) -> bytes:
        return hmac.digest(self._key, body, "sha256")

    def _bind(
        self,
        memory: Memory[W],
        content: _Content,
        source: DatabaseSource,
        keys: Sequence[VerifierKey],
    ) -> None:
        """Fill the chain, and compare each part with what is signed."""
        chain = memory.chain
        chain.tree = merkle.Tree.of_leaves(content.leaves)
        size, root = chain.size, chain.tree.root()
        note = source.checkpoint_of(size)
        if len(content.leaves) % merkle.HASH_BYTES or note is None or content.root != root:
            raise _Odd
        checkpoint = open_checkpoint(note, *keys)
        if (checkpoint.origin, checkpoint.size, checkpoint.root) != (content.origin, size, root):
            raise _Odd
        last = next(iter(source.rows(size - 1)))
        seal = read_stored(last.index, last.raw)
        if merkle.leaf_hash(last.raw) != chain.tree.leaf(size - 1) or not isinstance(seal, Seal):
            raise _Odd
        for stream, head in content.heads.items():
            chain.heads.set(stream, head)
            if digest_of(canonical.encode(memory.world.state(stream))) != head.state:
                raise _Odd
        if (seal.heads, seal.streams) != (chain.heads.root().hex(), len(content.heads)):
            raise _Odd
        if source.head() == (size, root.hex()) and any(source.rows(size)):
            raise _Odd  # rows that no head counts; or somebody writes, and the fold will tell
        chain.time_ms, chain.last_seal = seal.time_ms, seal.index
        memory.unread = size


def begin(
    source: DatabaseSource,
    make_world: Callable[[], W],
    snapshot: SnapshotFile[W] | None,
    keys: Sequence[VerifierKey],
) -> Memory[W]:
    """The caught-up memory, from the snapshot when it holds, else from the start.

    Raises `Corrupt` for what folding from the start finds.
    """
    memory = snapshot.load(source, keys) if snapshot is not None else None
    if memory is not None:
        with suppress(Corrupt):
            memory.catch_up(source)
            return memory
    memory = Memory(make_world())
    memory.catch_up(source)
    return memory


def code_version(*packages: str) -> str:
    """Digest of the source of packages, and of what runs it; empty without the source.

    Another version of the fold may make another world of the same facts.
    """
    found = hashlib.sha256(f"{platform.python_version()} {msgspec.__version__}".encode())
    count = 0
    for package in packages:
        files = [file for file in resources.files(package).iterdir() if file.name.endswith(".py")]
        for file in sorted(files, key=lambda file: file.name):
            content = file.read_bytes()
            found.update(f"{package}/{file.name} {len(content)}\n".encode() + content)
            count += 1
    return found.hexdigest() if count else ""
