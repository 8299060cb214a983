"""Facts of deployments and of devices: requests, approvals, claims, outcomes, sealed batches."""

from __future__ import annotations

from surefoot.core.fact import Fact
from surefoot.core.target import Plain
from surefoot.trust.digest import Digest


class DeploymentRequested(Fact, frozen=True, kw_only=True):
    """A plan was made and somebody asked for it to be carried out."""

    deployment: int
    environment: str
    purpose: str
    release: Digest
    release_version: str
    plan: Digest
    steps: tuple[str, ...]
    requester: str
    approvals_needed: int
    approver_role: str = ""
    excluded: tuple[str, ...] = ()
    availability_percent: str = ""
    undo_of: int = 0


class ApprovalGiven(Fact, frozen=True, kw_only=True):
    """A person signed the plan's digest: `approve` or `reject`; `key` is the signing key's
    fingerprint (empty in facts from before it was kept)."""

    deployment: int
    environment: str
    plan: Digest
    person: str
    verdict: str
    envelope: Digest
    self_approval: bool = False
    key: str = ""


class DeploymentVoided(Fact, frozen=True, kw_only=True):
    """The plan's parent moved before it began; it will not be applied."""

    deployment: int
    environment: str
    cause: str


class StepClaimed(Fact, frozen=True, kw_only=True):
    """A worker is about to act. Written and signed before the act; its index is the fence.

    `act` is the digest of the step that will be carried out (the undoing one with `undo`): the
    actor compares it with what it is told to do. Empty in claims from before actors compared.
    """

    deployment: int
    environment: str
    step: str
    worker: str
    act: str = ""
    undo: bool = False
    takeover: bool = False


class StepFinished(Fact, frozen=True, kw_only=True):
    """What the act came to; `judged` when nobody acted and sealed counters decided, so that
    there is a result without a claim."""

    deployment: int
    environment: str
    step: str
    status: str
    cause: str = ""
    undo: bool = False
    judged: bool = False
    figures: Plain = {}


class DeploymentPaused(Fact, frozen=True, kw_only=True):
    """No further step until resumed."""

    deployment: int
    environment: str


class DeploymentStopped(Fact, frozen=True, kw_only=True):
    """A person ended it on its way: no further step, and back where it can go back."""

    deployment: int
    environment: str
    person: str


class DeploymentResumed(Fact, frozen=True, kw_only=True):
    """Steps go on."""

    deployment: int
    environment: str


class DeploymentFinished(Fact, frozen=True, kw_only=True):
    """The end: succeeded, stopped (rollout stopped, service kept), returned or failed."""

    deployment: int
    environment: str
    status: str
    cause: str
    figures: Plain = {}


class ReviewRecorded(Fact, frozen=True, kw_only=True):
    """The mandatory later review of a self-approved deployment (small-team mode)."""

    deployment: int
    environment: str
    person: str


# --- devices -------------------------------------------------------------------------------------


class DevicesEnrolled(Fact, frozen=True, kw_only=True):
    """Devices were admitted; the list is a blob, the fact its digest and count."""

    environment: str
    count: int
    devices: Digest


class DeviceStandingSet(Fact, frozen=True, kw_only=True):
    """A person let a device in, or kept it out: accepted, rejected or revoked."""

    environment: str
    device: str
    standing: str
    before: str


class DeviceTokenRotated(Fact, frozen=True, kw_only=True):
    """A device got another token; the old one is refused."""

    environment: str
    device: str


class DeviceProfileSet(Fact, frozen=True, kw_only=True):
    """A person said which client a device runs; empty: it is learned."""

    environment: str
    device: str
    profile: str = ""


class GatewayTokenSet(Fact, frozen=True, kw_only=True):
    """Unknown devices may knock with a new gateway token, or no longer."""

    environment: str
    active: bool


class DeviceBatchSealed(Fact, frozen=True, kw_only=True):
    """A batch of device reports: root over them, and the rollout's cumulative counters.

    `waves` maps a wave's number to {state: count}; `firmware` maps a version to the number of
    devices verified on it. `by_device` is a root over the same reports sorted by device, so that a
    device's absence can be shown; empty in batches from before there was one. `admitted` says how
    many devices came in by a one-time code. All environments number their reports together:
    `others` numbers since the environment's last batch are another's, -1 where none were counted.
    """

    environment: str
    batch: Digest
    root: Digest
    count: int
    first_report: int
    last_report: int
    deployment: int = 0
    waves: Plain = {}
    firmware: Plain = {}
    by_device: str = ""
    admitted: int = 0
    others: int = -1


class ServiceReported(Fact, frozen=True, kw_only=True):
    """What a service's keeper did on its own under the claim that started it: a restart after a
    crash, an adoption, a memory limit exceeded. `at_ms` is the keeper's clock."""

    environment: str
    component: str
    event: str
    at_ms: int
    generation: str = ""
