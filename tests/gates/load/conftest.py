"""A loop whose time passes by itself, and a small real service that answers as it is told."""

import asyncio
import selectors
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from surefoot.gates.load.plan import Arrival, Scenario
from surefoot.gates.load.record import Health, RunRecord, Tally

T = TypeVar("T")


class _Selector(selectors.SelectSelector):
    """Does not wait: whoever would wait is told that the time has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no time, whatever the machine does meanwhile."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


@pytest.fixture
def virtually() -> Callable[[Coroutine[Any, Any, T]], T]:
    def run(work: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(work)

    return run


class Service:
    """Answers on loopback from a thread of its own. `hold` holds answers until `release`."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        self.hold_until = 0
        self._loop = asyncio.new_event_loop()
        self._enough = asyncio.Event()
        self._ready = threading.Event()
        self._end = asyncio.Event()
        self.endpoint = ""
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(60)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        self.endpoint = f"{host}:{port}"
        self._ready.set()
        await self._end.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                if len(self.heads) >= self.hold_until:
                    self._enough.set()
                await self._enough.wait()
                writer.write(self.answer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(60)


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.close()


@pytest.fixture
def free_endpoint() -> Iterator[str]:
    """A port that is taken but not listened on, so that nobody else can have it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def record() -> Callable[..., RunRecord]:
    """Makes a run whose latencies (seconds) and errors are functions of the time."""
    return _record


def _record(
    one: Scenario, latency_of: Any, error_of: Any = lambda at: "", rate: int = 20
) -> RunRecord:
    arrivals = [Arrival(number / rate, 0, 0) for number in range(one.seconds * rate)]
    tally = Tally(one, arrivals)
    for arrival in arrivals:
        block = tally.fired(arrival, 0.0001)
        tally.ended(arrival, block, latency_of(arrival.at), error_of(arrival.at))
    health = Health(
        due=len(arrivals), sent=len(arrivals), held=0, lag_p50_us=100, lag_p95_us=100,
        lag_p99_us=100, lag_max_us=100, cpu_percent=5, connections=3,
    )  # fmt: skip
    return RunRecord(
        workload=one.workload(), seed="1", endpoint="127.0.0.1:1", seconds=one.seconds,
        endpoints=tally.endpoints(), series=tally.series(), health=health, log=tally.log(),
    )  # fmt: skip
