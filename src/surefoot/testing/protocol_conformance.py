"""The suite every device protocol passes: it parses, asks the desk, renders, and keeps nothing.

Use: subclass `ProtocolConformance` and give a fixture `case` that returns a `ProtocolCase`, and a
fixture `desk` that returns a `FakeDesk`. The door is asked in this process, over ASGI.
Does not: test what is special to a protocol, or how fast it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple, Protocol, get_args

import pytest

from surefoot.core.device import CancelFeedback, Execution, Feedback, Finished
from surefoot.core.offer import Firmware
from surefoot.doors.devices.desk import DeviceDesk
from surefoot.testing.fake_desk import FakeDesk

Scope = MutableMapping[str, Any]
Application = Callable[..., Awaitable[None]]

ENVIRONMENT, DEVICE, OTHER = "production", "serial-7", "serial-8"
TOKEN, OTHER_TOKEN = "a-token", "b-token"
ACTION = 41
IMAGE = bytes(range(256)) * 4096


class Said(NamedTuple):
    """A request as a device sends it. `path` is percent-encoded, with its query."""

    method: str
    path: str
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Heard(NamedTuple):
    """What the door answered. Names of headers are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Who(NamedTuple):
    """A device, and the token it sends."""

    environment: str = ENVIRONMENT
    device: str = DEVICE
    token: str = TOKEN


class Told(NamedTuple):
    """What an answer to a poll means: at most one of the first two is not 0."""

    action: int = 0
    cancel: int = 0


class Described(NamedTuple):
    """What a device learns about its work; `sha256` is 64 hex digits."""

    version: str
    size_bytes: int
    sha256: str


class ProtocolCase(Protocol):
    """How to say things in a protocol, and how to read its answers."""

    def door(self, desk: DeviceDesk) -> Application:
        """A new door over a desk, as an ASGI application."""

    def poll(self, who: Who) -> Said:
        """Is there something to do?"""

    def work(self, who: Who, action: int) -> Said:
        """What is to be done?"""

    def fetch(self, who: Who, action: int, firmware: Firmware) -> Said:
        """The image."""

    def report(self, who: Who, action: int, told: Feedback) -> Said:
        """Progress, or the result."""

    def report_cancel(self, who: Who, action: int, told: CancelFeedback) -> Said:
        """The outcome of a cancel."""

    def attributes(self, who: Who, values: Mapping[str, str]) -> Said:
        """What the device says about itself."""

    def malformed(self, who: Who) -> Sequence[Said]:
        """Requests of a device that may speak, which must be refused as bad input."""

    def read_poll(self, heard: Heard) -> Told:
        """The meaning of an answer to `poll`."""

    def read_work(self, heard: Heard) -> Described:
        """The meaning of an answer to `work`."""


def ask(door: Application, said: Said, client: str = "127.0.0.1") -> Heard:
    """One request from a client's address, and its whole answer."""
    return asyncio.run(_ask(door, said, client))


async def _ask(door: Application, said: Said, client: str) -> Heard:
    path, _, query = said.path.partition("?")
    headers = {"host": "devices.test", "content-length": str(len(said.body)), **said.headers}
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": said.method,
        "path": _plain(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": (client, 1),
        "server": ("devices.test", 80),
    }
    told: list[MutableMapping[str, Any]] = []
    waiting = [{"type": "http.request", "body": said.body, "more_body": False}]

    async def receive() -> MutableMapping[str, Any]:
        if not waiting:
            # The device stays until it has its answer.
            await asyncio.Event().wait()
        return waiting.pop()

    async def send(message: MutableMapping[str, Any]) -> None:
        told.append(message)

    try:
        await door(scope, receive, send)
    except Exception:
        # Some frameworks answer a mistake with 500 and raise it as well, for the server's log.
        if not told or told[0]["status"] != 500:
            raise
    start = next(m for m in told if m["type"] == "http.response.start")
    body = b"".join(m.get("body", b"") for m in told if m["type"] == "http.response.body")
    found = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return Heard(start["status"], found, body)


def _plain(path: str) -> str:
    from_hex = bytes.fromhex
    first, *rest = path.split("%")
    decoded = b"".join(from_hex(part[:2]) + part[2:].encode() for part in rest)
    return first + decoded.decode("utf-8", "replace")


def _requests(case: ProtocolCase, who: Who, firmware: Firmware) -> list[Said]:
    """One of everything a device can say."""
    return [
        case.poll(who),
        case.work(who, ACTION),
        case.fetch(who, ACTION, firmware),
        case.report(who, ACTION, Feedback("closed", "success")),
        case.report_cancel(who, ACTION, CancelFeedback("closed", "success")),
        case.attributes(who, {"version": "1.0.0"}),
    ]


class ProtocolConformance:
    """See the module."""

    @pytest.fixture
    def firmware(self, desk: FakeDesk) -> Firmware:
        """The desk's two devices; the first is offered an image."""
        desk.enrol(ENVIRONMENT, DEVICE, TOKEN)
        desk.enrol(ENVIRONMENT, OTHER, OTHER_TOKEN)
        firmware = desk.keep(IMAGE, "2.0.0")
        desk.assign(ENVIRONMENT, DEVICE, ACTION, firmware)
        return firmware

    def test_a_stranger_reaches_nothing(
        self, case: ProtocolCase, desk: FakeDesk, firmware: Firmware
    ) -> None:
        """A wrong token, another device's, another environment's, none: 401 or 403, unheard."""
        strangers = [
            Who(token="wrong"),  # noqa: S106 -- of a device that does not exist
            Who(token=OTHER_TOKEN),
            Who(token=""),
            Who(environment="staging"),
            Who(device="unknown"),
        ]
        for who in strangers:
            for said in _requests(case, who, firmware):
                heard = ask(case.door(desk), said)
                assert heard.status in (401, 403), (who, said, heard)
        assert desk.heard == []

    def test_a_device_with_nothing_to_do(
        self, case: ProtocolCase, desk: FakeDesk, firmware: Firmware
    ) -> None:
        """It hears so, and the desk was asked once."""
        heard = ask(case.door(desk), case.poll(Who(device=OTHER, token=OTHER_TOKEN)))
        assert case.read_poll(heard) == Told()
        assert [what for what, _ in desk.heard] == ["poll"]

    def test_work_is_offered_described_and_fetched(
        self, case: ProtocolCase, desk: FakeDesk, firmware: Firmware
    ) -> None:
        """The action, then version, size and digest, then exactly the image's bytes."""
        door = case.door(desk)
        assert case.read_poll(ask(door, case.poll(Who()))) == Told(action=ACTION)
        described = case.read_work(ask(door, case.work(Who(), ACTION)))
        assert described == Described("2.0.0", len(IMAGE), firmware.sha256)
        heard = ask(door, case.fetch(Who(), ACTION, firmware))
        assert (heard.status, heard.body) == (200, IMAGE)
        assert desk.heard[-1] == ("image", (ACTION, firmware.file, True))

    @pytest.mark.parametrize("execution", get_args(Execution))
    @pytest.mark.parametrize("finished", get_args(Finished))
    def test_a_report_reaches_the_desk_as_it_was_said(
        self,
        case: ProtocolCase,
        desk: FakeDesk,
        firmware: Firmware,
        execution: Execution,
        finished: Finished,
    ) -> None:
        """What is durable at the desk is answered with success; nothing is read into it."""
        told = Feedback(execution, finished, ("one", "zwei ☃"))
        heard = ask(case.door(desk), case.report(Who(), ACTION, told))
        assert heard.status // 100 == 2, heard
        assert desk.heard == [("feedback", (ACTION, told))]

    def test_a_report_on_something_else_is_told_so(
        self, case: ProtocolCase, desk: FakeDesk, firmware: Firmware
    ) -> None:
        """An action of nobody, and one that has ended."""
        told, door = Feedback("closed", "success"), case.door(desk)
        assert 400 <= ask(door, case.report(Who(), ACTION + 1, told)).status < 500
        desk.end(ENVIRONMENT, DEVICE)
        assert 400 <= ask(door, case.report(Who(), ACTION, told)).status < 500
        assert 400 <= ask(door, case.work(Who(), ACTION)).status < 500

    def test_a_cancel(self, case: ProtocolCase, desk: FakeDesk, firmware: Firmware) -> None:
        """It is asked for instead of the work; its outcome reaches the desk only then."""
        door, told = case.door(desk), CancelFeedback("closed", "success")
        assert 400 <= ask(door, case.report_cancel(Who(), ACTION, told)).status < 500
        desk.cancel(ENVIRONMENT, DEVICE)
        assert case.read_poll(ask(door, case.poll(Who()))) == Told(cancel=ACTION)
        assert ask(door, case.report_cancel(Who(), ACTION, told)).status // 100 == 2
        assert desk.heard[-1] == ("cancel_feedback", (ACTION, told))

    def test_attributes(self, case: ProtocolCase, desk: FakeDesk, firmware: Firmware) -> None:
        """They arrive as said."""
        values = {"version": "1.0.0", "note": "ä / %41 ☃"}
        assert ask(case.door(desk), case.attributes(Who(), values)).status // 100 == 2
        what, (_, found) = desk.heard[-1]
        assert (what, found) == ("attributes", values)

    def test_bad_input_is_refused_and_unheard(
        self, case: ProtocolCase, desk: FakeDesk, firmware: Firmware
    ) -> None:
        """A clear answer of the 4xx kind, and the desk was told nothing."""
        reports = ("feedback", "cancel_feedback", "attributes")
        for said in case.malformed(Who()):
            heard = ask(case.door(desk), said)
            assert 400 <= heard.status < 500, (said, heard)
            assert heard.body, said
        assert [what for what, _ in desk.heard if what in reports] == []

    def test_a_desk_that_fails_is_no_success(
        self, case: ProtocolCase, desk: FakeDesk, firmware: Firmware
    ) -> None:
        """5xx, so that the device sends again; no stack, no token."""
        desk.broken = True
        for said in _requests(case, Who(), firmware):
            heard = ask(case.door(desk), said)
            assert heard.status // 100 == 5, (said, heard)
            assert b"Traceback" not in heard.body
            assert TOKEN.encode() not in heard.body

    def test_the_door_keeps_nothing(
        self, case: ProtocolCase, desk: FakeDesk, firmware: Firmware
    ) -> None:
        """A new door goes on where another left, and repeats are the desk's to judge."""
        said = _requests(case, Who(), firmware)[:4]
        one = case.door(desk)
        first = [ask(one, each) for each in said]
        heard = list(desk.heard)
        second = [ask(case.door(desk), each) for each in said]
        assert [(h.status, h.body) for h in first] == [(h.status, h.body) for h in second]
        assert desk.heard == heard * 2
        desk.end(ENVIRONMENT, DEVICE)
        assert case.read_poll(ask(one, case.poll(Who()))) == Told()
