"""A real witness daemon over HTTP: its bounds, its files, and a SIGKILL before it answers."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from surefoot.doors.witness.application import witness_app
from surefoot.journal.witness import Answer
from surefoot.testing.witness import SUREFOOT, NumberedLog, WitnessProcess
from surefoot.trust.cosignature import ML_DSA_44, CosignerKey, cosignatures, with_lines
from surefoot.trust.note import SignerKey, split_note
from surefoot.trust.witnessing import REQUEST_BYTES_MAX, AddCheckpoint

KEY = SignerKey("log.example", b"l" * 32)


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[WitnessProcess]:
    found = WitnessProcess(tmp_path / "witness")
    found.trust(KEY.verifier.text())
    yield found
    found.stop()


def valid(witness: WitnessProcess, log: NumberedLog, size: int, line: str) -> bool:
    key = CosignerKey.parse(witness.vkey)
    return len(cosignatures(with_lines(log.note(size), [line]), [key])) == 1


def test_it_cosigns_over_one_connection_and_says_its_size(witness: WitnessProcess) -> None:
    log = NumberedLog(KEY)
    parts = urlsplit(witness.start())
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=90)
    connection.connect()
    first = connection.sock
    for old, size in ((0, 5), (5, 9)):
        connection.request("POST", "/add-checkpoint", log.request(old, size))
        answer = connection.getresponse()
        assert answer.status == 200
        assert valid(witness, log, size, answer.read().decode())
        assert connection.sock is first
    connection.request("POST", "/add-checkpoint", log.request(0, 9))
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (409, b"9\n")
    assert answer.headers["content-type"] == "text/x.tlog.size"
    connection.request("GET", "/add-checkpoint")
    assert connection.getresponse().status == 405
    connection.close()


def test_bodies_are_bounded_in_size(witness: WitnessProcess) -> None:
    witness.start()
    assert witness.post(b"old 0\n\n" + b"x" * REQUEST_BYTES_MAX)[0] == 413
    assert witness.post(b"")[0] == 400


def test_bodies_are_bounded_in_time() -> None:
    sent: list[Any] = []

    async def slow() -> dict[str, Any]:
        await asyncio.sleep(0.05)
        return {"type": "http.request", "body": b"o", "more_body": True}

    async def keep(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/add-checkpoint",
        "raw_path": b"/add-checkpoint",
        "query_string": b"",
        "headers": [],
    }
    application = witness_app(lambda body: Answer(200, ""), body_seconds=0.3)
    asyncio.run(application(scope, slow, keep))
    assert sent[0]["status"] == 408


def test_a_log_is_trusted_while_it_runs(witness: WitnessProcess) -> None:
    witness.start()
    newcomer = NumberedLog(SignerKey("new.example", b"n" * 32))
    assert witness.post(newcomer.request(0, 3))[0] == 404
    witness.ask("witness", "trust", str(witness.folder), newcomer.key.verifier.text())
    assert witness.post(newcomer.request(0, 3))[0] == 200
    shown = witness.ask("witness", "show", str(witness.folder))
    assert [(log["origin"], log["size"]) for log in shown["logs"]] == [  # type: ignore[attr-defined]
        ("log.example", 0),
        ("new.example", 3),
    ]


def test_the_key_is_the_owners_alone_and_another_process_is_kept_out(
    witness: WitnessProcess, tmp_path: Path
) -> None:
    assert stat.S_IMODE((witness.folder / "seed").stat().st_mode) == 0o600
    assert stat.S_IMODE(witness.folder.stat().st_mode) == 0o700
    witness.start()
    made = witness.ask("witness", "init", str(tmp_path / "new"), "--name", "w/new", "--ml-dsa")
    assert CosignerKey.parse(str(made["vkey"])).kind == ML_DSA_44
    second = subprocess.run(
        [*SUREFOOT, "witness", "run", str(witness.folder), "--listen", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert second.returncode == 3
    assert "store.directory.locked" in second.stderr
    again = subprocess.run(
        [*SUREFOOT, "witness", "init", str(witness.folder), "--name", "x"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert again.returncode == 3
    assert "witness.exists" in again.stderr


def test_killed_between_write_and_answer_it_never_goes_back(witness: WitnessProcess) -> None:
    log, fork = NumberedLog(KEY), NumberedLog(KEY, fork=6)
    witness.start(kill_at="witness:written#2")
    assert witness.post(log.request(0, 5))[0] == 200
    with pytest.raises((OSError, http.client.HTTPException)):
        witness.post(log.request(5, 9))
    witness.stop()
    witness.start()
    # The larger size is kept, though nobody got the cosignature: neither a smaller tree nor
    # another one is cosigned, and the same tree is.
    assert witness.post(log.request(5, 7)) == (409, "9\n")
    assert witness.post(fork.request(5, 9)) == (409, "9\n")
    assert witness.post(fork.request(9, 9)) == (409, "9\n")
    assert witness.post(fork.request(9, 12))[0] == 422
    status, line = witness.post(log.request(9, 9))
    assert status == 200
    assert valid(witness, log, 9, line)


def test_of_many_at_once_over_http_one_is_cosigned(witness: WitnessProcess) -> None:
    log = NumberedLog(KEY)
    witness.start()
    bodies = [log.request(0, size) for size in range(1, 9)]
    answers: list[tuple[int, str]] = []
    threads = [
        threading.Thread(target=lambda body=body: answers.append(witness.post(body)))
        for body in bodies
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in answers) == [200] + [409] * 7


def test_a_request_is_answered_by_file(witness: WitnessProcess, tmp_path: Path) -> None:
    log = NumberedLog(KEY)
    asked, answer = tmp_path / "request", tmp_path / "answer"
    asked.write_bytes(log.request(0, 5))
    witness.ask("witness", "sign", str(witness.folder), str(asked), str(answer))
    key = CosignerKey.parse(witness.vkey)
    assert answer.read_text().startswith(log.note(5))
    assert len(cosignatures(answer.read_text(), [key])) == 1
    for body, code in (
        (log.request(0, 5), "witness.size.moved"),
        (b"nothing", "witness.request.input"),
        (NumberedLog(SignerKey("x", b"x" * 32)).request(0, 5), "witness.request.input"),
    ):
        asked.write_bytes(body)
        done = subprocess.run(
            [*SUREFOOT, "witness", "sign", str(witness.folder), str(asked), str(tmp_path / "no")],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 3
        assert code in done.stderr
        assert not (tmp_path / "no").exists()


def raw(witness: WitnessProcess, content: bytes) -> bytes:
    """What comes back for bytes that no client library sends."""
    parts = urlsplit(witness.url)
    with socket.create_connection((str(parts.hostname), parts.port), timeout=90) as line:
        line.sendall(content)
        line.shutdown(socket.SHUT_WR)
        found = b""
        with contextlib.suppress(OSError):
            while piece := line.recv(65536):
                found += piece
    return found


def test_requests_that_no_log_sends_change_nothing(witness: WitnessProcess) -> None:
    log = NumberedLog(KEY)
    witness.start()
    assert witness.post(log.request(0, 5))[0] == 200
    body = log.request(5, 9)
    head = b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\n"
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    for content in (
        b"\x00\xff\r\n\r\n",
        b"POST /add-checkpoint HTTP/9.9\r\n\r\n",
        head + b"Content-Length: 3\r\nContent-Length: 900\r\n\r\n" + body,
        head + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + body,
        head + b"Content-Length: -1\r\n\r\n" + body,
        head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 80 + b"0\r\n\r\n",
        head + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
        head.replace(b"/add", b"//add") + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        head + b"Content-Length: %d\r\n\r\n" % len(body) + body[:-9],
    ):
        assert b"200 OK" not in raw(witness, content)
    for changed in (
        body.replace(b"old 5", b"old 05"),
        body.replace(b"old 5", b"old +5"),
        body.replace(b"old 5", b"old \xd9\xa5"),
        body.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + body,
        body + b"\n",
        body * 2,
    ):
        assert witness.post(changed)[0] in (400, 403), changed
    assert witness.post(log.request(5, 9))[0] == 200


def test_a_list_of_logs_that_cannot_be_read_stops_nothing_else(witness: WitnessProcess) -> None:
    log = NumberedLog(KEY)
    witness.start()
    good = (witness.folder / "logs").read_bytes()
    for bad in (b"\xff\xfe\n", b"no key\n", good + b"\x00\n"):
        (witness.folder / "logs").write_bytes(bad)
        status, text = witness.post(log.request(0, 5))
        assert status in (404, 500) and "Traceback" not in text
    (witness.folder / "logs").write_bytes(good)
    assert witness.post(log.request(0, 5))[0] == 200


def test_two_logs_of_one_witness_do_not_share_what_was_seen(witness: WitnessProcess) -> None:
    """Neither does another log's key count under this one's name."""
    other_key = SignerKey("other.example", b"o" * 32)
    witness.trust(other_key.verifier.text())
    log, other = NumberedLog(KEY), NumberedLog(other_key)
    witness.start()
    assert witness.post(log.request(0, 9))[0] == 200
    assert witness.post(other.request(0, 4))[0] == 200
    text = split_note(log.note(12))[0]
    forged = AddCheckpoint(old=9, proof=(), note=SignerKey("other.example", b"o" * 32).sign(text))
    assert witness.post(forged.body())[0] == 403
    assert witness.post(other.request(4, 6))[0] == 200
    assert witness.post(log.request(9, 12))[0] == 200
