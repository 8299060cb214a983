"""Tokens, gateways and standings through the operations: each is a fact, and takes a right."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from house import MOODY, AppHouse

from surefoot.core.errors import Refused

House = Callable[[str], AppHouse]


@pytest.fixture
def home(house: House) -> AppHouse:
    home = house(MOODY)
    home.set_up()
    return home


def code_of(ask: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        ask()
    return caught.value.code


def test_a_device_is_let_in_kept_out_and_given_a_token(home: AppHouse) -> None:
    place = {"name": "dev", "id": "lamp-7"}
    token = home.call("device gateway-token", "ann", name="dev")["token"]
    installation = home.installation
    held = installation.identities.gateways()["dev"]
    assert held == hashlib.sha256(str(token).encode()).digest()
    installation.identities.knock("dev", "lamp-7")
    assert home.call("device accept", "ann", **place)["standing"] == "accepted"
    assert code_of(lambda: home.call("device reject", "ann", **place)) == "device.standing.moved"
    fresh = home.call("device rotate-token", "ann", **place)["token"]
    (row,) = installation.registry.changed(0)
    assert row.token_hash == hashlib.sha256(str(fresh).encode()).digest()
    home.call("device set-profile", "ann", **place, profile="swupdate")
    home.call("device revoke", "ann", **place)
    home.call("device gateway-token", "ann", name="dev", off=True)
    assert installation.identities.gateways() == {}
    found = home.call("device show", "ann", **place)["device"]
    assert (found["standing"], found["profile"], found["profile_by"]) == (
        "revoked",
        "swupdate",
        "set",
    )
    standings = [(f["before"], f["standing"]) for f in home.facts("DeviceStandingSet")]
    assert standings == [("pending", "accepted"), ("accepted", "revoked")]
    assert [f["active"] for f in home.facts("GatewayTokenSet")] == [True, False]
    for kind in ("DeviceTokenRotated", "DeviceProfileSet"):
        assert [f["device"] for f in home.facts(kind)] == ["lamp-7"]
    journal = str(
        [f for kind in ("DeviceTokenRotated", "GatewayTokenSet") for f in home.facts(kind)]
    )
    assert str(token) not in journal and str(fresh) not in journal


def test_who_may_not_manage_devices_changes_nothing(home: AppHouse) -> None:
    home.enrol("eve")
    place = {"name": "dev", "id": "lamp-7"}
    home.installation.identities.knock("dev", "lamp-7")
    before = home.installation.registry.newest_change()
    for name, more in (
        ("device accept", place),
        ("device reject", place),
        ("device revoke", place),
        ("device rotate-token", place),
        ("device set-profile", {**place, "profile": "rauc"}),
        ("device gateway-token", {"name": "dev"}),
    ):
        code_of(lambda name=name, more=more: home.call(name, "eve", **more))
    assert home.installation.registry.newest_change() == before
    assert home.installation.identities.gateways() == {}
    assert len(home.facts("DeviceStandingSet")) == 0


def test_a_device_of_a_list_may_come_by_the_gateway(home: AppHouse) -> None:
    devices = [{"id": "one", "gateway": True}]
    home.call("device enrol", "ann", name="dev", devices=devices)
    (row,) = home.installation.registry.changed(0)
    assert (row.token_hash, row.standing) == (bytes(32), "")
    both = [{"id": "two", "gateway": True, "token": "t"}]
    refused = code_of(lambda: home.call("device enrol", "ann", name="dev", devices=both))
    assert refused == "device.token.input"
    unknown = {"name": "dev", "id": "nobody"}
    assert code_of(lambda: home.call("device accept", "ann", **unknown)) == "device.name.unknown"
