"""The size of a proof in a journal of a million leaves and a thousand streams, without writing one.

All that a proof shows of other leaves are hashes over subtrees, so these are drawn at random; what
it is about (seals, heads, entry, state, signatures) is real, and verified.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from surefoot.testing.journal import KEY
from surefoot.testing.root_scene import ANCHOR, START_MS, W1, W3
from surefoot.trust import canonical, merkle
from surefoot.trust.cosignature import CosignerSigner
from surefoot.trust.digest import Digest, digest_of
from surefoot.trust.entry import Actor, Entry, Plain, Seal, build, build_seal, text_of_time
from surefoot.trust.form import joined
from surefoot.trust.heads import Head, HeadsMap
from surefoot.trust.note import Checkpoint
from surefoot.trust.proof import verify
from surefoot.trust.short_bundle import FORMAT

MILLION = 1 << 20
STREAMS = 1_000
BATCH = 250
STREAM = "env/production"
AT_MS = START_MS + 1_000

# Where the earlier seal is, and with it how many hashes lie between the leaves that are shown: of
# 100,000 random places up to a million, with a batch behind them, half have at most 18, one in 100
# has more than 23, and none more than 26. With no entry between the two seals it is at most 19.
HALF, ONE_IN_100, WORST, WORST_ALONE = 0xF8000, 0xF8784, 0xFFEFC, 0xFFFFD

Moved = Callable[[random.Random, HeadsMap], None]


def digest(chance: random.Random) -> str:
    return digest_of(chance.randbytes(8))


def part(chance: random.Random) -> Plain:
    """What is running as one component, in the words of an environment's state."""
    found: Plain = {"artifact": digest(chance), "deployment": 202, "kind": "service"}
    return {**found, "release": digest(chance), "version": f"1.{chance.randrange(10**6)}.0"}


def entry_of(chance: random.Random, web: Plain, state: bytes) -> Entry:
    """The entry by which the environment's component became what it is."""
    return Entry(
        index=900_000,
        kind="ComponentChanged",
        stream=STREAM,
        n=5_000,
        prev=chance.randbytes(32).hex(),
        time_ms=START_MS - 60_000,
        actor=Actor(type="person", id="ann", auth="SHA256:" + "a" * 43),
        request=chance.randbytes(16).hex(),
        body={**web, "component": "web", "environment": "production"},
        state=Digest(digest_of(state)),
        state_schema=1,
    )


def few_moved(chance: random.Random, heads: HeadsMap) -> None:
    """One other stream has a newer head."""
    stream = f"deployment/{chance.randrange(STREAMS - 1)}"
    heads.set(stream, Head(i=1, leaf="0" * 64, n=1, state="sha256:" + "0" * 64))


def all_moved(chance: random.Random, heads: HeadsMap) -> None:
    """Every other stream has one: no hash of the map stayed."""
    for number in range(STREAMS - 1):
        head = Head(i=MILLION - 1, leaf=chance.randbytes(32).hex(), n=9_999, state=digest(chance))
        heads.set(f"deployment/{number}", head)


def proof(signers: list[CosignerSigner], first: int, gap: int, moved: Moved) -> bytes:
    """A proof between two trees of about a million leaves, `gap` entries apart."""
    chance = random.Random(1)
    parts: Plain = {name: part(chance) for name in ("api", "web", "worker")}
    state = canonical.encode({"components": parts, "name": "production"})
    entry = entry_of(chance, part(chance), state)
    raw, heads, tree = build(entry), HeadsMap(), merkle.Partial()
    all_moved(chance, heads)
    leaf = merkle.leaf_hash(raw).hex()
    heads.set(STREAM, Head(i=entry.index, leaf=leaf, n=entry.n, state=entry.state))
    hashes: list[bytes] = []
    sides: list[Plain] = []
    paths: list[tuple[bytes, ...]] = []
    place = 0
    for index, time_ms in ((first, START_MS), (first + gap + 1, START_MS + 2_000)):
        if sides:
            moved(chance, heads)
        for start, stop in merkle.cover(place, index):
            hashes.append(chance.randbytes(32))
            tree.put(start, stop, hashes[-1])
        seal = Seal(
            index=index,
            covers=index,
            root=tree.root(index).hex(),
            heads=heads.root().hex(),
            streams=STREAMS,
            time_ms=time_ms,
        )
        tree.put(index, index + 1, merkle.leaf_hash(build_seal(seal)))
        place = index + 1
        text = Checkpoint(origin=KEY.verifier.name, size=place, root=tree.root(place)).text()
        note = KEY.sign(text) + "".join(each.cosign(text, time_ms // 1000) for each in signers)
        found = heads.answer(STREAM).present
        assert found is not None
        paths.append(found.proof)
        same = next((n for n, each in enumerate(paths[0]) if each != found.proof[n]), 10)
        path = found.proof[same:] if sides else found.proof
        said: Plain = {"clamped_ms": 0, "streams": STREAMS, "time": text_of_time(time_ms)}
        at: Plain = {"index": found.index, "proof": joined(path)}
        sides.append({"checkpoint": note, "map": at, "seal": said})
    return canonical.encode(
        {
            "after": sides[1],
            "at": text_of_time(AT_MS),
            "before": sides[0],
            "chain": [{"i": entry.index, "raw": raw.decode()}],
            "format": FORMAT,
            "keys": {"log": KEY.verifier.text()},
            "state": state.decode(),
            "stream": STREAM,
            "tool": "surefoot 0.1.0",
            "tree": joined(hashes),
        }
    )


WITNESSES = [W1, W3]


@pytest.mark.parametrize(
    ("signers", "first", "gap", "moved", "bytes_max"),
    [
        ([], WORST, BATCH, all_moved, 5_000),
        (WITNESSES, WORST_ALONE, 0, few_moved, 5_000),
        (WITNESSES, HALF, BATCH, few_moved, 5_000),
        (WITNESSES, ONE_IN_100, BATCH, all_moved, 5_000),
        (WITNESSES, WORST, BATCH, all_moved, 5_000),
        ([*WITNESSES, ANCHOR], WORST, BATCH, all_moved, 13_000),
    ],
)
def test_a_proof_in_a_million_leaves_is_small(
    signers: list[CosignerSigner], first: int, gap: int, moved: Moved, bytes_max: int
) -> None:
    content = proof(signers, first, gap, moved)
    assert verify(content, KEY.verifier.text()).changes == 0
    assert len(content) <= bytes_max
