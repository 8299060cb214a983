"""The world: the fold of all facts, and nothing else.

Keeps: only `World.apply` changes it; the same facts give the same world on any machine; the
complete state of each stream can be written as plain JSON, which is what entries commit to.
Does not: read time, files or a database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from surefoot.core import facts as f
from surefoot.core.governance import Governance
from surefoot.core.target import Plain
from surefoot.trust.digest import Digest


class State(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Base of everything the world holds."""


class Person(State):
    """A person, the keys that count by fingerprint, and the roles given."""

    id: str
    keys: dict[str, str] = {}
    revoked: dict[str, str] = {}
    identities: list[Digest] = []
    roles: list[str] = []
    founder: bool = False
    enrollers: list[str] = []


class People(State):
    """Everybody enrolled."""

    installation: str = ""
    product: str = ""
    people: dict[str, Person] = {}


class DefinitionState(State):
    """The rules in force and their digest; `accepted` are the digests of all that ever were."""

    digest: str = ""
    commit: str = ""
    governance_digest: str = ""
    governance: Governance = msgspec.field(default_factory=Governance)
    accepted: list[str] = []


class Release(State):
    """A registered release."""

    digest: Digest
    version: str
    commit: str
    components: dict[str, f.ReleasedComponent]
    compatibility: Plain
    definition: Digest
    governance: Digest
    contributors: list[str]
    cutter: str
    gates: list[f.GateResult]
    registered_ms: int


class ComponentState(State):
    """What one component of an environment is now."""

    kind: str
    artifact: Digest
    version: str
    release: Digest
    deployment: int
    detail: Plain = {}


class Freeze(State):
    """A window without effects."""

    from_ms: int
    until_ms: int


class Waiver(State):
    """Who takes an inconclusive gate upon themselves, until when; given at an entry of the log."""

    person: str
    until_ms: int
    given_ms: int
    entry: int


class Waivers(State):
    """Waivers of gates before releases, by gate."""

    gates: dict[str, Waiver] = {}


class Environment(State):
    """The complete state of an environment, as `environment show` prints it."""

    name: str
    protected: bool = False
    source: str = ""
    release: str = ""
    release_version: str = ""
    components: dict[str, ComponentState] = {}
    settings: str = ""
    values: Plain = {}
    secret_references: Plain = {}
    infrastructure: Plain = {}
    tools: Plain = {}
    secrets: dict[str, int] = {}
    secret_fingerprints: dict[str, str] = {}
    secret_reads: int = 0
    observation: str = ""
    drift: list[f.Difference] = []
    drift_checked_ms: int = 0
    freezes: dict[str, Freeze] = {}
    waivers: dict[str, Waiver] = {}
    backups: dict[str, Digest] = {}
    devices: int = 0
    gateway: bool = False
    deployment: int = 0
    requested_by: str = ""
    approved_by: list[str] = []
    destroyed: bool = False


class StepState(State):
    """A step of a deployment: pending, claimed, done, failed; and the same for its undoing."""

    id: str
    status: str = "pending"
    cause: str = ""
    worker: str = ""
    fence: int = -1
    claims: int = 0
    figures: Plain = {}
    undo: str = ""
    undo_worker: str = ""
    undo_fence: int = -1
    undo_claims: int = 0


class Approval(State):
    """A signed verdict of a person."""

    person: str
    verdict: str
    envelope: Digest
    time_ms: int
    self_approval: bool = False
    key: str = ""


class Deployment(State):
    """A deployment from request to end."""

    number: int
    environment: str
    purpose: str
    release: Digest
    release_version: str
    plan: Digest
    requester: str
    approvals_needed: int
    approver_role: str
    excluded: list[str]
    availability_percent: str
    undo_of: int
    requested_ms: int
    steps: dict[str, StepState]
    approvals: list[Approval] = []
    status: str = "waiting"
    cause: str = ""
    returning: bool = False
    paused: bool = False
    stopping: str = ""
    reviewed_by: str = ""
    begun_ms: int = 0
    ended_ms: int = 0
    figures: Plain = {}


class DeviceBooks(State):
    """Sealed counters of an environment's devices: the only ones a rule may read."""

    environment: str
    last_report: int = 0
    reports: int = 0
    waves: dict[str, Plain] = {}
    firmware: Plain = {}


class ServiceBooks(State):
    """What the keepers of an environment reported: newest time and counts, by component."""

    environment: str
    newest_ms: dict[str, int] = {}
    events: dict[str, dict[str, int]] = {}


class RootState(State):
    """The newest root.json: version, and digest among the blobs."""

    version: int = 0
    digest: str = ""


class LogState(State):
    """The log's epoch with its cause, the key that signs now ("" for the first), lost ranges."""

    epoch: int = 1
    key: str = ""
    cause: str = ""
    rotations: int = 0
    lost: list[list[int]] = []


class AcceptedFinding(State):
    """Who lives with a finding, until when, and how severe it was then."""

    person: str
    until_ms: int
    severity: str


class FindingScope(State):
    """What is checked again and again in the same way: its newest list of findings, a blob."""

    scope: str
    component: str = ""
    findings: str = ""
    reports: int = 0
    newest_ms: int = 0
    conclusive: bool = False
    accepted: dict[str, AcceptedFinding] = {}
    owners: dict[str, str] = {}


class VexDocument(State):
    """What is said about a component's weaknesses: a blob, and when it was taken."""

    document: str
    taken_ms: int
    statements: int = 0


class AdvisoryState(State):
    """The snapshot of advisories that judges now, and the VEX document of each component."""

    snapshot: str = ""
    signer: str = ""
    made_at_ms: int = 0
    newest_ms: int = 0
    taken_ms: int = 0
    records: int = 0
    withdrawn: int = 0
    exploited: int = 0
    likely: int = 0
    ecosystems: dict[str, int] = {}
    vex: dict[str, VexDocument] = {}


class WatchedGate(State):
    """The last result of a gate that runs again and again; `since_ms` began this verdict."""

    verdict: str
    reason: str
    release: Digest
    evidence: Digest
    runs: int = 0
    checked_ms: int = 0
    since_ms: int = 0
    found: str = ""


class Watch(State):
    """What is watched in an environment, by gate."""

    environment: str
    gates: dict[str, WatchedGate] = {}


class Tally(State):
    """Counted entries of a stream that has no state of its own."""

    count: int = 0
    by_code: dict[str, int] = {}


class Recorded(Protocol):
    """What the fold needs of a journal entry."""

    @property
    def index(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def stream(self) -> str: ...
    @property
    def time_ms(self) -> int: ...
    @property
    def body(self) -> Plain: ...


class World:
    """All streams' state, folded forward one entry at a time."""

    def __init__(self) -> None:
        self.people = People()
        self.definition = DefinitionState()
        self.releases: dict[str, Release] = {}
        self.environments: dict[str, Environment] = {}
        self.deployments: dict[int, Deployment] = {}
        self.devices: dict[str, DeviceBooks] = {}
        self.services: dict[str, ServiceBooks] = {}
        self.findings: dict[str, FindingScope] = {}
        self.advisories = AdvisoryState()
        self.watches: dict[str, Watch] = {}
        self.waivers = Waivers()
        self.root = RootState()
        self.log = LogState()
        self.tallies: dict[str, Tally] = {
            name: Tally() for name in ("refusals", "alarms", "erasures")
        }
        self.size = 0
        self.heads: dict[str, int] = {}

    def apply(self, entry: Recorded) -> None:
        """Fold one entry. Raises `ValueError` for a kind or body that no version knew."""
        fact = f.fact_of(entry.kind, entry.body)
        fold = FOLDS.get(type(fact))
        if fold is None:
            raise ValueError(f"no fold for {entry.kind}")
        fold(self, fact, entry)
        self.size = entry.index + 1
        if not isinstance(fact, f.SecretRead):
            # Reading changes nothing that a plan is made from, and happens while one waits.
            self.heads[entry.stream] = entry.index

    def state(self, stream: str) -> Plain:
        """The complete state of a stream as plain JSON."""
        kind, _, name = stream.partition("/")
        holder: State | None
        match kind:
            case "people":
                holder = self.people
            case "definition":
                holder = self.definition
            case "advisories":
                holder = self.advisories
            case "root":
                holder = self.root
            case "log":
                holder = self.log
            case "release":
                holder = self.releases.get(name)
            case "env":
                holder = self.environments.get(name)
            case "deployment":
                holder = self.deployments.get(int(name))
            case "services":
                holder = self.services.get(name)
            case "findings":
                holder = self.findings.get(name)
            case "waivers":
                holder = self.waivers
            case "watch":
                holder = self.watches.get(name)
            case "devices":
                holder = self.devices.get(name)
            case _:
                holder = self.tallies.get(stream)
        plain: Plain = msgspec.to_builtins(holder) if holder is not None else {}
        return plain

    def release_by_digest(self, digest: str) -> Release | None:
        """A release by its manifest's digest."""
        return next((r for r in self.releases.values() if r.digest == digest), None)

    def active_deployment(self, environment: str) -> Deployment | None:
        """The one deployment of an environment that has not ended."""
        for deployment in self.deployments.values():
            if deployment.environment == environment and not deployment.ended_ms:
                return deployment
        return None


Fold = Callable[["World", f.Fact, Recorded], None]
FOLDS: dict[type[f.Fact], Fold] = {}
"""The fold of each kind of fact; filled by `core/fold.py`."""
