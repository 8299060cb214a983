"""Answers are read whole, however they are cut, and what is no answer is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.gates.reply import BODY_BYTES_MAX, BadReply, Reply

OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = [
    (OK + b"Content-Length: 2\r\n\r\nok", 200, True),
    (OK + b"Content-Length: 0\r\n\r\n", 200, True),
    (OK + b"Content-Length: 2\r\nConnection: close\r\n\r\nok", 200, False),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, False),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\n!", 200, True),
    (b"HTTP/1.1 204 No Content\r\n\r\n", 204, True),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, True),
    (
        OK + b"Transfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
        200,
        True,
    ),
    (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nTrailer: x\r\n\r\n", 200, True),
]


@pytest.mark.parametrize(("content", "status", "keeps"), WHOLE)
def test_an_answer_is_whole_at_its_end(content: bytes, status: int, keeps: bool) -> None:
    reply = Reply()
    reply.feed(content)
    assert (reply.whole, reply.status, reply.keeps_open) == (True, status, keeps)


@given(st.sampled_from(WHOLE), st.data())
def test_an_answer_may_be_cut_anywhere(case: tuple[bytes, int, bool], data: st.DataObject) -> None:
    content = case[0]
    cut = data.draw(st.integers(min_value=0, max_value=len(content) - 1))
    reply = Reply()
    reply.feed(content[:cut])
    assert not reply.whole
    reply.feed(content[cut:])
    assert (reply.whole, reply.status) == (True, case[1])


def test_without_a_length_the_end_is_the_end_of_the_connection() -> None:
    reply = Reply()
    reply.feed(OK + b"\r\nsome")
    assert not reply.whole
    reply.closed()
    assert reply.whole and not reply.keeps_open


def test_what_is_cut_short_is_not_whole() -> None:
    reply = Reply()
    reply.feed(OK + b"Content-Length: 5\r\n\r\nok")
    reply.closed()
    assert not reply.whole


def test_an_answer_to_head_has_no_body() -> None:
    reply = Reply(head_only=True)
    reply.feed(OK + b"Content-Length: 500\r\n\r\n")
    assert reply.whole


@pytest.mark.parametrize(
    "content",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"x" * 70_000,
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 1\r\n\r\nok",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 70_000,
    ],
)
def test_what_is_no_answer_is_refused(content: bytes) -> None:
    with pytest.raises(BadReply):
        Reply().feed(content)


def test_an_endless_body_is_refused() -> None:
    reply = Reply()
    reply.feed(OK + b"\r\n")
    with pytest.raises(BadReply):
        for _ in range(BODY_BYTES_MAX // (16 * 1024 * 1024) + 1):
            reply.feed(bytes(16 * 1024 * 1024))
