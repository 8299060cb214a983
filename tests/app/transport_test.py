"""The gate `transport` in a deployment: after the switch, and what is wrong is undone."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import LAMP, AppHouse

from surefoot.product import DefinitionRefused, parse_definition


def watched(port: int) -> str:
    """The lamp, whose environments declare an SSH server."""
    text = LAMP.replace("pipeline:\n", "pipeline:\n  deploy: [transport]\n")
    asked = f'    transport: {{endpoints: [{{address: "127.0.0.1:{port}", kind: ssh}}]}}\n'
    return text.replace("{main: {engine: sqlite}}}\n", "{main: {engine: sqlite}}}\n" + asked)


@pytest.fixture
def port() -> Iterator[int]:
    """A server that speaks version 1 of SSH."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            while True:
                try:
                    opened, _ = server.accept()
                except OSError:
                    return
                with opened:
                    opened.sendall(b"SSH-1.5-old\r\n")

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
    thread.join(60)


def test_an_old_server_stops_a_deployment(tmp_path: Path, port: int) -> None:
    house = AppHouse(tmp_path, watched(port))
    house.set_up()
    house.release("1.0.0")
    number = house.request("dev", release="1.0.0")
    assert house.carry(number) != "succeeded"
    shown = house.call("deployment show", "ann", number=number)
    step = next(step for step in shown["steps"] if step["action"] == "transport")
    assert step["status"] == "failed"
    assert "version 1 of the protocol is broken" in step["cause"]
    house.close()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("deploy: [transport]", "deploy: []", "checks that never run"),
        (":22", ":0", "a port from 1"),
        ("kind: ssh", "kind: ssh, name: a.test", "only an address"),
        ("kind: ssh", "kind: sftp", "one of"),
        ('[{address: "127.0.0.1:22", kind: ssh}]', "[]", "1 to 100 items"),
    ],
)
def test_mistakes_are_named(before: str, after: str, said: str) -> None:
    assert before in watched(22)
    with pytest.raises(DefinitionRefused) as refused:
        parse_definition(watched(22).replace(before, after).encode())
    assert said in str(refused.value)


def test_a_gate_that_no_environment_answers_is_a_mistake() -> None:
    text = "".join(line for line in watched(22).splitlines(True) if "endpoints" not in line)
    with pytest.raises(DefinitionRefused, match="none has it"):
        parse_definition(text.encode())
