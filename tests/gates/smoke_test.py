"""The gate `smoke` against real servers, the well-behaved and the others."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from surefoot.core.errors import Failed
from surefoot.core.gate import Evidence, Judgement, judge
from surefoot.gates import smoke
from surefoot.trust.digest import digest_of

SUBJECT = digest_of(b"a release")


class Service(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = {
            "/health": (200, b'{"status": "ok"}'),
            "/broken": (500, b"oh"),
            "/elsewhere": (302, b""),
            "/large": (200, b"x" * 2_000_000),
        }.get(self.path, (404, b""))
        if self.path == "/slow":
            time.sleep(0.2)
            status = 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/health")
        short = self.path == "/short"
        self.send_header("Content-Length", str(len(body) + (10 if short else 0)))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def listener() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def answer(database: str, sql: str) -> smoke.Scalar | None:
    answers: dict[str, smoke.Scalar | None] = {"select 1": 1, "select null": None}
    if sql not in answers or database != "main":
        raise Failed("database.statement.failed", database, found="no such table: telemetry")
    return answers[sql]


def run(listener: str, *checks: dict[str, Any], ask: Any = answer) -> tuple[Evidence, Judgement]:
    gate = smoke.SmokeGate(lambda: int(time.monotonic() * 1000), ask)
    evidence = gate.run(SUBJECT, {"listener": listener, "checks": list(checks)})
    return evidence, judge(evidence, SUBJECT)


def test_good_answers_pass_with_figures(listener: str) -> None:
    evidence, judgement = run(
        listener,
        {"name": "health", "http": "/health", "status": 200, "contains": '"ok"'},
        {"name": "port", "tcp": listener},
        {"name": "one", "sql": "select 1", "database": "main", "expect": 1},
    )
    assert judgement.verdict == "pass"
    assert evidence.coverage == {"declared": 3, "carried_out": 3}
    assert evidence.figures["checks"][0]["status"] == 200  # type: ignore[index,call-overload]


BAD = [
    ({"http": "/broken"}, "status 500, expected 200 to 299"),
    ({"http": "/elsewhere"}, "status 302, expected 200 to 299"),
    ({"http": "/health", "status": 204}, "status 200, expected 204"),
    ({"http": "/health", "contains": "degraded"}, "does not contain"),
    ({"http": "/large"}, "larger than"),
    ({"http": "/slow", "milliseconds_max": 50}, "ms, at most 50"),
    ({"http": "/none"}, "status 404"),
    ({"sql": "select null", "database": "main"}, "empty"),
    ({"sql": "select 1", "database": "main", "expect": 2}, "another than expected"),
    ({"sql": "select 2", "database": "main"}, "database.statement.failed"),
]


@pytest.mark.parametrize(("check", "words"), BAD, ids=[w for _, w in BAD])
def test_a_bad_answer_is_a_finding(listener: str, check: dict[str, Any], words: str) -> None:
    evidence, judgement = run(listener, {"name": "it", **check})
    assert judgement.verdict == "fail" and words in judgement.reason, judgement
    assert evidence.complete


def test_nothing_listening_is_a_finding() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{held.getsockname()[1]}"
        for check in ({"http": "/health"}, {"tcp": endpoint}):
            assert run(endpoint, {"name": "it", **check})[1].verdict == "fail"


@pytest.fixture
def raw_server() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Starts a server that handles one connection with the given function."""
    held: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(behave: Callable[[socket.socket], None]) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        held.append(server)

        def serve() -> None:
            with suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    connection.recv(4096)
                    behave(connection)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return f"127.0.0.1:{server.getsockname()[1]}"

    yield start
    for server in held:
        server.close()
    for thread in threads:
        thread.join()


def drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(2400):
        connection.sendall(b"x")
        time.sleep(0.05)


def cut(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")


def noise(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")


def silence(connection: socket.socket) -> None:
    connection.recv(1)


RAW = [
    (drip, "no whole answer in time"),
    (cut, "cut short"),
    (noise, "not an HTTP answer"),
    (silence, "no whole answer in time"),
]


@pytest.mark.parametrize(("behave", "words"), RAW, ids=[b.__name__ for b, _ in RAW])
def test_a_hostile_server_cannot_hold_up_or_pass(
    raw_server: Callable[[Callable[[socket.socket], None]], str],
    behave: Callable[[socket.socket], None],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(smoke, "_TIMEOUT_SECONDS", 0.5 if words.endswith("in time") else 90)
    started = time.monotonic()
    _, judgement = run(raw_server(behave), {"name": "it", "http": "/health"})
    assert judgement.verdict == "fail" and words in judgement.reason, judgement
    assert time.monotonic() - started < 60


def test_no_checks_is_inconclusive(listener: str) -> None:
    assert run(listener)[1].verdict == "inconclusive"


TROUBLE = [
    ("192.0.2.1:80", {"http": "/health"}),
    ("localhost:80", {"http": "/health"}),
    ("", {"http": "/health"}),
    ("127.0.0.1:0", {"http": "/health"}),
    ("", {"tcp": "192.0.2.1:80"}),
    ("", {"tcp": "169.254.169.254:80"}),
    ("", {}),
    ("", {"tcp": "127.0.0.1:1", "sql": "select 1"}),
    ("", {"sql": "select 1"}),
]


@pytest.mark.parametrize(("listener_", "check"), TROUBLE)
def test_a_check_that_may_not_be_carried_out_is_an_error(
    listener_: str, check: dict[str, Any]
) -> None:
    assert run(listener_, {"name": "it", **check})[1].verdict == "error"


def test_without_a_way_to_the_database_it_is_an_error(listener: str) -> None:
    check = {"name": "it", "sql": "select 1", "database": "main"}
    assert run(listener, check, ask=None)[1].verdict == "error"


def test_a_declared_address_is_reached(listener: str) -> None:
    named = listener.replace("127.0.0.1", "localhost")
    gate = smoke.SmokeGate(lambda: 0, allowed=[named])
    evidence = gate.run(SUBJECT, {"checks": [{"name": "port", "tcp": named}]})
    assert judge(evidence, SUBJECT).verdict == "pass"


def test_unknown_and_too_many_checks_are_errors(listener: str) -> None:
    assert run(listener, {"name": "it", "http": 5})[1].verdict == "error"
    many = [{"name": str(n), "tcp": listener} for n in range(101)]
    assert run(listener, *many)[1].verdict == "error"


def test_latency_is_measured(listener: str) -> None:
    evidence, _ = run(listener, {"name": "it", "http": "/slow"})
    (row,) = evidence.figures["checks"]  # type: ignore[misc]
    assert row["milliseconds"] >= 200  # type: ignore[index,call-overload,operator]
