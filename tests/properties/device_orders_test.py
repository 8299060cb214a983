"""Whatever devices tell in whatever order, none is moved down and none counts that has not shown.

The judge here knows nothing of the registry: it keeps what was told and answered, and says by that
what a device may run and what it has shown. Events are all that can happen to a device: what it
tells, what its user says, what people do with it, and what rollouts do, also by the clock.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from surefoot.core.device import CancelFeedback, Consented, Feedback, Fetched, Opened
from surefoot.core.governance import Pace, Retry, WavePolicy
from surefoot.core.offer import AutoConfirm
from surefoot.core.rollout import judge_wave
from surefoot.core.target import Token
from surefoot.core.version import compare
from surefoot.store.device import (
    AttributesPut,
    AutoConfirmPut,
    DeviceSummary,
    Incoming,
    InstalledPut,
    ProfileLearned,
)
from surefoot.store.device_newcomers import DeviceNewcomers
from surefoot.store.device_rollouts import DeviceRollouts, Return, Wave
from surefoot.testing.device_door import DeviceHouse

VERSIONS = ("1.0", "1.5", "1.10", "2.0")
OPEN = {"assigned", "offered", "downloading", "installing", "reported"}
DEVICES = ("a", "b")
NEWCOMERS = ("c", "d")
_places = itertools.count()

SAYS = st.sampled_from(["closed", "proceeding", "download", "downloaded", "canceled", "rejected"])
REPORTS = st.one_of(
    st.just(Opened()),
    st.just(Fetched()),
    st.builds(
        Feedback,
        SAYS,
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


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a rollout is like."""

    version: str
    through: bool = False
    confirmation: bool = False
    urgency: Any = "forced"
    success_percent: int = 100
    retries: int = 0

    @property
    def policy(self) -> WavePolicy:
        return WavePolicy(
            success_percent=self.success_percent, error_percent=100, urgency=self.urgency
        )


PLANS = st.builds(
    Plan,
    version=st.sampled_from(VERSIONS),
    through=st.booleans(),
    confirmation=st.sampled_from([False, False, True]),
    urgency=st.sampled_from(["forced", "forced", "soft", "time-forced", "download-only"]),
    success_percent=st.sampled_from([50, 100]),
    retries=st.sampled_from([0, 0, 1]),
)
WHO = st.sampled_from((*DEVICES, *DEVICES, *NEWCOMERS))
EVENTS = st.one_of(
    st.tuples(st.just("wave"), PLANS),
    st.tuples(st.just("wave"), st.builds(Plan, version=st.sampled_from(VERSIONS))),
    st.tuples(st.just("tell"), WHO, st.integers(0, 2), REPORTS),
    st.tuples(st.just("tell"), WHO, st.just(0), REPORTS),
    st.tuples(
        st.just("show"), WHO, st.sampled_from(VERSIONS), st.sampled_from(["", "right", "wrong"])
    ),
    st.tuples(st.just("ends"), WHO, ENDS),
    st.tuples(st.just("ends"), WHO, ENDS),
    st.tuples(st.just("close"), WHO, ENDS),
    st.tuples(st.just("hush"), WHO, st.sampled_from(["other", "remove", "replace", "empty"])),
    st.tuples(st.just("consent"), WHO, st.booleans()),
    st.tuples(st.just("sure"), WHO, st.booleans()),
    st.tuples(st.just("claims"), WHO, st.sampled_from(VERSIONS)),
    st.tuples(st.just("learn"), WHO, st.sampled_from(["swupdate", "rauc", "zephyr", "generic"])),
    st.tuples(st.just("rotate"), WHO),
    st.tuples(st.just("standing"), WHO, st.sampled_from(["revoked", "", ""])),
    st.tuples(st.just("comes"), st.sampled_from(NEWCOMERS)),
    st.tuples(st.sampled_from(["stop", "late", "welcome", "welcome", "pace", "seal"])),
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
        self.actions: dict[int, tuple[str, str, str, int]] = {}
        self.begun: set[int] = set()
        self.closed: set[int] = set()
        self.proven: set[int] = set()
        self.held: set[int] = set()
        self.waiting: set[int] = set()

    def may_run(self) -> set[str]:
        return self.since | ({self.shown} if self.shown else set())

    def assigned(self, action: int, about: tuple[str, str, str, int]) -> None:
        version, kind, _, _ = about
        if kind != "return":
            for running in self.may_run():
                assert compare(running, version) in (-1, 0), f"{running} down to {version}"
        self.actions[action] = about

    def told(self, action: int, report: Any, answer: str) -> None:
        if answer != "taken" or action not in self.actions:
            return
        if isinstance(report, Consented):
            self.waiting -= {action} if report.given else set()
            return
        assert action not in self.waiting, "a report was taken before the user confirmed"
        version, kind, _, _ = self.actions[action]
        said = getattr(report, "finished", "failure"), getattr(report, "details", ())
        well = said[0] != "failure" and not said[1]
        if not isinstance(report, Feedback):
            well = False
        if kind == "download":
            # What is only to be downloaded is not begun to be installed.
            if well and report.execution == "downloaded":
                self.held.add(action)
            return
        self.begun.add(action)
        self.since.add(version)
        if well and report.execution == "closed":
            self.closed.add(action)

    def shows(self, version: str, newest: int, state: str, *, same: bool) -> None:
        if same and newest in self.closed and self.actions[newest][0] == version:
            self.proven.add(newest)
        self.shown = version
        pending = newest in self.begun and state in OPEN
        self.since = {self.actions[newest][0]} if pending else set()


class Field:
    """One environment with its devices, their judges, and rollouts one after another."""

    def __init__(self, house: DeviceHouse, clock: Clock) -> None:
        self.house, self.clock = house, clock
        self.environment = f"e{next(_places)}"
        house.enrol(self.environment, *DEVICES)
        self.rollouts = DeviceRollouts(house.database, self.environment, house.now_ms)
        self.judges = {device: Judge() for device in DEVICES}
        self.plans: dict[int, Plan] = {}
        self.tokens: dict[str, bytes] = {}
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

    def record(self, device: str, told: Any, action: int = 0) -> str:
        incoming = Incoming(environment=self.environment, device=device, action=action, told=told)
        (answer,) = self.house.registry.record([incoming])
        return answer

    def note(self) -> None:
        """Let the judges see what was newly assigned."""
        for device, judge in self.judges.items():
            found = self.look(device)
            if found.action and found.action not in judge.actions:
                plan = self.plans[found.deployment]
                kind = "return" if found.wave.startswith("return") else "update"
                if kind == "update" and plan.urgency == "download-only":
                    kind = "download"
                about = (found.version, kind, found.wave, found.deployment)
                judge.assigned(found.action, about)
                if found.consent == "waiting":
                    judge.waiting.add(found.action)

    def act(self, event: tuple[Any, ...]) -> None:
        kind, *rest = event
        early = bool(rest) and rest[0] in NEWCOMERS and rest[0] not in self.judges
        if early and kind != "comes":
            return
        {
            "wave": self.wave,
            "tell": self.tell,
            "show": self.show,
            "ends": self.ends,
            "close": self.close,
            "hush": self.hush,
            "consent": self.consent,
            "sure": self.sure,
            "claims": self.claims,
            "learn": self.learn,
            "rotate": self.rotate,
            "standing": self.standing,
            "comes": self.comes,
            "welcome": self.welcome,
            "stop": self.stop,
            "late": self.late,
            "pace": self.pace,
            "seal": self.seal,
            "return": self.bring_back,
        }[kind](*rest)
        self.note()

    # -- what rollouts do ---------------------------------------------------------------------

    def wave(self, plan: Plan) -> None:
        self.deployment += 1
        self.plans[self.deployment] = plan
        self.returned = False
        stone = self.house.firmware(b"1.5", "1.5", through=True)
        retry = Retry(times=plan.retries, backoff_seconds=60, factor=1) if plan.retries else None
        wave = Wave(
            deployment=self.deployment,
            wave=0,
            percent=100,
            release="sha256:" + "1" * 64,
            firmware=self.image(plan.version),
            deadline_seconds=600,
            stones=(stone,) if plan.through else (),
            confirmation=plan.confirmation,
            urgency=plan.urgency,
            force_after_seconds=300 if plan.urgency == "time-forced" else 0,
            success_percent=plan.success_percent,
            pace=Pace(retry=retry),
        )
        self.rollouts.assign(wave, self.token())

    def image(self, version: str) -> Any:
        return self.house.firmware(version.encode() + b"!", version)

    def stop(self) -> None:
        if self.deployment:
            self.rollouts.stop(self.deployment, self.token())

    def late(self) -> None:
        self.clock.ms += 700_000
        self.house.registry.expire()

    def welcome(self) -> None:
        if self.deployment:
            taker = DeviceNewcomers(self.house.database, self.house.now_ms)
            taker.take(self.environment, self.deployment)

    def pace(self) -> None:
        if self.deployment:
            self.house.pace(self.environment, self.deployment)

    def bring_back(self, version: str) -> None:
        if self.returned:
            return
        self.returned = True
        back = Return(
            deployment=self.deployment,
            release="sha256:" + "0" * 64,
            firmware=self.image(version),
            deadline_seconds=600,
        )
        self.rollouts.return_devices(back, self.token())

    # -- what devices and their users tell ----------------------------------------------------

    def tell(self, device: str, back: int, report: Any) -> None:
        known = sorted(self.judges[device].actions)
        if not known:
            return
        action = known[max(-1 - back, -len(known))]
        answer = self.record(device, report, action)
        self.judges[device].told(action, report, answer)

    def show(self, device: str, version: str, digest: str) -> None:
        before = self.look(device)
        values = {"firmware_version": version, "firmware_digest": ""}
        if digest:
            right = self.image(version).sha256
            stone = hashlib.sha256(b"1.5").hexdigest()
            through = before.firmware.endswith(stone) and version == "1.5"
            right = stone if through else right
            values["firmware_digest"] = right if digest == "right" else "0" * 64
        answer = self.record(device, AttributesPut(mode="merge", values=values))
        if answer != "taken":
            return
        self.judges[device].shows(version, before.action, before.state, same=digest != "wrong")
        # What the showing itself ended can no longer be installed.
        ended = self.judges[device].actions and self.look(device).action != before.action
        if ended or self.look(device).state not in OPEN:
            self.judges[device].since = set()

    def ends(self, device: str, report: Feedback) -> None:
        """What devices do most often: they close, whatever it says, and then show the version."""
        self.tell(device, 0, report)
        if self.judges[device].actions:
            newest = max(self.judges[device].actions)
            self.show(device, self.judges[device].actions[newest][0], "")

    def close(self, device: str, report: Feedback) -> None:
        """They close, and then say something, but no version: nothing is shown by that."""
        self.tell(device, 0, report)
        self.hush(device, "other")

    def hush(self, device: str, how: str) -> None:
        """Attributes that name no version, or take one back."""
        mode, values = {
            "other": ("merge", {"serial": "7"}),
            "remove": ("remove", {"firmware_version": "", "firmware_digest": ""}),
            "replace": ("replace", {"serial": "8"}),
            "empty": ("merge", {"firmware_version": "", "sw_version": ""}),
        }[how]
        self.record(device, AttributesPut(mode=mode, values=values))

    def consent(self, device: str, given: bool) -> None:
        self.tell(device, 0, Consented(given=given))

    def sure(self, device: str, on: bool) -> None:
        wanted = AutoConfirm(initiator="user") if on else None
        answer = self.record(device, AutoConfirmPut(wanted=wanted))
        if on and answer == "taken":
            self.judges[device].waiting.clear()

    def claims(self, device: str, version: str) -> None:
        self.record(device, InstalledPut(name="firmware", version=version))

    def learn(self, device: str, profile: str) -> None:
        self.record(device, ProfileLearned(profile=profile))

    # -- what people do -----------------------------------------------------------------------

    def rotate(self, device: str) -> None:
        fresh = hashlib.sha256(f"{device} {len(self.tokens)}".encode()).digest()
        self.tokens[device] = fresh
        self.house.registry.set_token(self.environment, device, fresh)

    def standing(self, device: str, standing: Any) -> None:
        self.house.identities.set_standing(self.environment, device, standing, "test")

    def comes(self, device: str) -> None:
        if device not in self.judges:
            self.house.enrol(self.environment, device)
            self.judges[device] = Judge()

    # -- what must hold -----------------------------------------------------------------------

    def seal(self) -> None:
        """No threshold is passed but by so many devices that did what was asked and showed it."""
        self.house.seal(self.environment)
        newest = {
            batch.deployment: batch.waves
            for batch in self.house.sealed
            if batch.environment == self.environment and batch.deployment
        }
        for deployment, counters in newest.items():
            plan = self.plans[deployment]
            if judge_wave(counters, 0, plan.policy).verdict != "passed":
                continue
            members, done = self.members(deployment)
            assert len(done) * 100 >= plan.success_percent * len(members), (counters, done)

    def members(self, deployment: int) -> tuple[set[str], set[str]]:
        """The devices of the first wave, and those that did what was asked."""
        members, done = set(), set()
        for device, judge in self.judges.items():
            for action, (_, kind, wave, of) in judge.actions.items():
                if of != deployment or wave.removesuffix("/via") != "0":
                    continue
                members.add(device)
                good = judge.held if kind == "download" else judge.proven
                if action in good and wave == "0":
                    done.add(device)
        return members, done

    def check(self) -> None:
        """All that must hold at the end."""
        self.seal()
        proven = [j.actions[action] for j in self.judges.values() for action in j.proven]
        verified = sum(
            count.get("verified", 0)
            for deployment in range(1, self.deployment + 1)
            for count in self.house.registry.states(self.environment, deployment).values()
        )
        assert verified == len([one for one in proven if one[1] == "update"])
        rows = [r for r in self.house.registry.changed(0) if r.environment == self.environment]
        for row in rows:
            assert row.token_hash == self.tokens.get(row.device, row.token_hash)
        assert len(rows) == len(self.judges)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DeviceHouse, Clock]]:
    clock = Clock()
    folder: Path = tmp_path_factory.mktemp("orders")
    house = DeviceHouse(folder, None, clock)
    yield house, clock
    house.database.close()


WELL = Feedback("closed", "success")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(
    events=[
        ("wave", Plan(version="2.0")),
        ("tell", "a", 0, Opened()),
        ("wave", Plan(version="1.0")),
    ]
)
@example(
    events=[
        ("wave", Plan(version="1.5")),
        ("stop",),
        ("tell", "a", 0, Opened()),
        ("wave", Plan(version="1.0")),
    ]
)
@example(
    events=[
        ("show", "a", "2.0", ""),
        ("wave", Plan(version="1.0")),
        ("wave", Plan(version="1.10", through=True)),
    ]
)
# A word about an action that moves it nowhere.
@example(
    events=[
        ("wave", Plan(version="1.5")),
        ("tell", "a", 0, Feedback("canceled", "success")),
        ("wave", Plan(version="1.0")),
    ]
)
# A device that takes its version back, in each way that there is.
@example(events=[("show", "a", "2.0", ""), ("hush", "a", "replace"), ("wave", Plan(version="1.0"))])
@example(events=[("show", "a", "2.0", ""), ("hush", "a", "remove"), ("wave", Plan(version="1.0"))])
@example(events=[("show", "a", "2.0", ""), ("hush", "a", "empty"), ("wave", Plan(version="1.0"))])
# A version that was shown before the end, and something else after it.
@example(
    events=[
        ("wave", Plan(version="2.0")),
        ("show", "a", "2.0", ""),
        ("tell", "a", 0, WELL),
        ("hush", "a", "other"),
    ]
)
# A failure leaves a doubt, which something else does not take away.
@example(
    events=[
        ("show", "a", "1.0", ""),
        ("wave", Plan(version="2.0")),
        ("tell", "a", 0, Feedback("closed", "failure")),
        ("hush", "a", "other"),
        ("wave", Plan(version="1.5")),
    ]
)
# What is let in again, after it showed a version.
@example(
    events=[
        ("show", "a", "2.0", ""),
        ("standing", "a", "revoked"),
        ("standing", "a", ""),
        ("wave", Plan(version="1.0")),
    ]
)
@example(
    events=[
        ("show", "a", "2.0", ""),
        ("hush", "a", "replace"),
        ("standing", "a", "revoked"),
        ("standing", "a", ""),
        ("wave", Plan(version="1.0")),
    ]
)
# The right version of another image, and a report that shows nothing.
@example(
    events=[
        ("wave", Plan(version="2.0", success_percent=50)),
        ("tell", "a", 0, WELL),
        ("show", "a", "2.0", "wrong"),
        ("tell", "b", 0, WELL),
        ("seal",),
    ]
)
# One that was left out for a doubt comes again as if it were new.
@example(
    events=[
        ("show", "a", "1.0", ""),
        ("wave", Plan(version="2.0")),
        ("tell", "a", 0, Feedback("closed", "failure")),
        ("wave", Plan(version="1.5")),
        ("hush", "a", "other"),
        ("welcome",),
    ]
)
@example(
    events=[
        ("wave", Plan(version="2.0", urgency="download-only", success_percent=50)),
        ("tell", "a", 0, Feedback("downloaded", "success", ("Skipped Update",))),
        ("tell", "b", 0, Feedback("downloaded", "none", ("Skipped Update",))),
        ("seal",),
    ]
)
@example(
    events=[
        ("wave", Plan(version="1.0", confirmation=True)),
        ("ends", "a", WELL),
        ("sure", "b", True),
        ("ends", "b", WELL),
        ("comes", "c"),
        ("welcome",),
        ("consent", "a", True),
        ("ends", "a", WELL),
        ("ends", "c", WELL),
    ]
)
@example(
    events=[
        ("wave", Plan(version="2.0", urgency="download-only", success_percent=50)),
        ("tell", "a", 0, Feedback("downloaded", "success")),
        ("show", "a", "2.0", "right"),
        ("ends", "b", WELL),
        ("seal",),
    ]
)
@given(events=st.lists(EVENTS, min_size=8, max_size=25))
def test_no_order_of_reports_moves_a_device_down_or_counts_what_was_not_shown(
    ground: tuple[DeviceHouse, Clock], events: list[tuple[Any, ...]]
) -> None:
    field = Field(*ground)
    for event in events:
        field.act(event)
    field.check()
