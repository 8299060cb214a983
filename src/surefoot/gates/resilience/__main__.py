"""A process of the resilience gate: does one job of a file, prints its record.

Usage: python3 -m surefoot.gates.resilience JOB
Exit status: 0 when there is a record, 2 when the job may not be done.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import msgspec

from surefoot.gates.active import Denied, Meter
from surefoot.gates.resilience.attack import Abuse
from surefoot.gates.resilience.plan import AttackJob, AttackRecord, ProbeJob, ProbeRecord
from surefoot.gates.resilience.probe import probe


async def run(job: AttackJob | ProbeJob) -> AttackRecord | ProbeRecord:
    """One job. Raises `Denied`."""
    meter = Meter(job.permit, time.monotonic)
    meter.require_safe(job.plan.safe, "resilience")
    if isinstance(job, ProbeJob):
        return await probe(job.plan, meter, job.source, Path(job.until), Path(job.progress))
    return await Abuse(job.plan, job.kind, meter).run()


def main(path: str) -> int:
    """Do the job of a file; see the module."""
    job: AttackJob | ProbeJob = msgspec.json.decode(
        Path(path).read_bytes(), type=AttackJob | ProbeJob
    )
    try:
        record = asyncio.run(run(job))
    except Denied as denied:
        sys.stderr.write(f"{denied}\n")
        return 2
    sys.stdout.buffer.write(msgspec.json.encode(record))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
