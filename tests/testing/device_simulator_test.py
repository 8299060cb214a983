"""A thousand devices through a rollout against a real door; the books must balance."""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from surefoot.core.governance import WavePolicy
from surefoot.core.rollout import judge_return, judge_wave
from surefoot.core.target import Step
from surefoot.engine.clock import SystemClock
from surefoot.testing.claims import Claims
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of
from surefoot.testing.device_simulator import Run, SimulatedDevice, Summary, run_simulation

ENV = "production"
RELEASE = "sha256:" + "1" * 64
CONTENT = bytes(range(256)) * 200


class Campaign:
    """A rollout driven as the engine drives it: apply, then wait for sealed counters."""

    def __init__(
        self,
        house: DeviceHouse,
        policy: WavePolicy,
        waves: tuple[int, ...],
        *,
        returns: bool = True,
    ) -> None:
        self.returns = returns
        self.house = house
        self.fleet = house.fleet(ENV)
        self.policy = policy
        desired = {
            "deployment": 41,
            "release": RELEASE,
            "firmware": msgspec.to_builtins(house.firmware(CONTENT, "1.1.0")),
            "waves": list(waves),
            "policy": msgspec.to_builtins(policy),
            "previous": {
                "release": RELEASE,
                "firmware": msgspec.to_builtins(house.firmware(CONTENT[::-1], "1.0.0")),
            },
        }
        self.steps = self.fleet.plan(desired, self.fleet.observe())
        self.next = 0
        self.verdicts: list[str] = []
        self.ended = False
        self._fence = 0

    def apply(self, step: Step, action: str) -> None:
        self._fence += 1
        step = msgspec.structs.replace(step, id=f"{step.id}-{action}", action=action)
        token = Claims(ENV).token(step, f"41/{step.id}", self._fence)
        outcome = self.fleet.apply(step, token)
        assert self.fleet.apply(step, token) == outcome

    def turn(self) -> bool:
        """One look of the engine; True when the campaign has ended."""
        counters = self.house.seal(ENV)
        if "stopped" in self.verdicts:
            self.ended = self.ended or judge_return(counters).verdict != "running"
        elif self.next == len(self.verdicts):
            self.apply(self.steps[self.next], "wave")
            self.next += 1
        else:
            self._judge(counters)
        return self.ended

    def _judge(self, counters: dict[str, dict[str, int]]) -> None:
        wave = self.next - 1
        verdict = judge_wave(counters, wave, self.policy).verdict
        if verdict == "running":
            return
        self.verdicts.append(verdict)
        if verdict == "stopped" and self.returns:
            self.apply(self.steps[wave], "return_devices")
        last = self.next == len(self.steps) if verdict == "passed" else not self.returns
        self.ended = last


def drive(
    house: DeviceHouse, campaign: Campaign, devices: list[SimulatedDevice], poll: float = 0.3
) -> Summary:
    """Devices in this thread, the engine's part in another, until the campaign has ended."""
    troubles: list[BaseException] = []
    over = threading.Event()

    def engine() -> None:
        try:
            while not over.wait(0.05) and not campaign.turn():
                pass
        except BaseException as error:  # noqa: BLE001 (shown by the caller)
            troubles.append(error)
        over.set()

    with DoorServer(house.desk()) as server:
        thread = threading.Thread(target=engine)
        thread.start()
        run = Run(url=server.url, environment=ENV, poll_seconds=poll, seconds_max=900)
        try:
            summary = run_simulation(run, devices, over.is_set)
        finally:
            over.set()
            thread.join()
    assert not troubles, troubles
    assert campaign.ended, (campaign.verdicts, house.seal(ENV))
    return summary


def fleet_of(count: int, **behaviours: int) -> list[SimulatedDevice]:
    kinds: list[Any] = [kind for kind, number in behaviours.items() for _ in range(number)]
    kinds += ["ok"] * (count - len(kinds))
    return [
        SimulatedDevice(
            device=f"dev-{n:04d}", token=token_of(f"dev-{n:04d}"), version="1.0.0", behaviour=kind
        )
        for n, kind in enumerate(kinds)
    ]


def balance(house: DeviceHouse, devices: list[SimulatedDevice]) -> None:
    """Every device accounted for: sealed counters, live rows and devices say the same."""
    counters = house.seal(ENV)
    live = house.registry.states(ENV, 41)
    assert counters == live
    updates = sum(sum(count.values()) for wave, count in counters.items() if wave != "return")
    assert updates <= len(devices)
    says = Counter(device.version for device in devices)
    for version, number in house.sealed[-1].firmware.items():
        assert number <= says[version]


@pytest.mark.timeout(1200)
def test_a_thousand_devices_reach_the_new_version(tmp_path: Path) -> None:
    house = DeviceHouse(tmp_path)
    devices = fleet_of(1000, duplicates=100, reconnects=100)
    house.enrol(ENV, *(d.device for d in devices))
    campaign = Campaign(house, WavePolicy(success_percent=100, error_percent=0), (10, 100))
    summary = drive(house, campaign, devices, poll=1)
    assert campaign.verdicts == ["passed", "passed"]
    assert summary.versions == {"1.1.0": 1000}
    assert summary.downloads == 1000 and summary.bytes_downloaded == 1000 * len(CONTENT)
    assert set(summary.statuses) <= {200, 206, 410}
    assert house.seal(ENV) == {"0": {"verified": 100}, "1": {"verified": 900}}
    balance(house, devices)
    house.database.close()


def test_a_bad_image_stops_in_the_first_wave_and_devices_return(tmp_path: Path) -> None:
    house = DeviceHouse(tmp_path)
    devices = fleet_of(50, fails=50)
    house.enrol(ENV, *(d.device for d in devices))
    campaign = Campaign(
        house, WavePolicy(success_percent=90, error_percent=20, minimum_sample=3), (10, 50, 100)
    )
    summary = drive(house, campaign, devices)
    assert campaign.verdicts == ["stopped"]
    assert summary.versions == {"1.0.0": 50}
    counters = house.seal(ENV)
    assert sum(counters["0"].values()) == 5 and set(counters) == {"0", "return"}
    assert house.sealed[-1].firmware.get("1.1.0", 0) == 0
    balance(house, devices)
    house.database.close()


def test_lies_and_skips_never_count_as_installed(tmp_path: Path) -> None:
    ahead = threading.Event()
    clock = SystemClock()
    house = DeviceHouse(tmp_path, now_ms=lambda: clock.now_ms() + 7_200_000 * ahead.is_set())
    devices = fleet_of(40, lies=10, skips=10, silent=10)
    house.enrol(ENV, *(d.device for d in devices))
    policy = WavePolicy(
        success_percent=50, error_percent=60, minimum_sample=40, deadline_seconds=3600
    )

    class Patient(Campaign):
        """The deadline passes as soon as every honest device has ended."""

        def turn(self) -> bool:
            if house.seal(ENV).get("0", {}).get("verified") == 10:
                ahead.set()
            return super().turn()

    campaign = Patient(house, policy, (100,), returns=False)
    drive(house, campaign, devices)
    assert campaign.verdicts == ["stopped"]
    first = house.seal(ENV)["0"]
    assert first["verified"] == 10 and first["timed_out"] + first["failed"] == 30
    house.database.close()
