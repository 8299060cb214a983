"""A real witness daemon over HTTP: its bounds, its files, and a SIGKILL before it answers."""

from __future__ import annotations

import asyncio
import http.client
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
from surefoot.trust.note import SignerKey
from surefoot.trust.witnessing import REQUEST_BYTES_MAX

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
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
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
        timeout=60,
        check=False,
    )
    assert second.returncode == 3
    assert "store.directory.locked" in second.stderr
    again = subprocess.run(
        [*SUREFOOT, "witness", "init", str(witness.folder), "--name", "x"],
        capture_output=True,
        text=True,
        timeout=60,
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
            timeout=60,
            check=False,
        )
        assert done.returncode == 3
        assert code in done.stderr
        assert not (tmp_path / "no").exists()
