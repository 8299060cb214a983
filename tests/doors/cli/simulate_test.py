"""Simulated devices on the command line: a door that is dead is told, with why."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from surefoot.doors.cli.main import main


def test_a_door_that_never_answers_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    file = tmp_path / "devices.json"
    file.write_text(json.dumps([{"id": "d-1", "token": "t"}]))
    words = [
        "device",
        "simulate",
        "production",
        "--devices",
        str(file),
        "--url",
        url,
        "--seconds",
        "1",
    ]
    assert main([*words, "--poll-seconds", "0.1", "-o", "json"]) == 4
    shown = capsys.readouterr()
    summary, error = json.loads(shown.out), json.loads(shown.err.splitlines()[-1])
    assert summary["statuses"] == {} and summary["troubles"] > 0
    assert error["code"] == "device.simulate.unanswered"
    assert "Connect call failed" in error["found"] and url in error["subject"]
