"""Devices that come after the last wave are judged too, in a whole installation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from download_only_test import INSTALLED, tell
from house import MOODY, AppHouse
from rollouts_test import enrol

from surefoot.core.device import Feedback
from surefoot.core.errors import Failed
from surefoot.store.device import AttributesPut, Incoming
from surefoot.store.device_newcomers import DeviceNewcomers

House = Callable[[str], AppHouse]
SHOWN = AttributesPut(mode="merge", values={"version": "1.0.0"})
OLD = AttributesPut(mode="merge", values={"version": "0.9.0"})


def comes(home: AppHouse, *names: str) -> None:
    """Devices that come later, and show what they run."""
    enrol(home, *names)
    says(home, OLD, *names)
    home.installation.upkeep()


def says(home: AppHouse, told: object, *names: str) -> None:
    said = [Incoming(environment="dev", device=name, told=told) for name in names]  # type: ignore[arg-type]
    home.installation.registry.record(said)
    home.installation.upkeep()


def state(home: AppHouse, name: str) -> tuple[str, str]:
    found = home.installation.registry.find("dev", name)
    assert found is not None
    return found.wave, found.state


def rolled_out(house: House) -> AppHouse:
    """A rollout that succeeded, and ends for newcomers when two of them failed."""
    home = house(MOODY.replace("minimum_sample: 1", "minimum_sample: 2"))
    home.set_up()
    enrol(home, "l1")
    home.release("1.0.0")
    number = home.request("dev", release="1.0.0")
    home.carry(number)
    tell(home, INSTALLED, SHOWN)
    assert home.carry(number) == "succeeded"
    return home


def test_too_many_failed_newcomers_end_the_rollout_for_those_who_come(house: House) -> None:
    home = rolled_out(house)
    comes(home, "n1", "n2", "n3")
    assert state(home, "n3") == ("newcomers", "assigned")
    says(home, Feedback("closed", "failure"), "n1")
    assert home.facts("AlarmRaised") == [], "one of two that are asked for"
    says(home, Feedback("closed", "failure"), "n2")
    (alarm,) = home.facts("AlarmRaised")
    assert alarm["code"] == "newcomers.stopped"
    assert "newcomers: 2 of 2 ended devices failed" in alarm["subject"]
    assert state(home, "n3") == ("newcomers", "returned")
    comes(home, "n4")
    assert state(home, "n4") == ("", "")
    home.installation.upkeep()
    assert len(home.facts("AlarmRaised")) == 1
    fleet = home.call("fleet show", "ann", name="dev")["rollouts"][0]
    assert fleet["verdicts"]["newcomers"]["verdict"] == "stopped"
    assert fleet["status"] == "succeeded"


def test_an_end_that_fails_is_tried_again_without_a_further_alarm(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = rolled_out(house)
    comes(home, "n1", "n2", "n3")

    def full(self: DeviceNewcomers, environment: str, deployment: int) -> int:
        raise Failed("x.y", "the disk", expected="room", found="none", remedy="none")

    with monkeypatch.context() as patch:
        patch.setattr(DeviceNewcomers, "close", full)
        says(home, Feedback("closed", "failure"), "n1", "n2")
        home.installation.upkeep()
        assert len(home.facts("AlarmRaised")) == 1
    home.installation.upkeep()
    assert state(home, "n3") == ("newcomers", "returned")
    assert len(home.facts("AlarmRaised")) == 1
