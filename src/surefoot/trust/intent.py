"""The proof an actor demands before it acts: its own claim, in a checkpoint the log signed.

Keeps: nothing is believed but the pinned keys of the log. The claim is the entry at its place of
the tree that the checkpoint signs, it names this environment, this deployment and exactly this act,
by the digest of the act's whole description.
Does not: show that the claim is the newest one; the actor's fence does (`targets.words`).
Source: RFC 9162 section 2.1.3, c2sp.org/tlog-checkpoint.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

import msgspec

from surefoot.trust import merkle
from surefoot.trust.digest import Digest
from surefoot.trust.entry import Entry, NotAnEntry, parse
from surefoot.trust.note import Checkpoint, NotANote, VerifierKey, open_checkpoint

KIND = "StepClaimed"
_PATH_MAX = 64


class NotIntended(ValueError):
    """The intent does not carry this act. `proved` is False when the proof itself is wrong."""

    def __init__(self, expected: str, found: str, *, proved: bool) -> None:
        super().__init__(expected, found)
        self.expected = expected
        self.found = found
        self.proved = proved


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """A claim with its proof: the entry's exact bytes and place, the audit path, the note."""

    entry: bytes
    index: int
    path: tuple[bytes, ...]
    checkpoint: str


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody is about to do: `digest` is over the whole step, canonically encoded."""

    environment: str
    deployment: int
    digest: Digest


def verify_intent(intent: Intent, keys: Sequence[VerifierKey], act: Act) -> Entry:
    """The claim of exactly this act, in a tree signed by one of the keys. Raises `NotIntended`."""
    entry = _included(intent, keys)
    body = entry.body
    if entry.kind != KIND:
        raise NotIntended(f"an entry of kind {KIND}", entry.kind, proved=True)
    found = (body.get("environment"), body.get("deployment"))
    if found != (act.environment, act.deployment) or isinstance(found[1], bool):
        expected = f"a claim of deployment {act.deployment} in {act.environment}"
        raise NotIntended(expected, f"one of deployment {found[1]} in {found[0]}", proved=True)
    claimed = body.get("act")
    if not isinstance(claimed, str) or not hmac.compare_digest(
        claimed.encode(), act.digest.encode()
    ):
        raise NotIntended(f"a claim of the act {act.digest}", str(claimed)[:80], proved=True)
    return entry


def _included(intent: Intent, keys: Sequence[VerifierKey]) -> Entry:
    tree = _opened(intent.checkpoint, keys)
    if not 0 <= intent.index < tree.size or len(intent.path) > _PATH_MAX:
        raise NotIntended(f"an entry below {tree.size}", f"entry {intent.index}", proved=False)
    leaf = merkle.leaf_hash(intent.entry)
    if not merkle.verify_inclusion(leaf, intent.index, tree.size, intent.path, tree.root):
        found = "no proof of it"
        raise NotIntended(f"entry {intent.index} in the signed tree", found, proved=False)
    try:
        entry = parse(intent.index, intent.entry)
    except NotAnEntry as error:
        raise NotIntended("an entry", str(error)[:200], proved=False) from None
    if not isinstance(entry, Entry):
        raise NotIntended(f"an entry of kind {KIND}", "a seal", proved=True)
    return entry


def _opened(note: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    try:
        return open_checkpoint(note, *keys)
    except NotANote as error:
        expected = "a checkpoint signed by the log"
        raise NotIntended(expected, str(error)[:200], proved=False) from None
