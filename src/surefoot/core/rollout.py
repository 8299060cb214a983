"""Waves of a rollout: who is in which, and whether the next may begin.

Keeps: a wave is a share of one stable ordering (hash of the device with the rollout), so nobody
chooses who goes first and newcomers join the last wave, or after it a wave of their own;
only `verified` counts as success, or, where nothing is to be installed, `downloaded`;
images on the way to the last one have counters of their own, and a device is counted once;
`timed_out` counts as failed; a threshold that stops wins over one that passes; a wave that can
no longer pass stops. Counters come from sealed batches, never from live tables.
Does not: store, wait or read time.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from surefoot.core.device import ERRORS, OPEN
from surefoot.core.errors import Refused
from surefoot.core.governance import WavePolicy, done_state
from surefoot.core.pace import is_stuck

WaveCounters: TypeAlias = Mapping[str, int]
RolloutCounters: TypeAlias = Mapping[str, WaveCounters]
WaveVerdict = Literal["running", "passed", "stopped"]

WAVES_MAX = 10
RETURN_WAVE = "return"
NEWCOMERS_WAVE = "newcomers"
"""Devices that came after the last wave: they have a verdict of their own, and change no other."""
VIA = "/via"


class WaveJudgement(msgspec.Struct, frozen=True, kw_only=True):
    """The decision about a wave and its reason, on one line."""

    verdict: WaveVerdict
    reason: str


def check_waves(percents: Sequence[int]) -> tuple[int, ...]:
    """The shares of a rollout, rising to 100. Raises `Refused` for anything else."""
    shares = tuple(percents)
    rising = all(a < b for a, b in itertools.pairwise(shares))
    whole = all(type(share) is int and 0 < share <= 100 for share in shares)
    if not shares or len(shares) > WAVES_MAX or not rising or not whole or shares[-1] != 100:
        raise Refused(
            "rollout.waves.input",
            f"waves {list(shares)[:12]}",
            expected=f"1 to {WAVES_MAX} rising whole percentages that end with 100",
            found=str(list(shares)[:12]),
            remedy="write for example waves: [10, 50, 100]",
        )
    return shares


def check_policy(policy: WavePolicy) -> WavePolicy:
    """The policy itself. Raises `Refused` when a number is out of its range."""
    shares = (0 < policy.success_percent <= 100) and (0 <= policy.error_percent <= 100)
    if not shares or policy.minimum_sample < 1 or not 0 < policy.deadline_seconds <= 31_536_000:
        raise Refused(
            "rollout.policy.input",
            "rollout policy",
            expected="percentages of 0 to 100, a sample of at least 1, a deadline up to a year",
            found=str(policy),
            remedy="correct the numbers in the product definition",
        )
    return policy


def order_key(rollout: str, device: str) -> bytes:
    """The device's place in this rollout's ordering."""
    return hashlib.sha256(f"{rollout}\n{device}".encode()).digest()


def members(rollout: str, devices: Iterable[str], percent: int) -> tuple[str, ...]:
    """The devices of the first `percent` of the ordering, rounded up, in order."""
    ordered = sorted(devices, key=lambda device: order_key(rollout, device))
    return tuple(ordered[: share_of(len(ordered), percent)])


def share_of(count: int, percent: int) -> int:
    """So many of `count` are `percent`, rounded up."""
    return -(-count * percent // 100)


def wave_of(label: str) -> str:
    """The wave that a counter belongs to, also of devices that go by way of other images."""
    return label.removesuffix(VIA)


def of_wave(counters: RolloutCounters, wave: str, done: str) -> dict[str, int]:
    """A wave's devices, each once: one that took an image on its way has gone on to the next."""
    count = dict(counters.get(wave, {}))
    for state, number in counters.get(wave + VIA, {}).items():
        if state != done:
            count[state] = count.get(state, 0) + number
    return count


def judge_wave(counters: RolloutCounters, wave: int, policy: WavePolicy) -> WaveJudgement:
    """Decide about one wave; late errors in an earlier wave stop it too."""
    for index in range(wave + 1):
        seen = of_wave(counters, str(index), "verified")
        sample = min(policy.minimum_sample, sum(seen.values()))
        stopped = _error_reason(seen, f"wave {index + 1}", policy, sample)
        if stopped:
            return WaveJudgement(verdict="stopped", reason=stopped)
    count = of_wave(counters, str(wave), "verified")
    ignored = _ignored(count, policy)
    done = done_state(policy.urgency)
    total, verified = sum(count.values()) - ignored, count.get(done, 0)
    needed = -(-total * policy.success_percent // 100)
    shown = f"wave {wave + 1}: {verified} of {total} {done}, {needed} needed"
    if ignored:
        shown += f", {ignored} silent not counted"
    if verified >= needed:
        return WaveJudgement(verdict="passed", reason=shown)
    waiting = sum(count.get(state, 0) for state in (*OPEN, "reported"))
    if verified + waiting < needed:
        reason = f"{shown}, only {waiting} still under way"
        return WaveJudgement(verdict="stopped", reason=reason)
    growth = policy.pace.exponential
    if growth is not None and is_stuck(growth, count, policy.success_percent, done):
        reason = f"{shown}, too few of those that began to let more begin"
        return WaveJudgement(verdict="stopped", reason=reason)
    return WaveJudgement(verdict="running", reason=shown)


def judge_newcomers(counters: RolloutCounters, policy: WavePolicy) -> WaveJudgement:
    """Whether a rollout may take more of the devices that come after its last wave.

    They are as many as come, so the whole sample is asked for, however few there are.
    """
    count = of_wave(counters, NEWCOMERS_WAVE, "verified")
    stopped = _error_reason(count, "newcomers", policy, policy.minimum_sample)
    if stopped:
        return WaveJudgement(verdict="stopped", reason=stopped)
    done = done_state(policy.urgency)
    shown = f"newcomers: {count.get(done, 0)} of {sum(count.values())} {done}"
    return WaveJudgement(verdict="running", reason=shown)


def _ignored(count: WaveCounters, policy: WavePolicy) -> int:
    """Silent devices that do not count: never more than the policy's share of the wave."""
    if policy.silent == "fail":
        return 0
    return min(count.get("silent", 0), sum(count.values()) * policy.silent_percent // 100)


def _error_reason(count: WaveCounters, whose: str, policy: WavePolicy, sample: int) -> str:
    errors = sum(count.get(state, 0) for state in (*ERRORS, "silent")) - _ignored(count, policy)
    ended = errors + count.get(done_state(policy.urgency), 0)
    if not errors or ended < sample:
        return ""
    if policy.error_count and errors >= policy.error_count:
        return (
            f"{whose}: {errors} of {ended} ended devices failed or timed out, "
            f"{policy.error_count} stop it"
        )
    if errors * 100 <= policy.error_percent * ended:
        return ""
    return (
        f"{whose}: {errors} of {ended} ended devices failed or timed out, "
        f"more than the {policy.error_percent}% allowed"
    )


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """Devices beside a rollout's counters: `there` before it began, `left` behind as unfit.

    `shown` is how many of the environment show the new version now; -1: not known.
    """

    there: int = 0
    left: int = 0
    shown: int = -1


def judge_share(
    counters: RolloutCounters, percent: int, beside: Beside | None = None
) -> WaveJudgement:
    """Whether so many of the devices are verified that nothing needs the old way.

    A device that was verified and fell back since no longer shows the version, and does not count.
    """
    beside = beside or Beside()
    names = {wave_of(wave) for wave in counters} - {RETURN_WAVE}
    waves = [of_wave(counters, name, "verified") for name in sorted(names)]
    total = sum(sum(count.values()) for count in waves) + beside.there + beside.left
    verified = sum(count.get("verified", 0) for count in waves) + beside.there
    if 0 <= beside.shown < verified:
        verified = beside.shown
    needed = -(-total * percent // 100)
    shown = f"{verified} of {total} devices verified, {needed} needed"
    if verified >= needed:
        return WaveJudgement(verdict="passed", reason=shown)
    waiting = sum(count.get(state, 0) for count in waves for state in (*OPEN, "reported"))
    if verified + waiting >= needed:
        return WaveJudgement(verdict="running", reason=f"contract held: {shown}")
    return WaveJudgement(verdict="stopped", reason=f"contract held: {shown}, {waiting} under way")


def judge_return(counters: RolloutCounters) -> WaveJudgement:
    """Whether every device of a stopped rollout is proven back on the earlier release."""
    count = of_wave(counters, RETURN_WAVE, "returned")
    total, back = sum(count.values()), count.get("returned", 0)
    shown = f"return: {back} of {total} devices back"
    if back == total:
        return WaveJudgement(verdict="passed", reason=shown)
    if any(count.get(state, 0) for state in (*OPEN, "reported")):
        return WaveJudgement(verdict="running", reason=shown)
    return WaveJudgement(verdict="stopped", reason=f"{shown}, the rest failed or is silent")
