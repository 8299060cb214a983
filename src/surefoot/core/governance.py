"""The rules in force, as the journal holds them: roles, protection, approvals, gates, waves.

Read from the product definition, written into `DefinitionAccepted`; a deployment is judged by
these and by nothing in a working directory.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from surefoot.core.advisory_policy import AdvisoryPolicy

Silence = Literal["fail", "ignore"]
OnStop = Literal["stay", "return"]
Urgency = Literal["forced", "soft", "time-forced", "download-only"]


def done_state(urgency: Urgency) -> str:
    """The state of a device that did what a rollout of this urgency asks."""
    return "downloaded" if urgency == "download-only" else "verified"


class Window(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A maintenance window in local time; `days` are 0 (Monday) to 6, none: every day."""

    days: tuple[int, ...] = ()
    from_minute: int
    minutes: int


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """So many devices at first; times the factor each time so many have succeeded."""

    start: int
    factor: int


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """How often a failed device gets another attempt, and after how long; each wait is longer."""

    times: int
    backoff_seconds: int
    factor: int


class Pace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When the devices of a wave may begin: 0 and empty set no bound. Moments are UTC ms."""

    counts: tuple[int, ...] = ()
    exponential: Growth | None = None
    concurrency: int = 0
    rate_per_minute: int = 0
    start_ms: int = 0
    end_ms: int = 0
    soak_seconds: int = 0
    windows: tuple[Window, ...] = ()
    timezone: str = "UTC"
    retry: Retry | None = None

    @property
    def holds(self) -> bool:
        """Whether an action may have to wait for its turn after it was assigned."""
        return bool(self.exponential or self.concurrency or self.rate_per_minute or self.windows)


class WavePolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How devices of one environment move: cumulative percentages and thresholds in percent."""

    waves: tuple[int, ...] = (100,)
    success_percent: int = 100
    error_percent: int = 10
    minimum_sample: int = 1
    deadline_seconds: int = 86_400
    contract_percent: int = 100
    confirmation: bool = False
    allow_downgrade: bool = False
    known_versions_only: bool = False
    query: str = ""
    devices: tuple[str, ...] = ()
    error_count: int = 0
    silent: Silence = "fail"
    silent_percent: int = 10
    on_stop: OnStop = "return"
    urgency: Urgency = "forced"
    force_after_seconds: int = 0
    return_to: str = ""
    pace: Pace = Pace()


class EnvironmentPolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The rules of one environment; `masked` is a digest of its masked columns, empty for none.

    `watch` has the minutes between two looks, by gate.
    """

    protected: bool = False
    after: str = ""
    approvals: int = 0
    approver_role: str = ""
    availability_percent: str = ""
    devices: WavePolicy = WavePolicy()
    freezes: tuple[tuple[int, int, str], ...] = ()
    databases: dict[str, str] = {}
    addresses: dict[str, str] = {}
    masked: str = ""
    process: bool = False
    fleet: bool = False
    watch: dict[str, int] = {}


class Governance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Roles with their permissions, environments with their rules, the gates, the small-team mode.

    `smoke` is a digest of the smoke checks, `asked` of what other gates are asked; empty for none.
    """

    product: str = ""
    roles: dict[str, tuple[str, ...]] = {}
    environments: dict[str, EnvironmentPolicy] = {}
    small_team_delay_hours: int = -1
    release_gates: tuple[str, ...] = ()
    deploy_gates: tuple[str, ...] = ()
    smoke: str = ""
    asked: str = ""
    advisories: AdvisoryPolicy = AdvisoryPolicy()

    def policy(self, environment: str, source: str = "") -> EnvironmentPolicy:
        """The rules of an environment; a clone without an entry of its own has its source's."""
        found = self.environments.get(environment) or self.environments.get(source)
        return found or EnvironmentPolicy()

    @property
    def small_team(self) -> bool:
        """Whether delayed self-approval is declared."""
        return self.small_team_delay_hours >= 0


FOUNDER_PERMISSIONS = (
    "person.enrol",
    "role.grant",
    "key.revoke",
    "definition.accept",
    "device.manage",
    "secret.set",
    "environment.manage",
    "freeze",
    "root.accept",
    "payload.erase",
    "finding.manage",
)
"""What founders may do besides their granted roles: set up, but neither deploy nor approve."""
