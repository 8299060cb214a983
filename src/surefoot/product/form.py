"""The shapes of a product definition: frozen records, and the limits of every field.

The limits and the short notes stand in the types, so that the reader, the errors and the reference
page say the same. Numbers carry their unit in the name; moments are UTC milliseconds; a percentage
with a fraction is a `Decimal` and is text in canonical JSON, which has no fractions.
Does not: read YAML (`read.py`) or compare fields with each other (`check.py`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from surefoot.core.fiql import LENGTH_MAX as QUERY_LENGTH_MAX
from surefoot.core.target import Plain
from surefoot.product.gate_form import Baseline, Hardening, Privilege, Transport
from surefoot.product.load_form import ActiveBudget, LoadScenario
from surefoot.product.resilience_form import Resilience
from surefoot.product.words import (
    Column,
    DeviceId,
    Endpoint,
    FilePath,
    Key,
    KeyLine,
    Line,
    Moment,
    Name,
    Percent,
    ReleaseVersion,
    Scalar,
    Seconds,
    Tool,
    UrlPath,
    Version,
    VersionRange,
    Words,
)


class Tests(msgspec.Struct, frozen=True, kw_only=True):
    """The component's own tests. `{junit}` in the command is the report to write."""

    command: Words


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """How an artifact is made once. `{out}` in the command is the folder to write into."""

    command: Words
    artifact: FilePath
    tests: Tests | None = None
    manifest: FilePath | None = None
    locks: Annotated[tuple[FilePath, ...], Meta(max_length=50)] = ()
    tools: Annotated[tuple[Tool, ...], Meta(max_length=50)] = ()


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Where a service says that it is well."""

    path: UrlPath
    timeout_seconds: Annotated[int, Meta(ge=1, le=600)] = 10


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """How a service is started. `{listen}` in the command is where it must listen."""

    command: Words
    health: Health
    drain_seconds: Annotated[int, Meta(ge=0, le=600)] = 5
    database: Name | None = None


class Service(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="service"):
    """A program that is kept running."""

    path: FilePath
    build: Build
    run: Run

    @property
    def kind(self) -> Literal["service"]:
        """The kind's name in the definition."""
        return "service"


class Migrations(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="migrations"):
    """A folder of ordered SQL files for one database."""

    path: FilePath
    database: Name

    @property
    def kind(self) -> Literal["migrations"]:
        """The kind's name in the definition."""
        return "migrations"


class Firmware(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="firmware"):
    """An image for devices of the named hardware.

    It installs over `from_version` and later ones; a device below that takes an earlier release
    first, and one below a release with `through` takes that one before any later one. Of several
    images the first is installed first; `attribute` is the one of the device that tells this
    image's version, and what it says is what verifies it.
    """

    path: FilePath
    build: Build
    hardware: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=100)]
    from_version: Line | None = None
    through: bool = False
    attribute: Annotated[str, Meta(pattern=r"[a-z][a-z0-9_]{0,31}_version")] | None = None

    @property
    def kind(self) -> Literal["firmware"]:
        """The kind's name in the definition."""
        return "firmware"


Component: TypeAlias = Service | Migrations | Firmware


class Compatibility(msgspec.Struct, frozen=True, kw_only=True):
    """What a component offers and needs: interface -> (lowest, highest) version."""

    provides: dict[Name, tuple[Version, Version]] = {}
    requires: dict[Name, tuple[Version, Version]] = {}


class Smoke(msgspec.Struct, frozen=True, kw_only=True):
    """One quick check after the switch: exactly one of `http`, `tcp` and `sql`.

    `http` is a path on the service's listener; `sql` is one question with one value, which must
    be there, and equal to `expect` where that is given.
    """

    name: Line
    http: UrlPath | None = None
    status: Annotated[int, Meta(ge=100, le=599)] | None = None
    contains: Line | None = None
    milliseconds_max: Annotated[int, Meta(ge=1, le=60_000)] | None = None
    tcp: Endpoint | None = None
    sql: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None
    expect: Scalar | None = None
    database: Name | None = None


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """The same steps for every environment: gates where they run, and what each is asked."""

    release: Annotated[tuple[str, ...], Meta(max_length=20)] = ()
    deploy: Annotated[tuple[str, ...], Meta(max_length=20)] = ()
    smoke: Annotated[tuple[Smoke, ...], Meta(max_length=100)] = ()
    hardening: Hardening | None = None
    baseline: Baseline | None = None
    load: Annotated[tuple[LoadScenario, ...], Meta(max_length=20)] = ()
    resilience: Resilience | None = None
    active: ActiveBudget = ActiveBudget()


class ProcessTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Services as local processes behind one listener. Port 0: a free one, kept afterwards."""

    listener: Endpoint
    memory_mib: Annotated[int, Meta(ge=16, le=1_048_576)] | None = None
    open_files: Annotated[int, Meta(ge=16, le=1_048_576)] | None = None


class DatabaseTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A database. PostgreSQL needs an address without a password; the password is a secret."""

    engine: Literal["sqlite", "postgresql"]
    address: Annotated[str, Meta(min_length=1, max_length=500)] | None = None
    password_secret: Key | None = None


class FleetTarget(msgspec.Struct, frozen=True, kw_only=True):
    """The devices of the environment."""


class Targets(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment changes in the environment."""

    process: ProcessTarget | None = None
    databases: dict[Name, DatabaseTarget] = {}
    fleet: FleetTarget | None = None


class Exponential(msgspec.Struct, frozen=True, kw_only=True):
    """`start` devices may begin at first; `factor` times as many, once so many have succeeded."""

    start: Annotated[int, Meta(ge=1, le=10_000_000)]
    factor: Annotated[int, Meta(ge=2, le=10)] = 2


Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class MaintenanceWindow(msgspec.Struct, frozen=True, kw_only=True, rename={"start": "from"}):
    """When a device may begin, in its own local time: its attribute `timezone` or `tz` says which.

    Without `days`, every day.
    """

    start: Annotated[
        str, Meta(pattern=r"([01][0-9]|2[0-3]):[0-5][0-9]", description="a time like 02:30")
    ]
    minutes: Annotated[int, Meta(ge=1, le=1440)]
    days: Annotated[tuple[Weekday, ...], Meta(max_length=7)] = ()


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """A failed device gets so many more attempts; each wait is `factor` times the last."""

    times: Annotated[int, Meta(ge=1, le=10)]
    backoff_seconds: Seconds = 3_600
    factor: Annotated[int, Meta(ge=1, le=10)] = 2


class Devices(
    msgspec.Struct, frozen=True, kw_only=True, rename={"start_ms": "start", "end_ms": "end"}
):
    """How a rollout goes through the fleet; waves are percentages that end in 100.

    With `confirmation` each device waits until its user has confirmed the update. A device is not
    moved to a lower version than it runs unless `allow_downgrade`; with `known_versions_only` one
    that never showed its version waits until it does. With `query` or `devices` (a list) it is for
    those alone that are found by the one or named by the other.
    Instead of shares, `counts` makes waves of so
    many devices in all and one of the rest, and `exponential` one wave that grows with success.
    `error_count` failed devices stop a wave like a share of them. Devices that never asked before
    the deadline are silent: they fail, or up to `silent_percent` of a wave are not counted. A wave
    that stops makes the devices return, to the release before or the one that `return_to` names, or
    stay. A `soft` update leaves the time to the device, a `time-forced` one does until
    `force_after_seconds` after it was assigned, a `download-only` one is fetched and held, and a
    later deployment of the same release installs it. What is not begun at `end` is withdrawn. Where
    a device names no time zone that is known, `timezone` counts.
    """

    waves: Annotated[tuple[Annotated[int, Meta(ge=1, le=100)], ...], Meta(min_length=1)] = (100,)
    success_percent: Percent = 90
    error_percent: Percent = 20
    minimum_sample: Annotated[int, Meta(ge=1, le=10_000_000)] = 1
    deadline_seconds: Seconds = 86_400
    soak_seconds: Annotated[int, Meta(ge=0, le=31_536_000)] = 0
    confirmation: bool = False
    allow_downgrade: bool = False
    known_versions_only: bool = False
    query: Annotated[str, Meta(min_length=1, max_length=QUERY_LENGTH_MAX)] | None = None
    devices: Annotated[tuple[DeviceId, ...], Meta(max_length=1_000)] = ()
    counts: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=10_000_000)], ...], Meta(max_length=9)
    ] = ()
    exponential: Exponential | None = None
    error_count: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None
    silent: Literal["fail", "ignore"] = "fail"
    silent_percent: Percent = 10
    on_stop: Literal["stay", "return"] = "return"
    return_to: ReleaseVersion | None = None
    type: Literal["forced", "soft", "time-forced", "download-only"] = "forced"
    force_after_seconds: Seconds | None = None
    concurrency: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None
    rate_per_minute: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    start_ms: Moment | None = None
    end_ms: Moment | None = None
    windows: Annotated[tuple[MaintenanceWindow, ...], Meta(max_length=20)] = ()
    timezone: Annotated[
        str, Meta(pattern=r"[A-Za-z0-9_+-]{1,40}(/[A-Za-z0-9_+-]{1,40}){0,2}", max_length=64)
    ] = "UTC"
    retry: Retry | None = None


class Approvals(msgspec.Struct, frozen=True, kw_only=True):
    """How many persons of which role must sign the plan."""

    count: Annotated[int, Meta(ge=1, le=20)]
    role: Name


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """Columns (`table.column`) that are masked whenever data leaves the environment."""

    masked: Annotated[tuple[Column, ...], Meta(max_length=1000)] = ()


class Freeze(
    msgspec.Struct, frozen=True, kw_only=True, rename={"from_ms": "from", "until_ms": "until"}
):
    """A window without deployments: from (inclusive) until (exclusive)."""

    from_ms: Moment
    until_ms: Moment
    reason: Line


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """One environment: where it stands in the order, who must agree, what it is made of.

    `watch` names gates that look again at what runs there, and the minutes from one look to the
    next.
    """

    targets: Targets
    after: Name | None = None
    protected: bool = False
    approvals: Approvals | None = None
    values: dict[Key, Scalar] = {}
    secrets: Annotated[tuple[Key, ...], Meta(max_length=500)] = ()
    devices: Devices | None = None
    availability_percent: Annotated[Decimal, Meta(title="percent")] | None = None
    data: Data = Data()
    freezes: Annotated[tuple[Freeze, ...], Meta(max_length=200)] = ()
    hardening: Hardening | None = None
    baseline: Baseline | None = None
    transport: Transport | None = None
    privilege: Privilege | None = None
    watch: dict[Name, Annotated[int, Meta(ge=1, le=44_640)]] = {}


class Advisories(msgspec.Struct, frozen=True, kw_only=True):
    """Whose snapshots of advisories are believed (`signers`, public key lines), and how old.

    Age counts from when a snapshot was made (`age_hours_max`) and from its newest record
    (`quiet_hours_max`); older ones are no ground for a verdict. What is less severe than
    `severity_min` is listed and does not block. `not_judged` names packages by their URL without
    version, and `without_packages` components, that the gate need not cover.
    """

    signers: Annotated[tuple[KeyLine, ...], Meta(min_length=1, max_length=20)]
    age_hours_max: Annotated[int, Meta(ge=1, le=8760)] = 168
    quiet_hours_max: Annotated[int, Meta(ge=1, le=8760)] = 336
    severity_min: Literal["low", "medium", "high", "critical"] = "low"
    not_judged: Annotated[tuple[Line, ...], Meta(max_length=1000)] = ()
    without_packages: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()


class SmallTeam(msgspec.Struct, frozen=True, kw_only=True):
    """Fewer than three people: one approval is enough, after a delay that others can see."""

    delay_hours: Annotated[int, Meta(ge=1, le=720)]


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A whole product definition, checked."""

    surefoot: Literal[1]
    product: Name
    components: dict[Name, Component]
    environments: dict[Name, Environment]
    compatibility: dict[Name, Compatibility] = {}
    pipeline: Pipeline = Pipeline()
    roles: dict[Name, tuple[str, ...]] = {}
    tools: dict[Tool, VersionRange] = {}
    small_team: SmallTeam | None = None
    advisories: Advisories | None = None

    def plain(self) -> Plain:
        """The definition as canonical JSON, defaults filled in, absent parts left out."""
        stripped = without_nulls(msgspec.to_builtins(self))
        assert isinstance(stripped, dict)
        return stripped


def without_nulls(value: object) -> Plain | object:
    """Plain data without members that are absent, at any depth; tuples as lists."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [without_nulls(v) for v in value]
    return value
