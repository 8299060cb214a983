"""Judges the devices that came after a rollout's last wave, and takes no more when too many fail.

Keeps: the verdict is of sealed counters and of the plan that was signed; it is an alarm in the
journal before the registry takes nobody any more, so that a crash between the two repeats it.
Does not: take back what newcomers have begun, or judge the waves (`core.progress`).
"""

from __future__ import annotations

import logging
from typing import TypeAlias

import msgspec

from surefoot.core import facts as f
from surefoot.core.errors import SurefootError
from surefoot.core.governance import WavePolicy
from surefoot.core.plan import decode
from surefoot.core.rollout import NEWCOMERS_WAVE, RolloutCounters, judge_newcomers
from surefoot.core.target import Blobs
from surefoot.core.world import World
from surefoot.engine.effects import draft
from surefoot.journal.log import Log
from surefoot.store.device_newcomers import DeviceNewcomers
from surefoot.trust.digest import Digest
from surefoot.trust.entry import Actor

_log = logging.getLogger("surefoot.devices")
_SUBJECT_MAX = 500
_Sealed: TypeAlias = tuple[str, RolloutCounters]


class NewcomerJudge:
    """See the module. Call `run` from one thread, after the device reports were sealed."""

    def __init__(
        self, log: Log[World], blobs: Blobs, newcomers: DeviceNewcomers, actor: Actor
    ) -> None:
        self._log = log
        self._blobs = blobs
        self._newcomers = newcomers
        self._actor = actor
        self._policies: dict[str, WavePolicy] = {}
        self._told: set[int] = set()

    def run(self) -> int:
        """Look at every rollout that takes newcomers; how many were stopped."""
        stopped = 0
        for environment, deployment in self._newcomers.open():
            plan, counters = self._log.read(
                lambda w, e=environment, d=deployment: _sealed(w, e, d)  # type: ignore[misc]
            )
            if plan and NEWCOMERS_WAVE in counters:
                stopped += self._judge(environment, deployment, (plan, counters))
        return stopped

    def _judge(self, environment: str, deployment: int, sealed: _Sealed) -> bool:
        found = judge_newcomers(sealed[1], self._policy(sealed[0]))
        if found.verdict != "stopped":
            return False
        subject = f"deployment {deployment} of {environment}: {found.reason}"
        alarm = f.AlarmRaised(code="newcomers.stopped", subject=subject[:_SUBJECT_MAX])
        try:
            if deployment not in self._told:
                self._log.transact(lambda w: [draft(alarm)], self._actor, f"newcomers {deployment}")
                self._told.add(deployment)
            # A crash here repeats the alarm, and then closes; a failure to close does not.
            withdrawn = self._newcomers.close(environment, deployment)
        except SurefootError as error:
            _log.error("newcomers of %s: %s", environment, error)
            return False
        _log.warning("%s; %d withdrawn", subject, withdrawn)
        return True

    def _policy(self, plan: str) -> WavePolicy:
        if plan not in self._policies:
            policy = decode(self._blobs.get(Digest(plan))).wave_policy
            self._policies[plan] = msgspec.convert(policy, WavePolicy)
        return self._policies[plan]


def _sealed(world: World, environment: str, deployment: int) -> _Sealed:
    """The rollout's plan and its sealed counters; empty where there are none."""
    found, books = world.deployments.get(deployment), world.devices.get(environment)
    if found is None or books is None or found.environment != environment:
        return "", {}
    return found.plan, books.waves.get(str(deployment), {})  # type: ignore[return-value]
