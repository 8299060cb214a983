"""What a resilience run is to do: which abuse, how much, how it is watched, what must hold."""

from __future__ import annotations

import msgspec

from surefoot.gates.active import Budget, Permit
from surefoot.product.resilience_form import Attack

PROBE_SECONDS = 0.1


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """Where names and passwords are asked for; `{password}` in the body is replaced."""

    path: str
    body: str
    type: str = "application/json"
    tries: int = 30


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What must hold for a client that does no harm, during and after each kind of abuse."""

    availability_percent: str = "99"
    p99_ms: int = 1_000
    recovery_seconds: int = 5
    memory_mib: int = 128
    descriptors: int = 20


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of a run; `pids` are the service's processes, whose memory is looked at.

    A look ends after `look_seconds`; looks that begin later than `lag_seconds` are not believed.
    """

    endpoint: str
    attacks: tuple[Attack, ...]
    probe: str = "/"
    accepts: str = "/"
    seconds: int = 12
    connections: int = 100
    requests: int = 2_000
    login: Login | None = None
    bounds: Bounds = Bounds()
    pids: tuple[int, ...] = ()
    budget: Budget = Budget()
    look_seconds: float = 5.0
    lag_seconds: float = 0.5
    safe: bool = False


class AttackJob(msgspec.Struct, frozen=True, kw_only=True, tag="attack"):
    """One kind of abuse, for the process that does it."""

    plan: Plan
    kind: Attack
    permit: Permit


class ProbeJob(msgspec.Struct, frozen=True, kw_only=True, tag="probe"):
    """The other client, for a process and an address of its own, until there is a file `until`.

    It adds a line to the file `progress` after each look: when it was due.
    """

    plan: Plan
    permit: Permit
    source: str
    until: str
    progress: str


class AttackRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What was done and what came of it. Times are seconds of the machine's monotonic clock.

    `made` were begun; of them the service closed `closed` without an answer, and `held` were open
    to the end; `statuses` are the answers.
    """

    kind: Attack
    began: float
    ended: float
    wanted: int
    made: int
    closed: int = 0
    held: int = 0
    statuses: dict[str, int] = {}
    over: str = ""


class Probe(msgspec.Struct, frozen=True):
    """One look: when it was due, how late it was begun, how long from then, what was wrong."""

    at: float
    lag: float
    seconds: float
    trouble: str


class ProbeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All looks of a run, in order."""

    source: str
    probes: tuple[Probe, ...]
    over: str = ""
