"""Whether the books of a drill balance: what devices saw, what the registry says, what is sealed.

Keeps: nothing is believed: every report's row is compared with its leaf in a stored batch, every
leaf is proved up to the root that was fixed, and every device is asked for by its name.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from surefoot.store.device_batches import Batch
from surefoot.testing.device_door import DeviceHouse
from surefoot.testing.drill_devices import FAILED, SILENT, UNTOUCHED, UPDATED, name_of
from surefoot.trust import merkle
from surefoot.trust.device_proof import reports_of

_PORTION = 1_000
_STATES = {UPDATED: {"verified"}, FAILED: {"failed"}, SILENT: {"timed_out"}}
_LEFT = {"", "assigned", "returned"}


class Line(NamedTuple):
    """One line of the books: two figures that must be the same."""

    what: str
    expected: int
    found: int


def lines_of(house: DeviceHouse, environment: str, outcomes: bytes) -> list[Line]:
    """The books after a rollout; `outcomes` is what each device knows of itself."""
    seen = Counter(outcomes)
    states, strangers = _look(house, environment, outcomes)
    live: Counter[str] = Counter()
    for counts in house.registry.states(environment, 1).values():
        live.update(counts)
    sealed: Counter[str] = Counter()
    for counts in house.seal(environment).values():
        sealed.update(counts)
    reports, leaves, proved = _sealed_reports(house, environment)
    return [
        Line("devices accounted for", len(outcomes), sum(states.values())),
        Line("devices whose state is what they saw", len(outcomes), len(outcomes) - strangers),
        Line("verified", seen[UPDATED], sealed["verified"]),
        Line("failed", seen[FAILED], sealed["failed"]),
        Line("timed out (silent)", seen[SILENT], sealed["timed_out"]),
        Line("sealed counters that are the live ones", len(live), _alike(live, sealed)),
        Line("reports sealed", reports, leaves),
        Line("reports proved", reports, proved),
    ]


def _look(house: DeviceHouse, environment: str, outcomes: bytes) -> tuple[Counter[str], int]:
    states: Counter[str] = Counter()
    wanted = {name_of(place): outcome for place, outcome in enumerate(outcomes)}
    strangers, after = 0, ""
    while page := house.registry.page(environment, after, _PORTION):
        after = page[-1].device
        for device in page:
            states[device.state] += 1
            outcome = wanted.pop(device.device, None)
            fits = _LEFT if outcome == UNTOUCHED else _STATES.get(outcome or 0, set())
            strangers += device.state not in fits
    return states, strangers + len(wanted)


def _alike(live: Counter[str], sealed: Counter[str]) -> int:
    return sum(1 for state, count in live.items() if sealed[state] == count)


def _sealed_reports(house: DeviceHouse, environment: str) -> tuple[int, int, int]:
    """Reports in the registry, leaves in the stored batches, and leaves that were proved."""
    reports = leaves = proved = after = 0
    for batch in house.sealed:
        if batch.environment != environment:
            continue
        rows = house.batches.unsealed(environment, after, batch.count)
        after = batch.last_report
        held = reports_of(house.blobs.get(batch.digest))
        reports += len(rows)
        leaves += len(held)
        bodies = [row.body for row in rows]
        proved += _proved(batch, held) if bodies == held else 0
    reports += len(house.batches.unsealed(environment, after, 2**31))
    return reports, leaves, proved


def _proved(batch: Batch, leaves: list[bytes]) -> int:
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    tree, root = merkle.Tree(hashes), bytes.fromhex(batch.root.removeprefix("sha256:"))
    return sum(
        merkle.verify_inclusion(leaf, place, len(hashes), tree.inclusion(place), root)
        for place, leaf in enumerate(hashes)
    )
