"""Whose keys stand behind a checkpoint: the log's own, witnesses, auditors, its anchor.

Keeps: without a root, one key of the log counts and everybody else's signature is ignored; with
one, only its keys, each for its time and, once compromised, for the trees before; a quorum that
the root asks for is made of its witnesses; a signature by a known key that does not hold, or that
is from the future, refuses the checkpoint. Does not: look at seals or maps.
Source: docs/formats/proof.md, docs/formats/root.md, c2sp.org/tlog-cosignature.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from surefoot.trust.bundle import NotProved
from surefoot.trust.cosignature import Cosignature, CosignerKey, cosignatures
from surefoot.trust.note import Checkpoint, NotANote, VerifierKey, parse_checkpoint, signers_of
from surefoot.trust.root import CosignerEntry, Root

FUTURE_MS_MAX = 5 * 60 * 1000

Trust = Root | str | None
"""A root, the log's key that was pinned, or nothing: then the proof's own key."""


class Backing(msgspec.Struct, frozen=True, kw_only=True):
    """Who signed a checkpoint. Names are the root's; `quorum_s` is 0 without a quorum.

    `whole` is False when a compromised key alone vouches for a tree smaller than its last one:
    something else must show that it is the beginning of that tree.
    """

    checkpoint: Checkpoint
    log_key: str
    whole: bool = True
    witnesses: tuple[str, ...] = ()
    auditors: tuple[str, ...] = ()
    anchored: bool = False
    quorum_s: int = 0


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint with the known log keys that signed it; their times are not looked at yet."""

    note: str
    checkpoint: Checkpoint
    signers: tuple[VerifierKey, ...]
    subject: str


def key_of(trust: Trust, written: str) -> VerifierKey:
    """The log key that a proof names, when it is one to believe. Raises `NotProved`."""
    if isinstance(trust, str) and trust != written:
        raise NotProved("proof.key.differs", "log key", trust[:120], written[:120])
    if isinstance(trust, Root) and trust.log(written) is None:
        known = f"a log key of root version {trust.version}"
        raise NotProved("proof.key.differs", "log key", known, written[:120])
    try:
        found = VerifierKey.parse(written)
    except NotANote as error:
        raise NotProved("proof.key.differs", "log key", "a key", str(error)) from None
    if found.text() != written:
        raise NotProved("proof.key.differs", "log key", found.text(), written[:120])
    return found


def opened(note: str, key: VerifierKey, trust: Trust, subject: str) -> Signed:
    """The checkpoint that this key signed or, with a root, any of its log keys.

    Raises `NotProved("proof.checkpoint.signature")`.
    """
    keys = trust.verifiers() if isinstance(trust, Root) else (key,)
    expected = f"a signature by {key.text()}"
    try:
        text, signers = signers_of(note, *keys)
        checkpoint = parse_checkpoint(text)
    except NotANote as error:
        raise NotProved("proof.checkpoint.signature", subject, expected, str(error)) from None
    own = tuple(signer for signer in signers if signer.name == checkpoint.origin)
    if not own:
        found = f"a checkpoint of another log, {checkpoint.origin[:80]}"
        raise NotProved("proof.checkpoint.signature", subject, expected, found)
    if not 1 <= checkpoint.size < 2**53:
        raise NotProved("proof.checkpoint.signature", subject, "a tree with leaves", "none")
    return Signed(note=note, checkpoint=checkpoint, signers=own, subject=subject)


def backing(signed: Signed, trust: Trust, seal_ms: int, now_ms: int | None) -> Backing:
    """Who stands behind it, when its seal says this time.

    Raises `NotProved("proof.key.ended")`, `("proof.cosignature.differs")`,
    `("proof.quorum.missing")`.
    """
    if not isinstance(trust, Root):
        return Backing(checkpoint=signed.checkpoint, log_key=signed.signers[0].text())
    log_key, whole = _log_key(signed, trust, seal_ms)
    anchors = [log.anchor for log in trust.logs if log.anchor and log.ended != "compromised"]
    cosigners = [entry.vkey for entry in (*trust.witnesses, *trust.auditors)]
    cosigned = _cosigned(signed, [*cosigners, *anchors], now_ms)
    witnesses = _counted(cosigned, trust.witnesses)
    auditors = _counted(cosigned, trust.auditors)
    policy = trust.policy()
    if not policy.satisfied({found.key for _, found in witnesses}):
        raise NotProved(
            "proof.quorum.missing",
            signed.subject,
            f"witnesses that make the quorum {policy.quorum} of root version {trust.version}",
            ", ".join([*_names(witnesses), *_uncounted(signed, trust.witnesses)]) or "none",
        )
    return Backing(
        checkpoint=signed.checkpoint,
        log_key=log_key,
        whole=whole,
        witnesses=_names(witnesses),
        auditors=_names(auditors),
        anchored=any(found.key in anchors for found in cosigned),
        quorum_s=policy.quorum_time(found for _, found in witnesses) or 0,
    )


def _log_key(signed: Signed, root: Root, seal_ms: int) -> tuple[str, bool]:
    """The root's first key that signed and counts, whole ones before others; and whether it is."""
    signers = {signer.text() for signer in signed.signers}
    counted, faults = [], []
    for log in (log for log in root.logs if log.vkey in signers):
        fault = log.fault(signed.checkpoint, seal_ms)
        if fault:
            faults.append(fault)
            continue
        part = log.ended == "compromised" and signed.checkpoint.size < log.last_size
        counted.append((part, log.vkey))
    if not counted:
        expected = "a log key that counted then"
        raise NotProved("proof.key.ended", signed.subject, expected, "; ".join(faults))
    part, vkey = min(counted, key=lambda each: each[0])
    return vkey, not part


def _counted(
    cosigned: Sequence[Cosignature], entries: Sequence[CosignerEntry]
) -> list[tuple[str, Cosignature]]:
    """Those by these cosigners that are of their time, each with the root's name."""
    by_key = {entry.vkey: entry for entry in entries}
    named = [(by_key[found.key], found) for found in cosigned if found.key in by_key]
    return [(entry.name, c) for entry, c in named if entry.counts_at(c.time_s)]


def _uncounted(signed: Signed, entries: Sequence[CosignerEntry]) -> Iterator[str]:
    """Cosignatures by these that are not of their time, in words."""
    for entry in entries:
        for found in cosignatures(signed.note, [CosignerKey.parse(entry.vkey)]):
            if not entry.counts_at(found.time_s):
                early = found.time_s * 1000 < entry.from_ms
                said = "before it" if early else "when it no longer"
                yield f"one by {entry.name}, {said} counted"


def _cosigned(signed: Signed, keys: Iterable[str], now_ms: int | None) -> tuple[Cosignature, ...]:
    try:
        found = cosignatures(signed.note, [CosignerKey.parse(key) for key in keys])
    except NotANote as error:
        raise NotProved(
            "proof.cosignature.differs", signed.subject, "cosignatures that hold", str(error)
        ) from None
    for cosignature in found:
        if now_ms is not None and cosignature.time_s * 1000 > now_ms + FUTURE_MS_MAX:
            said = f"{cosignature.name} at second {cosignature.time_s}, which is yet to come"
            raise NotProved("proof.cosignature.differs", signed.subject, "a time up to now", said)
    return found


def _names(found: Iterable[tuple[str, Cosignature]]) -> tuple[str, ...]:
    return tuple(sorted({name for name, _ in found}))
