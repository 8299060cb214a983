"""Bad input at the device door, row by row: a clear answer, one line in the log, nothing changed.

Each row is said to a real server on both databases, byte by byte. Before and after it every row of
every table is compared; the log is all that any part of the process says.
"""

from __future__ import annotations

import json
import logging
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from surefoot.core.enrolment import Told
from surefoot.doors.devices import fast_poll
from surefoot.doors.devices import flood as rooms
from surefoot.doors.devices.flood import Flood
from surefoot.store.postgres import PostgresDatabase
from surefoot.store.sqlite import FILE_NAME
from surefoot.testing.device_door import DeviceHouse, DoorServer, token_of
from surefoot.testing.door_client import ENV, DoorClient
from surefoot.testing.postgres import PostgresServer

# Moves with each look for a lock, and with each poll: no state of a device.
ASIDE = {"device_seen"}
COUNTED = "device_numbers"
LONG_SECONDS = 60


class Place:
    """A door with two devices, and all that it stores and logs."""

    def __init__(self, folder: Path, dsn: str, seconds_max: float = LONG_SECONDS) -> None:
        self.folder, self.dsn = folder, dsn
        self.house = DeviceHouse(folder, PostgresDatabase(dsn) if dsn else None)
        self.house.enrol(ENV, "dev1", "dev2")
        self.server = DoorServer(
            self.house.desk(),
            body_seconds_max=seconds_max,
            head_seconds_max=seconds_max,
            enrolment=Nobody(),
        )

    def begin(self) -> None:
        """An action that has ended, and one that is open; and the same for the other device."""
        self.client = DoorClient(self.house, self.server)
        self.ended = self.client.assign()
        closed = {"status": {"execution": "closed", "result": {"finished": "failure"}}}
        path = f"deploymentBase/{self.ended}/feedback"
        assert self.client.ask("POST", path, closed)[0] == 200
        self.open = self.client.assign()
        self.others = self.house.registry.page(ENV)[1].action
        assert self.client.ask("GET", f"deploymentBase/{self.open}")[0] == 200
        self.house.seal(ENV)

    def tables(self) -> dict[str, list[tuple[object, ...]]]:
        """Every row of every table."""
        if self.dsn:
            listed = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            with psycopg.connect(self.dsn) as connection:
                names = [row[0] for row in connection.execute(listed)]
                return {n: self._rows(n, connection.execute) for n in names if n not in ASIDE}
        listed = "SELECT name FROM sqlite_master WHERE type = 'table'"
        with closing(sqlite3.connect(self.folder / "db" / FILE_NAME)) as connection:
            names = [row[0] for row in connection.execute(listed)]
            return {n: self._rows(n, connection.execute) for n in names if n not in ASIDE}

    @staticmethod
    def _rows(name: str, execute: Callable[[str], object]) -> list[tuple[object, ...]]:
        rows = [tuple(row) for row in execute(f"SELECT * FROM {name}")]  # type: ignore[attr-defined]
        return sorted((r for r in rows if name != COUNTED or r[0] != "lock"), key=repr)

    def said(self, wire: bytes, *, end: bool = False) -> bytes:
        """Say these bytes on a line of their own, and hear until the door ends it; `end` goes
        away at once."""
        host, _, port = self.client.netloc.partition(":")
        with socket.create_connection((host, int(port)), timeout=LONG_SECONDS) as line:
            line.sendall(wire)
            if end:
                line.close()
                return b""
            found = b""
            with reset_is_an_end():
                while piece := line.recv(65_536):
                    found += piece
            return found


@contextmanager
def reset_is_an_end() -> Iterator[None]:
    """A door that resets after its answer has answered."""
    try:
        yield
    except ConnectionResetError:
        return


class Nobody:
    """An enrolment that lets nobody in."""

    async def enrol(self, environment: str, told: Told) -> str:
        return "void"


class Logged(logging.Handler):
    """Everything that is logged, and every line of it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def lines(self) -> list[str]:
        """The lines as they would stand in a file, a traceback's too."""
        form = logging.Formatter()
        return [line for r in self.records for line in form.format(r).splitlines()]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    dsn = ""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        dsn = server.create_database("badinput")
    place = Place(tmp_path_factory.mktemp("bad"), dsn)
    with place.server:
        place.begin()
        yield place
    place.house.database.close()


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A door that waits for two seconds only."""
    place = Place(tmp_path_factory.mktemp("short"), "", 2.0)
    with place.server:
        place.begin()
        yield place
    place.house.database.close()


@pytest.fixture
def logged() -> Iterator[Logged]:
    handler = Logged()
    loggers = [logging.getLogger(name) for name in ("", "uvicorn", "uvicorn.error")]
    for each in loggers:
        if each.parent is None or not each.propagate:
            each.addHandler(handler)
    yield handler
    for each in loggers:
        each.removeHandler(handler)


class Row(NamedTuple):
    """What is said, and what the door answers. `{open}`, `{ended}`, `{others}` are actions."""

    name: str
    method: str
    path: str
    body: bytes = b""
    status: int = 400
    code: str = "device.body.input"
    headers: tuple[str, ...] = ()
    device: str = "dev1"
    token: str = "dev1"
    environment: str = ENV


def feedback(execution: str = "proceeding", finished: str = "none", **more: object) -> bytes:
    status = {"execution": execution, "result": {"finished": finished}}
    return json.dumps({"status": {**status, **more}}).encode()


REPORT = "/deploymentBase/{open}/feedback"
UNKNOWN = (404, "device.action.unknown")
CLOSED = feedback("closed", "success")

FUZZED = [
    Row("no body", "POST", REPORT),
    Row("no JSON", "POST", REPORT, b"\x00\xff\xfe{]"),
    Row("JSON cut off", "POST", REPORT, CLOSED[:-3]),
    Row("another kind of JSON", "POST", REPORT, b"[1,2]"),
    Row("JSON without end", "POST", REPORT, b"[" * 60_000),
    Row("a number without end", "POST", REPORT, b'{"status":' + b"9" * 60_000 + b"}"),
    Row("text that is no UTF-8", "POST", REPORT, b'{"status":"\xc3\x28"}'),
    Row("half a character", "POST", REPORT, b'{"status":{"execution":"\\ud800"}}'),
    Row("no status", "POST", REPORT, b'{"id":"7"}'),
    Row("status of another kind", "POST", REPORT, b'{"status":[]}'),
    Row("result of another kind", "POST", REPORT, b'{"status":{"execution":"closed","result":1}}'),
    Row("an unknown word", "POST", REPORT, feedback("exploded")),
    Row("a word of another kind", "POST", REPORT, b'{"status":{"execution":{},"result":{}}}'),
    Row("an unknown end", "POST", REPORT, feedback("closed", "perhaps")),
    Row("a cancel's body", "POST", "/cancelAction/{open}/feedback", b"{}"),
    Row("a consent's body", "POST", "/confirmationBase/{open}/feedback", b'{"confirmation":1}'),
    Row("attributes of another kind", "PUT", "/configData", b'{"data":[]}'),
    Row("a value of another kind", "PUT", "/configData", b'{"data":{"a":{}}}'),
    Row("an unknown mode", "PUT", "/configData", b'{"mode":"drop","data":{}}'),
    Row("a mode of another kind", "PUT", "/configData", b'{"mode":[],"data":{}}'),
    Row("a version of another kind", "PUT", "/installedBase", b'{"name":1,"version":{}}'),
    Row("controls where a word stands", "POST", REPORT, feedback("closed\r\nX: 1")),
    Row("controls in a name", "PUT", "/configData", b'{"data":{"' + b"\x01" * 129 + b'":"a"}}'),
]
WRONG = [
    *(
        Row(f"action {action}", "GET", f"/deploymentBase/{action}", b"", *UNKNOWN)
        for action in ("0", "-1", "2147483648", "9" * 40, "abc", "1e3", "%D9%A3", "0x7", "{others}")
    ),
    Row("another's action", "POST", "/deploymentBase/{others}/feedback", CLOSED, *UNKNOWN),
    Row("another's cancel", "GET", "/cancelAction/{others}", b"", *UNKNOWN),
    Row("another's image", "GET", "/softwaremodules/{others}/artifacts", b"", *UNKNOWN),
    Row("no cancel", "GET", "/cancelAction/{open}", b"", *UNKNOWN),
    Row("not installed", "GET", "/installedBase/{open}", b"", *UNKNOWN),
    Row("nothing to confirm", "GET", "/confirmationBase/{open}", b"", *UNKNOWN),
    Row("another file", "GET", "/softwaremodules/{open}/artifacts/x.swu", b"", *UNKNOWN),
    Row("a file above", "GET", "/softwaremodules/{open}/artifacts/..%2f..%2fdb", b"", 404,
        "device.path.unknown"),
    Row("an unknown version", "PUT", "/installedBase", b'{"name":"a","version":"b"}', 404,
        "device.version.unknown"),
    Row("an unknown path", "GET", "/nowhere", b"", 404, "device.path.unknown"),
    Row("a path with a slash more", "GET", "/", b"", 404, "device.path.unknown"),
    Row("a line break in the path", "GET", "/a%0d%0aX:%20b%00", b"", 404, "device.path.unknown"),
    Row("another method", "DELETE", "/configData", b"", 405, "device.method.refused"),
    Row("a range that falls", "GET", "/softwaremodules/{open}/artifacts/firmware-1.1.0.swu", b"",
        400, "device.range.input", ("Range: bytes=9-2",)),
    Row("a range that is none", "GET", "/softwaremodules/{open}/artifacts/firmware-1.1.0.swu", b"",
        400, "device.range.input", ("Range: lines=1-",)),
    Row("two hosts", "GET", "", b"", 400, "device.host.input", ("Host: a/b?c",)),
]  # fmt: skip
LONG = b"x" * 129
OVERSIZE = [
    Row("a body", "POST", REPORT, b" " * 65_537, 413, "device.body.large"),
    Row("a value", "PUT", "/configData", b'{"data":{"a":"' + LONG + b'"}}'),
    Row("a name", "PUT", "/configData", b'{"data":{"' + LONG + b'":"a"}}'),
    Row("too many attributes", "PUT", "/configData",
        json.dumps({"data": {f"a{n}": "" for n in range(101)}}).encode()),
    Row("a token", "GET", "", b"", 401, "device.token.refused", token="x" * 300),
    Row("a device's name", "GET", "", b"", 401, "device.token.refused", device="d" * 5_000),
    Row("a path", "GET", "/" + "p/" * 4_000, b"", 404, "device.path.unknown"),
    Row("a range", "GET", "/softwaremodules/{open}/artifacts/firmware-1.1.0.swu", b"", 400,
        "device.range.input", ("Range: bytes=" + "0-1," * 600 + "0-1",)),
    Row("a code", "POST", "", b'{"device":"a","code":"' + b"A" * 70_000 + b'"}', 413,
        "device.body.large", device="/enrolment"),
]  # fmt: skip
FORGED = [
    Row(f"{name}", "GET", "", b"", 403, "device.proxy.refused", (f"{name}: dev1",))
    for name in ("X-Ssl-Client-Cn", "X-Controller-Id", "X-Authority", "X-Ssl-Issuer-Hash-1",
                 "X-Ssl-Client-Cert", "X-Authority-0")
]  # fmt: skip
REPLAYED = [
    Row("the end again", "POST", "/deploymentBase/{ended}/feedback", CLOSED, 410,
        "device.action.ended"),
    Row("another end", "POST", "/deploymentBase/{ended}/feedback", feedback("closed", "failure"),
        410, "device.action.ended"),
    Row("late progress", "POST", "/deploymentBase/{ended}/feedback", feedback(), 410,
        "device.action.ended"),
    Row("a cancel that nobody asked for", "POST", "/cancelAction/{open}/feedback", CLOSED, 405,
        "device.action.ended"),
    Row("a cancel after the end", "POST", "/cancelAction/{ended}/feedback", CLOSED, 405,
        "device.action.ended"),
    Row("a consent that nobody asked for", "POST", "/confirmationBase/{open}/feedback",
        b'{"confirmation":"confirmed"}', *UNKNOWN),
    Row("a consent after the end", "POST", "/confirmationBase/{ended}/feedback",
        b'{"confirmation":"denied"}', 410, "device.action.ended"),
]  # fmt: skip
STOLEN = [
    Row(f"{method} {path or 'poll'}", method, path, body, 401, "device.token.refused", token="dev2")
    for method, path, body in (
        ("GET", "", b""),
        ("PUT", "/configData", b'{"data":{}}'),
        ("PUT", "/installedBase", b'{"name":"a","version":"b"}'),
        ("GET", "/deploymentBase/{open}", b""),
        ("POST", REPORT, CLOSED),
        ("GET", "/cancelAction/{open}", b""),
        ("POST", "/cancelAction/{open}/feedback", CLOSED),
        ("GET", "/installedBase/{ended}", b""),
        ("GET", "/confirmationBase", b""),
        ("GET", "/confirmationBase/{open}", b""),
        ("POST", "/confirmationBase/{open}/feedback", b'{"confirmation":"confirmed"}'),
        ("POST", "/confirmationBase/activateAutoConfirm", b""),
        ("POST", "/confirmationBase/deactivateAutoConfirm", b""),
        ("GET", "/softwaremodules/{open}/artifacts", b""),
        ("GET", "/softwaremodules/{open}/artifacts/firmware-1.1.0.swu", b""),
        ("HEAD", "/softwaremodules/{open}/artifacts/firmware-1.1.0.swu", b""),
        ("GET", "/softwaremodules/{open}/artifacts/firmware-1.1.0.swu.MD5SUM", b""),
    )
] + [
    Row("a device that nobody knows", "GET", "", b"", 401, "device.token.refused", device="dev9"),
    Row("another environment", "GET", "", b"", 401, "device.token.refused", environment="moon"),
    Row("no token", "GET", "", b"", 401, "device.token.refused", token=""),
]
ROWS = {
    f"{kind}: {row.name}": row
    for kind, rows in {
        "fuzzed": FUZZED,
        "wrong": WRONG,
        "oversize": OVERSIZE,
        "forged": FORGED,
        "replayed": REPLAYED,
        "stolen": STOLEN,
    }.items()
    for row in rows
}


def wire_of(place: Place, row: Row) -> bytes:
    """The row's request, to the byte."""
    path = row.path
    for name in ("open", "ended", "others"):
        path = path.replace(f"{{{name}}}", str(getattr(place, name)))
    root = f"/{row.environment}/controller/v1/{row.device}"
    if row.device == "/enrolment":
        root = f"/{row.environment}/enrolment/v1"
    token = token_of(row.token) if row.token.startswith("dev") else row.token
    lines = [f"{row.method} {root}{path} HTTP/1.1", *row.headers]
    if not any(each.startswith("Host:") for each in row.headers):
        lines.append("Host: door.example")
    if token:
        lines.append(f"Authorization: TargetToken {token}")
    if row.body:
        lines.append(f"Content-Length: {len(row.body)}")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + row.body


@contextmanager
def unchanged(place: Place, logged: Logged, code: str) -> Iterator[None]:
    """Afterwards every table is as it was, and the log has one line, which names the code."""
    before = place.tables()
    logged.records.clear()
    yield
    deadline = time.monotonic() + LONG_SECONDS
    while not logged.records and time.monotonic() < deadline:
        time.sleep(0.01)  # a line may come after the answer
    (line,) = logged.lines()
    assert line.startswith(f"device door: refused: {code} ("), line
    assert len(line) < 400 and line.isprintable()
    for device in ("dev1", "dev2"):
        assert token_of(device) not in line
    assert place.tables() == before
    assert place.house.books.collect(ENV) is None  # nothing that the journal would grow by


def answered(found: bytes, status: int, code: str, *, head: bool = False) -> None:
    """A whole answer of the door: its status, and a record that says all five things."""
    first, _, body = found.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 %d " % status), found[:300]
    if head:
        return
    record = json.loads(body)
    assert record["errorCode"] == code
    for part in ("subject", "expected", "found", "remedy"):
        assert record["info"][part], record


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_bad_input(place: Place, logged: Logged, name: str) -> None:
    row = ROWS[name]
    with unchanged(place, logged, row.code):
        found = place.said(wire_of(place, row))
        answered(found, row.status, row.code, head=row.method == "HEAD")


HEAD = f"POST /{ENV}/controller/v1/dev1/configData HTTP/1.1\r\nHost: a\r\n"
OWN = f"Authorization: TargetToken {token_of('dev1')}\r\n"
LINES = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "a word that is no method": (b"FETCH / HTTP/1.1\r\n\r\n", 400),
    "a header without a colon": (b"GET / HTTP/1.1\r\nHost\r\n\r\n", 400),
    "a length that is none": (f"{HEAD}Content-Length: many\r\n\r\n".encode(), 400),
    "two lengths": (f"{HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab".encode(), 400),
    "a head without end": (b"GET / HTTP/1.1\r\n" + b"A: " + b"b" * 140_000, 400),
    "no path": (b"GET  HTTP/1.1\r\n\r\n", 400),
}


@pytest.mark.parametrize("name", LINES)
def test_bytes_that_are_no_request(place: Place, logged: Logged, name: str) -> None:
    wire, status = LINES[name]
    with unchanged(place, logged, "device.head.input"):
        answered(place.said(wire), status, "device.head.input")


def test_a_body_in_pieces_that_is_too_large(place: Place, logged: Logged) -> None:
    head = HEAD.replace("POST", "PUT") + OWN + "Transfer-Encoding: chunked\r\n\r\n"
    wire = head.encode() + (b"4000\r\n" + b" " * 0x4000 + b"\r\n") * 5
    with unchanged(place, logged, "device.body.large"):
        answered(place.said(wire), 413, "device.body.large")


def test_a_piece_that_is_none(place: Place, logged: Logged) -> None:
    """The door has begun to hear the body: there is one answer, and one line."""
    head = HEAD.replace("POST", "PUT") + OWN + "Transfer-Encoding: chunked\r\n\r\n"
    with unchanged(place, logged, "device.head.input"):
        answered(place.said(head.encode() + b"zz\r\nab\r\n"), 400, "device.head.input")


@pytest.mark.parametrize("begun", [b"", b'{"data":'])
def test_a_body_that_is_slow(short: Place, logged: Logged, begun: bytes) -> None:
    wire = (HEAD.replace("POST", "PUT") + OWN + "Content-Length: 99\r\n\r\n").encode() + begun
    with unchanged(short, logged, "device.body.slow"):
        answered(short.said(wire), 408, "device.body.slow")


@pytest.mark.parametrize("before", [b"", b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_a_head_that_is_slow(short: Place, logged: Logged, before: bytes) -> None:
    """The first one, and one after a whole request."""
    logged.records.clear()
    found = short.said(before + b"GET / HTTP/1.1\r\nHost: a\r\nAuthor")
    answered(found[found.rindex(b"HTTP/1.1 ") :], 408, "device.head.input")
    lines = [line.split()[3] for line in logged.lines()]
    assert lines == ["device.path.unknown"] * bool(before) + ["device.head.input"]


def test_who_says_nothing_is_left_without_a_word(short: Place, logged: Logged) -> None:
    assert short.said(b"") == b""
    assert logged.lines() == []


def test_who_goes_away_in_the_middle(place: Place, logged: Logged) -> None:
    wire = (HEAD.replace("POST", "PUT") + OWN + "Content-Length: 99\r\n\r\n{").encode()
    with unchanged(place, logged, "device.body.gone"):
        place.said(wire, end=True)


TAKEN = {
    "controls in JSON": b'{"status":{"execution":"proceeding","result":{"finished":"none"},'
    b'"details":["a\nb\x00c\x1b[31m","\\u0000\\ud800"]}}',
    "another id": b'{"id":99,"status":{"execution":"proceeding","result":{"finished":"none"}}}',
    "more lines than are kept": feedback(details=["x" * 900] * 60),
    "a time in the past": b'{"time":"19700101T000000",' + feedback()[1:],
    "a time that is none": b'{"time":"99999999T999999","timestamp":"soon",' + feedback()[1:],
    "a time without end": b'{"timestamp":1e308,' + feedback()[1:],
    "a time of another kind": b'{"timestamp":{"a":[-1]},"time":null,' + feedback()[1:],
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_real_clients_send_is_taken_and_cleaned(
    place: Place, logged: Logged, name: str
) -> None:
    """Nothing is logged; times are the server's alone; what is kept is plain text."""
    before = place.house.now_ms()
    row = Row(name, "POST", REPORT, TAKEN[name])
    assert place.said(wire_of(place, row)).startswith(b"HTTP/1.1 200 ")
    assert logged.lines() == []
    newest = json.loads(place.house.registry.timeline(ENV, "dev1", 1)[0])
    assert before <= newest["time_ms"] <= place.house.now_ms()
    assert newest["reason"].isprintable() and newest["action"] == place.open
    assert newest["to"] == "installing"
    place.house.seal(ENV)


@pytest.mark.parametrize(
    "attributes", [b'{"data":{"a\\u0000b\\ud800":"c\\nd"}}', b'{"data":{"serial":"\x00\x07"}}']
)
def test_controls_in_attributes_are_taken_and_cleaned(
    place: Place, logged: Logged, attributes: bytes
) -> None:
    row = Row("", "PUT", "/configData", attributes)
    assert place.said(wire_of(place, row)).startswith(b"HTTP/1.1 200 ")
    assert logged.lines() == []
    held = json.loads(place.house.registry.page(ENV)[0].attributes)
    assert all((name + value).isprintable() for name, value in held.items())
    place.house.seal(ENV)


def test_a_proxys_other_headers_change_no_word_of_the_answer(place: Place, logged: Logged) -> None:
    plain = place.said(wire_of(place, Row("", "GET", "")))
    forged = (
        "X-Forwarded-For: 8.8.8.8",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.example",
        "Forwarded: for=8.8.8.8;host=evil.example;proto=https",
        "X-Real-IP: 8.8.8.8",
    )
    found = place.said(wire_of(place, Row("", "GET", "", headers=forged)))
    assert found.partition(b"\r\n\r\n")[2] == plain.partition(b"\r\n\r\n")[2] != b""
    assert logged.lines() == []


def test_a_flood_is_held_off_where_clients_survive_it(
    tmp_path: Path, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Polls beyond the share get 429, each a line; reports and downloads never."""
    for each in (rooms, fast_poll):
        monkeypatch.setattr(each, "counted", lambda address: True)
    place = Place(tmp_path, "")
    place.server = DoorServer(place.house.desk(), flood=Flood(a_second=0, burst=200))
    with place.server:
        place.begin()
        assert 429 in [place.client.ask("GET", "")[0] for _ in range(201)]
        with unchanged(place, logged, "device.flood.refused"):
            found = place.said(wire_of(place, Row("", "GET", "")))
            answered(found, 429, "device.flood.refused")
        image = "/softwaremodules/{open}/artifacts/firmware-1.1.0.swu"
        for method, path, body in (
            ("POST", REPORT, feedback()),
            ("PUT", "/configData", b'{"data":{}}'),
            ("GET", "/deploymentBase/{open}", b""),
            ("GET", image, b""),
        ):
            logged.records.clear()
            row = Row("", method, path, body)
            assert place.said(wire_of(place, row)).startswith(b"HTTP/1.1 200 "), path
            assert logged.lines() == []
        assert place.house.registry.page(ENV)[0].state == "installing"
    place.house.database.close()
