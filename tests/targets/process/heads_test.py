"""Heads and bodies as pure functions, with any bytes and any split."""

import re

from hypothesis import given
from hypothesis import strategies as st

from surefoot.targets.keeper.bodies import Chunked, Counted, chunk
from surefoot.targets.keeper.heads import Bad, forwarded, parse_request

TEXT = st.binary(max_size=300)
LINES = st.lists(
    st.sampled_from(
        [
            b"Host: h", b"Content-Length: 5", b"Content-Length: 6", b"Content-Length : 5",
            b"Transfer-Encoding: chunked", b"transfer-encoding:chunked", b"X: a\nContent-Length: 1",
            b" Content-Length: 5", b"Connection: close, content-length", b"Connection: host",
            b"Transfer_Encoding: chunked", b"X-Forwarded-For: 1", b"Expect: 100-continue", b"A: b",
            b"Upgrade: websocket", b"Connection: upgrade", b"Content-Length: 5, 5", b"Y: \xff",
        ]
    ),
    max_size=6,
)  # fmt: skip


@given(TEXT)
def test_any_bytes_are_a_request_or_refused(content: bytes) -> None:
    try:
        parse_request(content + b"\r\n")
    except Bad as bad:
        assert 400 <= bad.status <= 599


@given(LINES, st.sampled_from([b"GET", b"POST", b"OPTIONS"]))
def test_what_is_forwarded_frames_one_body_and_reads_the_same(
    lines: list[bytes], method: bytes
) -> None:
    head = method + b" /p HTTP/1.1\r\n" + b"".join(line + b"\r\n" for line in lines)
    try:
        request = parse_request(head)
    except Bad:
        return
    sent = forwarded(request, b"127.0.0.1")
    names = re.findall(rb"\r\n([^:\r\n]+):", sent)
    lowered = [name.lower().replace(b"_", b"-") for name in names]
    framing = [n for n in lowered if n in (b"content-length", b"transfer-encoding")]
    assert len(framing) <= 1
    assert lowered.count(b"host") == 1
    assert lowered.count(b"x-forwarded-for") == 1
    again = parse_request(sent[:-2])
    assert (again.length, again.method, again.target) == (request.length, method, b"/p")


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=6), st.data())
def test_chunks_survive_any_split(parts: list[bytes], data: st.DataObject) -> None:
    wire = b"".join(chunk(part) for part in parts) + b"0\r\nT: x\r\n\r\nrest"
    body, payload, rest, done = Chunked(), b"", b"", False
    while wire and not done:
        size = data.draw(st.integers(1, len(wire)))
        got, rest, done = body.feed(wire[:size])
        payload, wire = payload + got, wire[size:]
    assert done and payload == b"".join(parts)
    assert rest + wire == b"rest"


@given(st.binary(max_size=200))
def test_any_bytes_as_chunks_are_a_body_or_refused(content: bytes) -> None:
    try:
        Chunked().feed(content)
    except Bad as bad:
        assert bad.status in (400, 431)


def test_a_counted_body_ends_where_it_says() -> None:
    body = Counted(5)
    assert body.feed(b"abc") == (b"abc", b"", False)
    assert body.feed(b"defg") == (b"de", b"fg", True)
