"""How facts about advisories change the world; the rules are those of `fold`."""

from __future__ import annotations

from typing import Any

from surefoot.core import facts_advisory as f
from surefoot.core import world as w
from surefoot.core.fact import Fact


def _imported(world: w.World, fact: f.AdvisoriesImported, entry: w.Recorded) -> None:
    world.advisories = w.AdvisoryState(
        snapshot=fact.snapshot,
        signer=fact.signer,
        made_at_ms=fact.made_at_ms,
        newest_ms=fact.newest_ms,
        taken_ms=entry.time_ms,
        records=fact.records,
        withdrawn=fact.withdrawn,
        exploited=fact.exploited,
        likely=fact.likely,
        ecosystems=fact.ecosystems,
        vex=world.advisories.vex,
    )


def _vex(world: w.World, fact: f.VexImported, entry: w.Recorded) -> None:
    document = w.VexDocument(
        document=fact.document, taken_ms=entry.time_ms, statements=fact.statements
    )
    world.advisories.vex = {**world.advisories.vex, fact.component: document}


FOLDS: dict[type[Fact], Any] = {
    f.AdvisoriesImported: _imported,
    f.VexImported: _vex,
}
