"""The checks of people's own signatures and of the rules, for full verification.

Keeps: a blob counts only with the content its digest names. Does not: read the journal.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from surefoot.core import breach, plan, signed
from surefoot.core import facts as f
from surefoot.core.errors import Corrupt, Failed, Refused
from surefoot.core.policy import Asker
from surefoot.core.signed import Find
from surefoot.journal.source import BLOB_BYTES_MAX
from surefoot.journal.verify import Rules, Signed
from surefoot.store.blobs import FileBlobs
from surefoot.trust.digest import Digest
from surefoot.trust.entry import Entry


def finder(blobs: FileBlobs) -> Find:
    """Finds blobs of a data folder."""

    def find(digest: Digest) -> bytes | None:
        try:
            return blobs.get(digest)
        except (Failed, Corrupt):
            return None

    return find


def signed_acts(find: Find) -> Signed:
    """What speaks against the signature under an entry, from its envelope among the blobs."""

    def fault(world: Any, entry: Entry) -> str | None:
        fact = f.fact_of(entry.kind, entry.body)
        return signed.fault_of(world, fact, tuple(entry.evidence), find)

    return fault


def ruled_acts(find: Find) -> Rules:
    """The rule that an entry breaks; with the plan's blob, also what the plan says."""

    def broken(world: Any, entry: Entry) -> Refused | None:
        fact = f.fact_of(entry.kind, entry.body)
        try:
            asker = Asker(type=entry.actor.type, id=entry.actor.id)
            breach.check(world, fact, asker, entry.time_ms)
            content = find(fact.plan) if isinstance(fact, f.DeploymentRequested) else None
            if content is not None:
                breach.check_plan(world, fact, plan.decode(content))
        except Refused as refused:
            return refused
        except msgspec.DecodeError as error:
            return Refused("breach.change", entry.stream, expected="a plan", found=str(error)[:200])
        return None

    return broken


def evidence_of(blobs: FileBlobs, entry: Entry) -> Iterator[tuple[Digest, bytes]]:
    """What an export carries with an entry: what people signed, plans, reports of gates.

    Not the dumps of databases, which hold the product's data, nor anything above 16 MiB.
    """
    fact = f.fact_of(entry.kind, entry.body)
    if isinstance(fact, f.StepFinished) and "backup" in fact.figures:
        return
    for digest in entry.evidence:
        try:
            path = blobs.path(digest)
        except (Failed, Corrupt):
            continue
        if path.stat().st_size <= BLOB_BYTES_MAX:
            yield digest, path.read_bytes()


def blob_fault(blobs: FileBlobs, digest: Digest) -> tuple[str, str] | None:
    """What is wrong with a blob, as code and what was found; None when it is whole."""
    try:
        blobs.path(digest)
    except (Failed, Corrupt) as error:
        return error.code, error.found
    return None
