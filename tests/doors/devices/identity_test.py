"""Who may speak at the device door: gateways, devices that wait, revoked ones."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.store.device import NewDevice
from surefoot.store.device_identity import NO_TOKEN
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of
from surefoot.testing.door_client import ENV, DoorClient, report

GATEWAY = "GatewayToken shared-by-many"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[DoorClient]:
    house = DeviceHouse(tmp_path)
    house.enrol(ENV, "dev1")
    house.identities.set_gateway(ENV, hashlib.sha256(b"shared-by-many").digest())
    with DoorServer(house.desk()) as server:
        yield DoorClient(house, server)
    house.database.close()


def polled(door: DoorClient, device: str, authorization: str = GATEWAY) -> tuple[int, object]:
    status, _, body = door.ask("GET", "", device=device, Authorization=authorization)
    return status, json.loads(body).get("_links")


def standing(door: DoorClient, device: str) -> str | None:
    found = door.house.registry.find(ENV, device)
    return found.standing if found else None


def test_an_unknown_device_knocks_waits_and_is_let_in(door: DoorClient) -> None:
    # Only a poll knocks; anything else of nobody is refused, and makes nobody.
    body = {"data": {"sw_version": "1.1.0"}}
    assert door.ask("PUT", "configData", body, device="new", Authorization=GATEWAY)[0] == 401
    assert standing(door, "new") is None
    assert polled(door, "new") == (200, {})
    assert standing(door, "new") == "pending"
    door.assign()
    before = door.house.registry.newest_change()
    for method, path, sent, expected in (
        ("GET", "", None, 200),
        ("PUT", "configData", body, 200),
        ("GET", "deploymentBase/1", None, 404),
        ("POST", "deploymentBase/1/feedback", report("closed", "success"), 404),
        ("PUT", "installedBase", {"name": "firmware", "version": "1.1.0"}, 404),
    ):
        assert door.ask(method, path, sent, device="new", Authorization=GATEWAY)[0] == expected
    assert door.house.registry.newest_change() == before
    door.house.identities.set_standing(ENV, "new", "", "ann")
    door.assign()
    door.server.looked()
    status, links = polled(door, "new")
    assert status == 200 and isinstance(links, dict) and "deploymentBase" in links


def test_a_rejected_device_hears_that_there_is_nothing_to_do(door: DoorClient) -> None:
    polled(door, "new")
    door.house.identities.set_standing(ENV, "new", "rejected", "ann")
    door.server.looked()
    assert polled(door, "new") == (200, {})


def test_a_gateway_speaks_for_no_device_that_has_a_token(door: DoorClient) -> None:
    action = door.assign()
    before = door.state()
    for method, path in (("GET", ""), ("POST", f"deploymentBase/{action}/feedback")):
        body = report("closed", "success") if method == "POST" else None
        assert door.ask(method, path, body, Authorization=GATEWAY)[0] == 401
    assert door.state() == before
    # A device that came through the gateway and got a token of its own leaves it.
    polled(door, "new")
    fresh = hashlib.sha256(token_of("new").encode()).digest()
    door.house.registry.set_token(ENV, "new", fresh)
    door.server.looked()
    assert polled(door, "new")[0] == 401
    assert polled(door, "new", f"TargetToken {token_of('new')}") == (200, {})


def test_a_pre_authorised_device_is_in_at_once(door: DoorClient) -> None:
    door.house.registry.enrol(ENV, [NewDevice(device="listed", token_hash=NO_TOKEN)])
    door.server.looked()
    status, links = polled(door, "listed")
    assert status == 200 and isinstance(links, dict) and set(links) == {"configData"}


@pytest.mark.parametrize(
    "authorization",
    [
        "GatewayToken wrong",
        "GatewayToken ",
        "gatewaytoken shared-by-many",
        "TargetToken shared-by-many",
        "GatewayToken " + "x" * 300,
        "GatewayToken " + "\x00" * 32,
    ],
)
def test_a_wrong_gateway_token_makes_nobody(door: DoorClient, authorization: str) -> None:
    if "\x00" not in authorization:
        assert polled(door, "new", authorization)[0] == 401
    assert door.ask("GET", "", device="new", tenant="staging", Authorization=GATEWAY)[0] == 401
    assert standing(door, "new") is None


def test_a_name_that_cannot_be_kept_is_refused_and_makes_nobody(door: DoorClient) -> None:
    for name in ("a%20b", "%C3%BC", "x" * 257, "a%22b"):
        assert door.ask("GET", "", device=name, Authorization=GATEWAY)[0] in (400, 401)
    assert [d.device for d in door.house.registry.page(ENV)] == ["dev1"]


def test_a_closed_gateway_opens_to_nobody(door: DoorClient) -> None:
    polled(door, "new")
    door.house.identities.set_gateway(ENV, b"")
    door.server.looked()
    assert polled(door, "new")[0] == 401
    assert polled(door, "other")[0] == 401


def test_a_revoked_device_is_refused_everywhere_and_let_in_again(door: DoorClient) -> None:
    action = door.assign()
    door.house.identities.set_standing(ENV, "dev1", "revoked", "ann")
    door.server.looked()
    for method, path in (("GET", ""), ("GET", f"deploymentBase/{action}"), ("PUT", "configData")):
        assert door.ask(method, path, {} if method == "PUT" else None)[0] == 401
    polled(door, "gone")
    door.house.identities.set_standing(ENV, "gone", "revoked", "ann")
    door.server.looked()
    assert polled(door, "gone")[0] == 401
    door.house.identities.set_standing(ENV, "dev1", "", "ann")
    door.server.looked()
    assert set(door.links()) == {"configData"}


def test_the_built_in_tenant_knocks_where_one_gateway_opens(door: DoorClient) -> None:
    found = door.ask("GET", "", device="board-9", tenant="DEFAULT", Authorization=GATEWAY)
    assert found[0] == 200 and standing(door, "board-9") == "pending"
