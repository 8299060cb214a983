"""The fleet target: the devices of one environment, moved to a firmware in waves.

Keeps: `apply` assigns and returns at once, the engine waits for sealed counters; fence, receipt,
assignment and the proof of its claim, which the device door verifies again before it offers
anything, are one transaction; what moves by itself (states, versions) is volatile, so it
never voids a plan. Does not: judge a wave (`core.rollout`) or talk to devices (the device door).

Desired, from a release: `deployment` (number), `release` (digest), `component` (name),
`firmware` (a `core.offer.Firmware` as plain JSON), `waves` (rising percentages to 100),
`policy` (a `core.governance.WavePolicy`), and, where there is an earlier release to return to,
`previous` ({"release": digest, "firmware": {...}}). `parts` are images that go before `firmware`,
`stones` those of earlier releases that a device may have to take on its way (`core.eligibility`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from surefoot.core.errors import Refused
from surefoot.core.governance import WavePolicy
from surefoot.core.interlock import Interlock, encode_claimed
from surefoot.core.offer import Firmware
from surefoot.core.rollout import check_policy, check_waves
from surefoot.core.target import Capabilities, Observation, Outcome, Plain, Step, Token
from surefoot.store.database import Database
from surefoot.store.device import DeviceRegistry
from surefoot.store.device_rollouts import DeviceRollouts, Return, Wave
from surefoot.store.device_target import Targeting
from surefoot.trust import canonical

T = TypeVar("T")

CAPABILITIES = Capabilities(
    name="fleet",
    actions=("wave", "return_devices", "stop_rollout"),
    can_roll_back=True,
    can_dry_run=True,
)
_RETURN_SECONDS_MIN = 60


class Previous(msgspec.Struct, frozen=True, kw_only=True):
    """What devices of a stopped rollout return to."""

    release: str
    firmware: Firmware
    parts: tuple[Firmware, ...] = ()


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """See the module."""

    deployment: int
    release: str
    firmware: Firmware
    component: str = "firmware"
    waves: tuple[int, ...] = (100,)
    policy: WavePolicy = WavePolicy()
    previous: Previous | None = None
    parts: tuple[Firmware, ...] = ()
    stones: tuple[Firmware, ...] = ()


class WaveArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of a step: everything its effect depends on."""

    deployment: int
    release: str
    firmware: Firmware
    wave: int
    percent: int
    policy: WavePolicy
    count: int = 0
    previous: Previous | None = None
    parts: tuple[Firmware, ...] = ()
    stones: tuple[Firmware, ...] = ()


class FleetTarget:
    """See the module. May be called from any thread; processes may race, the fence decides."""

    def __init__(
        self,
        environment: str,
        database: Database,
        registry: DeviceRegistry,
        now_ms: Callable[[], int],
        *,
        interlock: Interlock,
        name: str = "fleet",
    ) -> None:
        self._environment = environment
        self._registry = registry
        self._interlock = interlock
        self._name = name
        self._rollouts = DeviceRollouts(database, environment, now_ms)

    @property
    def capabilities(self) -> Capabilities:
        """Constant for the driver."""
        return CAPABILITIES

    def observe(self) -> Observation:
        """Stable: the newest rollout. Volatile: states of its waves, versions devices say."""
        newest = next(iter(self._rollouts.newest()), None)
        stable: Plain = {}
        states: Plain = {}
        if newest is not None:
            stable = {
                "assignments/release": newest.release,
                "assignments/firmware": newest.firmware,
                "assignments/version": newest.version,
                "assignments/deployment": newest.deployment,
                "assignments/status": newest.status,
            }
            live = self._registry.states(self._environment, newest.deployment)
            states = {wave: dict(count) for wave, count in live.items()}
        versions: Plain = dict(self._registry.runs(self._environment))
        return Observation(
            target=self._name, stable=stable, volatile={"states": states, "versions": versions}
        )

    def plan(
        self, desired: Mapping[str, canonical.JSON], observed: Observation
    ) -> tuple[Step, ...]:
        """One step a wave; none when the newest rollout assigned this firmware to all."""
        wanted = _convert(dict(desired), Desired, "desired fleet")
        check_policy(wanted.policy)
        counts = wanted.policy.pace.counts
        shares = check_waves(wanted.waves) if not counts else (*(0 for _ in counts), 100)
        there = (
            not wanted.parts  # the head of a rollout names its last image only
            and observed.stable.get("assignments/firmware") == wanted.firmware.digest
            and observed.stable.get("assignments/status") == "complete"
        )
        if there:
            return ()
        return tuple(
            self._step(wanted, wave, percent, (*counts, 0)[wave] if counts else 0)
            for wave, percent in enumerate(shares)
        )

    def _step(self, wanted: Desired, wave: int, percent: int, count: int) -> Step:
        arguments = WaveArguments(
            deployment=wanted.deployment,
            release=wanted.release,
            firmware=wanted.firmware,
            wave=wave,
            percent=percent,
            count=count,
            policy=wanted.policy,
            previous=wanted.previous,
            parts=wanted.parts,
            stones=wanted.stones,
        )
        # Through JSON, so that the step is the same before and after it was stored.
        plain: Plain = msgspec.json.decode(msgspec.json.encode(arguments))
        plain = {name: value for name, value in plain.items() if value not in (None, [])}
        if not count:
            del plain["count"]
        share = f"{count} in all" if count else f"{percent}%"
        holds = wanted.policy.urgency == "download-only"
        back = wanted.previous is not None or holds
        narrowed = wanted.policy.query or wanted.policy.devices
        verb = "download" if holds else "to"
        whose = "targeted devices" if narrowed else "devices"
        version, named = wanted.firmware.version, wanted.policy.return_to
        then = f"; a return goes to release {named}" if named else ""
        return Step(
            id=f"{self._name}-wave-{wave + 1}",
            target=self._name,
            action="wave",
            component=wanted.component,
            arguments=plain,
            summary=f"wave {wave + 1}: {share} of the {whose} {verb} {version}{then}",
            reversible=back,
            why_irreversible="" if back else "there is no earlier firmware to return to",
        )

    def apply(self, step: Step, token: Token) -> Outcome:
        """Assign a wave, stop a rollout, or return its devices; never waits for a device."""
        self._interlock.check(step, token)
        wanted = _convert(step.arguments, WaveArguments, f"step {step.id}")
        if step.action == "wave":
            return self._rollouts.assign(_wave(wanted), token, encode_claimed(step, token))
        if step.action == "stop_rollout" or (
            step.action == "return_devices" and wanted.previous is None
        ):
            return self._rollouts.stop(wanted.deployment, token)
        if step.action == "return_devices":
            claimed = encode_claimed(step, token)
            return self._rollouts.return_devices(_return(wanted), token, claimed)
        raise Refused(
            "fleet.action.unknown",
            f"step {step.id}",
            expected=", ".join(CAPABILITIES.actions),
            found=step.action,
            remedy="plan the deployment anew",
        )


def _wave(wanted: WaveArguments) -> Wave:
    return Wave(
        deployment=wanted.deployment,
        wave=wanted.wave,
        percent=wanted.percent,
        count=wanted.count,
        pace=wanted.policy.pace,
        success_percent=wanted.policy.success_percent,
        urgency=wanted.policy.urgency,
        force_after_seconds=wanted.policy.force_after_seconds,
        release=wanted.release,
        firmware=wanted.firmware,
        deadline_seconds=wanted.policy.deadline_seconds,
        hardware=wanted.firmware.hardware,
        confirmation=wanted.policy.confirmation,
        allow_downgrade=wanted.policy.allow_downgrade,
        unknown="wait" if wanted.policy.known_versions_only else "offer",
        parts=wanted.parts,
        stones=wanted.stones,
        targeting=Targeting(query=wanted.policy.query, devices=wanted.policy.devices),
    )


def _return(wanted: WaveArguments) -> Return:
    assert wanted.previous is not None
    return Return(
        deployment=wanted.deployment,
        release=wanted.previous.release,
        firmware=wanted.previous.firmware,
        deadline_seconds=max(wanted.policy.deadline_seconds, _RETURN_SECONDS_MIN),
        parts=wanted.previous.parts,
    )


def _convert(plain: object, form: type[T], subject: str) -> T:
    try:
        return msgspec.convert(plain, form)
    except msgspec.ValidationError as error:
        raise Refused(
            "fleet.desired.input",
            subject,
            expected=f"the form of {form.__name__}",
            found=str(error)[:300],
            remedy="plan the deployment anew from the release",
        ) from None
