"""Plans made on request: read the world, look at the targets, and decide, changing nothing."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from surefoot.app.active_steps import active_steps
from surefoot.app.desired import FleetAsk, declared, desired_of, fleet_of, settings_of
from surefoot.app.facade import App
from surefoot.app.fleet_look import running_on
from surefoot.app.gate_asks import gate_steps
from surefoot.core import environment as environments
from surefoot.core import release as releases
from surefoot.core.errors import Corrupt, Failed, Refused
from surefoot.core.governance import EnvironmentPolicy
from surefoot.core.manifest import Manifest
from surefoot.core.plan import Plan, Settings
from surefoot.core.return_to import named_return, refused
from surefoot.core.target import Observation, Plain, Step
from surefoot.core.world import Environment, World
from surefoot.engine.compatibility import Running
from surefoot.engine.planner import Wanted, make_plan
from surefoot.trust.digest import Digest

PURPOSES = ("deploy", "rollback", "rebuild", "clone", "revert-drift", "destroy", "backup")


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan is asked for."""

    environment: str
    release: str = ""
    purpose: str = "deploy"
    data: str = ""


class _Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What the plan reads of the world, copied out of it."""

    environment: Environment
    number: int
    heads: dict[str, int]
    previous: str
    release: str
    earlier: tuple[str, ...] = ()


def plan_for(app: App, ask: Ask) -> Plan:
    """Make the plan, changing nothing. Raises `Refused` when there can be none."""
    if ask.purpose not in PURPOSES:
        raise Refused(
            "plan.purpose.input",
            f"plan for {ask.environment}",
            expected=", ".join(PURPOSES),
            found=ask.purpose[:40],
            remedy="choose one of them",
        )
    ground = app.read(lambda w: _ground(w, ask))
    manifest = app.manifest(ground.release)
    previous = app.manifest(ground.previous) if ground.previous else None
    definition = app.definition(manifest.definition)
    settings = settings_of(definition, ground.environment, manifest.tools)
    policy = app.read(
        lambda w: w.definition.governance.policy(ask.environment, ground.environment.source)
    )
    targets = app.targets(ask.environment)
    observed = {name: target.observe() for name, target in targets.items()}
    desired, explicit = _aims(app, ask, ground, manifest, settings, policy)
    _check_data_is_safe(ask, ground, previous, explicit, observed)
    smoke = tuple(
        {k: v for k, v in msgspec.to_builtins(check).items() if v is not None}
        for check in definition.pipeline.smoke
    )
    quiet = ask.purpose in ("destroy", "backup", "revert-drift")
    wanted = Wanted(
        deployment=ground.number,
        environment=ground.environment,
        purpose=ask.purpose,
        manifest=manifest,
        release=Digest(ground.release),
        previous=previous,
        policy=policy,
        settings=settings,
        desired=desired,
        explicit=explicit,
        back=None if quiet or "fleet" not in desired else _back(app, ask, ground, manifest, policy),
        smoke=() if quiet else smoke,
        gates=(
            *gate_steps(definition, ground.environment, ask.purpose),
            *active_steps(definition, ground.environment, ask.purpose, protected=policy.protected),
        ),
        heads=ground.heads,
        fleet=() if quiet or not policy.fleet else _devices(app, ground, manifest, desired),
    )
    return make_plan(wanted, targets, observed)


def _devices(
    app: App, ground: _Ground, manifest: Manifest, desired: Mapping[str, Plain]
) -> tuple[Running, ...]:
    """What the environment's devices may run, by all releases that are registered."""
    earlier = [app.manifest(release) for release in ground.earlier]
    stones = desired.get("fleet", {}).get("stones", [])
    return running_on(app, ground.environment.name, [*earlier, manifest], stones)


def _check_data_is_safe(
    ask: Ask,
    ground: _Ground,
    previous: Manifest | None,
    explicit: tuple[Step, ...],
    observed: Mapping[str, Observation],
) -> None:
    """Data is neither overwritten by a backup nor replaced by an empty database."""
    for step in explicit:
        if step.action in ("restore", "clone_from") and step.target in observed:
            environments.check_gone(ask.environment, step.target, observed[step.target].stable)
    if ask.purpose not in ("deploy", "rollback") or previous is None:
        return
    for component in previous.of_kind("migrations"):
        target = f"database:{component.detail['database']}"
        if component.name in ground.environment.components and target in observed:
            environments.check_there(ask.environment, target, observed[target].stable)


def _aims(
    app: App,
    ask: Ask,
    ground: _Ground,
    manifest: Manifest,
    settings: Settings,
    policy: EnvironmentPolicy,
) -> tuple[dict[str, Plain], tuple[Step, ...]]:
    """What each target should become, and the steps that no target plans by itself."""
    if ask.purpose == "revert-drift":
        return {}, _reverting(app, ask, ground, manifest)
    if ask.purpose in ("destroy", "backup"):
        return {}, _ending(ask, manifest)
    definition = app.definition(manifest.definition)
    desired = desired_of(app, definition, ground.environment, manifest, settings)
    if ask.purpose in ("rebuild", "clone"):
        return desired, _restoring(app, ask, ground, manifest)
    fleet = _fleet(app, ask, ground, manifest, policy)
    desired |= {"fleet": fleet} if fleet else {}
    return desired, ()


def fleet_for(app: App, environment: str, release: str) -> Plain:
    """What a deployment of the release would ask of the fleet; nothing where it asks nothing."""
    ask = Ask(environment=environment, release=release)
    ground = app.read(lambda w: _ground(w, ask))
    policy = app.read(
        lambda w: w.definition.governance.policy(environment, ground.environment.source)
    )
    return _fleet(app, ask, ground, app.manifest(ground.release), policy)


def _fleet(
    app: App, ask: Ask, ground: _Ground, manifest: Manifest, policy: EnvironmentPolicy
) -> Plain:
    if not policy.fleet:
        return {}
    back = _back(app, ask, ground, manifest, policy)
    ask_fleet = FleetAsk(
        back=back,
        purpose=ask.purpose,
        release=ground.release,
        number=ground.number,
        previous=app.manifest(ground.previous) if ground.previous else None,
        earlier=[app.manifest(release) for release in ground.earlier],
    )
    return fleet_of(manifest, ask_fleet, policy, ground.environment)


def _back(
    app: App, ask: Ask, ground: _Ground, manifest: Manifest, policy: EnvironmentPolicy
) -> Manifest | None:
    """The release that devices return to by name, its images there and checked; or None."""
    wanted, rollback = policy.devices.return_to, ask.purpose == "rollback"
    if not wanted or not policy.fleet or policy.devices.urgency == "download-only":
        return None
    earlier = [app.manifest(release) for release in ground.earlier]
    found = named_return(manifest, earlier, wanted, rollback=rollback)
    for component in found.of_kind("firmware") if found is not None else ():
        try:
            app.blobs.path(component.artifact)
        except (Failed, Corrupt) as error:
            raise refused(wanted, f"the image of {component.name}", str(error)) from error
    return found


def _ground(world: World, ask: Ask) -> _Ground:
    environment = environments.find(world, ask.environment)
    previous = environment.release
    release = _release(world, ask, environment)
    version = next(r.version for r in world.releases.values() if r.digest == release)
    streams = (f"env/{ask.environment}", "definition", f"release/{version}")
    return _Ground(
        environment=msgspec.convert(msgspec.to_builtins(environment), Environment),
        number=len(world.deployments) + 1,
        heads={stream: world.heads.get(stream, -1) for stream in streams},
        previous=previous,
        release=release,
        earlier=tuple(r.digest for r in world.releases.values() if r.digest != release),
    )


def _release(world: World, ask: Ask, environment: Environment) -> str:
    """The release a plan is about: the named one, the present one, the one before, the source's."""
    if ask.purpose == "deploy" or (ask.release and ask.purpose == "rollback"):
        return releases.find(world, ask.release).digest
    if ask.purpose == "rollback":
        return _release_before(world, environment)
    if ask.purpose == "clone":
        if not environment.source:
            raise Refused(
                "environment.source.missing",
                f"environment {environment.name}",
                expected="an environment that was declared as a copy of another",
                found="one of its own",
                remedy="make a copy: surefoot environment clone NAME TO",
            )
        return environments.find(world, environment.source).release or _nothing(environment)
    return environment.release or _nothing(environment)


def _nothing(environment: Environment) -> str:
    raise Refused(
        "environment.empty",
        f"environment {environment.name}",
        expected="an environment that was deployed to",
        found="nothing deployed yet",
        remedy=f"surefoot deployment request {environment.name} RELEASE",
    )


def _release_before(world: World, environment: Environment) -> str:
    """The release that ran before the present one came."""
    past = [
        d
        for d in world.deployments.values()
        if d.environment == environment.name and d.status in ("succeeded", "stopped")
    ]
    for deployment in reversed(past):
        if deployment.release != environment.release:
            return deployment.release
    raise Refused(
        "rollback.nothing",
        f"environment {environment.name}",
        expected="an earlier release",
        found=f"only {environment.release_version or 'nothing'}",
        remedy="deploy a release forward",
    )


def _restoring(app: App, ask: Ask, ground: _Ground, manifest: Manifest) -> tuple[Step, ...]:
    """Steps that bring the data back (rebuild) or over (clone)."""
    source = ground.environment.source if ask.purpose == "clone" else ask.environment
    origin = app.read(lambda w: dict(environments.find(w, source).backups))
    entry = declared(app.definition(manifest.definition), ground.environment)
    steps = []
    for component in manifest.of_kind("migrations"):
        name = str(component.detail["database"])
        if name not in origin:
            raise Refused(
                "backup.missing",
                f"database {name} of {source}",
                expected="a verified backup",
                found="none",
                remedy=f"make one: surefoot environment backup {source}",
            )
        arguments: Plain = {"backup": origin[name]}
        if ask.purpose == "clone":
            arguments |= {"policy": ask.data or "masked", "masked": list(entry.data.masked)}
        else:
            arguments |= {"writers_stopped": True}
        steps.append(
            Step(
                id=f"{'clone' if ask.purpose == 'clone' else 'restore'}-{name}",
                target=f"database:{name}",
                action="clone_from" if ask.purpose == "clone" else "restore",
                component=component.name,
                arguments=arguments,
                summary=f"data of {source}, from the verified backup",
            )
        )
    return tuple(steps)


def _reverting(app: App, ask: Ask, ground: _Ground, manifest: Manifest) -> tuple[Step, ...]:
    """Steps that bring services back to what is recorded."""
    definition = app.definition(manifest.definition)
    settings = settings_of(definition, ground.environment, manifest.tools)
    wanted = desired_of(app, definition, ground.environment, manifest, settings)
    drifted = {difference.path for difference in ground.environment.drift}
    steps = []
    for name, service in wanted.get("process", {}).items():
        if any(path.startswith(f"process/{name}/") for path in drifted):
            assert isinstance(service, dict)
            steps.append(
                Step(
                    id=f"restart-{name}",
                    target="process",
                    action="restart",
                    component=name,
                    arguments={**service, "generation": f"d{ground.number}"},
                    summary=f"{name} as recorded: configuration rewritten, process replaced",
                )
            )
    if not steps:
        raise Refused(
            "drift.none",
            f"environment {ask.environment}",
            expected="drift of a service that can be reverted",
            found=", ".join(sorted(drifted)) or "no drift",
            remedy=f"look first: surefoot drift check {ask.environment}",
        )
    return tuple(steps)


def _ending(ask: Ask, manifest: Manifest) -> tuple[Step, ...]:
    """A verified backup of each database; for an end also the removal of everything."""
    steps = [
        Step(
            id=f"backup-{component.detail['database']}",
            target=f"database:{component.detail['database']}",
            action="backup",
            component=component.name,
            summary="backup, restored elsewhere and compared",
        )
        for component in manifest.of_kind("migrations")
    ]
    if ask.purpose == "destroy":
        steps += [
            Step(
                id=f"remove-{c.name}",
                target="process",
                action="remove",
                component=c.name,
                summary=f"stop {c.name} and remove its folders",
                reversible=False,
                why_irreversible="what is removed comes back only by a rebuild",
            )
            for c in manifest.of_kind("service")
        ]
        steps += [
            Step(
                id=f"destroy-{component.detail['database']}",
                target=f"database:{component.detail['database']}",
                action="destroy",
                component=component.name,
                summary="destroy the database",
                reversible=False,
                why_irreversible="the data comes back only from the backup",
            )
            for component in manifest.of_kind("migrations")
        ]
    return tuple(steps)
