"""The API over its ASGI surface: signed requests, bad input, limits, and its description."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from surefoot.app.operation import Arguments, Operation, Request
from surefoot.core.errors import Corrupt, Failed, Refused
from surefoot.doors import words
from surefoot.doors.api import openapi
from surefoot.doors.api.application import api_app
from surefoot.doors.api.authenticate import Authenticator
from surefoot.doors.api.nonce import Nonces
from surefoot.doors.session import Sessions
from surefoot.store.nonce import NonceRows
from surefoot.store.sqlite import SqliteDatabase
from surefoot.trust import keys, sshsig

ANN = keys.private_key(b"a" * 32)
EVE = keys.private_key(b"e" * 32)
NOW = 1_790_000_000_000


class Echo(Arguments, frozen=True, kw_only=True):
    name: str
    count: int = 1
    tags: tuple[str, ...] = ()


class Nothing(Arguments, frozen=True, kw_only=True):
    pass


def _echo(application: Any, request: Request, arguments: Echo) -> dict[str, Any]:
    return {"name": arguments.name, "count": arguments.count, "by": request.asker.id}


def _fail(application: Any, request: Request, arguments: Echo) -> dict[str, Any]:
    raise {
        "refused": Refused("thing.rule.moved", "thing", expected="a", found="b", remedy="c"),
        "failed": Failed("thing.tool.failed", "thing"),
        "corrupt": Corrupt("thing.digest.differs", "thing"),
        "fault": RuntimeError("hidden words"),
    }[arguments.name]


def _nothing(application: Any, request: Request, arguments: Nothing) -> dict[str, Any]:
    return {"z": 1, "a": [request.asker.type]}


def _operation(name: str, method: Any, path: str, kind: Any, call: Any, **more: Any) -> Operation:
    return Operation(
        name=name, method=method, path=path, arguments=kind, call=call, sentence="A test.", **more
    )


OPERATIONS = [
    _operation("echo show", "GET", "/echo/{name}", Echo, _echo),
    _operation("echo make", "POST", "/echo/{name}", Echo, _echo),
    _operation("echo fail", "POST", "/fail/{name}", Echo, _fail),
    _operation("echo fixed", "GET", "/echo/fixed", Nothing, _nothing),
    _operation("open", "GET", "/open", Nothing, _nothing, public=True),
]


class House:
    """An API with one enrolled key, and a client for it."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.known = {ANN.public.fingerprint: ("ann", ANN.public.line())}
        self.count = 0
        self.database = SqliteDatabase(folder)
        self.sessions = Sessions(
            now_ms=lambda: self.now, token=self.token, person_of_key=self.known.get
        )
        self.app = self.build()

    def build(self) -> Any:
        authenticator = Authenticator(
            installation="home",
            person_of_key=self.known.get,
            now_ms=lambda: self.now,
            nonces=Nonces(lambda: self.now, NonceRows(self.database)),
        )
        return api_app(
            None,
            OPERATIONS,
            authenticator,
            sessions=self.sessions,
            now_ms=lambda: self.now,
            token=self.token,
        )

    def token(self, size: int) -> bytes:
        self.count += 1
        return self.count.to_bytes(size, "big")

    def signed(self, method: str, target: str, body: bytes = b"", **other: Any) -> dict[str, str]:
        key = other.get("key", ANN)
        nonce = other.get("nonce", self.token(16).hex())
        message = words.request_bytes(
            method,
            target,
            body,
            time_ms=other.get("time", self.now),
            nonce=nonce,
            installation=other.get("installation", "home"),
        )
        sign = other.get("sign", key.sign)
        return {
            words.KEY_HEADER: other.get("keyid", key.keyid),
            words.TIME_HEADER: str(other.get("time", self.now)),
            words.NONCE_HEADER: nonce,
            words.SIGNATURE_HEADER: base64.b64encode(sign(message)).decode(),
        }

    def ask(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        status, content = asyncio.run(_request(self.app, method, target, body, headers or {}))
        return status, json.loads(content)

    def ask_signed(self, method: str, target: str, body: bytes = b"", **o: Any) -> tuple[int, Any]:
        return self.ask(method, target, body, self.signed(method, target, body, **o))


async def _request(
    app: Any, method: str, target: str, body: bytes, headers: dict[str, str]
) -> tuple[int, bytes]:
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        "client": ("127.0.0.1", 1),
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(m.get("body", b"") for m in sent[1:])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.database.close()


def test_a_signed_question_is_answered(house: House) -> None:
    answer = house.ask_signed("GET", "/v1/echo/thing?count=3")
    assert answer == (200, {"by": "ann", "count": 3, "name": "thing"})


def test_a_signed_command_takes_its_body(house: House) -> None:
    status, answer = house.ask_signed("POST", "/v1/echo/thing", b'{"count": 7}')
    assert (status, answer["count"]) == (200, 7)


def test_an_ssh_signature_counts_as_well(house: House) -> None:
    def sign(message: bytes) -> bytes:
        return sshsig.sign(ANN, message, words.NAMESPACE)

    assert house.ask_signed("GET", "/v1/echo/thing", sign=sign)[0] == 200


def test_a_public_question_needs_no_signature(house: House) -> None:
    assert house.ask("GET", "/v1/open") == (200, {"a": ["anonymous"], "z": 1})


def test_a_fixed_word_wins_over_a_parameter(house: House) -> None:
    assert house.ask_signed("GET", "/v1/echo/fixed")[1] == {"a": ["person"], "z": 1}


def test_a_slash_stays_inside_its_segment(house: House) -> None:
    assert house.ask_signed("GET", "/v1/echo/a%2Fb")[1]["name"] == "a/b"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"key": EVE}, "request.key.unauthenticated"),
    ({"key": EVE, "keyid": ANN.keyid}, "request.signature.unauthenticated"),
    ({"installation": "other"}, "request.signature.unauthenticated"),
    ({"time": NOW - 121_000}, "request.time.unauthenticated"),
    ({"time": NOW + 121_000}, "request.time.unauthenticated"),
    ({"nonce": "short"}, "request.header.unauthenticated"),
    (
        {"sign": lambda m: sshsig.sign(ANN, m, "surefoot")},
        "request.signature.unauthenticated",
    ),
]


@pytest.mark.parametrize(("change", "code"), REFUSED)
def test_a_signature_of_another_kind_is_refused(
    house: House, change: dict[str, Any], code: str
) -> None:
    status, answer = house.ask_signed("GET", "/v1/echo/thing", **change)
    assert (status, answer["code"]) == (401, code)


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", "/v1/echo/other", b"{}"),
        ("POST", "/v1/echo/thing", b'{"count":2}'),
        ("POST", "/v1/echo/thing?count=2", b"{}"),
        ("GET", "/v1/echo/thing", b"{}"),
    ],
)
def test_a_signature_counts_for_nothing_else(
    house: House, method: str, target: str, body: bytes
) -> None:
    headers = house.signed("POST", "/v1/echo/thing", b"{}")
    status, answer = house.ask(method, target, body, headers)
    assert (status, answer["code"]) == (401, "request.signature.unauthenticated")


def test_an_unsigned_request_names_the_missing_headers(house: House) -> None:
    status, answer = house.ask("GET", "/v1/echo/thing")
    assert (status, answer["code"]) == (401, "request.missing.unauthenticated")
    assert words.KEY_HEADER in answer["found"]


def test_a_request_counts_once_even_across_a_restart(house: House) -> None:
    headers = house.signed("POST", "/v1/echo/thing", b"{}")
    assert house.ask("POST", "/v1/echo/thing", b"{}", headers)[0] == 200
    assert house.ask("POST", "/v1/echo/thing", b"{}", headers)[0] == 403
    house.app = house.build()
    status, answer = house.ask("POST", "/v1/echo/thing", b"{}", headers)
    assert (status, answer["code"]) == (403, "request.nonce.signature")


def test_a_command_sent_to_another_process_counts_once_all_the_same(house: House) -> None:
    other = house.build()
    headers = house.signed("POST", "/v1/echo/thing", b"{}")
    assert house.ask("POST", "/v1/echo/thing", b"{}", headers)[0] == 200
    house.app = other
    assert house.ask("POST", "/v1/echo/thing", b"{}", headers)[0] == 403


def test_nonces_are_forgotten_once_their_time_is_refused(house: House) -> None:
    for _ in range(3):
        assert house.ask_signed("POST", "/v1/echo/thing", b"{}")[0] == 200
    house.now += 2 * words.SKEW_MS + 1
    assert house.ask_signed("POST", "/v1/echo/thing", b"{}")[0] == 200
    with house.database.write() as session:
        assert session.run("nonce.forget", before_ms=house.now + 1) == 1


def test_a_revoked_key_is_refused_at_once(house: House) -> None:
    house.known.clear()
    assert house.ask_signed("GET", "/v1/echo/thing")[1]["code"] == "request.key.unauthenticated"


def test_an_address_that_fails_often_must_wait(house: House) -> None:
    for _ in range(31):
        house.ask("GET", "/v1/echo/thing")
    assert house.ask("GET", "/v1/echo/thing")[0] == 429
    assert house.ask_signed("GET", "/v1/echo/thing")[0] == 200, "others behind it are not held off"
    house.now += 60_000
    assert house.ask("GET", "/v1/echo/thing")[0] == 401


BAD_INPUT = [
    ("POST", "/v1/echo/x", b'{"cuont": 1}', "request.argument.input", "did you mean count?"),
    ("POST", "/v1/echo/x", b'{"count": "1"}', "request.argument.input", "correct the argument"),
    ("POST", "/v1/echo/x", b'{"tags": [1]}', "request.argument.input", "correct the argument"),
    ("POST", "/v1/echo/x", b'{"name": "y"}', "request.argument.input", "name each argument once"),
    ("POST", "/v1/echo/x", b'{"a":1,"a":2}', "request.body.input", ""),
    ("POST", "/v1/echo/x", b"[]", "request.body.input", ""),
    ("POST", "/v1/echo/x", b"\xff", "request.body.input", ""),
    ("POST", "/v1/echo/x", b"[" * 100_000, "request.body.input", ""),
    ("GET", "/v1/echo/x?count=many", b"", "request.argument.input", "correct the argument"),
    ("GET", "/v1/echo/x?count=1&count=2", b"", "request.argument.input", "name each"),
]


@pytest.mark.parametrize(("method", "target", "body", "code", "remedy"), BAD_INPUT)
def test_bad_input_is_refused_with_a_remedy(
    house: House, method: str, target: str, body: bytes, code: str, remedy: str
) -> None:
    status, answer = house.ask_signed(method, target, body)
    assert (status, answer["code"]) == (422, code)
    assert remedy in answer["remedy"]
    assert answer["expected"]
    assert answer["found"]


def test_a_body_over_the_limit_is_refused(house: House) -> None:
    status, answer = house.ask_signed("POST", "/v1/echo/x", b" " * (words.BODY_BYTES_MAX + 1))
    assert (status, answer["code"]) == (413, "request.body.oversize")


def test_an_unknown_path_is_refused(house: House) -> None:
    status, answer = house.ask_signed("GET", "/v1/nowhere")
    assert (status, answer["code"]) == (404, "request.path.unknown")


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [("refused", 409, "refused"), ("failed", 502, "failed"), ("corrupt", 500, "corrupt")],
)
def test_an_error_is_its_record(house: House, name: str, status: int, kind: str) -> None:
    found, answer = house.ask_signed("POST", f"/v1/fail/{name}")
    assert (found, answer["kind"]) == (status, kind)


def test_a_fault_shows_a_request_number_and_nothing_else(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    status, answer = house.ask_signed("POST", "/v1/fail/fault")
    assert (status, answer["code"]) == (500, "server.fault")
    assert "hidden words" not in json.dumps(answer)
    assert "hidden words" in caplog.text


def test_login_gives_a_link_that_opens_one_session(house: House) -> None:
    status, answer = house.ask_signed("POST", "/v1/sessions")
    assert (status, answer["person"]) == (200, "ann")
    token = answer["path"].removeprefix("/login/")
    cookie, session = house.sessions.redeem(token)
    assert house.sessions.find(cookie) == session
    with pytest.raises(Refused, match=r"session\.link\.unauthenticated"):
        house.sessions.redeem(token)
    house.known.clear()
    assert house.sessions.find(cookie) is None


def test_the_description_names_every_operation_and_resolves(house: House) -> None:
    _, document = house.ask("GET", "/v1/openapi.json")
    check_description(document, OPERATIONS)


def check_description(document: dict[str, Any], operations: list[Operation]) -> None:
    """What OpenAPI 3.1 asks of a document, as far as this one uses it."""
    assert document["openapi"] == "3.1.0"
    found = {
        (method.upper(), path): entry
        for path, methods in document["paths"].items()
        for method, entry in methods.items()
    }
    assert {(o.method, "/v1" + o.path) for o in operations} <= set(found)
    names = [entry["operationId"] for entry in found.values()]
    assert len(set(names)) == len(names)
    for (_, path), entry in found.items():
        in_path = {p["name"] for p in entry["parameters"] if p["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path))
        assert all(p["required"] for p in entry["parameters"] if p["in"] == "path")
        assert entry["responses"]
    for reference in re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(document)):
        assert reference in document["components"]["schemas"]


def test_a_description_without_a_parameter_would_be_caught() -> None:
    document = openapi.document(OPERATIONS)
    document["paths"]["/v1/echo/{name}"]["get"]["parameters"] = []
    with pytest.raises(AssertionError):
        check_description(json.loads(json.dumps(document)), OPERATIONS)
