"""The generator as a process of its own: reads a job from a file, prints the record of its run.

Usage: python3 -m surefoot.gates.load JOB
Exit status: 0 when there is a record, 2 when the job may not be done. It has a processor to itself
if the machine has one free; what it used is in the record.
"""

from __future__ import annotations

import asyncio
import gc
import selectors
import sys
import time
from pathlib import Path

import msgspec

from surefoot.gates.active import Denied, Meter
from surefoot.gates.load.generator import Generator
from surefoot.gates.load.http_sender import HttpSender
from surefoot.gates.load.plan import Job, schedule
from surefoot.gates.load.record import Health, RunRecord


async def run(job: Job) -> RunRecord:
    """One run, in the running loop. Raises `Denied`."""
    meter = Meter(job.permit, time.monotonic)
    scenario = job.scenario
    meter.require_safe(scenario.safe, f"scenario {scenario.name}")
    arrivals = schedule(scenario, job.seed)
    if len(arrivals) > job.permit.budget.requests:
        raise Denied(f"{len(arrivals)} requests, the budget is {job.permit.budget.requests}")
    sender = HttpSender(job.endpoint, scenario.steps, meter)
    generator = Generator(scenario, arrivals, sender, meter)
    wall, processor = time.monotonic(), time.process_time()
    await generator.run()
    wall, processor = time.monotonic() - wall, time.process_time() - processor
    tally = generator.tally
    return RunRecord(
        workload=scenario.workload(),
        seed=job.seed,
        endpoint=job.endpoint,
        seconds=round(wall, 3),
        endpoints=tally.endpoints(),
        series=tally.series(),
        log=tally.log(),
        health=Health(
            due=generator.due,
            sent=tally.sent,
            held=sender.held,
            lag_p50_us=tally.lags.quantile(0.5),
            lag_p95_us=tally.lags.quantile(0.95),
            lag_p99_us=tally.lags.quantile(0.99),
            lag_max_us=tally.lags.highest_us,
            cpu_percent=round(100 * processor / wall) if wall else 0,
            connections=meter.connections_most,
            over=generator.over,
        ),
    )


def precise_loop() -> asyncio.AbstractEventLoop:
    """A loop whose waits are exact to microseconds: those of epoll end on whole milliseconds."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def main(path: str) -> int:
    """Do the job of a file; see the module."""
    job = msgspec.json.decode(Path(path).read_bytes(), type=Job)
    # A pause for garbage would look like a slow service.
    gc.freeze()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=precise_loop) as runner:
            record = runner.run(run(job))
    except Denied as denied:
        sys.stderr.write(f"{denied}\n")
        return 2
    sys.stdout.buffer.write(msgspec.json.encode(record))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
