"""What the registry knows of devices, in the words of the rule that judges them.

Keeps: a device that showed no version since an image was begun may run that image, as well as what
it showed before; devices of which the same is known are judged once. Does not: decide
(`core.eligibility`) or write.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec

from surefoot.core.device import attributes_of
from surefoot.core.eligibility import Demand, Judgement, Known, judge
from surefoot.store.database import Row, Session, Value

Doubt: TypeAlias = Mapping[str, Sequence[str]]

_CACHE_MAX = 100_000
_NO_ATTRIBUTES = "{}"
_DIGEST = "digest"
"""Part of each name in `core.device.DIGEST_NAMES`."""


class Candidate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A device as it is judged, in the order of the statement `assignable`."""

    number: int
    device: str
    runs: str
    auto_confirm: str
    hardware: str
    attributes: str
    standing: str
    profile: str


def begun(session: Session, environment: str) -> dict[int, Doubt]:
    """By device number and attribute: versions begun since the device last showed one."""
    found: dict[int, dict[str, list[str]]] = {}
    for number, attribute, version in session.each("device.begun", environment=environment):
        found.setdefault(number, {}).setdefault(attribute, []).append(version)
    return {**found}


def known_of(device: Candidate, doubt: Doubt) -> Known:
    """One device. A version that something has put in doubt since is one that it may run."""
    attributes = msgspec.json.decode(device.attributes, type=dict[str, str])
    last = attributes_of(attributes)
    parts = [name for name in attributes if name.endswith("_version")]
    may_run = {name: list(versions) for name, versions in doubt.items()}
    if not device.runs and last.version:
        may_run.setdefault("", []).append(last.version)
    return Known(
        standing=device.standing,
        hardware=device.hardware,
        profile=device.profile,
        shown={**attributes, "": device.runs},
        digests={"": last.sha256} | {n: attributes_of(attributes, n).sha256 for n in parts},
        may_run=may_run,
    )


class Judgements:
    """Judges many devices for one rollout. Not for several threads.

    `words` are the parameters of the statement that reads them: attributes are read only where
    they could change the judgement.
    """

    def __init__(self, demand: Demand, doubts: Mapping[int, Doubt]) -> None:
        self._demand = demand
        self._doubts = doubts
        # Those whose attributes say more than the version that they are known to run.
        versions = {part.version for part in demand.parts}
        self._close = versions | {""}
        self._parts = any(part.attribute for part in demand.parts)
        self._cache: dict[tuple[str, str, str, str], Judgement] = {}
        whole = bool(doubts) or self._parts or len(versions) > 1
        self.words: dict[str, Value] = {"whole": int(whole), "version": min(versions)}

    def each(
        self, rows: Iterable[Row], settled: Container[int] = ()
    ) -> Iterator[tuple[Row, Judgement | None]]:
        """Rows of `assignable`, each with its judgement; None for those that are settled."""
        close, doubts, parts, known = self._close, self._doubts, self._parts, self._cache.get
        for row in rows:
            number, _, runs, _, hardware, attributes, standing, profile = row[:8]
            if settled and number in settled:
                yield row, None
                continue
            found = known((hardware, profile, runs, standing))
            if (
                found is None
                or parts
                or (runs in close and attributes != _NO_ATTRIBUTES)
                or (doubts and number in doubts)
            ):
                found = self.of(Candidate(*row[:8]))
            yield row, found

    def of(self, device: Candidate) -> Judgement:
        """The judgement of one device."""
        doubt = self._doubts.get(device.number) if self._doubts else None
        if doubt or self._parts or self._is_close(device):
            return judge(known_of(device, doubt or {}), self._demand)
        key = (device.hardware, device.profile, device.runs, device.standing)
        found = self._cache.get(key)
        if found is None:
            found = judge(known_of(device, {}), self._demand)
            if len(self._cache) < _CACHE_MAX:
                self._cache[key] = found
        return found

    def _is_close(self, device: Candidate) -> bool:
        """Whether attributes may say more than the version: another, or an image's digest."""
        if device.runs not in self._close or device.attributes == _NO_ATTRIBUTES:
            return False
        return not device.runs or _DIGEST in device.attributes
