"""The shapes of the resilience gate in a product definition: frozen records with their limits."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from surefoot.product.words import UrlPath

Attack = Literal[
    "slow-headers",
    "slow-body",
    "slow-read",
    "connection-flood",
    "request-flood",
    "large-headers",
    "large-body",
    "compression-bomb",
    "deep-json",
    "login",
]


class ResilienceLogin(msgspec.Struct, frozen=True, kw_only=True):
    """Where names and passwords are asked for. `{password}` in the body is replaced by wrong ones.

    Of `tries` in a row, one at least must be held back (403, 423, 429, or closed).
    """

    path: UrlPath
    body: Annotated[str, Meta(min_length=1, max_length=2_000)]
    type: Annotated[str, Meta(max_length=100, pattern=r"[a-z0-9.+-]+/[a-z0-9.+-]+")] = (
        "application/json"
    )
    tries: Annotated[int, Meta(ge=5, le=1_000)] = 30


class ResilienceLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What must hold for a client that does no harm, and for what the service holds afterwards."""

    availability_percent: Annotated[Decimal, Meta(title="percent")] = Decimal(99)
    p99_ms: Annotated[int, Meta(ge=1, le=5_000)] = 1_000
    recovery_seconds: Annotated[int, Meta(ge=1, le=60)] = 5
    memory_mib: Annotated[int, Meta(ge=1, le=1_048_576)] = 128
    descriptors: Annotated[int, Meta(ge=1, le=100_000)] = 20


class Resilience(msgspec.Struct, frozen=True, kw_only=True):
    """Bounded abuse of the service, and what must hold meanwhile and afterwards.

    `probe` is what the client that does no harm asks for, `accepts` a path that takes JSON. Each
    kind of abuse lasts up to `seconds`; what the service refuses later than that, it did not.
    `connections` are those of slow and idle abuse, `requests` those of a flood. Without `attacks`
    all kinds are tried, `login` only where it is described. Where an environment is protected it
    runs only if it is marked `safe`, which such abuse seldom is.
    """

    probe: UrlPath
    accepts: UrlPath = "/"
    attacks: Annotated[tuple[Attack, ...], Meta(max_length=10)] = ()
    seconds: Annotated[int, Meta(ge=2, le=120)] = 12
    connections: Annotated[int, Meta(ge=1, le=800)] = 100
    requests: Annotated[int, Meta(ge=100, le=100_000)] = 2_000
    login: ResilienceLogin | None = None
    limits: ResilienceLimits = ResilienceLimits()
    safe: bool = False
