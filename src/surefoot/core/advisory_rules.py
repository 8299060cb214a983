"""Which snapshot of advisories is taken: signed by one that the definition names, and newer.

Keeps: an older snapshot is never put back, so that nobody makes a known weakness unknown again;
one of the future is refused, for none could follow it. Pure rules.
"""

from __future__ import annotations

from collections.abc import Mapping

from surefoot.core import facts as f
from surefoot.core.advisory_policy import AdvisoryPolicy
from surefoot.core.advisory_report import HOUR_MS
from surefoot.core.errors import Refused
from surefoot.core.policy import Asker, require
from surefoot.core.world import World
from surefoot.trust.entry import text_of_time
from surefoot.trust.keys import PublicKey, parse_public_line

PERMISSION = "finding.manage"
_MANY = 20
"""Fewer records about an ecosystem come and go."""


def policy_of(world: World) -> AdvisoryPolicy:
    """What the rules in force say of advisories."""
    return world.definition.governance.advisories


def signers_of(world: World) -> list[PublicKey]:
    """Whose snapshots are taken. Raises `Refused` when the definition names nobody."""
    lines = policy_of(world).signers
    if not lines:
        raise Refused(
            "advisories.signer.none",
            "advisories",
            expected="somebody whose snapshots are believed",
            found="no signers in the definition in force",
            remedy="name their keys in surefoot.yaml under advisories: signers, and accept it",
        )
    return [parse_public_line(line)[0] for line in lines]


def check_new(world: World, made_at_ms: int, snapshot: str, now_ms: int) -> bool:
    """False when this very snapshot is in force. Raises `Refused` for one that is not newer."""
    held = world.advisories
    if snapshot and held.snapshot == snapshot:
        return False
    if held.snapshot and made_at_ms <= held.made_at_ms:
        raise Refused(
            "advisories.snapshot.older",
            "snapshot",
            expected=f"one made after {text_of_time(held.made_at_ms)}, which is in force",
            found=f"one made at {text_of_time(made_at_ms)}",
            remedy="make a new snapshot: an older one is never put back",
        )
    if made_at_ms > now_ms + HOUR_MS:
        raise Refused(
            "advisories.snapshot.future",
            "snapshot",
            expected=f"one made up to now, {text_of_time(now_ms)}",
            found=f"one made at {text_of_time(made_at_ms)}",
            remedy="set the clock of the machine that makes snapshots right, and make a new one",
        )
    return True


def check_whole(world: World, ecosystems: Mapping[str, int], less: bool) -> None:
    """Refuse a snapshot that lost most of what one in force knows: its source was cut short."""
    for name, held in world.advisories.ecosystems.items():
        found = ecosystems.get(name, 0)
        if not less and held >= _MANY and found * 2 < held:
            raise Refused(
                "advisories.snapshot.less",
                "snapshot",
                expected=f"at least half of the {held} records about {name} that are in force",
                found=f"{found}",
                remedy="look whether its source is whole; if it is meant so: --less --reason TEXT",
            )


def take(
    world: World, asker: Asker, fact: f.AdvisoriesImported, now_ms: int, less: bool = False
) -> list[f.Fact]:
    """Judge by this snapshot from now on; the same again changes nothing."""
    require(world, asker, PERMISSION)
    if fact.signer not in {key.fingerprint for key in signers_of(world)}:
        raise Refused(
            "advisories.snapshot.signature",
            "snapshot",
            expected="a signature of a key that the definition in force names",
            found=fact.signer,
            remedy="import it again",
        )
    if not check_new(world, fact.made_at_ms, fact.snapshot, now_ms):
        return []
    check_whole(world, fact.ecosystems, less)
    return [fact]
