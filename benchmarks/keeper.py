"""Requests a second through the keeper against direct, in one run, with wrk.

    python benchmarks/keeper.py [SECONDS]

The service is a minimal asyncio server on a unix socket for the keeper and on a port for the
direct run. The generator shares the machine's cores with both, so compare the columns, not days.
"""

import asyncio
import json
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from surefoot.targets.keeper import control
from surefoot.targets.keeper.keeper import read_state
from surefoot.targets.process_keeper import start_keeper

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
ROUNDS = 3


class Fixed(asyncio.Protocol):
    """Answers every head with the same bytes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(ANSWER * data.count(b"\r\n\r\n"))  # type: ignore[attr-defined]


async def serve(listen: str) -> None:
    """Serve for ever."""
    loop = asyncio.get_running_loop()
    kind, _, place = listen.partition(":")
    if kind == "unix":
        server = await loop.create_unix_server(Fixed, place)
    else:
        server = await loop.create_server(Fixed, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def wrk(port: int, seconds: int, path: str = "/") -> float:
    """Requests a second."""
    words = ["wrk", "-t1", "-c32", f"-d{seconds}s", f"http://127.0.0.1:{port}{path}"]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Requests/sec:\s+([0-9.]+)", text)
    assert found, text
    assert "Non-2xx" not in text and "Socket errors" not in text, text
    return float(found.group(1))


def main(seconds: int) -> None:
    """Measure in pairs and print the medians."""
    me = Path(__file__).resolve()
    with tempfile.TemporaryDirectory() as folder:
        component = Path(folder) / "api"
        (component / "generations/g1/artifact").mkdir(parents=True)
        start_keeper(component, "127.0.0.1:0")
        spec = {"generation": "g1", "command": [sys.executable, str(me), "--serve", "{listen}"]}
        control.ask(component, {"do": "start", "spec": spec, "secrets": "{}"})
        control.ask(component, {"do": "switch", "generation": "g1"})
        state = read_state(component)
        assert state is not None
        kept = int(state.address.rpartition(":")[2])
        command = [sys.executable, str(me), "--serve", "tcp"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
            assert service.stdout is not None
            direct = int(service.stdout.readline())
            wrk(kept, 1)
            pairs = [(wrk(direct, seconds), wrk(kept, seconds)) for _ in range(ROUNDS)]
            service.terminate()
        control.ask(component, {"do": "shutdown", "stop": True})
    result = {
        "direct_per_second": round(statistics.median(p[0] for p in pairs)),
        "keeper_per_second": round(statistics.median(p[1] for p in pairs)),
        "ratio": round(statistics.median(p[1] / p[0] for p in pairs), 3),
        "rounds": ROUNDS,
        "seconds": seconds,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        import uvloop

        uvloop.run(serve(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
