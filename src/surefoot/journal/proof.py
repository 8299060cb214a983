"""Makes proof bundles: what a stream's state was at a time, for a stranger with a root or a key.

Keeps: the heads map of a past seal is computed from the entries, and must have the root
that the seal says; a bundle is verified before it is given out.
Concurrency: any thread; tree nodes are read under the journal's lock. Does not: sign or write.
Source: docs/formats/proof.md.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from surefoot.core.errors import Corrupt, Refused
from surefoot.journal.bracket import Brackets, Noted
from surefoot.journal.log import Log
from surefoot.store.database import Database, Session
from surefoot.trust import canonical, heads, tlog_proof
from surefoot.trust.backing import Trust
from surefoot.trust.bundle import EXHIBITS_MAX
from surefoot.trust.entry import (
    Entry,
    NotAnEntry,
    Plain,
    Seal,
    parse,
    read_stored,
    text_of_time,
)
from surefoot.trust.form import CHAIN_MAX, NotProved, joined
from surefoot.trust.merkle import Tree, leaf_hash
from surefoot.trust.note import signers_of, verifiers
from surefoot.trust.proof import verify
from surefoot.trust.quorum import TrustPolicy
from surefoot.trust.root import unsigned_root
from surefoot.trust.short_bundle import FORMAT

_MAPS_KEPT = 8
_NO_WITNESS = TrustPolicy()

Exhibits = Sequence[tuple[Entry, Sequence[str]]]
Beside = Callable[[Plain], Exhibits]
"""From a state, the entries that led to it, each with the texts to show beside it."""


class _Edge(msgspec.Struct, frozen=True, kw_only=True):
    """A signed checkpoint, its seal and the heads map at that seal."""

    size: int
    note: str
    seal: Seal
    map: heads.HeadsMap


class Prover:
    """Makes bundles from one journal. `key` is the log's (its keys, one a line and the present one
    first), `tool` the name and version of this, `policy` says which witnesses are enough."""

    def __init__(
        self,
        log: Log[Any],
        database: Database,
        key: str,
        tool: str,
        *,
        policy: TrustPolicy = _NO_WITNESS,
    ) -> None:
        self._log = log
        self._database = database
        self._keys = verifiers(key)
        self.trust: Trust = key if len(self._keys) == 1 else unsigned_root(self._keys)
        self._tool = tool
        self._brackets = Brackets(log, database, policy)
        self._maps: OrderedDict[int, heads.HeadsMap] = OrderedDict()
        self._guard = threading.Lock()

    def state(self, stream: str, at_ms: int, beside: Beside | None = None) -> bytes:
        """A bundle for "the state of this stream at this time".

        After the newest seal, the claim is about that seal's time. `beside` names what else is
        shown, once the state is known. Raises
        `Refused("proof.journal.empty")`, `Refused("proof.chain.oversize")`, `Corrupt`.
        """
        before, after = self._bracket(at_ms, at_ms)
        if after is None:
            assert before is not None
            at_ms = before.seal.time_ms
        entries = self._chain(stream, before, after)
        then = [entry for entry in entries if entry.time_ms <= at_ms]
        state = self._log.state(then[-1]) if then else None
        shown = beside(state) if state is not None and beside is not None else None
        bundle = self._common(stream, before, after, entries, shown)
        bundle["at"] = text_of_time(at_ms)
        if state is not None:
            bundle["state"] = canonical.encode(state).decode()
        return self._checked(bundle)

    def never(self, stream: str, from_ms: int, until_ms: int, release: str) -> bytes:
        """A bundle for "this release was never in this environment between these times".

        The end is brought before the newest seal. Raises `Refused("proof.release.present")` when it
        was, `Refused("proof.time.input")` when no time is left, and as `state` does.
        """
        until_ms = min(until_ms, self._brackets.end_ms() - 1)
        if until_ms < from_ms:
            raise Refused(
                "proof.time.input",
                f"proof about {stream}",
                expected="a start before the end, and before the journal's newest seal",
                found=f"{text_of_time(from_ms)} to {text_of_time(max(until_ms, 0))}",
                remedy="choose an earlier start, or wait for the next seal",
            )
        before, after = self._bracket(from_ms, until_ms)
        entries = self._chain(stream, before, after)
        bundle = self._common(stream, before, after, entries)
        bundle |= {"from": text_of_time(from_ms), "until": text_of_time(until_ms)}
        bundle["release"] = release
        first = [entry for entry in entries if entry.time_ms <= from_ms][-1:]
        inside = [*first, *(e for e in entries if from_ms < e.time_ms <= until_ms)]
        shown: dict[str, Entry] = {}
        for entry in inside:
            shown.setdefault(entry.state, entry)
        states = [self._log.state(entry) for entry in shown.values()]
        bundle["states"] = [canonical.encode(state).decode() for state in states]
        return self._checked(bundle)

    # -- one entry --------------------------------------------------------------------------------

    def entry(self, index: int) -> bytes:
        """The proof of one leaf, as C2SP text. Raises `Refused("proof.entry.missing")`."""
        noted = self._brackets.over(index) if index >= 0 else None
        if noted is None:
            raise Refused(
                "proof.entry.missing",
                f"entry {index}",
                expected="a place in the newest signed tree",
                found="none",
                remedy="see: surefoot journal show",
            )
        size = noted.size
        with self._database.read() as session:
            raw = bytes(session.rows("journal.leaves_from", first=index, limit=1)[0][1])
        proof = self._log.prove(lambda chain: chain.tree.inclusion(index, size))
        content = tlog_proof.write(raw, index, proof, noted.note)
        try:
            tlog_proof.verify_entry(content, self.trust)
        except NotProved as error:
            raise _corrupt(error.subject, error.expected, error.found) from error
        return content

    # -- the two checkpoints ----------------------------------------------------------------------

    def _bracket(self, from_ms: int, until_ms: int) -> tuple[_Edge | None, _Edge | None]:
        below, above = self._brackets.around(from_ms, until_ms)
        if below is None and above is None:
            raise Refused(
                "proof.journal.empty",
                "journal",
                expected="a signed checkpoint",
                found="none yet",
                remedy="write something first",
            )
        return (self._edge(below) if below else None, self._edge(above) if above else None)

    def _edge(self, noted: Noted) -> _Edge:
        size, note = noted.size, noted.note
        with self._database.read() as session:
            raw = bytes(session.rows("journal.leaves_from", first=size - 1, limit=1)[0][1])
        try:
            seal = parse(size - 1, raw)
        except NotAnEntry as error:
            raise _corrupt(f"leaf {size - 1} of the journal", "a seal", str(error)) from error
        if not isinstance(seal, Seal):
            raise _corrupt(f"leaf {size - 1} of the journal", "a seal", "an entry")
        return _Edge(size=size, note=note, seal=seal, map=self._map(seal))

    def _map(self, seal: Seal) -> heads.HeadsMap:
        """The heads map at this seal, from the entries; a few are kept."""
        with self._guard:
            if seal.index in self._maps:
                self._maps.move_to_end(seal.index)
                return self._maps[seal.index]
            found = self._replayed(seal)
            self._maps[seal.index] = found
            if len(self._maps) > _MAPS_KEPT:
                self._maps.popitem(last=False)
            return found

    def _replayed(self, seal: Seal) -> heads.HeadsMap:
        """Streams that have moved since are looked up by index; the others stand as they are."""
        now = self._log.prove(lambda chain: dict(chain.heads.heads))
        then = heads.HeadsMap()
        with self._database.read() as session:
            for stream, head in now.items():
                found = head if head.i < seal.index else _head_below(session, stream, seal)
                if found is not None:
                    then.set(stream, found)
        if (then.root().hex(), len(then.heads)) != (seal.heads, seal.streams):
            raise _corrupt(f"heads map at seal {seal.index}", seal.heads, then.root().hex())
        return then

    # -- the parts of a bundle --------------------------------------------------------------------

    def _chain(self, stream: str, before: _Edge | None, after: _Edge | None) -> list[Entry]:
        """The stream's entries from the head before (itself included) to the head after."""
        first = before.map.heads.get(stream) if before else None
        last = after.map.heads.get(stream) if after else first
        if last is None:
            return []
        start = first.n if first else 0
        count = last.n - start + 1
        if count > CHAIN_MAX:
            raise Refused(
                "proof.chain.oversize",
                f"proof about {stream}",
                expected=f"at most {CHAIN_MAX} entries between the two checkpoints",
                found=str(count),
                remedy="ask about a shorter time, or export the journal and verify all of it",
            )
        return self._log.stream_entries(stream, start, count)

    def _common(
        self,
        stream: str,
        before: _Edge | None,
        after: _Edge | None,
        entries: list[Entry],
        shown: Exhibits | None = None,
    ) -> Plain:
        bundle: Plain = {"format": FORMAT, "tool": self._tool, "stream": stream}
        bundle["keys"] = {"log": self._key(before, after)}
        bundle["chain"] = [{"i": entry.index, "raw": entry.raw.decode()} for entry in entries]
        edges = [edge for edge in (before, after) if edge is not None]
        leaves = {edge.seal.index for edge in edges}
        # The first needs no place in the tree when the head before is its own hash.
        bound = before is not None and stream in before.map.heads
        leaves |= {entry.index for entry in entries[bound:]}
        if shown is not None:
            kept = [each for each in shown[:EXHIBITS_MAX] if each[0].index < edges[-1].size]
            leaves |= {entry.index for entry, _ in kept}
            bundle["evidence"] = [
                {"i": entry.index, "raw": entry.raw.decode(), "texts": list(texts)}
                for entry, texts in kept
            ]
        if before is not None:
            bundle["before"] = _side(stream, before, None)
        if after is not None:
            bundle["after"] = _side(stream, after, before)
        bundle["tree"] = joined(self._log.prove(lambda chain: _between(chain.tree, leaves)))
        return bundle

    def _key(self, *edges: _Edge | None) -> str:
        """The newest key that signed all checkpoints shown; where a key changed between them, the
        present one, and only a root shows that both are the log's."""
        signed = [signers_of(edge.note, *self._keys)[1] for edge in edges if edge is not None]
        common = [key for key in self._keys if all(key in signers for signers in signed)]
        return (common or self._keys)[0].text()

    def _checked(self, bundle: Plain) -> bytes:
        content = canonical.encode(bundle)
        try:
            verify(content, self.trust)
        except NotProved as error:
            if error.code == "proof.claim.false":
                raise Refused(
                    "proof.release.present",
                    f"release {bundle['release']} in {bundle['stream']}",
                    expected="that it was never there in that time",
                    found=error.found,
                    remedy=f"see: surefoot journal show --stream {bundle['stream']}",
                ) from None
            raise _corrupt(error.subject, error.expected, error.found) from error
        return content


def _between(tree: Tree, leaves: set[int]) -> list[bytes]:
    """The largest subtrees between these leaves, from the left."""
    found, place = list[bytes](), 0
    for index in sorted(leaves):
        found += tree.between(place, index)
        place = index + 1
    return found


def _side(stream: str, edge: _Edge, earlier: _Edge | None) -> Plain:
    seal = edge.seal
    side: Plain = {
        "checkpoint": edge.note,
        "seal": {
            "clamped_ms": seal.clamped_ms,
            "streams": seal.streams,
            "time": text_of_time(seal.time_ms),
        },
    }
    answer = edge.map.answer(stream)
    if answer.present is not None:
        path = _path(answer, earlier.map.answer(stream) if earlier is not None else None)
        side["map"] = {"index": answer.present.index, "proof": joined(path)}
    else:
        neighbours = {"below": answer.below, "above": answer.above}
        side["map"] = {name: _neighbour(p) for name, p in neighbours.items() if p is not None}
    return side


def _path(answer: heads.Answer, earlier: heads.Answer | None) -> tuple[bytes, ...]:
    """The head's path in the map, without what it has in common with the earlier one's."""
    place, first = answer.present, earlier.present if earlier is not None else None
    assert place is not None
    if (
        first is None
        or earlier is None
        or (first.index, earlier.streams) != (place.index, answer.streams)
    ):
        return place.proof
    pairs = enumerate(zip(first.proof, place.proof, strict=True))
    common = next((at for at, (one, other) in pairs if one != other), len(place.proof))
    return place.proof[common:]


def _neighbour(place: heads.Place) -> Plain:
    return {
        "index": place.index,
        "leaf": joined([place.leaf]),
        "proof": joined(list(place.proof)),
    }


def _head_below(session: Session, stream: str, seal: Seal) -> heads.Head | None:
    row = session.row("journal.entry_below", stream=stream, time_ms=seal.time_ms, below=seal.index)
    if row is None:
        return None
    index, raw = int(row[0]), bytes(row[1])
    try:
        entry = read_stored(index, raw)
    except NotAnEntry as error:
        raise _corrupt(f"leaf {index} of the journal", "an entry", str(error)) from error
    if not isinstance(entry, Entry):
        raise _corrupt(f"leaf {index} of the journal", "an entry", "a seal")
    return heads.Head(i=index, leaf=leaf_hash(raw).hex(), n=entry.n, state=entry.state)


def _corrupt(subject: str, expected: str, found: str) -> Corrupt:
    return Corrupt(
        "proof.journal.differs",
        subject,
        expected=expected,
        found=found,
        remedy="run journal verify, keep a copy, and restore the newest backup",
    )
