"""Any order of anything a device can say: nothing unverified counts as verified.

The registry is told what a device says, in any order and of any action it ever had; beside it a
simple witness notes when the device gave what a verified update takes: a whole success report of
its open action, not skipped, not before its user agreed, and later attributes with the version.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from surefoot.core.device import (
    CancelFeedback,
    Consented,
    Event,
    Feedback,
    Fetched,
    Opened,
)
from surefoot.core.offer import AutoConfirm
from surefoot.core.profile import NAMES
from surefoot.core.target import Token
from surefoot.store.device import (
    AttributesPut,
    AutoConfirmPut,
    Incoming,
    InstalledPut,
    ProfileLearned,
)
from surefoot.store.device_rollouts import DeviceRollouts, Wave
from surefoot.testing.device_door import DeviceHouse

OLD, NEW = "1.0.0", "1.1.0"
CLOSED = [
    ("closed", "success", ()),
    ("closed", "none", ("ok",)),
    ("closed", "success", ("Skipped Update.",)),
    ("closed", "none", ("skipped update", "ok")),
    ("closed", "failure", ("no",)),
]
OTHER = [("proceeding", "none", ()), ("canceled", "none", ()), ("rejected", "success", ())]
FEEDBACK = st.sampled_from(CLOSED + OTHER).map(lambda parts: Feedback(*parts))
SHOWN = st.builds(
    AttributesPut,
    mode=st.sampled_from(["merge", "merge", "replace", "remove"]),
    values=st.fixed_dictionaries(
        {"sw_version": st.sampled_from([NEW, NEW, OLD])},
        optional={
            "firmware_version": st.sampled_from([OLD, NEW]),
            "fw_digest": st.sampled_from(["ab" * 32, "right"]),
        },
    ),
)
RARER = st.one_of(
    st.sampled_from(CLOSED + OTHER).map(lambda parts: CancelFeedback(*parts)),
    st.builds(InstalledPut, name=st.just("firmware"), version=st.sampled_from([OLD, NEW])),
    st.booleans().map(lambda given: Consented(given=given)),
    st.sampled_from([AutoConfirmPut(wanted=AutoConfirm()), AutoConfirmPut(wanted=None)]),
    st.sampled_from([ProfileLearned(profile=name) for name in NAMES]),
    st.sampled_from([Opened(), Fetched()]),
)
ACTS = ("assign", "ask", "stop", "reject", "accept")
SAYS = st.just("says")
STEP = st.one_of(
    st.tuples(SAYS, FEEDBACK, st.sampled_from([0, 0, 0, 1])),
    st.tuples(SAYS, SHOWN, st.just(0)),
    st.tuples(SAYS, RARER, st.integers(0, 2)),
    st.tuples(st.sampled_from(ACTS), st.none(), st.just(0)),
)


BEGINNINGS = st.sampled_from(
    [
        [("assign", None, 0)],
        [("ask", None, 0)],
        [("assign", None, 0), ("says", Opened(), 0), ("stop", None, 0)],
    ]
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeviceHouse]:
    folder: Path = tmp_path_factory.mktemp("house")
    house = DeviceHouse(folder)
    yield house
    house.database.close()


class Witness:
    """One device, and what it has given for its newest action."""

    numbers = itertools.count(1)

    def __init__(self, house: DeviceHouse) -> None:
        self.house = house
        self.number = next(self.numbers)
        self.environment = f"e{self.number}"
        self.firmware = house.firmware(b"new", NEW)
        house.enrol(self.environment, "d")
        self.deployment = 0
        self.actions = [0]
        self.told = self.shown = False

    def step(self, act: str, said: object, which: int) -> None:
        if act == "says":
            self._say(said, which)
        elif act in ("assign", "ask"):
            self._assign(confirmation=act == "ask")
        elif act == "stop" and self.deployment:
            rollouts = DeviceRollouts(self.house.database, self.environment, self.house.now_ms)
            token = Token(operation=f"stop-{self.deployment}", fence=self.deployment)
            rollouts.stop(self.deployment, token)
        elif act in ("reject", "accept"):
            standing = "rejected" if act == "reject" else ""
            self.house.identities.set_standing(self.environment, "d", standing, "ann")  # type: ignore[arg-type]

    def _assign(self, *, confirmation: bool) -> None:
        before = self.found().action
        self.deployment += 1
        wave = Wave(
            deployment=self.deployment,
            wave=0,
            percent=100,
            release="sha256:" + "1" * 64,
            firmware=self.firmware,
            deadline_seconds=600,
            confirmation=confirmation,
        )
        self.house.assign(self.environment, wave, self.deployment)
        if self.found().action != before:
            self.actions.append(self.found().action)
            self.told = self.shown = False

    def _say(self, said: object, which: int) -> None:
        before = self.found()
        action = (
            0 if isinstance(said, AttributesPut) else self.actions[-1 - which % len(self.actions)]
        )
        if isinstance(said, AttributesPut) and said.values.get("fw_digest") == "right":
            said.values["fw_digest"] = self.firmware.sha256
        incoming = Incoming(environment=self.environment, device="d", action=action, told=said)  # type: ignore[arg-type]
        if action == 0 and isinstance(said, Event):  # the door lets none through
            return
        (answer,) = self.house.registry.record([incoming])
        agreed = before.consent in ("", "given") and not before.standing
        if isinstance(said, Feedback) and action == before.action and agreed:
            skipped = any(line.lower().startswith("skipped update") for line in said.details)
            whole = said.execution == "closed" and said.finished != "failure" and not skipped
            self.told = self.told or (whole and answer == "taken")
        if isinstance(said, AttributesPut) and self.told:
            self.shown = self.shown or self.found().runs == NEW

    def found(self):  # type: ignore[no-untyped-def]
        found = self.house.registry.find(self.environment, "d")
        assert found is not None
        return found


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(beginning=BEGINNINGS, steps=st.lists(STEP, min_size=2, max_size=8))
def test_nothing_a_device_says_makes_it_verified_without_showing_it(
    house: DeviceHouse,
    beginning: list[tuple[str, object, int]],
    steps: list[tuple[str, object, int]],
) -> None:
    witness = Witness(house)
    ended: dict[int, str] = {}
    for step in beginning + steps:
        witness.step(*step)
        found = witness.found()
        if found.state == "verified":
            assert witness.told and witness.shown, steps
            assert found.strength in ("attributes", "digest")
        if found.action in ended:
            assert found.state == ended[found.action], "what has ended stays as it ended"
        if found.state in ("verified", "failed", "timed_out", "returned"):
            ended[found.action] = found.state


def test_the_witness_can_be_convinced(house: DeviceHouse) -> None:
    witness = Witness(house)
    says = [
        Feedback("closed", "success"),
        AttributesPut(mode="merge", values={"sw_version": NEW, "fw_digest": "right"}),
    ]
    witness.step("assign", None, 0)
    for said in says:
        witness.step("says", said, 0)
    found = witness.found()
    assert (found.state, found.strength) == ("verified", "digest")
    assert witness.told and witness.shown


@pytest.mark.parametrize(
    "steps",
    [
        [("ask", None, 0), ("says", Feedback("closed", "success"), 0)],
        [
            ("assign", None, 0),
            ("says", Opened(), 0),
            ("stop", None, 0),
            ("says", CancelFeedback("closed", "success"), 0),
        ],
        [("assign", None, 0), ("says", Feedback("closed", "success", ("Skipped Update.",)), 0)],
        [("assign", None, 0), ("reject", None, 0), ("says", Feedback("closed", "success"), 0)],
    ],
)
def test_what_looks_like_success_and_is_none(
    house: DeviceHouse, steps: list[tuple[str, object, int]]
) -> None:
    witness = Witness(house)
    for step in steps:
        witness.step(*step)
    witness.step("says", AttributesPut(mode="merge", values={"sw_version": NEW}), 0)
    assert witness.found().state != "verified" and not witness.told
