"""Enrolling devices: the fact before the rows, also when the server dies in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from house import MOODY, AppHouse

from surefoot.core.errors import Refused
from surefoot.store.device import DeviceRegistry

House = Callable[[str], AppHouse]


@pytest.fixture
def home(house: House) -> AppHouse:
    home = house(MOODY)
    home.set_up()
    return home


def enrol(home: AppHouse, *names: str) -> Any:
    devices = [{"id": name, "token": name} for name in names]
    return home.call("device enrol", "ann", name="dev", devices=devices)["enrolled"]


def counts(home: AppHouse) -> list[int]:
    return [fact["count"] for fact in home.facts("DevicesEnrolled")]


def crash(*_: object) -> None:
    raise OSError("gone")


def test_after_a_crash_between_fact_and_rows_a_repeat_adds_the_devices_and_no_second_fact(
    home: AppHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(DeviceRegistry, "enrol", crash)
        with pytest.raises(OSError, match="gone"):
            enrol(home, "one", "two")
    assert counts(home) == [2]
    assert home.installation.registry.page("dev") == []
    home.close()
    home.open()
    assert enrol(home, "one", "two") == 2
    assert counts(home) == [2]
    assert [d.device for d in home.installation.registry.page("dev")] == ["one", "two"]
    assert home.call("environment show", "ann", name="dev")["devices"] == 2


def test_a_crash_before_the_fact_admits_nobody(
    home: AppHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(type(home.installation.log), "transact", crash)
        with pytest.raises(OSError, match="gone"):
            enrol(home, "one")
    assert counts(home) == [] and home.installation.registry.page("dev") == []


def test_a_fact_names_those_alone_that_are_new(home: AppHouse) -> None:
    assert (enrol(home, "one"), enrol(home, "one", "two", "two"), enrol(home, "two")) == (1, 1, 0)
    assert counts(home) == [1, 1]


def test_a_name_that_no_path_can_have_is_refused_before_anything(home: AppHouse) -> None:
    with pytest.raises(Refused, match=r"device\.name\.input"):
        enrol(home, "one", "a/b")
    assert counts(home) == [] and home.installation.registry.page("dev") == []
