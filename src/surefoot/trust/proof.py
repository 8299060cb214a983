"""Verifies a proof bundle: what a stream's state was at a time, or that a release was never there.

Keeps: nothing in the bundle is believed that does not follow from a checkpoint signed by the
log's key and, with a root, by the quorum that it asks for.
Each seal is the last leaf of its checkpoint and covers all before it; the head (or its
absence) is in the seal's heads map; the second tree begins with the first; between the two heads
every entry is there, without a gap; the state is the one whose digest the entry carries. The time
asked for lies between the two seals' times and, with a quorum, between the witnesses'.
Does not: show that the log's owner put the right heads into the map, unless an auditor signed, or
told the right time, unless witnesses did. Full verification of an export shows the former.
Source: docs/formats/proof.md.
"""

from __future__ import annotations

import msgspec

from surefoot.trust import canonical, evidence, merkle
from surefoot.trust.backing import Backing, Trust, backing, key_of, opened
from surefoot.trust.bundle import Bundle, Link, NotProved, Side, read
from surefoot.trust.digest import digest_of
from surefoot.trust.entry import Entry, NotAnEntry, Plain, Seal, parse
from surefoot.trust.heads import Place, leaf_of, verify_absent, verify_present
from surefoot.trust.note import Checkpoint, VerifierKey
from surefoot.trust.proved import Edge, Proved
from surefoot.trust.root import Root

__all__ = ["Edge", "NotProved", "Proved", "verify"]

_NEVER_STREAM = "env/"
_NEVER_SCHEMA = 1


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be verified, and with what."""

    bundle: Bundle
    key: VerifierKey
    trust: Trust
    now_ms: int | None


class _End(msgspec.Struct, frozen=True, kw_only=True):
    """A side that holds: its checkpoint and seal, and who stands behind them."""

    side: Side
    checkpoint: Checkpoint
    seal: Seal
    backing: Backing


def verify(content: bytes, trust: Trust, now_ms: int | None = None) -> Proved:
    """Verify a bundle with a root, with the log's key that was pinned, or with its own (None).

    With `now_ms`, cosignatures that claim a later time are refused. Raises `NotProved`, whatever
    the bytes are.
    """
    bundle = read(content)
    asked = _Asked(bundle=bundle, key=key_of(trust, bundle.key), trust=trust, now_ms=now_ms)
    before = _end(asked, bundle.before, "checkpoint before") if bundle.before else None
    after = _end(asked, bundle.after, "checkpoint after") if bundle.after else None
    _check_bracket(bundle, before, after)
    _check_consistency(bundle, before, after)
    _check_backing(bundle, before, after)
    entries = _chain(bundle, before, after)
    shown = _evidence(bundle, after or before)
    last = _in_force(entries, bundle.until_ms)
    if bundle.release:
        state = _check_never(bundle, entries)
    else:
        state = _state_of(bundle, last)
    return Proved(
        stream=bundle.stream,
        from_ms=bundle.from_ms,
        until_ms=bundle.until_ms,
        release=bundle.release,
        entry=last,
        state=state,
        before=_edge(before),
        after=_edge(after),
        changes=len(entries) - (1 if before and before.side.head else 0),
        key=bundle.key,
        pinned=trust is not None,
        evidence=shown,
        root_version=trust.version if isinstance(trust, Root) else 0,
        tool=bundle.tool,
    )


def _end(asked: _Asked, side: Side, subject: str) -> _End:
    signed = opened(side.checkpoint, asked.key, asked.trust, subject)
    seal = _seal(side, signed.checkpoint, subject)
    backed = backing(signed, asked.trust, seal.time_ms, asked.now_ms)
    end = _End(side=side, checkpoint=signed.checkpoint, seal=seal, backing=backed)
    _check_map(asked.bundle, end, subject)
    return end


def _seal(side: Side, checkpoint: Checkpoint, subject: str) -> Seal:
    """The seal: last leaf of the tree, over exactly the leaves before it."""
    index = checkpoint.size - 1
    try:
        seal = parse(index, side.seal)
    except NotAnEntry as error:
        raise _bad_seal(subject, "a seal", str(error)) from None
    if not isinstance(seal, Seal):
        raise _bad_seal(subject, "a seal", "an entry")
    leaf = merkle.leaf_hash(side.seal)
    if not merkle.verify_inclusion(leaf, index, checkpoint.size, side.seal_proof, checkpoint.root):
        raise _bad_seal(subject, "the last leaf of the checkpoint's tree", "another leaf")
    if seal.covers != index or seal.root != _root_before(side.seal_proof).hex():
        raise _bad_seal(subject, f"a seal over the {index} leaves before", str(seal.covers))
    return seal


def _root_before(proof: tuple[bytes, ...]) -> bytes:
    """Root of all leaves but the last, from the last one's inclusion proof: its left siblings."""
    if not proof:
        return merkle.EMPTY_ROOT
    root = proof[0]
    for sibling in proof[1:]:
        root = merkle.node_hash(sibling, root)
    return root


def _check_map(bundle: Bundle, end: _End, subject: str) -> None:
    root, head = bytes.fromhex(end.seal.heads), end.side.head
    answer = msgspec.structs.replace(end.side.answer, streams=end.seal.streams)
    if head is None:
        if not verify_absent(bundle.stream, answer, root):
            raise NotProved("proof.map.differs", subject, f"no {bundle.stream}", "no proof of it")
        return
    place = answer.present
    assert place is not None
    leaf = leaf_of(bundle.stream, head)
    shown = msgspec.structs.replace(
        answer, present=Place(leaf=leaf, index=place.index, proof=place.proof)
    )
    if not verify_present(bundle.stream, head, shown, root) or head.i >= end.seal.index:
        expected = f"{bundle.stream} at entry {head.i}"
        raise NotProved("proof.map.differs", subject, expected, "no proof of it")


def _check_bracket(bundle: Bundle, before: _End | None, after: _End | None) -> None:
    """The times asked for lie inside; without a later seal only the newest seal's own time is."""
    if before is None and after is None:
        raise _outside("a checkpoint", "none")
    if bundle.from_ms > bundle.until_ms:
        raise _outside("a time after the first", "one before")
    if before is not None and before.seal.time_ms > bundle.from_ms:
        raise _outside(f"at or after {before.seal.time_ms}", str(bundle.from_ms))
    if after is not None and after.seal.time_ms <= bundle.until_ms:
        raise _outside(f"before {after.seal.time_ms}", str(bundle.until_ms))
    if after is None and bundle.release:
        raise _outside("a checkpoint after the time", "none")
    if after is None and before is not None and before.seal.time_ms != bundle.until_ms:
        raise _outside(f"{before.seal.time_ms}, as nothing later is shown", str(bundle.until_ms))


def _check_consistency(bundle: Bundle, before: _End | None, after: _End | None) -> None:
    proof = bundle.consistency
    if before is None or after is None:
        if proof is not None:
            raise _forked("no consistency proof", "one")
        return
    old, new = before.checkpoint, after.checkpoint
    if proof is None or old.size >= new.size:
        raise _forked(f"a tree larger than {old.size}, with a proof", str(new.size))
    if not merkle.verify_consistency(old.size, old.root, new.size, new.root, proof):
        raise _forked(f"a tree that begins with that of size {old.size}", "another tree")


def _check_backing(bundle: Bundle, before: _End | None, after: _End | None) -> None:
    """The time lies between the witnesses' too; and no thief's tree stands alone."""
    last = after or before
    for end in (before, after):
        if end is None or end.backing.whole or end.backing.quorum_s:
            continue
        if end is last or last is None or not last.backing.whole:
            expected = "a later tree that it is the beginning of, or witnesses"
            found = f"{end.checkpoint.size} leaves under a compromised key alone"
            raise NotProved("proof.key.ended", "a checkpoint", expected, found)
    if after is None or not after.backing.quorum_s:
        return
    if after.backing.quorum_s * 1000 <= bundle.until_ms:
        found = f"second {after.backing.quorum_s}"
        raise _outside("witnesses that signed the checkpoint after it later", found)
    if before is not None and before.backing.quorum_s * 1000 > bundle.from_ms:
        found = f"second {before.backing.quorum_s}"
        raise _outside("witnesses that had signed the checkpoint before it by then", found)


def _chain(bundle: Bundle, before: _End | None, after: _End | None) -> list[Entry]:
    """All entries from the head before (itself included) to the head after, each one checked."""
    first = before.side.head if before else None
    last = after.side.head if after else first
    entries: list[Entry] = []
    for link in bundle.chain:
        entry = _entry(bundle, link)
        if not entries and before is not None and first is not None:
            bound = (first.i, first.leaf, first.n, first.state)
            if _head(entry) != bound or link.proof is not None:
                raise _gap(link.i, f"the head before, entry {first.i}", f"entry {entry.index}")
            _check_time(entry, 0, before.seal.time_ms)
        else:
            _check_next(entry, entries, before, after)
            _check_included(link, after)
        entries.append(entry)
    found = _head(entries[-1]) if entries else None
    if found != (None if last is None else (last.i, last.leaf, last.n, last.state)):
        raise _gap(bundle.chain[-1].i if entries else 0, "a chain up to the newest head", "less")
    return entries


def _entry(bundle: Bundle, link: Link) -> Entry:
    try:
        entry = parse(link.i, link.raw)
    except NotAnEntry as error:
        raise _gap(link.i, "an entry", str(error)) from None
    if not isinstance(entry, Entry):
        raise _gap(link.i, "an entry", "a seal")
    if entry.stream != bundle.stream:
        raise _gap(link.i, f"an entry of {bundle.stream}", f"one of {entry.stream}")
    return entry


def _head(entry: Entry) -> tuple[int, str, int, str]:
    return (entry.index, merkle.leaf_hash(entry.raw).hex(), entry.n, entry.state)


def _check_next(
    entry: Entry, entries: list[Entry], before: _End | None, after: _End | None
) -> None:
    n, prev, time_ms = 0, None, before.seal.time_ms if before else 0
    if entries:
        _, prev, n, _ = _head(entries[-1])
        n, time_ms = n + 1, max(time_ms, entries[-1].time_ms)
    if (entry.n, entry.prev) != (n, prev):
        raise _gap(entry.index, f"n={n} after {prev}", f"n={entry.n} after {entry.prev}")
    place = max(entries[-1].index + 1 if entries else 0, before.checkpoint.size if before else 0)
    if entry.index < place:
        raise _gap(entry.index, f"a place from {place} on", str(entry.index))
    _check_time(entry, time_ms, after.seal.time_ms if after else 0)


def _check_time(entry: Entry, first_ms: int, last_ms: int) -> None:
    if not first_ms <= entry.time_ms <= last_ms:
        raise _gap(entry.index, f"a time from {first_ms} to {last_ms}", str(entry.time_ms))


def _check_included(link: Link, after: _End | None) -> None:
    if after is None or link.proof is None:
        raise _gap(link.i, "an entry in the tree after", "no proof of it")
    leaf, tree = merkle.leaf_hash(link.raw), after.checkpoint
    if not merkle.verify_inclusion(leaf, link.i, tree.size, link.proof, tree.root):
        raise _gap(link.i, "an entry in the tree after", "no proof of it")


def _evidence(bundle: Bundle, last: _End | None) -> tuple[evidence.Shown, ...]:
    assert last is not None
    return evidence.check(bundle.evidence, last.checkpoint.size, last.checkpoint.root)


def _in_force(entries: list[Entry], time_ms: int) -> Entry | None:
    """The last entry at or before the time; a batch's entries share one."""
    then = [entry for entry in entries if entry.time_ms <= time_ms]
    return then[-1] if then else None


def _state_of(bundle: Bundle, entry: Entry | None) -> Plain | None:
    if entry is None:
        if bundle.states:
            raise _other_state("no state before the first entry", "one")
        return None
    if len(bundle.states) != 1:
        raise _other_state(entry.state, "none")
    return _opened(bundle.states[0], entry.state)


def _opened(content: bytes, digest: str) -> Plain:
    if digest_of(content) != digest:
        raise _other_state(digest, digest_of(content))
    try:
        state = canonical.parse(content)
    except canonical.NotCanonical as error:
        raise _other_state("canonical JSON", str(error)) from None
    if not isinstance(state, dict):
        raise _other_state("an object", type(state).__name__)
    return state


def _check_never(bundle: Bundle, entries: list[Entry]) -> Plain | None:
    """Every state that was in force in that time is there, and none holds the release."""
    if not bundle.stream.startswith(_NEVER_STREAM):
        raise NotProved("proof.claim.false", "claim", "an environment", bundle.stream)
    first = _in_force(entries, bundle.from_ms)
    within = [e for e in entries if bundle.from_ms < e.time_ms <= bundle.until_ms]
    inside = [*([first] if first else []), *within]
    digests = list(dict.fromkeys(entry.state for entry in inside))
    if len(digests) != len(bundle.states):
        raise _other_state(f"{len(digests)} states", str(len(bundle.states)))
    states = dict(zip(digests, map(_opened, bundle.states, digests), strict=True))
    for entry in inside:
        if entry.state_schema != _NEVER_SCHEMA:
            found = f"{entry.state_schema} in entry {entry.index}"
            raise NotProved("proof.claim.false", "claim", "states of form 1", found)
        if bundle.release in _releases(states[entry.state]):
            found = f"it is in the state after entry {entry.index}"
            raise NotProved("proof.claim.false", "claim", f"no {bundle.release}", found)
    return states[inside[-1].state] if inside else None


def _releases(state: Plain) -> set[object]:
    """The releases an environment's state names: its own, and each component's."""
    components = state.get("components", {})
    if not isinstance(components, dict) or not isinstance(state.get("release", ""), str):
        raise _other_state("an environment's state", "another form")
    found: set[object] = {state.get("release", "")}
    for component in components.values():
        if not isinstance(component, dict) or not isinstance(component.get("release"), str):
            raise _other_state("an environment's state", "another form")
        found.add(component["release"])
    return found


def _edge(end: _End | None) -> Edge | None:
    if end is None:
        return None
    tree, backed = end.checkpoint, end.backing
    return Edge(
        size=tree.size,
        root=tree.root.hex(),
        time_ms=end.seal.time_ms,
        log_key=backed.log_key,
        witnessed_s=backed.quorum_s,
        witnesses=backed.witnesses,
        auditors=backed.auditors,
        anchored=backed.anchored,
    )


def _bad_seal(subject: str, expected: str, found: str) -> NotProved:
    return NotProved("proof.seal.differs", f"seal of the {subject}", expected, found)


def _outside(expected: str, found: str) -> NotProved:
    return NotProved("proof.time.outside", "time asked for", expected, found)


def _forked(expected: str, found: str) -> NotProved:
    return NotProved("proof.consistency.broken", "the two checkpoints", expected, found)


def _gap(index: int, expected: str, found: str) -> NotProved:
    return NotProved("proof.chain.broken", f"entry {index} of the chain", expected, found)


def _other_state(expected: str, found: str) -> NotProved:
    return NotProved("proof.state.differs", "state", expected, found)
