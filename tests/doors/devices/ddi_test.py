"""The device door over a real socket: every endpoint, and bad input that changes nothing."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from surefoot.core.target import Token
from surefoot.store.device_rollouts import Wave
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of
from surefoot.testing.door_client import CONTENT, ENV, DoorClient, report
from surefoot.testing.waiting import until


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DoorClient]:
    house = DeviceHouse(tmp_path_factory.mktemp("house"))
    house.enrol(ENV, "dev1")
    with DoorServer(house.desk(), body_seconds_max=3.0) as server:
        yield DoorClient(house, server)
    house.database.close()


def test_a_whole_update_from_poll_to_verified(door: DoorClient) -> None:
    action = door.assign()
    answer = door.poll()
    assert answer["config"] == {"polling": {"sleep": "00:00:01"}}
    root = f"{door.url}/{ENV}/controller/v1/dev1"
    href = answer["_links"]["deploymentBase"]["href"]
    assert href.startswith(f"{root}/deploymentBase/{action}?c=")
    assert len(href.removeprefix(f"{root}/")) < 50
    _, headers, body = door.ask("GET", f"deploymentBase/{action}?c=5")
    document = json.loads(body)
    chunk = document["deployment"]["chunks"][0]
    artifact = chunk["artifacts"][0]
    assert document["id"] == str(action) and chunk["part"] == "bApp"
    assert set(artifact["hashes"]) == {"sha1", "md5", "sha256"}
    assert set(artifact["_links"]) == {"download", "md5sum", "download-http", "md5sum-http"}
    assert int(headers["content-length"]) == len(body) and "transfer-encoding" not in headers
    path = urlsplit(artifact["_links"]["download"]["href"]).path
    assert door.ask("GET", path)[2] == CONTENT
    assert door.state()[0] == "downloading"
    feedback = f"deploymentBase/{action}/feedback"
    for body_sent in (report("proceeding", "none", "a"), report("closed", "success", "b")):
        assert door.ask("POST", feedback, body_sent)[::2] == (200, b"")
    assert door.state()[0] == "reported"
    assert "deploymentBase" not in door.links() and "configData" in door.links()
    sent = {"mode": "merge", "data": {"sw_version": "1.1.0"}}
    assert door.ask("PUT", "configData", sent)[::2] == (200, b"")
    assert door.state()[0] == "verified"
    links = door.links()
    assert "configData" not in links and links["installedBase"].endswith(f"/{action}")
    assert door.ask("GET", f"installedBase/{action}")[0] == 200
    assert door.ask("POST", feedback, report("closed", "success"))[0] == 410


def test_history_is_told_when_asked_for(door: DoorClient) -> None:
    action = door.assign()
    door.ask("POST", f"deploymentBase/{action}/feedback", report("proceeding", "none", "half"))
    document = json.loads(door.ask("GET", f"deploymentBase/{action}?actionHistory=-1")[2])
    assert "half" in document["actionHistory"]["messages"]


def test_links_echo_the_spelling_of_the_request(door: DoorClient) -> None:
    action = door.assign()
    answer = door.poll(tenant="PRODUCTION", Host="updates.example:8443")
    expected = f"http://updates.example:8443/PRODUCTION/controller/v1/dev1/deploymentBase/{action}"
    assert answer["_links"]["deploymentBase"]["href"].startswith(f"{expected}?c=")
    assert door.ask("GET", "", Host='evil"host')[0] == 400


def test_a_cancel_conversation(door: DoorClient) -> None:
    action = door.assign()
    door.ask("GET", f"deploymentBase/{action}")
    assert door.ask("GET", f"cancelAction/{action}")[0] == 404
    closed = report("closed", "success", "cancellation acknowledged.")
    assert door.ask("POST", f"cancelAction/{action}/feedback", closed)[0] == 405
    token = Token(operation=f"{door.deployment}/stop", fence=door.deployment)
    door.rollouts.stop(door.deployment, token)
    door.server.looked()
    links = door.links()
    assert "deploymentBase" not in links and links["cancelAction"].endswith(f"/{action}")
    document = json.loads(door.ask("GET", f"cancelAction/{action}")[2])
    assert document == {"id": str(action), "cancelAction": {"stopId": str(action)}}
    assert door.ask("POST", f"cancelAction/{action}/feedback", closed)[0] == 200
    assert door.state()[0] == "unknown"
    assert "configData" in door.links() and "cancelAction" not in door.links()


def test_downloads_with_head_ranges_and_a_stable_etag(door: DoorClient) -> None:
    path = door.artifact_path(door.assign())
    status, headers, body = door.ask("HEAD", path)
    assert (status, body, headers["content-length"]) == (200, b"", str(len(CONTENT)))
    assert headers["accept-ranges"] == "bytes" and headers["x-content-type-options"] == "nosniff"
    etag = f'"{door.firmware.sha1}"'
    assert headers["etag"] == etag
    status, headers, body = door.ask("GET", path, Range="bytes=1000-")
    assert (status, body) == (206, CONTENT[1000:])
    assert headers["content-range"] == f"bytes 1000-{len(CONTENT) - 1}/{len(CONTENT)}"
    assert door.ask("GET", path, Range="bytes=0-9")[2] == CONTENT[:10]
    assert door.ask("GET", path, Range="bytes=-10")[2] == CONTENT[-10:]
    status, headers, _ = door.ask("GET", path, Range=f"bytes={len(CONTENT)}-")
    assert (status, headers["content-range"]) == (416, f"bytes */{len(CONTENT)}")
    assert door.ask("GET", path, Range="bytes=5-", If_Range=etag)[0] == 206
    assert door.ask("GET", path, Range="bytes=5-", If_Range='"other"')[0] == 200
    assert door.ask("GET", path, If_Match='"other"')[0] == 412
    assert door.ask("GET", path, If_Match=etag)[0] == 200
    sums = door.ask("GET", path + ".MD5SUM")
    assert sums[2].decode() == f"{door.firmware.md5}  {door.firmware.file}\n"
    assert sums[1]["content-type"].startswith("text/plain")


def test_ranges_write_no_rows(door: DoorClient) -> None:
    path = door.artifact_path(door.assign())
    door.ask("GET", path)
    before = door.state()
    for start in range(0, 50_000, 5_000):
        door.ask("GET", path, Range=f"bytes={start}-{start + 99}")
    assert door.state() == before


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "TargetToken",
        "TargetToken ",
        "TargetToken wrong",
        "targettoken " + token_of("dev1"),
        "GatewayToken " + token_of("dev1"),
        "TargetToken " + token_of("dev2"),
        "TargetToken  " + token_of("dev1"),
        "TargetToken " + "x" * 5000,
    ],
)
def test_who_may_not_speak_gets_401_and_changes_nothing(
    door: DoorClient, authorization: str
) -> None:
    action = door.assign()
    before = door.state()
    for method, path in (
        ("GET", ""),
        ("GET", f"deploymentBase/{action}"),
        ("POST", f"deploymentBase/{action}/feedback"),
        ("GET", door.artifact_path(action)),
    ):
        status, _, body = door.ask(method, path, Authorization=authorization)
        assert status == 401 and json.loads(body)["errorCode"] == "device.token.refused"
    assert door.state() == before


def test_an_unknown_device_or_environment_is_not_told_apart(door: DoorClient) -> None:
    assert door.ask("GET", "", device="nobody")[0] == 401
    assert door.ask("GET", "", tenant="nowhere")[0] == 401


@pytest.mark.parametrize("number", ["0", "1", "2147483648", "-1", "abc", "9" * 40, "%00", "1.5"])
def test_a_number_that_is_no_action_of_the_device(door: DoorClient, number: str) -> None:
    before = door.state()
    for method, path in (
        ("GET", f"deploymentBase/{number}"),
        ("GET", f"installedBase/{number}"),
        ("GET", f"cancelAction/{number}"),
        ("POST", f"deploymentBase/{number}/feedback"),
        ("POST", f"cancelAction/{number}/feedback"),
        ("GET", f"softwaremodules/{number}/artifacts/{door.firmware.file}"),
    ):
        body = report("closed", "success") if method == "POST" else None
        assert door.ask(method, path, body)[0] == 404
    assert door.state() == before


def test_paths_and_methods_outside_the_api_answer_json(door: DoorClient) -> None:
    assert json.loads(door.ask("GET", "/nowhere")[2])["errorCode"] == "device.path.unknown"
    assert door.ask("DELETE", "")[0] == 405
    path = f"softwaremodules/{door.assign()}/artifacts/..%2F..%2Fetc%2Fpasswd"
    assert door.ask("GET", path)[0] == 404


BAD_BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"[" * 60_000,
    b'{"status": 1}',
    b'{"status": {"execution": "closed"}}',
    b'{"status": {"execution": "closed", "result": {"finished": "maybe"}}}',
    b'{"status": {"execution": ["closed"], "result": {"finished": "success"}}}',
    b'{"status": {"execution": "closed", "result": {"finished": {}}}}',
    b'{"a": ' + b"1" * 5000 + b"}",
]


@pytest.mark.parametrize("body", BAD_BODIES)
def test_a_bad_body_is_a_clear_400_and_changes_nothing(door: DoorClient, body: bytes) -> None:
    action = door.assign()
    before = door.state()
    for method, path in (
        ("POST", f"deploymentBase/{action}/feedback"),
        ("PUT", "configData"),
    ):
        status, _, answer = door.ask(method, path, body)
        assert status == 400
        assert {"expected", "found", "remedy"} <= set(json.loads(answer)["info"])
    assert door.state() == before


@pytest.mark.parametrize(
    "body",
    [
        {"mode": "merge", "data": {"k": 1}},
        {"mode": "other", "data": {}},
        {"data": {"k": "v" * 129}},
        {"data": {"k" * 129: "v"}},
        {"data": {f"k{n}": "v" for n in range(101)}},
    ],
)
def test_attributes_outside_the_quota_are_refused(door: DoorClient, body: dict[str, Any]) -> None:
    before = door.state()
    assert door.ask("PUT", "configData", body)[0] == 400
    assert door.state() == before


def test_control_characters_in_a_failure_report_are_taken(door: DoorClient) -> None:
    action = door.assign()
    body = (
        b'{"id":"x","status":{"result":{"finished":"failure"},"execution":"closed",'
        b'"details":["Got malformed JSON: \n\x01 \\ud800 \xc3\xa4","No suitable image"]}}'
    )
    assert door.ask("POST", f"deploymentBase/{action}/feedback", body)[0] == 200
    assert door.state()[0] == "failed"


def test_a_body_that_is_too_large_is_refused(door: DoorClient) -> None:
    before = door.state()
    status, headers, _ = door.ask("PUT", "configData", b'{"data":"' + b"x" * 70_000 + b'"}')
    assert (status, headers["connection"]) == (413, "close")
    assert door.state() == before


def raw(door: DoorClient, request: bytes, wait: float = 90) -> bytes:
    host, _, port = door.netloc.partition(":")
    with socket.create_connection((host, int(port)), timeout=wait) as line:
        line.sendall(request)
        found = b""
        try:
            while piece := line.recv(65_536):
                found += piece
                if b"\r\n\r\n" in found:
                    break
        except TimeoutError:
            pass
    return found


def test_a_body_that_never_ends_is_given_up(door: DoorClient) -> None:
    head = (
        f"PUT /{ENV}/controller/v1/dev1/configData HTTP/1.1\r\nHost: {door.netloc}\r\n"
        f"Authorization: TargetToken {token_of('dev1')}\r\nContent-Length: 100\r\n\r\n"
    )
    assert raw(door, head.encode() + b"{").startswith(b"HTTP/1.1 408")
    chunked = head.replace("Content-Length: 100", "Transfer-Encoding: chunked")
    pieces = b"10000\r\n" + b"x" * 65_536 + b"\r\n10\r\n" + b"x" * 16 + b"\r\n"
    assert raw(door, chunked.encode() + pieces).startswith(b"HTTP/1.1 413")


def test_garbage_on_the_line_is_a_400(door: DoorClient) -> None:
    assert raw(door, b"\x16\x03\x01\x02\x00\r\n\r\n").startswith(b"HTTP/1.1 400")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["status", "execution", "result", "finished", "details", "data", "mode"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=json_values, path=st.sampled_from(["deploymentBase/{}/feedback", "configData"]))
def test_fuzzed_bodies_never_make_a_server_error(door: DoorClient, body: Any, path: str) -> None:
    if not door.links().get("deploymentBase"):
        door.assign()
    action = door.links()["deploymentBase"].rsplit("/", 1)[1].split("?")[0]
    method = "PUT" if path == "configData" else "POST"
    content = json.dumps(body).encode()
    status, _, _ = door.ask(method, path.format(action), content)
    assert status in (200, 400, 413)


def test_a_poll_writes_no_row_and_is_seen_later(door: DoorClient) -> None:
    before = door.house.registry.newest_change()
    for _ in range(20):
        door.poll()
    assert door.house.registry.newest_change() == before
    until(lambda: door.house.registry.page(ENV)[0].seen_ms > 0)


def test_a_new_token_is_heard_and_the_old_one_refused(door: DoorClient) -> None:
    house = door.house
    house.enrol(ENV, "other")
    door.server.looked()
    assert door.ask("GET", "", device="other")[0] == 200
    house.registry.set_token(ENV, "other", bytes(32))
    door.server.looked()
    assert door.ask("GET", "", device="other")[0] == 401


def test_a_zephyr_client_has_its_tenant_built_in(door: DoorClient) -> None:
    door.house.enrol(ENV, "board-1")
    door.house.enrol("staging", "dev1-twin", "board-2")
    door.server.looked()
    root = f"{door.url}/DEFAULT/controller/v1/board-1"
    answer = door.poll(device="board-1", tenant="DEFAULT")
    assert answer["_links"]["configData"]["href"] == f"{root}/configData"
    # Two environments have a device of that name: which is meant cannot be told.
    door.house.enrol("staging", "board-1")
    door.server.looked()
    assert door.ask("GET", "", device="board-1", tenant="DEFAULT")[0] == 401
    assert door.ask("GET", "", device="board-2", tenant="default")[0] == 200


def test_what_a_client_cannot_take_is_not_offered(door: DoorClient) -> None:
    house = door.house
    house.enrol("lab", "swu", "zephyr")
    client = DoorClient(house, door.server)
    client.firmware = house.firmware(b"image", "2.0.0", file="fw.bin")
    wave = Wave(
        deployment=1,
        wave=0,
        percent=100,
        release="sha256:" + "2" * 64,
        firmware=client.firmware,
        deadline_seconds=600,
    )
    house.assign("lab", wave)
    door.server.looked()

    def ask(device: str, path: str, **headers: str) -> tuple[int, bytes]:
        return client.ask("GET", path, device=device, tenant="lab", **headers)[::2]

    actions = {d.device: d.action for d in house.registry.page("lab")}
    told = json.loads(ask("swu", "")[1])
    assert f"/{actions['swu']}?" in told["_links"]["deploymentBase"]["href"]
    path = f"deploymentBase/{actions['swu']}"
    assert ask("swu", path, User_Agent="libcurl-agent/1.0")[0] == 404
    assert "deploymentBase" not in json.loads(ask("swu", "")[1])["_links"]
    found = house.registry.find("lab", "swu")
    assert found is not None and found.withheld and found.state == "assigned"
    path = f"deploymentBase/{actions['zephyr']}"
    body = ask("zephyr", path, User_Agent="Zephyr")[1]
    assert json.loads(body)["deployment"]["chunks"][0]["part"] == "bApp"
    assert ask("zephyr", path, User_Agent="libcurl-agent/1.0")[0] == 200, "learned only once"
