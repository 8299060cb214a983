"""What the keeper lets through, what it refuses, and what it makes of it."""

import http.client
import json
import re
import socket
import time

import pytest

from surefoot.testing.waiting import until

GET = b"GET / HTTP/1.1\r\nHost: h\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

REFUSED = {
    "length beside chunks": (
        400,
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    "chunks beside length": (
        400,
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
    ),
    "two lengths": (400, POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n"),
    "the same length twice": (400, POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n"),
    "a list of lengths": (400, POST + b"Content-Length: 5, 5\r\n\r\n"),
    "a signed length": (400, POST + b"Content-Length: +5\r\n\r\n"),
    "a length in hex": (400, POST + b"Content-Length: 0x5\r\n\r\n"),
    "an empty length": (400, POST + b"Content-Length:\r\n\r\n"),
    "an endless length": (400, POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n"),
    "a huge body": (413, POST + b"Content-Length: 99999999999999\r\n\r\n"),
    "two codings": (501, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n"),
    "coding twice": (501, POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n"),
    "a disguised coding": (501, POST + b"Transfer-Encoding: xchunked\r\n\r\n"),
    "a coding after a tab and more": (501, POST + b"Transfer-Encoding:\tchunked, identity\r\n\r\n"),
    "a space before the colon": (400, POST + b"Transfer-Encoding : chunked\r\n\r\n"),
    "a folded line": (400, GET + b"X: a\r\n b\r\n\r\n"),
    "a leading space": (400, GET + b" X: a\r\n\r\n"),
    "a bare line feed": (400, GET + b"X: a\nY: b\r\n\r\n"),
    "a bare carriage return": (400, GET + b"X: a\rY: b\r\n\r\n"),
    "a zero byte": (400, GET + b"X: a\0b\r\n\r\n"),
    "a line without colon": (400, GET + b"Nothing\r\n\r\n"),
    "an empty name": (400, GET + b": a\r\n\r\n"),
    "no host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two hosts": (400, GET + b"Host: i\r\n\r\n"),
    "a host with a path": (400, b"GET / HTTP/1.1\r\nHost: h/x\r\n\r\n"),
    "a host that quotes": (400, b'GET / HTTP/1.1\r\nHost: h";for=x\r\n\r\n'),
    "another version": (400, b"GET / HTTP/2.0\r\nHost: h\r\n\r\n"),
    "no version": (400, b"GET /\r\nHost: h\r\n\r\n"),
    "two spaces": (400, b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n"),
    "a tab in the line": (400, b"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    "a strange method": (400, b"G@T / HTTP/1.1\r\nHost: h\r\n\r\n"),
    "bytes above ASCII in the target": (400, b"GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n"),
    "a tunnel": (501, b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n"),
    "neither path nor address": (400, b"GET x HTTP/1.1\r\nHost: h\r\n\r\n"),
    "chunks in HTTP/1.0": (400, b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "a long target": (414, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n"),
    "a long head": (431, GET + b"X: " + b"a" * 40_000 + b"\r\n\r\n"),
    "many headers": (431, GET + b"X: a\r\n" * 101 + b"\r\n"),
    "a negative chunk": (400, CHUNKED + b"-1\r\nx\r\n0\r\n\r\n"),
    "a chunk in decimal words": (400, CHUNKED + b"five\r\nhello\r\n0\r\n\r\n"),
    "a chunk longer than said": (400, CHUNKED + b"2\r\nhello\r\n0\r\n\r\n"),
    "a chunk line with a bare feed": (400, CHUNKED + b"5\nhello\r\n0\r\n\r\n"),
    "an endless chunk line": (400, CHUNKED + b"5;" + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n"),
    "a chunk size of 20 digits": (400, CHUNKED + b"f" * 20 + b"\r\n"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(shared, name: str) -> None:
    status, request = REFUSED[name]
    answer = shared.raw(request + (SMUGGLED if status == 400 else b""))
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert b"Connection: close" in answer
    assert answer.count(b"HTTP/1.1 ") == 1, "the rest was read as a request"


def headers(shared, request: bytes) -> list[tuple[str, str]]:
    answer = shared.raw(request)
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    return [(n.lower(), v) for n, v in json.loads(answer.partition(b"\r\n\r\n")[2])]


def test_the_client_address_is_set_and_never_believed(shared) -> None:
    got = headers(
        shared,
        b"GET /headers HTTP/1.1\r\nHost: shop.example:8080\r\nConnection: close\r\n"
        b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n"
        b"X-Forwarded-Port: 1\r\nX_Forwarded_For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n"
        b"Forwarded: for=6.6.6.6\r\nX-Other: kept\r\n\r\n",
    )
    fields = dict(got)
    assert "6.6.6.6" not in str(got) and "evil" not in str(got)
    assert fields["x-forwarded-for"] == "127.0.0.1"
    assert fields["x-forwarded-proto"] == "http"
    assert fields["x-forwarded-host"] == "shop.example:8080"
    assert fields["forwarded"] == 'for=127.0.0.1;host="shop.example:8080";proto=http'
    assert fields["host"] == "shop.example:8080"
    assert fields["x-other"] == "kept"
    assert len(got) == len(fields)


def test_hop_by_hop_fields_end_here(shared) -> None:
    got = headers(
        shared,
        b"GET /headers HTTP/1.1\r\nHost: h\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\n"
        b"Keep-Alive: 5\r\nTE: trailers\r\nUpgrade: h2c\r\nProxy-Connection: x\r\n"
        b"Transfer_Encoding: chunked\r\nContent_Length: 7\r\n\r\n",
    )
    names = {name for name, _ in got}
    assert names == {
        "host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded"
    }  # fmt: skip


def test_an_absolute_target_names_the_host(shared) -> None:
    got = headers(
        shared, b"GET http://real/headers HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n"
    )
    assert dict(got)["host"] == "real"


def test_requests_sent_ahead_are_answered_in_order(shared) -> None:
    one = b"GET /slow?s=0.02 HTTP/1.1\r\nHost: h\r\n\r\n"
    two = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"
    last = b"GET /empty HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    answer = shared.raw(one * 5 + two + one + last)
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"200"] * 7 + [b"204"]


def test_a_long_pipeline_is_no_deep_recursion(shared) -> None:
    answer = shared.raw(GET + b"\r\n" + (GET + b"\r\n") * 1500 + GET + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200") == 1502


def test_answers_without_a_body(shared) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=90)
    for method, path, status, length in (
        ("HEAD", "/", 200, "3"),
        ("GET", "/empty", 204, None),
        ("GET", "/same", 304, "2"),
        ("HEAD", "/error", 503, "14"),
        ("GET", "/", 200, "3"),
    ):
        connection.request(method, path)
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Content-Length")) == (status, length)
        answer.read()
    connection.close()


def test_a_body_until_close_becomes_chunks_and_the_connection_stays(shared) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=90)
    for _ in range(2):
        connection.request("GET", "/close")
        answer = connection.getresponse()
        assert answer.getheader("Transfer-Encoding") == "chunked"
        assert answer.read() == b"until close"
    connection.close()


def test_http_1_0_gets_no_chunks(shared) -> None:
    answer = shared.raw(b"GET /close HTTP/1.0\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"chunked" not in head and b"Connection: close" in head and body == b"until close"


def test_expect_continue_is_asked_of_the_service(shared) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), 90) as client:
        client.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert b"200 OK" in client.recv(1000)


def test_an_early_answer_is_read_and_the_rest_discarded(shared) -> None:
    body = b"x" * 3_000_000
    request = b"POST /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", shared.port), 90) as client:
        client.sendall(request + body[:100_000])
        answer = client.recv(65536)
        assert answer.startswith((b"HTTP/1.1 403", b"HTTP/1.1 502"))
        assert b"Connection: close" in answer


def test_failures_of_the_service_are_told_apart(world) -> None:
    world.deploy()
    since = 0
    assert world.get("/reset")[0] == 502
    assert world.get("/error")[0] == 503
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        world.get("/half")
    assert world.get("/")[0] == 200
    totals = world.open().availability("api", since, 2**50)
    assert (totals.requests, totals.done, totals.failed, totals.service) == (4, 1, 2, 1)
    assert totals.max_ms >= 0
    assert world.open().availability("api", 0, 1000).requests == 0


def test_slow_clients_and_services_are_bounded(world, monkeypatch) -> None:
    limits = {"head_seconds": 0.5, "idle_seconds": 3.0, "body_seconds": 0.5, "answer_seconds": 1.0}
    monkeypatch.setenv("SUREFOOT_KEEPER_LIMITS", json.dumps(limits))
    world.deploy()
    began = time.monotonic()
    assert world.raw(b"GET / HT").startswith(b"HTTP/1.1 408")
    assert world.raw(b"") == b""
    assert world.raw(POST + b"Content-Length: 5\r\n\r\nab").startswith(b"HTTP/1.1 408")
    assert world.get("/slow?s=60")[0] == 504
    assert time.monotonic() - began < 60, "not after the waits of a keeper without these limits"


def test_a_crowd_is_bounded(world, monkeypatch) -> None:
    monkeypatch.setenv("SUREFOOT_KEEPER_LIMITS", json.dumps({"clients_max": 5}))
    world.deploy()
    crowd = [socket.create_connection(("127.0.0.1", world.port), 90) for _ in range(5)]
    until(lambda: world.status()["clients"] == 5)
    assert world.get("/")[0] == 503
    for client in crowd:
        client.close()
    until(lambda: world.status()["clients"] == 0)
    assert world.get("/")[0] == 200
