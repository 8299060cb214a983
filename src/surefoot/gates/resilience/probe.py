"""The other client: asks again and again from an address of its own, and writes down how it went.

Keeps: each look is due at a fixed time, whatever became of the last; its length counts from then;
each has a connection of its own, for a new client has none yet.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from surefoot.gates.active import Meter, Over
from surefoot.gates.reply import BadReply, Reply
from surefoot.gates.resilience.plan import PROBE_SECONDS, Plan, Probe, ProbeRecord


async def probe(plan: Plan, meter: Meter, source: str, until: Path, progress: Path) -> ProbeRecord:
    """Look until the file is there or the budget is used up."""
    watcher = _Watcher(plan, meter, source, progress)
    began, number, over = time.monotonic(), 0, ""
    tasks: list[asyncio.Task[Probe]] = []
    while not until.exists():
        due = began + number * PROBE_SECONDS
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        try:
            meter.take()
            meter.opened()
        except Over as ended:
            over = str(ended)
            break
        tasks.append(asyncio.create_task(watcher.look(due)))
        number += 1
    probes = await asyncio.gather(*tasks)
    return ProbeRecord(source=source, probes=tuple(probes), over=over)


class _Watcher:
    def __init__(self, plan: Plan, meter: Meter, source: str, progress: Path) -> None:
        self._limit = plan.look_seconds
        self._progress = progress
        self._host, self._port = meter.endpoint(plan.endpoint)
        self._source = (source, 0) if source else None
        self._meter = meter
        name, value = meter.header()
        self._request = (
            f"GET {plan.probe} HTTP/1.1\r\nHost: {plan.endpoint}\r\n{name}: {value}\r\n"
            "Connection: close\r\n\r\n"
        ).encode()

    async def look(self, due: float) -> Probe:
        """One look, which ends in time."""
        lag = time.monotonic() - due
        try:
            trouble = await asyncio.wait_for(self._ask(), self._limit)
        except TimeoutError:
            trouble = "no whole answer in time"
        except (OSError, BadReply) as error:
            trouble = f"no answer ({type(error).__name__})"
        finally:
            self._meter.closed()
            with self._progress.open("a") as file:
                file.write(f"{due!r}\n")
        return Probe(due, lag, time.monotonic() - due, trouble)

    async def _ask(self) -> str:
        reader, writer = await asyncio.open_connection(
            self._host, self._port, local_addr=self._source
        )
        try:
            writer.write(self._request)
            reply = Reply()
            while not reply.whole:
                content = await reader.read(65_536)
                if not content:
                    reply.closed()
                    break
                reply.feed(content)
        finally:
            writer.transport.abort()
        if not reply.whole:
            return "the answer was cut short"
        return "" if 200 <= reply.status <= 299 else f"status {reply.status}"
