"""The proof of one entry as C2SP text that any reader of transparency logs understands.

Keeps: the entry's bytes stand in the proof as its extra data, and are believed only because their
leaf hash is in the signed tree; canonical base64, no other lines, at most 64 hashes.
Does not: say whether an entry is the newest of its stream; a bundle does.
Source: c2sp.org/tlog-proof@v1, docs/formats/proof.md.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

import msgspec

from surefoot.trust import merkle
from surefoot.trust.backing import Backing, Trust, backing, opened
from surefoot.trust.bundle import NotProved, malformed
from surefoot.trust.entry import Entry, NotAnEntry, Seal, parse
from surefoot.trust.note import NotANote, VerifierKey, decoded, verifiers
from surefoot.trust.root import Root

HEADER = "c2sp.org/tlog-proof@v1"
BYTES_MAX = 128 * 1024

_HASHES_MAX = 64
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,15})")


class ProvedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry (or a seal) that is in a signed tree, and who stands behind that tree."""

    entry: Entry | Seal
    backing: Backing


class _Parts(msgspec.Struct, frozen=True, kw_only=True):
    raw: bytes
    index: int
    proof: tuple[bytes, ...]
    note: str


def is_entry_proof(content: bytes) -> bool:
    """Whether these bytes begin as such a proof does."""
    return content.startswith(f"{HEADER}\n".encode())


def write(raw: bytes, index: int, proof: Sequence[bytes], note: str) -> bytes:
    """The text: the entry's bytes as extra data, its place, the inclusion proof, the checkpoint."""
    lines = [HEADER, f"extra {base64.b64encode(raw).decode()}", f"index {index}"]
    lines += [base64.b64encode(each).decode() for each in proof]
    return ("\n".join(lines) + "\n\n" + note).encode()


def verify_entry(content: bytes, trust: Trust, now_ms: int | None = None) -> ProvedEntry:
    """Verify with a root, or with the log's key that was pinned; there is none inside.

    Raises `NotProved`.
    """
    parts = _read(content)
    signed = opened(parts.note, _key(trust), trust, "checkpoint")
    found = backing(signed, trust, -1, now_ms)
    if not found.whole and not found.quorum_s:
        size = f"{signed.checkpoint.size} leaves under a compromised key alone"
        raise NotProved("proof.key.ended", "the checkpoint", "the last trusted tree", size)
    try:
        entry = parse(parts.index, parts.raw)
    except NotAnEntry as error:
        raise _not_in(parts.index, "an entry", str(error)) from None
    leaf, tree = merkle.leaf_hash(parts.raw), signed.checkpoint
    if not merkle.verify_inclusion(leaf, parts.index, tree.size, parts.proof, tree.root):
        raise _not_in(parts.index, "an entry in the tree", "no proof of it")
    return ProvedEntry(entry=entry, backing=found)


def _key(trust: Trust) -> VerifierKey:
    if trust is None:
        raise NotProved("proof.key.differs", "log key", "one that was pinned", "none")
    try:
        return trust.verifiers()[0] if isinstance(trust, Root) else verifiers(trust)[0]
    except NotANote as error:
        raise NotProved("proof.key.differs", "log key", "a key", str(error)) from None


def _read(content: bytes) -> _Parts:
    if len(content) > BYTES_MAX:
        raise malformed("proof", f"at most {BYTES_MAX} bytes", str(len(content)))
    try:
        head, found, note = content.decode().partition("\n\n")
        lines = head.split("\n")
        if not found or len(lines) < 3 or lines[0] != HEADER:
            raise malformed("proof", f"{HEADER}, an entry as extra data, an index", head[:80])
        extra = lines[1].removeprefix("extra ")
        index = _INDEX.fullmatch(lines[2])
        if extra == lines[1] or index is None or len(lines) > 3 + _HASHES_MAX:
            raise malformed("proof", "an entry as extra data, an index, a proof", lines[2][:80])
        hashes = tuple(decoded(line) for line in lines[3:])
        raw = decoded(extra)
    except (UnicodeDecodeError, NotANote) as error:
        raise malformed("proof", "lines of base64", str(error)[:100]) from None
    if any(len(each) != 32 for each in hashes):
        raise malformed("proof", "hashes of 32 bytes", "another length")
    return _Parts(raw=raw, index=int(index[1]), proof=hashes, note=note)


def _not_in(index: int, expected: str, found: str) -> NotProved:
    return NotProved("proof.chain.broken", f"entry {index}", expected, found)
