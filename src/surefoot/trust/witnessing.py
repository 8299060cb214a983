"""What a log sends to a witness: the body of add-checkpoint, read strictly and written.

Keeps: the form of the text alone. Does not: verify the proof, the signature or the size.
Source: c2sp.org/tlog-witness.
"""

from __future__ import annotations

import base64
import re

import msgspec

from surefoot.trust.merkle import HASH_BYTES
from surefoot.trust.note import NOTE_BYTES_MAX, NotANote, decoded

PROOF_LINES_MAX = 63
REQUEST_BYTES_MAX = NOTE_BYTES_MAX + 8 * 1024
SIZE_TYPE = "text/x.tlog.size"

_OLD = re.compile(r"old (0|[1-9][0-9]{0,15})")
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,15})\n")


class AddCheckpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The size that the witness cosigned last, the proof from it on, and the checkpoint's note."""

    old: int
    proof: tuple[bytes, ...]
    note: str

    def body(self) -> bytes:
        """The bytes to send."""
        lines = [f"old {self.old}", *(base64.b64encode(node).decode() for node in self.proof)]
        return ("\n".join(lines) + "\n\n" + self.note).encode()


def parse_request(content: bytes) -> AddCheckpoint:
    """Read a body. Raises `NotANote`; the note in it is not looked into."""
    if len(content) > REQUEST_BYTES_MAX:
        raise NotANote(f"request of more than {REQUEST_BYTES_MAX} bytes")
    try:
        head, found, note = content.decode().partition("\n\n")
    except UnicodeDecodeError:
        raise NotANote("request is not UTF-8") from None
    first, *lines = head.split("\n")
    old = _OLD.fullmatch(first)
    if not found or old is None:
        raise NotANote("request does not begin with `old SIZE`, proof lines and an empty line")
    if len(lines) > PROOF_LINES_MAX:
        raise NotANote(f"more than {PROOF_LINES_MAX} proof lines")
    proof = tuple(decoded(line) for line in lines)
    if any(len(node) != HASH_BYTES for node in proof):
        raise NotANote(f"a proof line has not {HASH_BYTES} bytes")
    return AddCheckpoint(old=int(old.group(1)), proof=proof, note=note)


def parse_size(content: bytes) -> int | None:
    """The size that a witness answers with when it expected another; None for anything else."""
    found = _SIZE.fullmatch(content)
    return None if found is None else int(found.group(1))
