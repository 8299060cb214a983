"""The check of people's own signatures, over the blobs of a data folder, for full verification."""

from __future__ import annotations

from typing import Any

from surefoot.core import facts as f
from surefoot.core import signed
from surefoot.core.errors import Corrupt, Failed
from surefoot.journal.verify import Signed
from surefoot.store.blobs import FileBlobs
from surefoot.trust.digest import Digest
from surefoot.trust.entry import Entry


def signed_acts(blobs: FileBlobs) -> Signed:
    """What speaks against the signature under an entry, from its envelope among the blobs."""

    def find(digest: Digest) -> bytes | None:
        try:
            return blobs.get(digest)
        except (Failed, Corrupt):
            return None

    def fault(world: Any, entry: Entry) -> str | None:
        fact = f.fact_of(entry.kind, entry.body)
        return signed.fault_of(world, fact, tuple(entry.evidence), find)

    return fault
