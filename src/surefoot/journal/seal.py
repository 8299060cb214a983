"""Writes up one batch: the drafts as entries with their states, then the seal.

Keeps: an entry carries the digest of its stream's complete state after it; the seal comes last.
Does not: store or sign. Once `write_up` began, chain and world have moved: when the batch is not
committed, both must be thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from surefoot.core.errors import Refused
from surefoot.trust import canonical
from surefoot.trust.chain import Chain
from surefoot.trust.digest import digest_of
from surefoot.trust.entry import Actor, Draft, Entry, NotAnEntry, Plain, Seal, build, build_seal

STATE_BYTES_MAX = 64 * 1024 * 1024
DRAFTS_MAX = 10_000
_ANY_DIGEST = digest_of(b"")
_ANY_HASH = "0" * 64
_N_MAX = 2**53 - 1


class Folding(Protocol):
    """The world: a fold of the entries, changed by `apply` alone."""

    def apply(self, entry: Entry) -> None:
        """Fold one entry; `entry.state` may be empty, since the state is computed after."""

    def state(self, stream: str) -> Plain:
        """The complete state of the stream after the last `apply`."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch ready to be stored: leaves in order (the seal last), and states by position."""

    entries: tuple[Entry, ...]
    seal: Seal
    states: dict[int, bytes]


def check_drafts(drafts: Sequence[Draft], actor: Actor, request: str) -> None:
    """Refuse drafts that could not be written, before anything moves.

    Raises `Refused("journal.entry.input")`.
    """
    if len(drafts) > DRAFTS_MAX:
        raise _refused("batch", f"at most {DRAFTS_MAX} entries", str(len(drafts)))
    for draft in drafts:
        entry = _entry(draft, actor, request, (0, _N_MAX, _ANY_HASH, 0))
        try:
            build(msgspec.structs.replace(entry, state=_ANY_DIGEST))
        except NotAnEntry as error:
            subject = f"entry {draft.kind} of {draft.stream}"
            raise _refused(subject, "an entry inside the format", str(error)) from None


def write_up(
    chain: Chain, world: Folding, drafts: Sequence[Draft], actor: Actor, request: str, now_ms: int
) -> Batch:
    """Fold the drafts one by one, and seal. `now_ms` is clamped to the last entry's time."""
    time_ms = max(now_ms, chain.time_ms)
    states: dict[int, bytes] = {}
    entries = []
    for draft in drafts:
        n, prev = chain.next_in(draft.stream)
        entry = _entry(draft, actor, request, (chain.size, n, prev, time_ms))
        world.apply(entry)
        content = canonical.encode(world.state(draft.stream))
        if len(content) > STATE_BYTES_MAX:
            raise _refused(draft.stream, f"a state below {STATE_BYTES_MAX} bytes", "more")
        state = digest_of(content)
        states[entry.index] = content
        entry = msgspec.structs.replace(entry, state=state)
        entry = msgspec.structs.replace(entry, raw=build(entry))
        chain.add(entry)
        entries.append(entry)
    seal = chain.seal(time_ms, clamped_ms=time_ms - now_ms)
    seal = msgspec.structs.replace(seal, raw=build_seal(seal))
    chain.add(seal)
    return Batch(entries=tuple(entries), seal=seal, states=states)


def _entry(
    draft: Draft, actor: Actor, request: str, place: tuple[int, int, str | None, int]
) -> Entry:
    index, n, prev, time_ms = place
    return Entry(
        index=index,
        kind=draft.kind,
        stream=draft.stream,
        n=n,
        prev=prev,
        time_ms=time_ms,
        actor=actor,
        request=request,
        body=draft.body,
        evidence=draft.evidence,
        reason=draft.reason,
    )


def _refused(subject: str, expected: str, found: str) -> Refused:
    return Refused(
        "journal.entry.input",
        subject,
        expected=expected,
        found=found,
        remedy="put large or other content into a blob and its digest into the entry",
    )
