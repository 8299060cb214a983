"""hawkBit's DDI passes the shipped suite for device protocols."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from surefoot.core.device import CancelFeedback, Feedback
from surefoot.core.offer import Firmware
from surefoot.doors.devices.ddi import device_app
from surefoot.doors.devices.desk import DeviceDesk
from surefoot.testing.fake_desk import FakeDesk
from surefoot.testing.protocol_conformance import (
    Application,
    Described,
    Heard,
    ProtocolConformance,
    Said,
    Told,
    Who,
)


def _say(who: Who, method: str, path: str, document: Any = None, body: bytes = b"") -> Said:
    headers = {"authorization": f"TargetToken {who.token}"} if who.token else {}
    content = json.dumps(document).encode() if document is not None else body
    if content:
        headers["content-type"] = "application/json"
    root = f"/{who.environment}/controller/v1/{quote(who.device, safe='')}"
    return Said(method, root + path, headers, content)


def _status(told: Feedback | CancelFeedback) -> dict[str, Any]:
    result = {"finished": told.finished}
    details = list(told.details)
    return {"status": {"execution": told.execution, "result": result, "details": details}}


class Ddi:
    """How DDI says it."""

    def door(self, desk: DeviceDesk) -> Application:
        return device_app(desk)

    def poll(self, who: Who) -> Said:
        return _say(who, "GET", "")

    def work(self, who: Who, action: int) -> Said:
        return _say(who, "GET", f"/deploymentBase/{action}")

    def fetch(self, who: Who, action: int, firmware: Firmware) -> Said:
        return _say(who, "GET", f"/softwaremodules/{action}/artifacts/{firmware.file}")

    def report(self, who: Who, action: int, told: Feedback) -> Said:
        return _say(who, "POST", f"/deploymentBase/{action}/feedback", _status(told))

    def report_cancel(self, who: Who, action: int, told: CancelFeedback) -> Said:
        return _say(who, "POST", f"/cancelAction/{action}/feedback", _status(told))

    def attributes(self, who: Who, values: Mapping[str, str]) -> Said:
        return _say(who, "PUT", "/configData", {"mode": "merge", "data": dict(values)})

    def malformed(self, who: Who) -> Sequence[Said]:
        feedback = "/deploymentBase/41/feedback"
        return [
            _say(who, "PUT", "/configData", body=body)
            for body in (b"", b"{", b"[]", b"\xff", b"[" * 60_000, b" " * 70_000, b'{"data":5}')
        ] + [
            _say(who, "POST", feedback, document)
            for document in ({}, {"status": 1}, {"status": {"execution": "closed"}})
        ]

    def read_poll(self, heard: Heard) -> Told:
        links = json.loads(heard.body)["_links"]
        return Told(_number(links, "deploymentBase"), _number(links, "cancelAction"))

    def read_work(self, heard: Heard) -> Described:
        (chunk,) = json.loads(heard.body)["deployment"]["chunks"]
        (artifact,) = chunk["artifacts"]
        return Described(chunk["version"], artifact["size"], artifact["hashes"]["sha256"])


def _number(links: dict[str, Any], name: str) -> int:
    return int(links[name]["href"].rsplit("/", 1)[1]) if name in links else 0


class TestDdi(ProtocolConformance):
    """See the suite."""

    @pytest.fixture
    def case(self) -> Ddi:
        return Ddi()

    @pytest.fixture
    def desk(self, tmp_path: Path) -> FakeDesk:
        return FakeDesk(tmp_path)


class Forgetful(Ddi):
    """A door that answers polls from what it remembers: no suite is worth anything without one."""

    def door(self, desk: DeviceDesk) -> Application:
        inner, kept = device_app(desk), self._kept

        async def door(scope: Any, receive: Any, send: Any) -> None:
            async def keep(message: Any) -> None:
                kept.setdefault(scope["path"], []).append(message)
                await send(message)

            if scope["path"] in kept and scope["method"] == "GET":
                for message in list(kept[scope["path"]]):
                    await send(message)
                return
            await inner(scope, receive, keep)

        return door

    def __init__(self) -> None:
        self._kept: dict[str, list[Any]] = {}


def test_the_suite_fails_a_door_that_remembers(tmp_path: Path) -> None:
    suite, desk = ProtocolConformance(), FakeDesk(tmp_path)
    desk.enrol("production", "serial-7", "a-token")
    firmware = desk.keep(b"image", "2.0.0")
    desk.assign("production", "serial-7", 41, firmware)
    with pytest.raises(AssertionError):
        suite.test_the_door_keeps_nothing(Forgetful(), desk, firmware)
