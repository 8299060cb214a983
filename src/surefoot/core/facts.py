"""Every fact there is: past tense, frozen, versioned; the only record of what happened.

A fact's class name is the entry's kind and its fields are the entry's body. Each fact belongs to
exactly one stream. Keeps: no secret value, no erasable personal data, no clock reading (the entry
has the time), no floats, no nulls. Source: architecture, "The idea on one page".
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from surefoot.core import facts_enrolment, facts_gate, upcast
from surefoot.core.fact import Fact as Fact
from surefoot.core.facts_advisory import AdvisoriesImported as AdvisoriesImported
from surefoot.core.facts_advisory import VexImported as VexImported
from surefoot.core.facts_delivery import (
    ApprovalGiven as ApprovalGiven,
)
from surefoot.core.facts_delivery import (
    DeploymentFinished as DeploymentFinished,
)
from surefoot.core.facts_delivery import (
    DeploymentPaused as DeploymentPaused,
)
from surefoot.core.facts_delivery import (
    DeploymentRequested as DeploymentRequested,
)
from surefoot.core.facts_delivery import (
    DeploymentResumed as DeploymentResumed,
)
from surefoot.core.facts_delivery import DeploymentStopped as DeploymentStopped
from surefoot.core.facts_delivery import DeploymentVoided as DeploymentVoided
from surefoot.core.facts_delivery import (
    DeviceBatchSealed as DeviceBatchSealed,
)
from surefoot.core.facts_delivery import (
    DeviceProfileSet as DeviceProfileSet,
)
from surefoot.core.facts_delivery import (
    DevicesEnrolled as DevicesEnrolled,
)
from surefoot.core.facts_delivery import (
    DeviceStandingSet as DeviceStandingSet,
)
from surefoot.core.facts_delivery import (
    DeviceTokenRotated as DeviceTokenRotated,
)
from surefoot.core.facts_delivery import (
    GatewayTokenSet as GatewayTokenSet,
)
from surefoot.core.facts_delivery import (
    ReviewRecorded as ReviewRecorded,
)
from surefoot.core.facts_delivery import (
    ServiceReported as ServiceReported,
)
from surefoot.core.facts_delivery import (
    StepClaimed as StepClaimed,
)
from surefoot.core.facts_delivery import (
    StepFinished as StepFinished,
)
from surefoot.core.facts_finding import FindingAccepted as FindingAccepted
from surefoot.core.facts_finding import FindingAssigned as FindingAssigned
from surefoot.core.facts_finding import FindingsImported as FindingsImported
from surefoot.core.facts_trust import EpochOpened as EpochOpened
from surefoot.core.facts_trust import LogKeyRotated as LogKeyRotated
from surefoot.core.facts_trust import PayloadErased as PayloadErased
from surefoot.core.facts_trust import RootPublished as RootPublished
from surefoot.core.target import Plain
from surefoot.trust.digest import Digest

# --- people and governance -----------------------------------------------------------------------


class Founder(msgspec.Struct, frozen=True, kw_only=True):
    """A person who is there from the first entry."""

    person: str
    key: str
    identities: tuple[Digest, ...] = ()


class InstallationCreated(Fact, frozen=True, kw_only=True):
    """The first fact: the installation's name, product and its two founders."""

    installation: str
    product: str
    founders: tuple[Founder, ...]


class PersonEnrolled(Fact, frozen=True, kw_only=True):
    """A public key was enrolled with proof of possession; it has no role yet.

    `identities` are salted commitments of the commit addresses the person uses; `enroller` is
    whoever brought the key, so that somebody else vouches for the person.
    """

    person: str
    key: str
    identities: tuple[Digest, ...] = ()
    enroller: str = ""


class RoleGranted(Fact, frozen=True, kw_only=True):
    """A second person gave a role."""

    person: str
    role: str


class RoleRevoked(Fact, frozen=True, kw_only=True):
    """A role was taken away."""

    person: str
    role: str


class KeyRevoked(Fact, frozen=True, kw_only=True):
    """A key no longer counts, for requests, approvals or commits from here on."""

    person: str
    fingerprint: str


class DefinitionAccepted(Fact, frozen=True, kw_only=True):
    """The rules in force, read from a signed commit and accepted by a second person."""

    definition: Digest
    governance: Plain
    commit: str = ""


# --- releases ------------------------------------------------------------------------------------


class ReleasedComponent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One component of a release, by digest."""

    name: str
    kind: str
    artifact: Digest
    size_bytes: int
    version: str = ""


class GateResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The judgement of one gate over one subject."""

    gate: str
    verdict: str
    reason: str
    evidence: Digest
    waived_by: str = ""


class ReleaseRegistered(Fact, frozen=True, kw_only=True):
    """A signed manifest was registered. `release` is the manifest's digest."""

    release: Digest
    version: str
    commit: str
    components: tuple[ReleasedComponent, ...]
    compatibility: Plain
    definition: Digest
    governance: Digest
    contributors: tuple[str, ...]
    cutter: str
    gates: tuple[GateResult, ...] = ()


# --- environments --------------------------------------------------------------------------------


class EnvironmentDeclared(Fact, frozen=True, kw_only=True):
    """An environment exists; `source` names the one it is a clone of."""

    environment: str
    protected: bool = False
    source: str = ""


class ComponentChanged(Fact, frozen=True, kw_only=True):
    """A component of the environment now runs this; written with the step that made it so."""

    environment: str
    deployment: int
    component: str
    kind: str
    artifact: Digest
    version: str
    release: Digest
    detail: Plain = {}


class ComponentRemoved(Fact, frozen=True, kw_only=True):
    """The environment no longer runs this component."""

    environment: str
    deployment: int
    component: str


class SettingsChanged(Fact, frozen=True, kw_only=True):
    """Values, secret references, infrastructure and tools now in force (a blob holds them)."""

    environment: str
    deployment: int
    release: Digest
    release_version: str
    settings: Digest
    values: Plain = {}
    secrets: Plain = {}
    infrastructure: Plain = {}
    tools: Plain = {}


class ObservationRecorded(Fact, frozen=True, kw_only=True):
    """What the environment looked like when a deployment ended: the reference for drift."""

    environment: str
    deployment: int
    observation: Digest


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One place where found is not expected; values are shown as text."""

    path: str
    expected: str
    found: str


class DriftObserved(Fact, frozen=True, kw_only=True):
    """A check of the environment; no differences means: as recorded."""

    environment: str
    differences: tuple[Difference, ...] = ()


class FreezeDeclared(Fact, frozen=True, kw_only=True):
    """No effect on this environment between the two times (UTC milliseconds)."""

    environment: str
    freeze: str
    from_ms: int
    until_ms: int


class FreezeLifted(Fact, frozen=True, kw_only=True):
    """A freeze ended early."""

    environment: str
    freeze: str


class BackupVerified(Fact, frozen=True, kw_only=True):
    """A database was backed up, restored elsewhere and compared."""

    environment: str
    deployment: int
    database: str
    backup: Digest
    figures: Plain = {}


class EnvironmentDestroyed(Fact, frozen=True, kw_only=True):
    """Directories, processes and databases of the environment are gone."""

    environment: str


class SecretSet(Fact, frozen=True, kw_only=True):
    """A new version of a secret; the keyed `fingerprint` shows equal values, not what they are."""

    environment: str
    name: str
    version: int
    fingerprint: str


class SecretRead(Fact, frozen=True, kw_only=True):
    """The runner of the environment opened a secret."""

    environment: str
    name: str
    version: int
    deployment: int = 0


# --- the rest ------------------------------------------------------------------------------------


class RequestRefused(Fact, frozen=True, kw_only=True):
    """A rule said no to somebody who was authenticated."""

    code: str
    subject: str
    expected: str = ""
    found: str = ""
    count: int = 1


class AlarmRaised(Fact, frozen=True, kw_only=True):
    """Something a person must look at."""

    code: str
    subject: str


def _env(fact: Fact) -> str:
    return f"env/{fact.environment}"  # type: ignore[attr-defined]


def _deployment(fact: Fact) -> str:
    return f"deployment/{fact.deployment}"  # type: ignore[attr-defined]


_STREAM_OF: dict[type[Fact], Callable[[Fact], str]] = {
    **dict.fromkeys(
        (InstallationCreated, PersonEnrolled, RoleGranted, RoleRevoked, KeyRevoked),
        lambda _: "people",
    ),
    DefinitionAccepted: lambda _: "definition",
    ReleaseRegistered: lambda f: f"release/{f.version}",  # type: ignore[attr-defined]
    **dict.fromkeys(
        (
            EnvironmentDeclared,
            ComponentChanged,
            ComponentRemoved,
            SettingsChanged,
            ObservationRecorded,
            DriftObserved,
            FreezeDeclared,
            FreezeLifted,
            BackupVerified,
            EnvironmentDestroyed,
            SecretSet,
            SecretRead,
            DevicesEnrolled,
            DeviceStandingSet,
            DeviceTokenRotated,
            DeviceProfileSet,
            GatewayTokenSet,
            *facts_enrolment.KINDS,
        ),
        _env,
    ),
    **dict.fromkeys(
        (
            DeploymentRequested,
            ApprovalGiven,
            DeploymentVoided,
            StepClaimed,
            StepFinished,
            DeploymentPaused,
            DeploymentResumed,
            DeploymentStopped,
            DeploymentFinished,
            ReviewRecorded,
        ),
        _deployment,
    ),
    DeviceBatchSealed: lambda f: f"devices/{f.environment}",  # type: ignore[attr-defined]
    ServiceReported: lambda f: f"services/{f.environment}",  # type: ignore[attr-defined]
    RootPublished: lambda _: "root",
    **dict.fromkeys((LogKeyRotated, EpochOpened), lambda _: "log"),
    **dict.fromkeys(
        (FindingsImported, FindingAccepted, FindingAssigned),
        lambda f: f"findings/{f.scope}",  # type: ignore[attr-defined]
    ),
    **dict.fromkeys((AdvisoriesImported, VexImported), lambda _: "advisories"),
    **facts_gate.STREAMS,
    PayloadErased: lambda _: "erasures",
    RequestRefused: lambda _: "refusals",
    AlarmRaised: lambda _: "alarms",
}

KINDS: dict[str, type[Fact]] = {kind.__name__: kind for kind in _STREAM_OF}


def stream_of(fact: Fact) -> str:
    """The one stream the fact belongs to."""
    return _STREAM_OF[type(fact)](fact)


def body_of(fact: Fact) -> Plain:
    """The fact's fields as plain JSON."""
    body: Plain = msgspec.to_builtins(fact)
    return body


def fact_of(kind: str, body: Plain) -> Fact:
    """The fact of an entry. Raises `ValueError` for an unknown kind or a body of another form."""
    now, form = upcast.present(kind, body)
    if now not in KINDS:
        raise ValueError(f"unknown kind of fact: {kind}")
    return msgspec.convert(form, type=KINDS[now])
