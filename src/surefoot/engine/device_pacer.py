"""The pacer: lets devices of open rollouts begin when their turn comes, and holds them when not.

Keeps: the rollout's pause, end and sealed counters are the journal's; newcomers are given nothing
while a freeze is in force; a rollout without anything due costs one look. Does not: decide
(`core.pace`) or change a device's action by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from surefoot.core.environment import frozen_by
from surefoot.core.pace import Offset
from surefoot.core.rollout import of_wave
from surefoot.core.world import Deployment, World
from surefoot.store.device_newcomers import DeviceNewcomers
from surefoot.store.device_pacing import PORTION, DevicePacing, Rollout

_log = logging.getLogger("surefoot.devices")

_PORTIONS_MAX = 10
_NAME_MAX = 64
_ZONES_MAX = 1_000


class DevicePacer:
    """See the module. Call `run` from one thread, after the device reports were sealed."""

    def __init__(
        self,
        pacing: DevicePacing,
        newcomers: DeviceNewcomers,
        read: Callable[[Callable[[World], Rollout]], Rollout],
        now_ms: Callable[[], int],
    ) -> None:
        self._pacing = pacing
        self._newcomers = newcomers
        self._read = read
        self._now_ms = now_ms
        self._zones = Zones()

    def run(self) -> int:
        """Do what is due; how many devices were let begin, held or withdrawn."""
        self._welcome()
        changed = 0
        for environment, deployment in self._pacing.rollouts():
            for _ in range(_PORTIONS_MAX):
                found = self._read(
                    lambda w, e=environment, d=deployment: rollout_of(w, e, d)  # type: ignore[misc]
                )
                done = self._pacing.pace(found, self._zones.offset_of)
                changed += done
                if done < PORTION:
                    break
        return changed

    def _welcome(self) -> None:
        """Newcomers to rollouts that passed wait for their turn like all others."""
        now_ms = self._now_ms()
        for environment, deployment in self._newcomers.rollouts():
            found = self._read(
                lambda w, e=environment, d=deployment: rollout_of(w, e, d, now_ms)  # type: ignore[misc]
            )
            if found.passed and not found.paused:
                self._newcomers.take(environment, deployment)


def rollout_of(world: World, environment: str, deployment: int, now_ms: int = 0) -> Rollout:
    """A rollout as the journal has it; at a time in a freeze it has not passed yet."""
    found = world.deployments.get(deployment)
    books = world.devices.get(environment)
    waves = books.waves.get(str(deployment), {}) if books else {}
    count = of_wave(waves, "0", "verified")  # type: ignore[arg-type]
    return Rollout(
        environment=environment,
        deployment=deployment,
        paused=found.paused if found else False,
        ended=bool(found.ended_ms) if found else True,
        count=count,
        passed=found is not None
        and _has_passed(world, found)
        and not frozen_by(world, environment, now_ms),
    )


def _has_passed(world: World, found: Deployment) -> bool:
    """Whether the last wave's verdict was good, and nothing newer is on its way."""
    active = world.active_deployment(found.environment)
    if active is not None and active.number > found.number:
        return False
    if found.returning or found.stopping or found.status not in ("running", "succeeded"):
        return False
    return all(s.status == "done" for s in found.steps.values() if s.id.startswith("await-"))


class Zones:
    """Time zones by their IANA names, from the machine's own tables; remembers what it said."""

    def __init__(self) -> None:
        self._offsets: dict[tuple[str, str], Offset] = {}

    def offset_of(self, name: str, default: str = "UTC") -> Offset:
        """The zone's offset; of the default for a name that is not known, which is said once."""
        key = (name, default)
        if key not in self._offsets:
            found = self._found(name, default)
            if len(self._offsets) >= _ZONES_MAX:
                self._offsets.clear()
            self._offsets[key] = found
        return self._offsets[key]

    def _found(self, name: str, default: str) -> Offset:
        try:
            if len(name) > _NAME_MAX:
                raise ValueError("a name too long")
            return _offset(ZoneInfo(name))
        except (KeyError, ValueError, OSError):
            if name == default or default == "UTC":
                _log.warning("time zone %r is not known: UTC is taken", name[:_NAME_MAX])
                return lambda moment_ms: 0
            _log.warning("time zone %r is not known: %s is taken", name[:_NAME_MAX], default)
            return self.offset_of(default)


def _offset(zone: ZoneInfo) -> Offset:
    def offset(moment_ms: int) -> int:
        ahead = datetime.fromtimestamp(moment_ms // 1000, UTC).astimezone(zone).utcoffset()
        return int(ahead.total_seconds()) if ahead else 0

    return offset
