"""How facts of the journal's own keys change the world; the rules are those of `fold`."""

from __future__ import annotations

from typing import Any

from surefoot.core import facts_trust as f
from surefoot.core import world as w
from surefoot.core.fact import Fact


def _root(world: w.World, fact: f.RootPublished, entry: w.Recorded) -> None:
    world.root = w.RootState(version=fact.version, digest=fact.digest)


def _rotated(world: w.World, fact: f.LogKeyRotated, entry: w.Recorded) -> None:
    world.log.key, world.log.rotations = fact.new, world.log.rotations + 1


def _epoch(world: w.World, fact: f.EpochOpened, entry: w.Recorded) -> None:
    world.log.epoch, world.log.key, world.log.cause = fact.epoch, fact.key, fact.cause
    if fact.lost_until:
        world.log.lost = [*world.log.lost, [fact.lost_from, fact.lost_until]]


def _erased(world: w.World, fact: f.PayloadErased, entry: w.Recorded) -> None:
    # A snapshot from before the first erasure does not know the tally.
    world.tallies.setdefault("erasures", w.Tally()).count += 1


FOLDS: dict[type[Fact], Any] = {
    f.RootPublished: _root,
    f.PayloadErased: _erased,
    f.LogKeyRotated: _rotated,
    f.EpochOpened: _epoch,
}
