"""The shapes of load scenarios in a product definition: frozen records with their limits.

Does not: read YAML, or compare fields with each other (`check_load.py`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

_Name = Annotated[str, Meta(pattern=r"[a-z][a-z0-9-]{0,40}", description="a name")]
_Count = Annotated[int, Meta(ge=1, le=1_000_000)]
_Rate = Annotated[int, Meta(ge=1, le=5_000)]
_Milliseconds = Annotated[int, Meta(ge=1, le=60_000)]


class LoadStep(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `{device}` in path or body is replaced by a device's name.

    Of all requests, each step gets the share of its weight. Without `status` any from 200 to 299
    is good.
    """

    path: Annotated[str, Meta(pattern=r"/[!-~]{0,500}", description="a path from the root")]
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    body: Annotated[str, Meta(min_length=1, max_length=10_000)] | None = None
    type: Annotated[str, Meta(max_length=100, pattern=r"[a-z0-9.+-]+/[a-z0-9.+-]+")] = (
        "application/json"
    )
    weight: Annotated[int, Meta(ge=1, le=1_000)] = 1
    status: Annotated[int, Meta(ge=100, le=599)] | None = None


class LoadLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What must hold whatever was before; latencies are from the intended time of sending.

    `knee_rate` is the rate that a stress must come to before the service gives way.
    """

    p50_ms: _Milliseconds | None = None
    p95_ms: _Milliseconds | None = None
    p99_ms: _Milliseconds | None = None
    error_percent: Annotated[Decimal, Meta(title="percent")] = Decimal(1)
    knee_rate: _Rate | None = None


class LoadScenario(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that come at a rate of their own, however slowly the service answers.

    Clients come at `rate` a second, one independent of the other (`poisson`) or evenly; with
    `poll_seconds` the `devices` ask one after the other, each again after that time. A `volume`
    holds the rate, a `soak` too and looks for a creep, a `spike` goes to `peak_rate` in the middle,
    a `stress` climbs to it in stairs until the service gives way. With `against`, an environment
    of this machine, its release is the baseline: both are asked in turn, at least five times
    each and at most `runs_max`. What is not `safe` does not run where an environment is protected.
    """

    name: _Name
    steps: Annotated[tuple[LoadStep, ...], Meta(min_length=1, max_length=50)]
    shape: Literal["volume", "stress", "soak", "spike"] = "volume"
    rate: _Rate = 20
    peak_rate: _Rate | None = None
    seconds: Annotated[int, Meta(ge=1, le=14_400)] = 10
    arrivals: Literal["poisson", "constant"] = "poisson"
    devices: _Count = 100
    poll_seconds: Annotated[int, Meta(ge=1, le=86_400)] | None = None
    timeout_seconds: Annotated[int, Meta(ge=1, le=60)] = 10
    limits: LoadLimits = LoadLimits()
    against: _Name | None = None
    runs_max: Annotated[int, Meta(ge=5, le=50)] = 10
    safe: bool = False


class ActiveBudget(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of an active test may use at most; it ends where this is used up."""

    requests: Annotated[int, Meta(ge=1, le=5_000_000)] = 100_000
    seconds: Annotated[int, Meta(ge=1, le=14_400)] = 600
    connections: Annotated[int, Meta(ge=1, le=900)] = 200
