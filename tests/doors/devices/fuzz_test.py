"""Nonsense at every endpoint: an answer, never a mistake of ours, and no change when refused."""

import json
import logging
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of
from surefoot.testing.door_client import ENV, DoorClient

FUZZ = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SEND = [
    ("PUT", "configData"),
    ("PUT", "installedBase"),
    ("POST", "deploymentBase/{}/feedback"),
    ("POST", "cancelAction/{}/feedback"),
    ("POST", "confirmationBase/{}/feedback"),
    ("POST", "confirmationBase/activateAutoConfirm"),
    ("POST", "confirmationBase/deactivateAutoConfirm"),
]
READ = [
    "",
    "deploymentBase/{}",
    "cancelAction/{}",
    "installedBase/{}",
    "confirmationBase",
    "confirmationBase/{}",
    "softwaremodules/{}/artifacts",
    "softwaremodules/{}/artifacts/firmware-1.1.0.swu",
    "softwaremodules/{}/artifacts/firmware-1.1.0.swu.MD5SUM",
]
WORDS = [
    *("status", "execution", "result", "finished", "details", "data", "mode", "id", "time"),
    *("closed", "proceeding", "success", "failure", "none", "confirmation", "confirmed", "denied"),
    *("initiator", "remark", "name", "version", "firmware", "1.1.0", "Skipped Update.", "replace"),
]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DoorClient]:
    house = DeviceHouse(tmp_path_factory.mktemp("house"))
    house.enrol(ENV, "dev1", "dev2")
    with DoorServer(house.desk(), body_seconds_max=3.0) as server:
        yield DoorClient(house, server)
    house.database.close()


def action_of(door: DoorClient, *, waiting: bool = False) -> int:
    """An action that is open, new when the one before has ended."""
    found = door.house.registry.page(ENV)[0]
    if found.state not in ("assigned", "offered", "downloading", "installing") or waiting:
        return door.assign(confirmation=waiting)
    return found.action


def checked(door: DoorClient, method: str, path: str, body: bytes | None, **headers: str) -> int:
    before = [*door.house.registry.page(ENV)], door.house.registry.newest_change()
    status, _, answer = door.ask(method, path, body, **headers)
    assert status < 500, (method, path, body, answer)
    if status >= 400:
        assert status in (412, 416) or "errorCode" in json.loads(answer)
        now = [*door.house.registry.page(ENV)], door.house.registry.newest_change()
        # Last-seen times are written aside, once a second.
        assert [unseen(d) for d in now[0]] == [unseen(d) for d in before[0]]
        assert now[1] == before[1]
    return status


def unseen(device: Any) -> Any:
    return [getattr(device, n) for n in device.__struct_fields__ if n != "seen_ms"]


@FUZZ
@given(body=st.binary(max_size=300), where=st.sampled_from(SEND), waiting=st.booleans())
def test_any_bytes_as_a_body(
    door: DoorClient, body: bytes, where: tuple[str, str], waiting: bool
) -> None:
    action = action_of(door, waiting=waiting)
    checked(door, where[0], where[1].format(action), body)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(max_size=20)
    | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=15,
)
STATUS = st.fixed_dictionaries(
    {
        "execution": st.sampled_from(["closed", "proceeding", "canceled"]) | json_values,
        "result": st.fixed_dictionaries({"finished": st.sampled_from(["success"]) | json_values}),
    },
    optional={"details": json_values},
)


@FUZZ
@given(
    body=json_values | st.fixed_dictionaries({"status": STATUS}),
    where=st.sampled_from(SEND),
    waiting=st.booleans(),
)
def test_any_json_as_a_body(
    door: DoorClient, body: Any, where: tuple[str, str], waiting: bool
) -> None:
    action = action_of(door, waiting=waiting)
    content = json.dumps(body).encode()
    checked(door, where[0], where[1].format(action), content)


@FUZZ
@given(
    number=st.integers(-10, 2**70).map(str) | st.text("0123456789abc-.%e+", min_size=1, max_size=9),
    path=st.sampled_from([p for p in READ if "{}" in p]),
    query=st.text("0123456789abc=&-%+", max_size=20),
)
def test_any_number_and_any_query(door: DoorClient, number: str, path: str, query: str) -> None:
    action_of(door)
    number = number.replace("%", "%25")
    checked(door, "GET", f"{path.format(number)}?actionHistory={query}", None)


@FUZZ
@given(
    path=st.sampled_from(READ),
    name=st.sampled_from(
        ["Range", "If_Range", "If_Match", "If_None_Match", "Accept", "User_Agent"]
    ),
    value=st.text('bytes=0123456789-,*"W/ ax', max_size=60).map(str.strip),
)
def test_any_header_that_a_client_may_send(
    door: DoorClient, path: str, name: str, value: str
) -> None:
    status = checked(door, "GET", path.format(action_of(door)), None, **{name: value})
    assert status in (200, 206, 304, 400, 404, 412, 416)


@FUZZ
@given(content=st.binary(min_size=1, max_size=400))
def test_any_bytes_on_the_line(door: DoorClient, content: bytes) -> None:
    host, _, port = door.netloc.partition(":")
    before = door.state()
    with socket.create_connection((host, int(port)), timeout=90) as line:
        line.sendall(content + b"\r\n\r\n")
        line.shutdown(socket.SHUT_WR)
        found = line.recv(65_536)
    assert found == b"" or found.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    assert door.state() == before


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "PATCH"])
def test_one_devices_token_on_anothers_path(
    door: DoorClient, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    action = action_of(door)
    time.sleep(1.1)  # the log takes so many lines a second
    theirs = f"TargetToken {token_of('dev2')}"
    paths = [p for m, p in SEND if m == method] or READ
    for path in paths:
        caplog.clear()
        with caplog.at_level(logging.WARNING, "surefoot.devices"):
            status = checked(door, method, path.format(action), b"{}", Authorization=theirs)
        assert status == 401 or (method in ("DELETE", "PATCH") and status == 405)
        lines = [record.getMessage() for record in caplog.records]
        assert len([line for line in lines if f"): {method} /" in line]) == 1


def test_replayed_and_late_reports_change_nothing_after_the_end(door: DoorClient) -> None:
    action = door.assign()
    closed = {"status": {"execution": "closed", "result": {"finished": "success"}}}
    feedback = f"deploymentBase/{action}/feedback"
    assert door.ask("POST", feedback, closed)[0] == 200
    failed = {"status": {"execution": "closed", "result": {"finished": "failure"}}}
    late = {"status": {"execution": "proceeding", "result": {"finished": "none"}}}
    for body in (closed, failed, late, closed):
        assert checked(door, "POST", feedback, json.dumps(body).encode()) == 410
    cancelled = f"cancelAction/{action}/feedback"
    assert checked(door, "POST", cancelled, json.dumps(closed).encode()) == 405
    newer = door.assign()
    for body in (closed, failed, late):
        assert checked(door, "POST", feedback, json.dumps(body).encode()) == 410
    assert door.house.registry.page(ENV)[0].action == newer
    assert door.state()[0] == "assigned"
