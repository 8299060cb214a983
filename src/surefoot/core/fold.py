"""How each fact changes the world: one short function a kind.

Keeps: pure, total over all stored facts, no decision (a rule decided before the fact was written).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from surefoot.core import facts as f
from surefoot.core import facts_enrolment, fold_advisory, fold_finding, fold_gate, fold_trust
from surefoot.core import world as w
from surefoot.core.governance import Governance
from surefoot.trust import canonical
from surefoot.trust.digest import digest_of
from surefoot.trust.keys import parse_public_line

F = TypeVar("F", bound=f.Fact)


def _folds(kind: type[F]) -> Callable[[Callable[[w.World, F, w.Recorded], None]], Any]:
    def register(fold: Callable[[w.World, F, w.Recorded], None]) -> Any:
        w.FOLDS[kind] = fold  # type: ignore[assignment]
        return fold

    return register


def governance_digest(governance: Governance) -> str:
    """Digest over the rules alone, so that other changes of a definition do not count."""
    return digest_of(canonical.encode(msgspec.to_builtins(governance)))


def _enrol(
    world: w.World, person: str, key: str, identities: Any, *, founder: bool, enroller: str = ""
) -> None:
    fingerprint = parse_public_line(key)[0].fingerprint
    known = world.people.people.setdefault(person, w.Person(id=person))
    known.keys = {**known.keys, fingerprint: key}
    known.identities = sorted({*known.identities, *identities})
    known.founder = known.founder or founder
    if enroller and enroller != person:
        known.enrollers = sorted({*known.enrollers, enroller})


@_folds(f.InstallationCreated)
def _created(world: w.World, fact: f.InstallationCreated, entry: w.Recorded) -> None:
    world.people.installation = fact.installation
    world.people.product = fact.product
    for founder in fact.founders:
        _enrol(world, founder.person, founder.key, founder.identities, founder=True)


@_folds(f.PersonEnrolled)
def _enrolled(world: w.World, fact: f.PersonEnrolled, entry: w.Recorded) -> None:
    _enrol(
        world,
        fact.person,
        fact.key,
        fact.identities,
        founder=False,
        enroller=fact.enroller,
    )


@_folds(f.RoleGranted)
def _granted(world: w.World, fact: f.RoleGranted, entry: w.Recorded) -> None:
    person = world.people.people[fact.person]
    person.roles = sorted({*person.roles, fact.role})


@_folds(f.RoleRevoked)
def _revoked(world: w.World, fact: f.RoleRevoked, entry: w.Recorded) -> None:
    person = world.people.people[fact.person]
    person.roles = [role for role in person.roles if role != fact.role]


@_folds(f.KeyRevoked)
def _key_revoked(world: w.World, fact: f.KeyRevoked, entry: w.Recorded) -> None:
    person = world.people.people[fact.person]
    person.revoked = {**person.revoked, fact.fingerprint: person.keys[fact.fingerprint]}
    person.keys = {p: key for p, key in person.keys.items() if p != fact.fingerprint}


@_folds(f.DefinitionAccepted)
def _accepted(world: w.World, fact: f.DefinitionAccepted, entry: w.Recorded) -> None:
    governance = msgspec.convert(fact.governance, Governance)
    digest = governance_digest(governance)
    world.definition = w.DefinitionState(
        digest=fact.definition,
        commit=fact.commit,
        governance_digest=digest,
        governance=governance,
        accepted=sorted({*world.definition.accepted, digest}),
    )


@_folds(f.ReleaseRegistered)
def _registered(world: w.World, fact: f.ReleaseRegistered, entry: w.Recorded) -> None:
    world.releases[fact.version] = w.Release(
        digest=fact.release,
        version=fact.version,
        commit=fact.commit,
        components={c.name: c for c in fact.components},
        compatibility=fact.compatibility,
        definition=fact.definition,
        governance=fact.governance,
        contributors=list(fact.contributors),
        cutter=fact.cutter,
        gates=list(fact.gates),
        registered_ms=entry.time_ms,
    )


@_folds(f.EnvironmentDeclared)
def _declared(world: w.World, fact: f.EnvironmentDeclared, entry: w.Recorded) -> None:
    known = world.environments.get(fact.environment)
    if known is None:
        world.environments[fact.environment] = w.Environment(
            name=fact.environment, protected=fact.protected, source=fact.source
        )
    else:
        known.protected = fact.protected


@_folds(f.ComponentChanged)
def _component(world: w.World, fact: f.ComponentChanged, entry: w.Recorded) -> None:
    environment = world.environments[fact.environment]
    environment.destroyed = False
    environment.components = {
        **environment.components,
        fact.component: w.ComponentState(
            kind=fact.kind,
            artifact=fact.artifact,
            version=fact.version,
            release=fact.release,
            deployment=fact.deployment,
            detail=fact.detail,
        ),
    }


@_folds(f.ComponentRemoved)
def _component_removed(world: w.World, fact: f.ComponentRemoved, entry: w.Recorded) -> None:
    environment = world.environments[fact.environment]
    environment.components = {
        name: state for name, state in environment.components.items() if name != fact.component
    }


@_folds(f.SettingsChanged)
def _settings(world: w.World, fact: f.SettingsChanged, entry: w.Recorded) -> None:
    environment = world.environments[fact.environment]
    deployment = world.deployments[fact.deployment]
    environment.settings = fact.settings
    environment.values = fact.values
    environment.secret_references = fact.secrets
    environment.infrastructure = fact.infrastructure
    environment.tools = fact.tools
    environment.release = fact.release
    environment.release_version = fact.release_version
    environment.deployment = fact.deployment
    environment.requested_by = deployment.requester
    environment.approved_by = [a.person for a in deployment.approvals if a.verdict == "approve"]


@_folds(f.ObservationRecorded)
def _observed(world: w.World, fact: f.ObservationRecorded, entry: w.Recorded) -> None:
    environment = world.environments[fact.environment]
    environment.observation = fact.observation
    environment.drift = []


@_folds(f.DriftObserved)
def _drift(world: w.World, fact: f.DriftObserved, entry: w.Recorded) -> None:
    environment = world.environments[fact.environment]
    environment.drift = list(fact.differences)
    environment.drift_checked_ms = entry.time_ms


@_folds(f.FreezeDeclared)
def _frozen(world: w.World, fact: f.FreezeDeclared, entry: w.Recorded) -> None:
    environment = world.environments[fact.environment]
    freeze = w.Freeze(from_ms=fact.from_ms, until_ms=fact.until_ms)
    environment.freezes = {**environment.freezes, fact.freeze: freeze}


@_folds(f.FreezeLifted)
def _lifted(world: w.World, fact: f.FreezeLifted, entry: w.Recorded) -> None:
    environment = world.environments[fact.environment]
    environment.freezes = {n: z for n, z in environment.freezes.items() if n != fact.freeze}


@_folds(f.BackupVerified)
def _backed_up(world: w.World, fact: f.BackupVerified, entry: w.Recorded) -> None:
    environment = world.environments[fact.environment]
    environment.backups = {**environment.backups, fact.database: fact.backup}


@_folds(f.EnvironmentDestroyed)
def _destroyed(world: w.World, fact: f.EnvironmentDestroyed, entry: w.Recorded) -> None:
    environment = world.environments[fact.environment]
    environment.destroyed = True
    # Devices are not destroyed with the cloud: what they run is still what they run.
    kept = {n: c for n, c in environment.components.items() if c.kind == "firmware"}
    environment.components = kept
    environment.observation = ""
    environment.drift = []


@_folds(f.SecretSet)
def _secret(world: w.World, fact: f.SecretSet, entry: w.Recorded) -> None:
    environment = world.environments[fact.environment]
    environment.secrets = {**environment.secrets, fact.name: fact.version}
    environment.secret_fingerprints = {
        **environment.secret_fingerprints,
        fact.name: fact.fingerprint,
    }


@_folds(f.SecretRead)
def _secret_read(world: w.World, fact: f.SecretRead, entry: w.Recorded) -> None:
    world.environments[fact.environment].secret_reads += 1


@_folds(f.DevicesEnrolled)
def _devices(world: w.World, fact: f.DevicesEnrolled, entry: w.Recorded) -> None:
    world.environments[fact.environment].devices += fact.count


@_folds(f.DeviceStandingSet)
def _device_standing(world: w.World, fact: f.DeviceStandingSet, entry: w.Recorded) -> None:
    change = (fact.standing == "accepted") - (fact.before == "accepted")
    world.environments[fact.environment].devices += change


@_folds(f.DeviceTokenRotated)
@_folds(f.DeviceProfileSet)
def _device_set(world: w.World, fact: f.Fact, entry: w.Recorded) -> None:
    """What the registry holds; the world counts devices, and knows none of them."""


w.FOLDS.update(dict.fromkeys(facts_enrolment.KINDS, _device_set))


@_folds(f.GatewayTokenSet)
def _gateway(world: w.World, fact: f.GatewayTokenSet, entry: w.Recorded) -> None:
    world.environments[fact.environment].gateway = fact.active


@_folds(f.DeploymentRequested)
def _requested(world: w.World, fact: f.DeploymentRequested, entry: w.Recorded) -> None:
    world.deployments[fact.deployment] = w.Deployment(
        number=fact.deployment,
        environment=fact.environment,
        purpose=fact.purpose,
        release=fact.release,
        release_version=fact.release_version,
        plan=fact.plan,
        requester=fact.requester,
        approvals_needed=fact.approvals_needed,
        approver_role=fact.approver_role,
        excluded=list(fact.excluded),
        availability_percent=fact.availability_percent,
        undo_of=fact.undo_of,
        requested_ms=entry.time_ms,
        steps={step: w.StepState(id=step) for step in fact.steps},
    )


@_folds(f.ApprovalGiven)
def _approved(world: w.World, fact: f.ApprovalGiven, entry: w.Recorded) -> None:
    deployment = world.deployments[fact.deployment]
    approval = w.Approval(
        person=fact.person,
        verdict=fact.verdict,
        envelope=fact.envelope,
        time_ms=entry.time_ms,
        self_approval=fact.self_approval,
        key=fact.key,
    )
    deployment.approvals = [a for a in deployment.approvals if a.person != fact.person] + [approval]
    if fact.verdict == "reject":
        deployment.status, deployment.cause = "rejected", f"{fact.person} rejected the plan"
        deployment.ended_ms = entry.time_ms


@_folds(f.DeploymentVoided)
def _voided(world: w.World, fact: f.DeploymentVoided, entry: w.Recorded) -> None:
    deployment = world.deployments[fact.deployment]
    deployment.status, deployment.cause = "void", fact.cause
    deployment.ended_ms = entry.time_ms


@_folds(f.StepClaimed)
def _claimed(world: w.World, fact: f.StepClaimed, entry: w.Recorded) -> None:
    deployment = world.deployments[fact.deployment]
    step = deployment.steps[fact.step]
    if not deployment.begun_ms:
        deployment.begun_ms, deployment.status = entry.time_ms, "running"
    if fact.undo:
        step.undo, step.undo_worker, step.undo_fence = "claimed", fact.worker, entry.index
        step.undo_claims += 1
    else:
        step.status, step.worker, step.fence = "claimed", fact.worker, entry.index
        step.claims += 1


@_folds(f.StepFinished)
def _finished(world: w.World, fact: f.StepFinished, entry: w.Recorded) -> None:
    deployment = world.deployments[fact.deployment]
    if not deployment.begun_ms:
        deployment.begun_ms, deployment.status = entry.time_ms, "running"
    step = deployment.steps[fact.step]
    if fact.undo:
        step.undo = fact.status
    else:
        step.status, step.cause, step.figures = fact.status, fact.cause, fact.figures
    if fact.status == "failed":
        deployment.returning = True
        deployment.cause = deployment.cause or f"{fact.step}: {fact.cause}"


@_folds(f.DeploymentPaused)
@_folds(f.DeploymentResumed)
def _paused(world: w.World, fact: Any, entry: w.Recorded) -> None:
    world.deployments[fact.deployment].paused = isinstance(fact, f.DeploymentPaused)


@_folds(f.DeploymentStopped)
def _stopped(world: w.World, fact: f.DeploymentStopped, entry: w.Recorded) -> None:
    deployment = world.deployments[fact.deployment]
    deployment.stopping, deployment.paused = f"stopped by {fact.person}", False


@_folds(f.DeploymentFinished)
def _ended(world: w.World, fact: f.DeploymentFinished, entry: w.Recorded) -> None:
    deployment = world.deployments[fact.deployment]
    deployment.status, deployment.cause = fact.status, fact.cause
    deployment.figures, deployment.ended_ms = fact.figures, entry.time_ms


@_folds(f.ReviewRecorded)
def _reviewed(world: w.World, fact: f.ReviewRecorded, entry: w.Recorded) -> None:
    world.deployments[fact.deployment].reviewed_by = fact.person


@_folds(f.DeviceBatchSealed)
def _sealed(world: w.World, fact: f.DeviceBatchSealed, entry: w.Recorded) -> None:
    books = world.devices.setdefault(fact.environment, w.DeviceBooks(environment=fact.environment))
    if fact.last_report <= books.last_report:
        return
    books.reports += fact.count
    books.last_report = max(books.last_report, fact.last_report)
    books.firmware = fact.firmware
    if fact.admitted and fact.environment in world.environments:
        world.environments[fact.environment].devices += fact.admitted
    if fact.deployment:
        # Late reports of an earlier rollout must not hide the counters of the present one.
        waves = {**books.waves, str(fact.deployment): fact.waves}
        books.waves = dict(sorted(waves.items(), key=lambda item: int(item[0]))[-4:])


@_folds(f.ServiceReported)
def _reported(world: w.World, fact: f.ServiceReported, entry: w.Recorded) -> None:
    books = world.services.setdefault(
        fact.environment, w.ServiceBooks(environment=fact.environment)
    )
    newest = max(books.newest_ms.get(fact.component, 0), fact.at_ms)
    books.newest_ms = {**books.newest_ms, fact.component: newest}
    counts = books.events.get(fact.component, {})
    counts = {**counts, fact.event: counts.get(fact.event, 0) + 1}
    books.events = {**books.events, fact.component: counts}


def _tally(world: w.World, stream: str, code: str, count: int) -> None:
    tally = world.tallies[stream]
    tally.count += count
    tally.by_code = {**tally.by_code, code: tally.by_code.get(code, 0) + count}


@_folds(f.RequestRefused)
def _refused(world: w.World, fact: f.RequestRefused, entry: w.Recorded) -> None:
    _tally(world, "refusals", fact.code, fact.count)


@_folds(f.AlarmRaised)
def _alarm(world: w.World, fact: f.AlarmRaised, entry: w.Recorded) -> None:
    _tally(world, "alarms", fact.code, 1)


def new_world() -> w.World:
    """An empty world that knows how to fold every kind of fact."""
    return w.World()


w.FOLDS.update(fold_trust.FOLDS | fold_finding.FOLDS | fold_advisory.FOLDS | fold_gate.FOLDS)
