"""The device's user is asked first: endpoints 8 to 14 over a real socket."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from surefoot.core.target import Token
from surefoot.testing.device_door import DeviceHouse, DoorServer
from surefoot.testing.door_client import CONTENT, ENV, DoorClient, report


@pytest.fixture
def door(tmp_path: Path) -> Iterator[DoorClient]:
    house = DeviceHouse(tmp_path)
    house.enrol(ENV, "dev1")
    with DoorServer(house.desk()) as server:
        yield DoorClient(house, server)
    house.database.close()


def told(door: DoorClient) -> dict[str, Any]:
    found = door.house.registry.find(ENV, "dev1")
    assert found is not None
    return {name: getattr(found, name) for name in ("state", "consent", "reason")}


def say(door: DoorClient, action: int, word: str, *details: str) -> int:
    body = {"confirmation": word, "code": 200, "details": list(details)}
    return door.ask("POST", f"confirmationBase/{action}/feedback", body)[0]


def test_an_action_waits_until_the_user_confirms_it(door: DoorClient) -> None:
    action = door.assign(confirmation=True)
    links = door.links()
    assert "deploymentBase" not in links and f"/{action}?c=" in links["confirmationBase"]
    document = json.loads(door.ask("GET", f"confirmationBase/{action}")[2])
    assert document["id"] == str(action)
    assert document["confirmation"]["chunks"][0]["version"] == "1.1.0"
    # Nothing of it may be begun, and no report moves it.
    for method, path in (
        ("GET", f"deploymentBase/{action}"),
        ("POST", f"deploymentBase/{action}/feedback"),
        ("GET", f"softwaremodules/{action}/artifacts"),
        ("GET", door.artifact_path(action)),
    ):
        body = report("closed", "success") if method == "POST" else None
        assert door.ask(method, path, body)[0] == 404, path
    assert told(door) == {"state": "assigned", "consent": "waiting", "reason": ""}
    assert say(door, action, "denied", "not now") == 200
    assert told(door)["consent"] == "denied" and "not now" in told(door)["reason"]
    assert "confirmationBase" in door.links()
    assert say(door, action, "confirmed") == 200
    assert told(door)["consent"] == "given"
    assert "confirmationBase" not in door.links()
    assert f"/{action}?c=" in door.links()["deploymentBase"]
    assert say(door, action, "confirmed") == 404
    assert door.ask("GET", door.artifact_path(action))[2] == CONTENT
    assert door.ask("POST", f"deploymentBase/{action}/feedback", report("closed", "none"))[0] == 200
    assert say(door, action, "confirmed") == 410
    assert door.ask("GET", f"confirmationBase/{action}")[0] == 404


def test_the_change_number_moves_with_the_consent(door: DoorClient) -> None:
    action = door.assign(confirmation=True)
    waiting = door.links()["confirmationBase"].partition("?")[2]
    say(door, action, "confirmed")
    assert door.links()["deploymentBase"].partition("?")[2] != waiting


def test_a_withdrawn_action_is_not_asked_for(door: DoorClient) -> None:
    action = door.assign(confirmation=True)
    door.rollouts.stop(door.deployment, Token(operation="stop", fence=door.deployment))
    door.server.looked()
    assert set(door.links()) == {"configData"}
    assert say(door, action, "confirmed") == 410


def test_actions_that_confirm_themselves(door: DoorClient) -> None:
    waiting = door.assign(confirmation=True)
    status, _, body = door.ask("GET", "confirmationBase")
    about = json.loads(body)
    assert status == 200 and about["autoConfirm"] == {"active": False}
    assert set(about["_links"]) == {"activateAutoConfirm", "confirmationBase"}
    body = {"initiator": "ann", "remark": "always"}  # type: ignore[assignment]
    assert door.ask("POST", "confirmationBase/activateAutoConfirm", body)[::2] == (200, b"")
    assert door.ask("POST", "confirmationBase/activateAutoConfirm")[0] == 409
    about = json.loads(door.ask("GET", "confirmationBase")[2])
    assert {**about["autoConfirm"], "activatedAt": 0} == {
        "active": True,
        "initiator": "ann",
        "remark": "always",
        "activatedAt": 0,
    }
    assert about["autoConfirm"]["activatedAt"] > 1_700_000_000_000
    assert set(about["_links"]) == {"deactivateAutoConfirm"}
    # What waited is confirmed too, and what comes later does not wait.
    assert f"/{waiting}?" in door.links()["deploymentBase"]
    assert f"/{door.assign(confirmation=True)}?" in door.links()["deploymentBase"]
    for _ in range(2):
        assert door.ask("POST", "confirmationBase/deactivateAutoConfirm")[::2] == (200, b"")
    assert f"/{door.assign(confirmation=True)}?" in door.links()["confirmationBase"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"confirmation": "yes"}', b'{"confirmation": ["confirmed"]}', b"{"]
)
def test_a_bad_answer_of_the_user_changes_nothing(door: DoorClient, body: bytes) -> None:
    action = door.assign(confirmation=True)
    before = door.state()
    assert door.ask("POST", f"confirmationBase/{action}/feedback", body)[0] == 400
    assert door.state() == before


def test_what_a_device_declares_is_asked_for_again_and_proves_nothing(door: DoorClient) -> None:
    action = door.assign()
    door.ask("PUT", "configData", {"data": {"sw_version": "1.0.0"}})
    door.ask("POST", f"deploymentBase/{action}/feedback", report("closed", "success"))
    door.ask("PUT", "configData", {"data": {"sw_version": "1.0.0"}})
    declared = {"name": "firmware", "version": "1.1.0"}
    assert door.ask("PUT", "installedBase", declared)[::2] == (201, b"")
    assert told(door)["state"] == "reported"
    assert "configData" in door.links()
    for body in ({"name": "other", "version": "1.1.0"}, {"name": "firmware", "version": "9"}):
        assert door.ask("PUT", "installedBase", body)[0] == 404
    assert door.ask("PUT", "installedBase", {"name": "firmware"})[0] == 400
    door.ask("PUT", "configData", {"data": {"sw_version": "1.1.0"}})
    assert told(door)["state"] == "verified"
    assert door.ask("PUT", "installedBase", declared)[0] == 200


def test_the_files_of_a_module_are_listed(door: DoorClient) -> None:
    action = door.assign()
    (artifact,) = json.loads(door.ask("GET", f"softwaremodules/{action}/artifacts")[2])
    assert artifact["filename"] == door.firmware.file and artifact["size"] == len(CONTENT)
    assert set(artifact["_links"]) == {"download", "md5sum", "download-http", "md5sum-http"}
    assert door.ask("GET", f"softwaremodules/{action + 1}/artifacts")[0] == 404


def test_an_answer_that_is_held_already_is_not_sent_again(door: DoorClient) -> None:
    action = door.assign()
    for path in ("", f"deploymentBase/{action}"):
        _, headers, body = door.ask("GET", path)
        status, again, nothing = door.ask("GET", path, If_None_Match=headers["etag"])
        assert (status, again["etag"], nothing) == (304, headers["etag"], b"")
        assert door.ask("GET", path, If_None_Match='"other"')[::2] == (200, body)
    held = door.ask("GET", "")[1]["etag"]
    door.ask("POST", f"deploymentBase/{action}/feedback", report("closed", "none"))
    assert door.ask("GET", "", If_None_Match=f'"a", W/{held}')[0] == 200


def test_bodies_are_taken_with_and_without_a_charset(door: DoorClient) -> None:
    body = json.dumps({"data": {"sw_version": "ä"}}).encode()
    for kind in ("application/json", "application/json;charset=UTF-8", "text/plain"):
        assert door.ask("PUT", "configData", body, Content_Type=kind)[0] == 200
    cbor = bytes.fromhex("a16464617461a0")
    assert door.ask("PUT", "configData", cbor, Content_Type="application/cbor")[0] == 400
