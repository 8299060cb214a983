"""A drill: a whole rollout on one machine, with a real door in a process of its own.

Keeps: the control plane (registry, door, sealing, judging) and the devices are two processes that
meet in HTTP alone; waves go on by sealed counters and the rule that judges them, as in the engine.
The one thing played is time: at the end the deadline of those that are still silent is moved up.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from surefoot.core.errors import Failed
from surefoot.core.governance import WavePolicy
from surefoot.core.rollout import judge_wave
from surefoot.engine.clock import SystemClock
from surefoot.store.device import NewDevice
from surefoot.store.device_rollouts import Wave
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of
from surefoot.testing.drill_books import Line, lines_of
from surefoot.testing.drill_devices import NEW, Drill, Fleet, name_of

ENVIRONMENT = "drill"
_PORTION = 5_000
_STALLED_SECONDS = 120.0
_LOOK_SECONDS = 0.2
_SEAL_SECONDS = 1.0
_DEADLINE_SECONDS = 86_400
_IMAGE = bytes(range(256)) * 64


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a drill did, and its books."""

    devices: int
    seconds: float
    verdict: str
    seconds_sealing: float
    counts: dict[str, int]
    statuses: dict[int, int]
    books: list[Line]

    @property
    def balances(self) -> bool:
        """Whether every line of the books has one figure."""
        return all(line.expected == line.found for line in self.books)


def run(drill: Drill, folder: Path, told: Callable[[str], None]) -> Result:
    """Enrol, roll out, and close the books. Raises `Failed("device.drill.stalled")`."""
    begun = time.monotonic()
    ours, theirs = get_context("spawn").Pipe()
    control = get_context("spawn").Process(
        target=_control, args=(drill, str(folder), theirs), daemon=True
    )
    control.start()
    theirs.close()
    try:
        _, url = _receive(ours)
        told(f"{drill.count} devices enrolled; their door is {url}")
        fleet = Fleet(drill, url, ENVIRONMENT)
        loop = uvicorn.Config(lambda *_: None, loop="auto", log_config=None).get_loop_factory()
        with asyncio.Runner(loop_factory=loop) as runner:
            verdict = runner.run(_live(drill, fleet, ours, told))
        told("the devices have ended; the books are closed")
        ours.send(bytes(fleet.outcomes))
        _, books, sealing = _receive(ours)
    finally:
        control.terminate()
        control.join()
        ours.close()
    return Result(
        devices=drill.count,
        seconds=round(time.monotonic() - begun, 1),
        verdict=verdict,
        seconds_sealing=round(sealing, 1),
        counts=dict(sorted(fleet.counts.items())),
        statuses=dict(sorted(fleet.statuses.items())),
        books=[Line(*line) for line in books],
    )


def _receive(pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except EOFError:
        raise _stalled("the process of the control plane ended") from None


async def _live(drill: Drill, fleet: Fleet, pipe: Connection, told: Callable[[str], None]) -> str:
    """Let the devices live until the rollout has ended and none has anything more to do."""
    lives = asyncio.create_task(fleet.run())
    verdict, storms, moved, moved_at, quiet_at = "", 0, -1, time.monotonic(), 0.0
    try:
        while not _has_ended(drill, fleet, verdict, quiet_at):
            await asyncio.sleep(_LOOK_SECONDS)
            if verdict != "stopped" or not fleet.is_quiet():
                quiet_at = time.monotonic()
            if lives.done():
                lives.result()
            while pipe.poll():
                what, text = _receive(pipe)
                told(text)
                if what == "wave" and storms < drill.storms:
                    storms += 1
                    # Some of the wave are in the middle of their update by then.
                    asyncio.get_running_loop().call_later(1.0, fleet.storm)
                elif what != "wave":
                    verdict = what
            done = sum(fleet.statuses.values())
            if done != moved:
                moved, moved_at = done, time.monotonic()
            elif time.monotonic() - moved_at > _STALLED_SECONDS:
                raise _stalled(f"no answer for {_STALLED_SECONDS:.0f} s")
    finally:
        lives.cancel()
        await asyncio.gather(lives, return_exceptions=True)
    return verdict


def _has_ended(drill: Drill, fleet: Fleet, verdict: str, quiet_at: float) -> bool:
    """A rollout that was stopped has ended when nobody who polls finds anything more."""
    if verdict == "stopped":
        return time.monotonic() - quiet_at > 2 * _sleep(drill) + 2
    return verdict == "passed" and fleet.is_settled()


def _sleep(drill: Drill) -> int:
    """Devices that wait for their wave ask a thousand times a second, all together."""
    return max(1, drill.count // 1_000)


def _stalled(found: str) -> Failed:
    return Failed(
        "device.drill.stalled",
        "drill",
        expected="a rollout that goes on",
        found=found,
        remedy="run it again with fewer devices, and look at the machine's memory and disk",
    )


class _Time:
    """The clock, which can be moved up."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self.ahead_ms = 0

    def __call__(self) -> int:
        return self._clock.now_ms() + self.ahead_ms


def _control(drill: Drill, folder: str, pipe: Connection) -> None:
    """The process with the door: enrol, assign, seal, judge; at the end close the books."""
    # What is refused is counted by the devices; a line for each would be most of the output.
    logging.disable(logging.WARNING)
    now = _Time()
    house = DeviceHouse(Path(folder), now_ms=now)
    for start in range(0, drill.count, _PORTION):
        names = map(name_of, range(start, min(start + _PORTION, drill.count)))
        house.registry.enrol(ENVIRONMENT, [_device(name) for name in names])
    with DoorServer(house.desk(sleep_seconds=_sleep(drill)), loop="auto") as server:
        pipe.send(("ready", server.url))
        sealing = _roll_out(drill, house, pipe)
        outcomes = pipe.recv()
        now.ahead_ms = 2 * _DEADLINE_SECONDS * 1000
        while house.registry.expire():
            pass
        begun = time.monotonic()
        house.seal(ENVIRONMENT)
        sealing += time.monotonic() - begun
        lines = [tuple(line) for line in lines_of(house, ENVIRONMENT, outcomes)]
        pipe.send(("books", lines, sealing))
        house.database.close()


def _device(name: str) -> NewDevice:
    token = hashlib.sha256(token_of(name).encode()).digest()
    return NewDevice(device=name, token_hash=token, hardware="simulated")


def _roll_out(drill: Drill, house: DeviceHouse, pipe: Connection) -> float:
    """Waves one after the other, as sealed counters allow; seconds spent with sealing."""
    firmware, sealing = house.firmware(_IMAGE, NEW), 0.0
    # A failure is known at once, a success only when the device has shown it: four in five of a
    # wave's devices must have ended before errors are judged.
    sample = max(1, drill.count * drill.waves[0] // 125)
    lost = drill.failures_percent + drill.silent_percent
    needed = max(50, 96 - round(2 * lost))
    policy = WavePolicy(success_percent=needed, error_percent=20, minimum_sample=sample)
    for number, percent in enumerate(drill.waves):
        wave = Wave(
            deployment=1,
            wave=number,
            percent=percent,
            release="drill",
            firmware=firmware,
            deadline_seconds=_DEADLINE_SECONDS,
        )
        begun = time.monotonic()
        assigned = house.assign(ENVIRONMENT, wave, fence=number + 1).figures["assigned"]
        took = time.monotonic() - begun
        pipe.send(("wave", f"wave {number + 1}: {assigned} devices assigned in {took:.1f} s"))
        verdict = "running"
        while verdict == "running":
            begun = time.monotonic()
            counters = house.seal(ENVIRONMENT)
            sealing += time.monotonic() - begun
            judged = judge_wave(counters, number, policy)
            verdict = judged.verdict
            time.sleep(min(_SEAL_SECONDS, drill.count / 1_000))
        if verdict == "stopped":
            pipe.send(("stopped", judged.reason))
            return sealing
    pipe.send(("passed", judged.reason))
    return sealing
