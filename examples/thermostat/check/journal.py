"""Reads an export of the journal, as a program that knows only the published formats.

Bundles of entries as in C2SP tlog-tiles; the tree's root as in RFC 6962, compared with the
checkpoint's, so that no entry is missing and none is changed. Does not: verify the checkpoint's
signature (`surefoot journal verify` does, with the pinned key) or the seals between entries.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

CLAIM, RESULT = "StepClaimed", "StepFinished"
REQUEST, END = "DeploymentRequested", "DeploymentFinished"
ENROLLED, BATCH = "DevicesEnrolled", "DeviceBatchSealed"
SEAL = "seal"
WIDTH = 256


def entries(folder: Path) -> list[dict]:
    """All entries but the seals, in order, with their `index`. Raises `ValueError`, `OSError`."""
    _, size, root = (folder / "checkpoint").read_text().split("\n")[:3]
    found = leaves(folder, int(size))
    if base64.b64encode(root_of(found)).decode() != root:
        raise ValueError(f"{folder}: the entries do not have the root of the checkpoint")
    parsed = [{"index": index, **json.loads(leaf)} for index, leaf in enumerate(found)]
    return [entry for entry in parsed if entry["kind"] != SEAL]


def leaves(folder: Path, size: int) -> list[bytes]:
    """The leaves of a tree of this size."""
    found: list[bytes] = []
    for number in range((size + WIDTH - 1) // WIDTH):
        width = min(WIDTH, size - number * WIDTH)
        bundle = _bundle(folder / "tile" / "entries", number, width)
        place = 0
        for _ in range(width):
            end = place + 2 + int.from_bytes(bundle[place : place + 2], "big")
            if end > len(bundle) or end < place + 2:
                raise ValueError(f"bundle {number}: ends in the middle of an entry")
            found.append(bundle[place + 2 : end])
            place = end
    return found


def root_of(found: list[bytes]) -> bytes:
    """RFC 6962's hash of a list of leaves."""
    # Stack of (height, hash) of complete subtrees, as in a binary counter.
    stack: list[tuple[int, bytes]] = []
    for leaf in found:
        stack.append((0, hashlib.sha256(b"\x00" + leaf).digest()))
        while len(stack) > 1 and stack[-1][0] == stack[-2][0]:
            height, right = stack.pop()
            stack[-1] = (height + 1, _parent(stack[-1][1], right))
    if not stack:
        return hashlib.sha256(b"").digest()
    root = stack.pop()[1]
    while stack:
        root = _parent(stack.pop()[1], root)
    return root


def _parent(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _bundle(folder: Path, number: int, width: int) -> bytes:
    """A bundle of at least this width: a full one may have come after a partial one."""
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03d}")
    full = folder.joinpath(*groups)
    partial = full.with_name(f"{full.name}.p") / str(width)
    return (partial if width < WIDTH and partial.exists() else full).read_bytes()
