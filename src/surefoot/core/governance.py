"""The rules in force, as the journal holds them: roles, protection, approvals, gates, waves.

Read from the product definition, written into `DefinitionAccepted`; a deployment is judged by
these and by nothing in a working directory.
"""

from __future__ import annotations

import msgspec


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


class EnvironmentPolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The rules of one environment; `masked` is a digest of its masked columns, empty for none."""

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


class Governance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Roles with their permissions, environments with their rules, the gates, the small-team mode.

    `smoke` is a digest of the smoke checks, empty for none.
    """

    product: str = ""
    roles: dict[str, tuple[str, ...]] = {}
    environments: dict[str, EnvironmentPolicy] = {}
    small_team_delay_hours: int = -1
    release_gates: tuple[str, ...] = ()
    deploy_gates: tuple[str, ...] = ()
    smoke: str = ""

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
