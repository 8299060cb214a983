"""Which devices a rollout is for: the waves take those, and leave the others alone."""

from pathlib import Path

import pytest

from surefoot.core.errors import Refused
from surefoot.core.target import Token
from surefoot.store.device import AttributesPut, Incoming
from surefoot.store.device_known import Candidate
from surefoot.store.device_rollouts import DeviceRollouts, Wave
from surefoot.store.device_target import Targeted, Targeting
from surefoot.testing.device_door import DeviceHouse

ENV = "production"


def say(house: DeviceHouse, device: str, **values: str) -> None:
    told = AttributesPut(mode="merge", values=values)
    house.registry.record([Incoming(environment=ENV, device=device, told=told)])


def assigned(house: DeviceHouse) -> set[str]:
    return {d.device for d in house.registry.page(ENV) if d.action}


def assign(house: DeviceHouse, number: int, percent: int, targeting: Targeting) -> object:
    wave = Wave(
        deployment=1,
        wave=number,
        percent=percent,
        release="sha256:" + "1" * 64,
        firmware=house.firmware(b"new", "2.0"),
        deadline_seconds=60,
        targeting=targeting,
    )
    token = Token(operation=f"1/wave-{number}", fence=1)
    return DeviceRollouts(house.database, ENV, house.now_ms).assign(wave, token).figures


@pytest.fixture
def house(tmp_path: Path) -> DeviceHouse:
    house = DeviceHouse(tmp_path)
    house.enrol(ENV, *(f"d{n:02}" for n in range(20)))
    for n in range(20):
        say(house, f"d{n:02}", region="eu" if n < 10 else "us", sw_version=f"1.{n}")
    return house


def test_a_wave_is_a_share_of_those_that_the_rollout_is_for(house: DeviceHouse) -> None:
    targeting = Targeting(query="attribute.region==eu and version=ge=1.2", devices=("d19", "gone"))
    wanted = {f"d{n:02}" for n in range(2, 10)} | {"d19"}
    assert assign(house, 0, 50, targeting) == {"assigned": 5, "unfit": 0}
    assert len(assigned(house)) == 5 and assigned(house) < wanted
    # Who moves away from the target after a wave took it keeps its place in the ordering.
    say(house, min(assigned(house)), region="us")
    assert assign(house, 1, 100, targeting) == {"assigned": 4, "unfit": 0}
    assert assigned(house) == wanted


def test_a_rollout_for_nobody_assigns_nothing(house: DeviceHouse) -> None:
    assert assign(house, 0, 100, Targeting(query="name==nobody")) == {"assigned": 0, "unfit": 0}
    assert assigned(house) == set()


def test_without_query_and_list_it_is_for_all(house: DeviceHouse) -> None:
    assign(house, 0, 100, Targeting())
    assert len(assigned(house)) == 20


def test_a_list_alone_is_for_those_alone() -> None:
    targeted = Targeted(Targeting(devices=("a",)))
    found = [
        name for name in ("a", "b") if targeted.has(Candidate(1, name, *[""] * 3, "{}", "", ""))
    ]
    assert found == ["a"]


def test_a_wrong_query_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        Targeted(Targeting(query="name=="))
    assert caught.value.code == "device.query.input"
