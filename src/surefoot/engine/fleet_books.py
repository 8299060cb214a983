"""The books of the fleet: device reports enter the journal in batches, one fact a batch.

Keeps: rules read only what a sealed batch says; counters are cumulative and a batch is fixed
before its fact is written, so a crash between fact and mark counts nothing twice; each report is
provable inside its batch, and each number is somebody's.
Does not: append to the journal; the caller does, with `fact`.

    while (batch := books.collect(environment)) is not None:
        append the fact unless the world's last_report already reaches it
        books.mark_sealed(batch, index)
"""

from __future__ import annotations

import logging

import msgspec

from surefoot.core.facts import DeviceBatchSealed
from surefoot.core.target import Blobs
from surefoot.store.device import DeviceRegistry
from surefoot.store.device_batches import Batch, Counters, DeviceBatches, Report
from surefoot.trust import canonical, merkle
from surefoot.trust.device_proof import BATCH_FORMAT, by_device, reports_of
from surefoot.trust.digest import Digest

_log = logging.getLogger("surefoot.devices")

_REPORTS_MAX = 5_000


class FleetBooks:
    """Seals the reports of all environments. Call from one thread; processes may race."""

    def __init__(self, registry: DeviceRegistry, batches: DeviceBatches, blobs: Blobs) -> None:
        self._registry = registry
        self._batches = batches
        self._blobs = blobs

    def collect(self, environment: str) -> Batch | None:
        """The batch to seal next: one prepared before a crash, else the next reports, else None.

        Times out overdue actions first, so that silence shows in the counters.
        """
        self._registry.expire()
        for _ in range(8):
            found = self._batches.newest(environment)
            if found is not None and found[1] < 0:
                return found[0]
            after = found[0].last_report if found else 0
            firmware = found[0].firmware if found else {}
            reports = self._batches.unsealed(environment, after, _REPORTS_MAX)
            if not reports:
                return None
            batch = self._make(environment, reports, firmware)
            batch = self._accounted(batch, after)
            self._batches.prepare(environment, after, batch)
        return None

    def mark_sealed(self, batch: Batch, journal_index: int) -> None:
        """Note that the batch's fact is in the journal at this position."""
        self._batches.mark(batch, journal_index)

    def _accounted(self, batch: Batch, after: int) -> Batch:
        """The batch, with what became of each number since the last one.

        Numbers are taken and used in one transaction, so none can be left over. Were a report taken
        out of the table before it is sealed, the batch would say so for ever.
        """
        others = self._batches.others(batch.environment, after, batch.last_report)
        missing = batch.last_report - after - batch.count - others
        if missing:
            words = ("numbers %d to %d of %s: %d reports are missing", after + 1)
            _log.error(*words, batch.last_report, batch.environment, missing)
        return msgspec.structs.replace(batch, others=others)

    def _make(self, environment: str, reports: list[Report], firmware: dict[str, int]) -> Batch:
        deployment, part = _one_rollout(reports)
        before = self._batches.newest_of(environment, deployment) if deployment else None
        waves = _count_waves(before.waves if before else {}, part)
        versions = _count_firmware(firmware, part)
        root = merkle.root_of(merkle.leaf_hash(report.body) for report in part)
        ordered = by_device([report.body for report in part])
        second = merkle.root_of(merkle.leaf_hash(raw) for raw in ordered)
        digest = self._blobs.put(_object(environment, deployment, part))
        return Batch(
            environment=environment,
            deployment=deployment,
            first_report=part[0].report,
            last_report=part[-1].report,
            count=len(part),
            root=Digest(f"sha256:{root.hex()}"),
            digest=digest,
            waves=waves,
            firmware=versions,
            by_device=f"sha256:{second.hex()}",
            admitted=sum(_is_admission(report.body) for report in part),
        )


def fact(batch: Batch) -> DeviceBatchSealed:
    """The fact that seals the batch."""
    return DeviceBatchSealed(
        environment=batch.environment,
        batch=batch.digest,
        root=batch.root,
        count=batch.count,
        first_report=batch.first_report,
        last_report=batch.last_report,
        deployment=batch.deployment,
        waves={wave: dict(count) for wave, count in batch.waves.items()},
        firmware=dict(batch.firmware),
        by_device=batch.by_device,
        admitted=batch.admitted,
        others=batch.others,
    )


def prove(content: bytes, report: int) -> tuple[bytes, int, list[bytes]]:
    """A report's bytes, its place in its batch, and the Merkle proof up to the batch's root.

    `content` is the batch's object. Raises `KeyError` when the batch has no such report.
    """
    leaves = reports_of(content)
    for place, leaf in enumerate(leaves):
        held = canonical.parse(leaf)
        if isinstance(held, dict) and held.get("report") == report:
            tree = merkle.Tree(merkle.leaf_hash(each) for each in leaves)
            return leaf, place, tree.inclusion(place)
    raise KeyError(report)


def _one_rollout(reports: list[Report]) -> tuple[int, list[Report]]:
    """The longest beginning that belongs to one rollout; reports without one go along."""
    deployment, part = 0, []
    for report in reports:
        if report.deployment and deployment and report.deployment != deployment:
            break
        deployment = deployment or report.deployment
        part.append(report)
    return deployment, part


def _count_waves(before: Counters, part: list[Report]) -> Counters:
    waves = {wave: dict(count) for wave, count in before.items()}
    for report in part:
        if not report.deployment:
            continue
        count = waves.setdefault(report.wave, {})
        if report.from_state == report.to_state:
            continue
        if report.from_state:
            count[report.from_state] -= 1
        # A device that never asked is offline rather than faulty: a class of its own.
        silent = report.from_state == "assigned" and report.to_state == "timed_out"
        name = "silent" if silent else report.to_state
        count[name] = count.get(name, 0) + 1
    return {w: {s: n for s, n in count.items() if n} for w, count in waves.items()}


def _count_firmware(before: dict[str, int], part: list[Report]) -> dict[str, int]:
    versions = dict(before)
    for report in part:
        if report.ran == report.runs:
            continue
        if report.ran:
            versions[report.ran] = versions.get(report.ran, 0) - 1
        if report.runs:
            versions[report.runs] = versions.get(report.runs, 0) + 1
    return {version: number for version, number in versions.items() if number > 0}


def _is_admission(body: bytes) -> bool:
    """Whether the report says that a new device came in by a code."""
    if b'"via":"code ' not in body:  # most are something else, and a batch has thousands
        return False
    held = canonical.parse(body)
    told = held.get("told") if isinstance(held, dict) else None
    return isinstance(told, dict) and told.get("type") == "standing"


def _object(environment: str, deployment: int, part: list[Report]) -> bytes:
    """Canonical bytes: the reports are canonical already, so they are joined, not encoded anew."""
    head = canonical.encode(
        {"deployment": deployment, "environment": environment, "format": BATCH_FORMAT}
    )
    return head[:-1] + b',"reports":[' + b",".join(r.body for r in part) + b"]}"
