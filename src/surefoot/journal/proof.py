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
from surefoot.trust.bundle import CHAIN_MAX, EXHIBITS_MAX, FORMAT, NotProved, joined
from surefoot.trust.chain import Chain
from surefoot.trust.entry import (
    Entry,
    NotAnEntry,
    Plain,
    Seal,
    parse,
    read_stored,
    text_of_time,
)
from surefoot.trust.merkle import leaf_hash
from surefoot.trust.note import signers_of, verifiers
from surefoot.trust.proof import verify
from surefoot.trust.quorum import TrustPolicy
from surefoot.trust.root import unsigned_root

_MAPS_KEPT = 8
_NO_WITNESS = TrustPolicy()

Beside = Callable[[Plain], Sequence[tuple[Entry, Sequence[str]]]]
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
        bundle = self._common(stream, before, after, entries)
        bundle["at"] = text_of_time(at_ms)
        then = [entry for entry in entries if entry.time_ms <= at_ms]
        if then and beside is not None:
            last = after or before
            assert last is not None
            shown = beside(self._log.state(then[-1]))
            bundle["evidence"] = self._log.prove(lambda chain: _exhibits(chain, last, shown))
        if then:
            bundle["state"] = canonical.encode(self._log.state(then[-1])).decode()
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
        self, stream: str, before: _Edge | None, after: _Edge | None, entries: list[Entry]
    ) -> Plain:
        def parts(chain: Chain) -> Plain:
            found: Plain = {"chain": _links(chain, stream, before, after, entries)}
            if before is not None:
                found["before"] = _side(chain, stream, before)
            if after is not None:
                found["after"] = _side(chain, stream, after)
            if before is not None and after is not None:
                found["consistency"] = joined(chain.tree.consistency(before.size, after.size))
            return found

        about: Plain = {"format": FORMAT, "tool": self._tool, "stream": stream}
        return {**about, "keys": {"log": self._key(before, after)}, **self._log.prove(parts)}

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


def _exhibits(
    chain: Chain, last: _Edge, shown: Sequence[tuple[Entry, Sequence[str]]]
) -> list[canonical.JSON]:
    """Those entries that the last tree has, each with its proof and the texts that it names."""
    return [
        {
            "i": entry.index,
            "raw": entry.raw.decode(),
            "proof": joined(chain.tree.inclusion(entry.index, last.size)),
            "texts": list(texts),
        }
        for entry, texts in shown[:EXHIBITS_MAX]
        if entry.index < last.size
    ]


def _side(chain: Chain, stream: str, edge: _Edge) -> Plain:
    side: Plain = {
        "checkpoint": edge.note,
        "seal": edge.seal.raw.decode(),
        "seal_proof": joined(chain.tree.inclusion(edge.seal.index, edge.size)),
    }
    answer = edge.map.answer(stream)
    if answer.present is not None:
        head = edge.map.heads[stream]
        side["head"] = {"i": head.i, "leaf": head.leaf, "n": head.n, "state": head.state}
        place = answer.present
        side["map"] = {"index": place.index, "proof": joined(list(place.proof))}
    else:
        neighbours = {"below": answer.below, "above": answer.above}
        side["map"] = {name: _neighbour(p) for name, p in neighbours.items() if p is not None}
    return side


def _neighbour(place: heads.Place) -> Plain:
    return {
        "index": place.index,
        "leaf": joined([place.leaf]),
        "proof": joined(list(place.proof)),
    }


def _links(
    chain: Chain, stream: str, before: _Edge | None, after: _Edge | None, entries: list[Entry]
) -> list[canonical.JSON]:
    """The first needs no proof when the head before is its own hash."""
    bound = before is not None and stream in before.map.heads
    links: list[canonical.JSON] = []
    for place, entry in enumerate(entries):
        link: Plain = {"i": entry.index, "raw": entry.raw.decode()}
        if after is not None and (place or not bound):
            link["proof"] = joined(chain.tree.inclusion(entry.index, after.size))
        links.append(link)
    return links


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
