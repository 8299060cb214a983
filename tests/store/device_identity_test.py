"""Standings, tokens of gateways and profiles on both databases."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.core.device import Feedback
from surefoot.core.errors import Refused
from surefoot.store import device_identity
from surefoot.store.device import AttributesPut, Incoming, ProfileLearned
from surefoot.store.device_identity import NO_TOKEN
from surefoot.store.device_rollouts import Wave
from surefoot.store.postgres import PostgresDatabase
from surefoot.testing.device_door import DeviceHouse

ENV = "production"
DONE = Feedback("closed", "success")


@pytest.fixture(params=["sqlite", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeviceHouse]:
    database = None
    if request.param == "postgres":
        database = PostgresDatabase(request.getfixturevalue("postgres_dsn"))
    house = DeviceHouse(tmp_path, database)
    yield house
    house.database.close()


def assign(house: DeviceHouse, deployment: int = 1) -> None:
    wave = Wave(
        deployment=deployment,
        wave=0,
        percent=100,
        release="sha256:" + "1" * 64,
        firmware=house.firmware(b"new", "1.1.0"),
        deadline_seconds=60,
    )
    house.assign(ENV, wave, deployment)


def tell(house: DeviceHouse, device: str, *told: object) -> list[str]:
    incoming = [Incoming(environment=ENV, device=device, told=each) for each in told]  # type: ignore[arg-type]
    return list(house.registry.record(incoming))


def says(version: str) -> AttributesPut:
    return AttributesPut(mode="merge", values={"firmware_version": version})


def test_who_knocks_is_pending_and_moves_nothing_until_let_in(house: DeviceHouse) -> None:
    assert house.identities.knock(ENV, "stranger")
    assert house.identities.knock(ENV, "stranger")
    assign(house)
    found = house.registry.page(ENV)[0]
    assert (found.standing, found.action) == ("pending", 0)
    before = house.registry.newest_change()
    assert (
        tell(house, "stranger", says("1.1.0"), DONE, ProfileLearned(profile="rauc"))
        == ["not_found"] * 3
    )
    assert house.registry.newest_change() == before
    assert house.identities.set_standing(ENV, "stranger", "", "ann") == "pending"
    assign(house, 2)
    assert house.registry.page(ENV)[0].state == "assigned"
    told = b"".join(house.registry.timeline(ENV, "stranger"))
    assert b'"standing":"pending"' in told and b'"standing":"accepted"' in told
    house.seal(ENV)
    assert house.sealed[-1].waves == {"0": {"assigned": 1}}


def test_whoever_is_revoked_counts_no_more_and_is_not_brought_back(house: DeviceHouse) -> None:
    house.enrol(ENV, "a", "b")
    assign(house)
    tell(house, "a", DONE, says("1.1.0"))
    house.seal(ENV)
    assert house.sealed[-1].firmware == {"1.1.0": 1}
    for device in ("a", "b"):
        assert house.identities.set_standing(ENV, device, "revoked", "ann") == ""
    house.seal(ENV)
    assert house.sealed[-1].firmware == {}
    assert house.sealed[-1].waves == {"0": {"verified": 1, "unknown": 1}}
    assert tell(house, "b", DONE) == ["not_found"]
    assign(house, 2)
    assert {d.state for d in house.registry.page(ENV)} == {"verified", "unknown"}


def test_a_gateway_is_held_as_a_hash_and_replaced(house: DeviceHouse) -> None:
    one, two = (hashlib.sha256(each).digest() for each in (b"one", b"two"))
    house.identities.set_gateway(ENV, one)
    house.identities.set_gateway("staging", two)
    house.identities.set_gateway(ENV, two)
    assert house.identities.gateways() == {ENV: two, "staging": two}
    house.registry.remove_environment("staging")
    house.identities.set_gateway(ENV, b"")
    assert house.identities.gateways() == {}


def test_only_so_many_wait(house: DeviceHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_identity, "PENDING_MAX", 2)
    assert [house.identities.knock(ENV, name) for name in "abca"] == [True, True, False, True]
    house.identities.set_standing(ENV, "a", "rejected", "ann")
    assert house.identities.knock(ENV, "c")
    with pytest.raises(Refused, match=r"device\.name\.input"):
        house.identities.knock(ENV, "a b")
    assert {row.token_hash for row in house.registry.changed(0)} == {NO_TOKEN}


def test_what_a_person_set_is_not_learned_over(house: DeviceHouse) -> None:
    house.enrol(ENV, "a")
    house.identities.set_profile(ENV, "a", "generic")
    assert tell(house, "a", ProfileLearned(profile="swupdate")) == ["unchanged"]
    house.identities.set_profile(ENV, "a", "")
    assert tell(house, "a", ProfileLearned(profile="swupdate")) == ["taken"]
    found = house.registry.page(ENV)[0]
    assert (found.profile, found.profile_by) == ("swupdate", "learned")
    for act in (
        lambda: house.identities.set_profile(ENV, "nobody", "rauc"),
        lambda: house.identities.set_standing(ENV, "nobody", "", "ann"),
    ):
        with pytest.raises(Refused, match=r"device\.name\.unknown"):
            act()
