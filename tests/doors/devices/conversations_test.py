"""Conversations of clients in the field, as their documents tell them, said again to the door.

What a client depends on is compared byte by byte: numbers differ from run to run, so they are put
into what is expected.
"""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from surefoot.core.target import Token
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of
from surefoot.testing.door_client import CONTENT, ENV, DoorClient
from surefoot.testing.raw_http import Answer, Line
from surefoot.testing.waiting import until

RAUC = (
    f"Authorization: TargetToken {token_of('dev1')}",
    "User-Agent: rauc-hawkbit-c-agent/1.0",
    "Accept: application/json;charset=UTF-8",
)
SWUPDATE = (
    "User-Agent: libcurl-agent/1.0",
    "Accept: application/json",
    "Content-Type: application/json",
    "charsets: utf-8",
    "charsets: utf-8",
    f"Authorization: TargetToken {token_of('dev1')}",
)
ZEPHYR = (f"Authorization: TargetToken {token_of('dev1')}",)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[DoorClient]:
    house = DeviceHouse(tmp_path)
    house.enrol(ENV, "dev1")
    with DoorServer(house.desk()) as server:
        yield DoorClient(house, server)
    house.database.close()


@pytest.fixture
def line(door: DoorClient) -> Iterator[Line]:
    with Line(door.netloc) as line:
        yield line


def quiet(answer: Answer) -> None:
    """Exactly 200 and nothing: some clients take 201, 202 and 204 as a failure."""
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-length"] == "0"


def sized(answer: Answer) -> bytes:
    """A body with its length and nothing around it, as clients with little memory read it."""
    assert answer.status == 200
    assert answer.headers["content-length"] == str(len(answer.body))
    assert not {"transfer-encoding", "content-encoding"} & set(answer.headers)
    return answer.body


def offered(door: DoorClient, root: str, body: bytes, *, config: bool) -> str:
    """The link to the work, when the poll's answer is exactly what it should be."""
    action = door.house.registry.page(ENV)[0].action
    found = re.search(rb"\?c=(-?[0-9]+)", body)
    assert found is not None
    base = f"{root}/deploymentBase/{action}?c={found[1].decode()}"
    wish = f',"configData":{{"href":"{root}/configData"}}' if config else ""
    assert body.decode() == (
        '{"config":{"polling":{"sleep":"00:00:01"}},"_links":{"deploymentBase":{"href":"'
        f'{base}"}}{wish}}}}}'
    )
    return base


def described(door: DoorClient, root: str, body: bytes, part: str) -> str:
    """The link to the image, when the description is exactly what it should be."""
    action, firmware = door.house.registry.page(ENV)[0].action, door.firmware
    image = f"{root}/softwaremodules/{action}/artifacts/{firmware.file}"
    assert body.decode() == (
        f'{{"id":"{action}","deployment":{{"download":"forced","update":"forced","chunks":[{{'
        f'"part":"{part}","version":"1.1.0","name":"firmware","artifacts":[{{'
        f'"filename":"{firmware.file}","hashes":{{"sha1":"{firmware.sha1}",'
        f'"md5":"{firmware.md5}","sha256":"{firmware.sha256}"}},"size":{len(CONTENT)},'
        f'"_links":{{"download":{{"href":"{image}"}},"md5sum":{{"href":"{image}.MD5SUM"}},'
        f'"download-http":{{"href":"{image}"}},"md5sum-http":{{"href":"{image}.MD5SUM"}}}}'
        "}]}]}}"
    )
    return image


def path_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def state(door: DoorClient) -> tuple[str, str, str]:
    found = door.house.registry.page(ENV)[0]
    return found.state, found.strength, found.profile


def rauc_says(action: int, execution: str, finished: str, text: str) -> str:
    return (
        f'{{"id":"{action}","time":"20261121T092314","status":{{"result":{{"finished":'
        f'"{finished}"}},"execution":"{execution}","details":["{text}"]}}}}'
    )


RAUC_STEPS = [
    *("Download complete. 433.88 MB/s", "File checksum OK.", "installing", "  0% Installing"),
    *(f"{n:3}% Copying image to rootfs.0" for n in range(10, 90, 5)),
    "100% Installing done.",
]
RAUC_CONFIG = (
    '{"time":"20261121T092314","status":{"result":{"finished":"success"},"execution":"closed"},'
    '"data":{"sw_version":"%s","hw_revision":"2"}}'
)


def test_the_rauc_updater_closes_before_its_reboot_and_is_verified_after_it(
    door: DoorClient, line: Line
) -> None:
    action = door.assign()
    home = f"/{ENV}/controller/v1/dev1"
    root = f"{door.url}{home}"
    work = offered(door, root, sized(line.ask("GET", home, RAUC)), config=True)
    quiet(line.ask("PUT", f"{home}/configData", RAUC, RAUC_CONFIG % "1.0.0"))
    described_by = sized(line.ask("GET", path_of(work), RAUC))
    image = described(door, root, described_by, "os")
    got = line.ask("GET", path_of(image), (*RAUC, "Accept: application/octet-stream"))
    assert sized(got) == CONTENT and got.headers["etag"] == f'"{door.firmware.sha1}"'
    feedback = f"{home}/deploymentBase/{action}/feedback"
    for text in RAUC_STEPS:
        quiet(line.ask("POST", feedback, RAUC, rauc_says(action, "proceeding", "none", text)))
    text = "Software bundle installed successfully."
    quiet(line.ask("POST", feedback, RAUC, rauc_says(action, "closed", "success", text)))
    assert state(door) == ("reported", "reported", "rauc")
    # It has not started the new system yet: what it sends shows the old one.
    quiet(line.ask("PUT", f"{home}/configData", RAUC, RAUC_CONFIG % "1.0.0"))
    assert state(door)[0] == "reported"
    assert b"configData" in sized(line.ask("GET", home, RAUC))
    quiet(line.ask("PUT", f"{home}/configData", RAUC, RAUC_CONFIG % "1.1.0"))
    assert state(door) == ("verified", "attributes", "rauc")


def test_the_rauc_updater_resumes_and_takes_416_as_complete(door: DoorClient, line: Line) -> None:
    action = door.assign()
    path = f"/{ENV}/controller/v1/dev1/{door.artifact_path(action)}"
    part = line.ask("GET", path, (*RAUC, "Range: bytes=1000000-"))
    assert (part.status, part.body) == (206, CONTENT[1_000_000:])
    total = len(CONTENT)
    assert part.headers["content-range"] == f"bytes 1000000-{total - 1}/{total}"
    whole = line.ask("GET", path, (*RAUC, f"Range: bytes={total}-"))
    assert (whole.status, whole.headers["content-range"]) == (416, f"bytes */{total}")


def test_the_rauc_updater_is_cancelled_or_rejects_it(door: DoorClient, line: Line) -> None:
    home = f"/{ENV}/controller/v1/dev1"
    for execution, text, ends in (
        ("rejected", "Cancelation impossible, installation started already.", "installing"),
        ("closed", "Action canceled.", "unknown"),
    ):
        action = door.assign()
        line.ask("GET", f"{home}/deploymentBase/{action}", RAUC)
        said = rauc_says(action, "proceeding", "none", "Download complete. 1.0 MB/s")
        quiet(line.ask("POST", f"{home}/deploymentBase/{action}/feedback", RAUC, said))
        stop(door)
        answer = sized(line.ask("GET", f"{home}/cancelAction/{action}", RAUC))
        assert answer.decode() == f'{{"id":"{action}","cancelAction":{{"stopId":"{action}"}}}}'
        said = rauc_says(action, execution, "success", text)
        quiet(line.ask("POST", f"{home}/cancelAction/{action}/feedback", RAUC, said))
        assert state(door)[0] == ends
    # An accepted cancel says nothing about what runs, whatever attributes say next.
    quiet(line.ask("PUT", f"{home}/configData", RAUC, RAUC_CONFIG % "1.1.0"))
    assert state(door)[0] == "unknown"


def stop(door: DoorClient) -> None:
    token = Token(operation=f"{door.deployment}/stop", fence=door.deployment)
    door.rollouts.stop(door.deployment, token)
    until(lambda: "cancelAction" in door.links())


def swupdate_says(action: int, execution: str, finished: str, text: str) -> str:
    return (
        f'{{ "id" : {action}, "time" : "20261121T093100", "status" : {{ "result" : {{ "progress" : '
        f'{{ "cnt" : 1, "of" : 1 }}, "finished" : "{finished}" }}, "execution" : "{execution}", '
        f'"details" : [ "{text}" ] }} }}'
    )


SWUPDATE_CONFIG = (
    '{ "id": "", "time": "20261121T093100", "status": { "result": { "finished": "success" }, '
    '"execution": "closed", "details": [ "" ] }, "data": { "board": "testboard", '
    '"sw_version": "%s" } }'
)


def test_swupdate_closes_after_its_restart_and_is_offered_until_then(
    door: DoorClient, line: Line
) -> None:
    action = door.assign()
    home = f"/{ENV}/controller/v1/dev1"
    root = f"{door.url}{home}"
    work = offered(door, root, sized(line.ask("GET", home, SWUPDATE)), config=True)
    first = sized(line.ask("GET", path_of(work), SWUPDATE))
    described(door, root, first, "os")
    expecting = (*SWUPDATE, "Expect: 100-continue")
    quiet(line.ask("PUT", f"{home}/configData", expecting, SWUPDATE_CONFIG % "1.0.0"))
    work = offered(door, root, sized(line.ask("GET", home, SWUPDATE)), config=False)
    image = described(door, root, sized(line.ask("GET", path_of(work), SWUPDATE)), "os")
    feedback = f"{home}/deploymentBase/{action}/feedback"
    begins = swupdate_says(action, "proceeding", "none", "Installing Update Chunk Artifacts.")
    quiet(line.ask("POST", feedback, SWUPDATE, begins))
    head = line.ask("HEAD", path_of(image), SWUPDATE)
    assert (head.status, head.headers["content-length"]) == (200, str(len(CONTENT)))
    assert sized(line.ask("GET", path_of(image), SWUPDATE)) == CONTENT
    for text in ("Installed Chunk.", "All Chunks Installed."):
        said = swupdate_says(action, "proceeding", "none", text)
        quiet(line.ask("POST", feedback, SWUPDATE, said))
    for _ in range(3):
        offered(door, root, sized(line.ask("GET", home, SWUPDATE)), config=False)
        described(door, root, sized(line.ask("GET", path_of(work), SWUPDATE)), "os")
    closed = swupdate_says(action, "closed", "success", "Update Installed.")
    quiet(line.ask("POST", feedback, SWUPDATE, closed))
    assert state(door) == ("reported", "reported", "swupdate")
    quiet(line.ask("PUT", f"{home}/configData", SWUPDATE, SWUPDATE_CONFIG % "1.1.0"))
    assert state(door) == ("verified", "attributes", "swupdate")


def test_what_swupdate_skipped_is_not_installed(door: DoorClient, line: Line) -> None:
    action = door.assign()
    home = f"/{ENV}/controller/v1/dev1"
    said = swupdate_says(action, "closed", "success", "Skipped Update.")
    quiet(line.ask("POST", f"{home}/deploymentBase/{action}/feedback", SWUPDATE, said))
    quiet(line.ask("PUT", f"{home}/configData", SWUPDATE, SWUPDATE_CONFIG % "1.1.0"))
    assert state(door) == ("failed", "", "swupdate")


def test_a_raw_newline_in_swupdates_failure_is_read(door: DoorClient, line: Line) -> None:
    action = door.assign()
    home = f"/{ENV}/controller/v1/dev1"
    text = 'Got malformed JSON: in JSON.\n","No suitable .swu image found'
    said = swupdate_says(action, "closed", "failure", text)
    quiet(line.ask("POST", f"{home}/deploymentBase/{action}/feedback", SWUPDATE, said))
    found = door.house.registry.page(ENV)[0]
    assert (found.state, found.reason) == ("failed", "No suitable .swu image found")


ZEPHYR_CONFIG = (
    '{"mode":"merge","data":{"VIN":"JH4TB2H26CC000000","hwRevision":"3"},"id":"","time":"",'
    '"status":{"result":{"finished":"success"},"execution":"closed"}}'
)


def test_zephyr_has_its_tenant_built_in_and_little_room(door: DoorClient, line: Line) -> None:
    action = door.assign()
    home = "/DEFAULT/controller/v1/dev1"
    root = f"{door.url}{home}"
    body = sized(line.ask("GET", home, ZEPHYR))
    work = offered(door, root, body, config=True)
    assert len(body) < 1_100 and len(work.removeprefix(f"{root}/")) < 50
    sleep = json.loads(body)["config"]["polling"]["sleep"]
    assert len(sleep) == 8 and time.strptime(sleep, "%H:%M:%S")
    assert 0 < action < 2**31
    quiet(line.ask("PUT", f"{home}/configData", ZEPHYR, ZEPHYR_CONFIG))
    offered(door, root, sized(line.ask("GET", home, ZEPHYR)), config=False)
    described_by = sized(line.ask("GET", path_of(work), ZEPHYR))
    image = described(door, root, described_by, "bApp")
    assert "/DEFAULT/controller/v1" in image
    assert json.loads(described_by)["deployment"]["chunks"][0]["artifacts"][0]["hashes"]["sha256"]
    got = b"".join(
        line.ask("GET", path_of(image), (*ZEPHYR, f"Range: bytes={at}-{at + 2047}")).body
        for at in range(0, 8 * 2048, 2048)
    )
    assert got == CONTENT[: 8 * 2048]
    feedback = f"{home}/deploymentBase/{action}/feedback"
    for execution, finished in (("proceeding", "none"), ("closed", "success")):
        said = (
            f'{{"id":"{action}","status":{{"result":{{"finished":"{finished}"}},'
            f'"execution":"{execution}"}}}}'
        )
        quiet(line.ask("POST", feedback, ZEPHYR, said))
    assert state(door) == ("reported", "reported", "zephyr")
    nothing = sized(line.ask("GET", home, ZEPHYR))
    assert json.loads(nothing)["_links"], "it is still asked what it runs"


AIOHTTP = (
    "Accept: application/json",
    f"Authorization: TargetToken {token_of('dev1')}",
    "Accept-Encoding: gzip, deflate",
    "User-Agent: Python/3.11 aiohttp/3.13",
)


def test_the_python_client_takes_numbers_out_of_the_links(door: DoorClient, line: Line) -> None:
    """`rauc-hawkbit` cuts the links apart: without `?c=` it finds no action in one."""
    action = door.assign()
    home = f"/{ENV}/controller/v1/dev1"
    links = json.loads(sized(line.ask("GET", home, AIOHTTP)))["_links"]
    found = re.search(r"/deploymentBase/(.+)\?c=(.+)$", links["deploymentBase"]["href"])
    assert found is not None and found[1] == str(action)
    config = (
        '{"id": "", "time": "20261121T092314", "status": {"result": {"finished": "success"}, '
        '"execution": "closed", "details": []}, "data": {"sw_version": "1.0.0"}}'
    )
    quiet(line.ask("PUT", f"{home}/configData", AIOHTTP, config))
    work = sized(line.ask("GET", f"{home}/deploymentBase/{found[1]}?c={found[2]}", AIOHTTP))
    (artifact,) = json.loads(work)["deployment"]["chunks"][0]["artifacts"]
    parts = re.search(
        r"/softwaremodules/(.+)/artifacts/(.+)$", artifact["_links"]["download-http"]["href"]
    )
    assert parts is not None and parts[2] == artifact["filename"]
    path = f"{home}/softwaremodules/{parts[1]}/artifacts/{parts[2]}"
    assert sized(line.ask("GET", path, AIOHTTP)) == CONTENT
    feedback = f"{home}/deploymentBase/{action}/feedback"
    for execution, finished in (("proceeding", "none"), ("closed", "success")):
        said = (
            f'{{"id": "{action}", "time": "20261121T092314", "status": {{"result": {{"finished": '
            f'"{finished}", "progress": {{"cnt": 0, "of": 0}}}}, "execution": "{execution}", '
            '"details": ["text"]}}'
        )
        quiet(line.ask("POST", feedback, AIOHTTP, said))
    assert state(door) == ("reported", "reported", "")


def test_zephyr_accepts_every_cancel_by_a_number_of_32_bits(door: DoorClient, line: Line) -> None:
    action = door.assign()
    home = "/DEFAULT/controller/v1/dev1"
    line.ask("GET", f"{home}/deploymentBase/{action}", ZEPHYR)
    stop(door)
    asked = json.loads(sized(line.ask("GET", home, ZEPHYR)))["_links"]
    assert set(asked) == {"cancelAction", "configData"}
    assert asked["cancelAction"]["href"] == f"{door.url}{home}/cancelAction/{action}"
    answer = sized(line.ask("GET", path_of(asked["cancelAction"]["href"]), ZEPHYR))
    assert answer.decode() == f'{{"id":"{action}","cancelAction":{{"stopId":"{action}"}}}}'
    assert 0 < action < 2**31
    said = (
        f'{{"id":"{action}","time":"","status":{{"result":{{"finished":"success"}},'
        '"execution":"closed"}}'
    )
    quiet(line.ask("POST", f"{home}/cancelAction/{action}/feedback", ZEPHYR, said))
    assert state(door)[0] == "unknown"
    assert "cancelAction" not in door.links()


def test_the_rauc_updater_only_downloads_and_says_so(door: DoorClient, line: Line) -> None:
    action = door.assign(urgency="download-only")
    home = f"/{ENV}/controller/v1/dev1"
    described_by = sized(line.ask("GET", f"{home}/deploymentBase/{action}", RAUC))
    offer = json.loads(described_by)["deployment"]
    assert (offer["download"], offer["update"]) == ("forced", "skip")
    assert "maintenanceWindow" not in offer, "with one it would wait and report no end"
    assert sized(line.ask("GET", f"{home}/{door.artifact_path(action)}", RAUC)) == CONTENT
    feedback = f"{home}/deploymentBase/{action}/feedback"
    for text in RAUC_STEPS[:2]:
        quiet(line.ask("POST", feedback, RAUC, rauc_says(action, "proceeding", "none", text)))
    said = rauc_says(action, "downloaded", "success", "Software bundle downloaded.")
    quiet(line.ask("POST", feedback, RAUC, said))
    assert state(door) == ("downloaded", "reported", "rauc")
    quiet(line.ask("PUT", f"{home}/configData", RAUC, RAUC_CONFIG % "1.1.0"))
    assert state(door)[0] == "downloaded", "nothing was to be installed"


HARA = (
    f"Authorization: TargetToken {token_of('dev1')}",
    "Accept: application/json",
    "User-Agent: okhttp/4.9.0",
)


def test_a_client_with_a_user_asks_and_then_begins(door: DoorClient, line: Line) -> None:
    """As hawkBit's own description tells it: of the clients above none has a user to ask."""
    action = door.assign(confirmation=True)
    home = f"/{ENV}/controller/v1/dev1"
    root = f"{door.url}{home}"
    links = json.loads(sized(line.ask("GET", home, HARA)))["_links"]
    assert set(links) == {"confirmationBase", "configData"}
    waiting = links["confirmationBase"]["href"]
    assert re.fullmatch(rf"{root}/confirmationBase/{action}\?c=-?[0-9]+", waiting)
    about = sized(line.ask("GET", f"{home}/confirmationBase", HARA)).decode()
    assert about == (
        '{"autoConfirm":{"active":false},"_links":{"activateAutoConfirm":{"href":"'
        f'{root}/confirmationBase/activateAutoConfirm"}},"confirmationBase":{{"href":"{waiting}"}}}}}}'
    )
    asked = sized(line.ask("GET", path_of(waiting), HARA))
    described(door, root, asked.replace(b'"confirmation":', b'"deployment":'), "bApp")
    assert line.ask("GET", f"{home}/deploymentBase/{action}", HARA).status == 404
    says = f"{home}/confirmationBase/{action}/feedback"
    denied = '{"confirmation":"denied","code":-1,"details":["not now"]}'
    quiet(line.ask("POST", says, HARA, denied))
    assert "confirmationBase" in door.links()
    quiet(line.ask("POST", says, HARA, '{"confirmation":"confirmed","code":1,"details":["yes"]}'))
    links = json.loads(sized(line.ask("GET", home, HARA)))["_links"]
    assert set(links) == {"deploymentBase", "configData"}
    work = sized(line.ask("GET", path_of(links["deploymentBase"]["href"]), HARA))
    described(door, root, work, "bApp")
