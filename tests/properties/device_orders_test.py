"""Whatever devices tell in whatever order, none is moved down and none counts that has not shown.

The judge here knows nothing of the registry: it keeps what was told and answered, and says by that
what a device may run and what it has shown.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from surefoot.core.device import CancelFeedback, Feedback, Fetched, Opened
from surefoot.core.target import Token
from surefoot.core.version import compare
from surefoot.store.device import AttributesPut, DeviceSummary, Incoming
from surefoot.store.device_rollouts import DeviceRollouts, Return, Wave
from surefoot.testing.device_door import DeviceHouse

VERSIONS = ("1.0", "1.5", "1.10", "2.0")
OPEN = {"assigned", "offered", "downloading", "installing", "reported"}
DEVICES = ("a", "b")
_places = itertools.count()

REPORTS = st.one_of(
    st.just(Opened()),
    st.just(Fetched()),
    st.builds(
        Feedback,
        st.sampled_from(["closed", "proceeding", "download", "canceled", "rejected"]),
        st.sampled_from(["success", "failure", "none"]),
        st.sampled_from([(), ("Skipped Update",)]),
    ),
    st.builds(
        CancelFeedback,
        st.sampled_from(["closed", "canceled", "rejected"]),
        st.sampled_from(["success", "failure"]),
    ),
)
ENDS = st.builds(
    Feedback,
    st.just("closed"),
    st.sampled_from(["success", "none", "failure"]),
    st.sampled_from([(), (), ("Skipped Update",)]),
)
EVENTS = st.one_of(
    st.tuples(st.just("wave"), st.sampled_from(VERSIONS), st.booleans()),
    st.tuples(st.just("tell"), st.sampled_from(DEVICES), st.integers(0, 2), REPORTS),
    st.tuples(st.just("show"), st.sampled_from(DEVICES), st.sampled_from(VERSIONS)),
    st.tuples(st.just("tell"), st.sampled_from(DEVICES), st.just(0), REPORTS),
    st.tuples(st.just("ends"), st.sampled_from(DEVICES), ENDS),
    st.tuples(st.just("ends"), st.sampled_from(DEVICES), ENDS),
    st.tuples(st.sampled_from(["stop", "late"])),
    st.tuples(st.just("return"), st.sampled_from(VERSIONS)),
)


class Clock:
    """A clock that goes on a little with each look."""

    ms = 1_790_000_000_000

    def __call__(self) -> int:
        self.ms += 1
        return self.ms


class Judge:
    """What one device told: what it may run, which actions it closed well and then showed."""

    def __init__(self) -> None:
        self.shown = ""
        self.since: set[str] = set()
        self.actions: dict[int, tuple[str, str, str]] = {}
        self.begun: set[int] = set()
        self.closed: set[int] = set()
        self.proven: set[int] = set()

    def may_run(self) -> set[str]:
        return self.since | ({self.shown} if self.shown else set())

    def assigned(self, action: int, version: str, kind: str, wave: str) -> None:
        if kind == "update":
            for running in self.may_run():
                assert compare(running, version) in (-1, 0), f"{running} down to {version}"
        self.actions[action] = (version, kind, wave)

    def told(self, action: int, report: Any, answer: str) -> None:
        if answer != "taken" or action not in self.actions:
            return
        self.begun.add(action)
        self.since.add(self.actions[action][0])
        said = getattr(report, "finished", "failure"), getattr(report, "details", ())
        well = said[0] != "failure" and not said[1]
        if isinstance(report, Feedback) and report.execution == "closed" and well:
            self.closed.add(action)

    def shows(self, version: str, newest: int, state: str) -> None:
        if newest in self.closed and self.actions[newest][0] == version:
            self.proven.add(newest)
        self.shown = version
        pending = newest in self.begun and state in OPEN
        self.since = {self.actions[newest][0]} if pending else set()


class Field:
    """One environment with two devices, their judges, and rollouts one after another."""

    def __init__(self, house: DeviceHouse, clock: Clock) -> None:
        self.house, self.clock = house, clock
        self.environment = f"e{next(_places)}"
        house.enrol(self.environment, *DEVICES)
        self.rollouts = DeviceRollouts(house.database, self.environment, house.now_ms)
        self.judges = {device: Judge() for device in DEVICES}
        self.deployment = 0
        self.fence = 0
        self.returned = True

    def token(self) -> Token:
        self.fence += 1
        return Token(operation=f"o{self.fence}", fence=self.fence)

    def look(self, device: str) -> DeviceSummary:
        found = self.house.registry.find(self.environment, device)
        assert found is not None
        return found

    def note(self) -> None:
        """Let the judges see what was newly assigned."""
        for device, judge in self.judges.items():
            found = self.look(device)
            if found.action and found.action not in judge.actions:
                kind = "return" if found.wave.startswith("return") else "update"
                judge.assigned(found.action, found.version, kind, found.wave)

    def act(self, event: tuple[Any, ...]) -> None:
        kind, *rest = event
        {
            "wave": self.wave,
            "tell": self.tell,
            "show": self.show,
            "ends": self.ends,
            "stop": self.stop,
            "late": self.late,
            "return": self.bring_back,
        }[kind](*rest)
        self.note()

    def wave(self, version: str, through: bool) -> None:
        self.deployment += 1
        self.returned = False
        stone = self.house.firmware(b"1.5", "1.5", through=True)
        wave = Wave(
            deployment=self.deployment,
            wave=0,
            percent=100,
            release="sha256:" + "1" * 64,
            firmware=self.house.firmware(version.encode() + b"!", version),
            deadline_seconds=600,
            stones=(stone,) if through else (),
        )
        self.rollouts.assign(wave, self.token())

    def tell(self, device: str, back: int, report: Any) -> None:
        known = sorted(self.judges[device].actions)
        if not known:
            return
        action = known[max(-1 - back, -len(known))]
        incoming = Incoming(environment=self.environment, device=device, action=action, told=report)
        (answer,) = self.house.registry.record([incoming])
        self.judges[device].told(action, report, answer)

    def show(self, device: str, version: str) -> None:
        before = self.look(device)
        put = AttributesPut(mode="merge", values={"firmware_version": version})
        self.house.registry.record(
            [Incoming(environment=self.environment, device=device, told=put)]
        )
        self.judges[device].shows(version, before.action, before.state)
        # What the showing itself ended can no longer be installed.
        ended = self.judges[device].actions and self.look(device).action != before.action
        if ended or self.look(device).state not in OPEN:
            self.judges[device].since = set()

    def ends(self, device: str, report: Feedback) -> None:
        """What devices do most often: they close, whatever it says, and then show the version."""
        self.tell(device, 0, report)
        if self.judges[device].actions:
            newest = max(self.judges[device].actions)
            self.show(device, self.judges[device].actions[newest][0])

    def stop(self) -> None:
        if self.deployment:
            self.rollouts.stop(self.deployment, self.token())

    def late(self) -> None:
        self.clock.ms += 700_000
        self.house.registry.expire()

    def bring_back(self, version: str) -> None:
        if self.returned:
            return
        self.returned = True
        back = Return(
            deployment=self.deployment,
            release="sha256:" + "0" * 64,
            firmware=self.house.firmware(version.encode() + b"!", version),
            deadline_seconds=600,
        )
        self.rollouts.return_devices(back, self.token())


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DeviceHouse, Clock]]:
    clock = Clock()
    folder: Path = tmp_path_factory.mktemp("orders")
    house = DeviceHouse(folder, None, clock)
    yield house, clock
    house.database.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(events=[("wave", "2.0", False), ("tell", "a", 0, Opened()), ("wave", "1.0", False)])
@example(
    events=[
        ("wave", "1.5", False),
        ("stop",),
        ("tell", "a", 0, Opened()),
        ("wave", "1.0", False),
    ]
)
@example(events=[("show", "a", "2.0"), ("wave", "1.0", False), ("wave", "1.10", True)])
@given(events=st.lists(EVENTS, min_size=8, max_size=25))
def test_no_order_of_reports_moves_a_device_down_or_counts_what_was_not_shown(
    ground: tuple[DeviceHouse, Clock], events: list[tuple[Any, ...]]
) -> None:
    field = Field(*ground)
    for event in events:
        field.act(event)
    proven = [judge.actions[action] for judge in field.judges.values() for action in judge.proven]
    verified = sum(
        count.get("verified", 0)
        for deployment in range(1, field.deployment + 1)
        for count in field.house.registry.states(field.environment, deployment).values()
    )
    assert verified == len([one for one in proven if one[1] == "update"])
