"""The gate `resilience`: bounded abuse of a service, judged by a client at another address.

Rules: two processes that know nothing of each other, one abuses and one looks; one kind at a time,
calm before and after; what was not looked at, before, during and after, is inconclusive. The
service's own processes are looked at by the kernel's account of them.
Does not: reach any endpoint but those of its permit, or judge.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from surefoot.core.errors import Failed
from surefoot.core.gate import Evidence, Finding
from surefoot.core.target import Blobs, Plain
from surefoot.gates.active import Budget, Denied, Permit, Watch
from surefoot.gates.resilience.assess import (
    PROBES_MIN,
    Fault,
    Use,
    faults_of,
    gaps_of,
    recovery_of,
    refused_of,
)
from surefoot.gates.resilience.plan import (
    AttackJob,
    AttackRecord,
    Plan,
    ProbeJob,
    ProbeRecord,
)
from surefoot.gates.tool import ToolRun, run_tool
from surefoot.product.check_load import WATCH_CONNECTIONS
from surefoot.trust.canonical import JSON
from surefoot.trust.digest import Digest

SOURCE = "127.0.0.2"
_GRACE_SECONDS = 120
_Record = TypeVar("_Record", AttackRecord, ProbeRecord)
_LOOK_SECONDS = 0.1
_WAIT_SECONDS = 60
_PROGRESS = "progress"


class _Cannot(Exception):
    """A part could not be carried out at all."""


class _Tried(msgspec.Struct):
    record: AttackRecord
    before: Use
    after: Use


class ResilienceGate:
    """See the module. Arguments: a `Plan`. `stopped` is asked while it runs, and ends it."""

    name = "resilience"

    def __init__(
        self,
        permit: Permit,
        blobs: Blobs,
        now_ms: Callable[[], int],
        *,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._permit = permit
        self._blobs = blobs
        self._now_ms = now_ms
        self._stopped = stopped

    def run(self, subject: Digest, arguments: Plain) -> Evidence:
        """Try every kind of abuse, one after the other. Raises nothing."""
        evidence = Evidence(
            gate=self.name,
            subject=subject,
            tool="surefoot-resilience",
            tool_version="1",
            started_at_ms=self._now_ms(),
        )
        try:
            plan = msgspec.convert(arguments, Plan)
            if plan.endpoint not in self._permit.endpoints:
                raise Denied(f"{plan.endpoint[:80]!r} is not of {self._permit.environment}")
            if "login" in plan.attacks and plan.login is None:
                raise ValueError("no login to try")
            tried, looks = self._all(plan)
            evidence = self._told(evidence, plan, tried, looks)
        except (msgspec.ValidationError, ValueError) as error:
            evidence = msgspec.structs.replace(evidence, trouble=f"bad arguments: {error}"[:300])
        except (_Cannot, Failed) as error:
            evidence = msgspec.structs.replace(evidence, trouble=str(error)[:600])
        return msgspec.structs.replace(evidence, ended_at_ms=self._now_ms())

    def _all(self, plan: Plan) -> tuple[list[_Tried], ProbeRecord]:
        with tempfile.TemporaryDirectory(prefix="surefoot-resilience-") as name:
            folder, stop = Path(name), Path(name) / "stop"
            leave, look_leave = _shares(plan.budget, len(plan.attacks))
            permit = msgspec.structs.replace(
                self._permit, budget=leave, stops=(*self._permit.stops, str(stop))
            )
            source = SOURCE if plan.endpoint.startswith("127.") else ""
            until = folder / "until"
            look_permit = msgspec.structs.replace(permit, budget=look_leave)
            look = ProbeJob(
                plan=plan,
                permit=look_permit,
                source=source,
                until=str(until),
                progress=str(folder / _PROGRESS),
            )
            found: list[ToolRun | Failed] = []
            looking = threading.Thread(target=self._look, args=(folder, look, found))
            looking.start()
            tried: list[_Tried] = []
            try:
                with Watch(self._stopped, stop):
                    for kind in plan.attacks:
                        _wait_for_looks(folder, time.monotonic(), looking)
                        if not looking.is_alive():
                            # Nobody looks: whatever was done now would tell nothing.
                            break
                        job = AttackJob(plan=plan, kind=kind, permit=permit)
                        tried.append(self._one(job, folder, looking))
            finally:
                until.touch()
                looking.join()
            if isinstance(found[0], Failed):
                raise found[0]
            return tried, _decoded(found[0], ProbeRecord, "the client that looks")

    def _look(self, folder: Path, job: ProbeJob, found: list[ToolRun | Failed]) -> None:
        try:
            found.append(_process(folder, job, "probe", job.plan.budget.seconds))
        except Failed as failed:
            found.append(failed)

    def _one(self, job: AttackJob, folder: Path, looking: threading.Thread) -> _Tried:
        plan, kind = job.plan, job.kind
        before = use_of(plan.pids)
        record = _decoded(_process(folder, job, kind, plan.seconds), AttackRecord, kind)
        _wait_for_looks(folder, record.ended, looking)
        # Memory and descriptors have as long to come back as the client has to be served again.
        deadline = time.monotonic() + plan.bounds.recovery_seconds
        after = use_of(plan.pids)
        while _is_more(before, after, plan) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            after = use_of(plan.pids)
        return _Tried(record, before, after)

    def _told(
        self, evidence: Evidence, plan: Plan, tried: Sequence[_Tried], looks: ProbeRecord
    ) -> Evidence:
        faults: list[Fault] = []
        gaps = [f"the client that looks ended early: {looks.over}"] if looks.over else []
        rows: list[JSON] = []
        for one in tried:
            faults += faults_of(one.record, looks.probes, plan.bounds, one.before, one.after)
            gaps += gaps_of(one.record, looks.probes, plan.lag_seconds)
            rows.append(_row(one, looks))
        if not plan.pids:
            gaps.append("the service's processes are not known: memory was not looked at")
        report = {"plan": plan, "tried": tried, "looks": looks, "surefoot_resilience": 1}
        return msgspec.structs.replace(
            evidence,
            complete=bool(tried) and not gaps,
            gap="; ".join(gaps)[:600],
            coverage={"attacks": len(tried), "looks": bool(looks.probes)},
            figures={"attacks": rows},
            findings=tuple(_finding(fault) for fault in faults),
            raw=self._blobs.put(msgspec.json.encode(report)),
        )


def _wait_for_looks(folder: Path, since: float, looking: threading.Thread) -> None:
    """Until enough looks that were due later have ended; what is missing then is told as a gap."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline and looking.is_alive():
        with suppress(OSError):
            lines = (folder / _PROGRESS).read_text().splitlines()
            if sum(float(line) >= since for line in lines) > PROBES_MIN:
                return
        time.sleep(_LOOK_SECONDS)


def _shares(budget: Budget, attacks: int) -> tuple[Budget, Budget]:
    """Of the budget, what each kind of abuse gets and what the client that looks gets.

    Each counts for itself, so that all together cannot use more than the whole.
    """
    if budget.connections <= WATCH_CONNECTIONS:
        raise Denied(f"a budget of {budget.connections} connections is too small to look as well")
    requests = budget.requests // (attacks + 1)
    return (
        Budget(
            requests=requests,
            seconds=budget.seconds,
            connections=budget.connections - WATCH_CONNECTIONS,
        ),
        Budget(requests=requests, seconds=budget.seconds, connections=WATCH_CONNECTIONS),
    )


def use_of(pids: Sequence[int]) -> Use:
    """What processes hold by the kernel's account; those that are gone are not counted."""
    memory, descriptors, processes = 0, 0, 0
    for pid in pids:
        folder = Path("/proc") / str(pid)
        with suppress(OSError, ValueError, IndexError):
            resident = int((folder / "statm").read_text().split()[1])
            descriptors += sum(1 for _ in (folder / "fd").iterdir())
            memory += resident * 4096
            processes += 1
    return Use(memory_bytes=memory, descriptors=descriptors, processes=processes)


def _is_more(before: Use, after: Use, plan: Plan) -> bool:
    more = after.memory_bytes - before.memory_bytes > plan.bounds.memory_mib * 1024 * 1024
    return more or after.descriptors - before.descriptors > plan.bounds.descriptors


def _process(folder: Path, job: AttackJob | ProbeJob, name: str, seconds: int) -> ToolRun:
    path = folder / f"{name}.json"
    path.write_bytes(msgspec.json.encode(job))
    return run_tool(
        [sys.executable, "-m", "surefoot.gates.resilience", str(path)],
        folder=folder,
        timeout_seconds=seconds + _GRACE_SECONDS,
    )


def _decoded(ran: ToolRun, kind: type[_Record], name: str) -> _Record:
    if ran.trouble or ran.exit_status:
        said = ran.errors.decode(errors="replace").strip().split("\n")[-1][:200]
        raise _Cannot(f"{name}: {ran.trouble or said}")
    try:
        return msgspec.json.decode(ran.output, type=kind)
    except msgspec.DecodeError:
        raise _Cannot(f"{name} left no record") from None


def _row(one: _Tried, looks: ProbeRecord) -> dict[str, JSON]:
    record = one.record
    during = [p for p in looks.probes if record.began <= p.at < record.ended]
    recovery = recovery_of(record, looks.probes)
    return {
        "kind": record.kind,
        "made": record.made,
        "refused": refused_of(record),
        "looks": len(during),
        "answered": sum(not p.trouble for p in during),
        "slowest_ms": round(1000 * max((p.seconds for p in during), default=0.0)),
        "recovery_ms": -1 if recovery == float("inf") else round(1000 * recovery),
        "memory_mib": (one.after.memory_bytes - one.before.memory_bytes) // (1024 * 1024),
        "descriptors": one.after.descriptors - one.before.descriptors,
    }


def _finding(fault: Fault) -> Finding:
    joined = f"resilience.{fault.rule}\0{fault.kind}"
    return Finding(
        rule=f"resilience.{fault.rule}",
        title=f"{fault.kind}: {fault.words}"[:300],
        place=f"abuse {fault.kind}",
        severity="high",
        fingerprint="v1:" + hashlib.sha256(joined.encode()).hexdigest()[:32],
        remedy=_REMEDIES[fault.rule],
    )


_REMEDIES = {
    "availability": "limit connections and time for each client, in front of the service",
    "latency": "limit connections and time for each client, in front of the service",
    "recovery": "let waits end: time limits for heads, bodies and answers",
    "refusal": "refuse what is too slow, too much or too large, with a limit in front",
    "broken": "bound what is read before it is read: size, depth, and size when unpacked",
    "memory": "bound what is kept for a request, and give it back",
    "descriptors": "close connections that do nothing",
    "ended": "bound what is read before it is read, and restart what ends",
}
