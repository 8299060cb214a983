"""The product, the people and the plan of the simulator: small, fixed, and made by the real rules.

One protected environment `production` with a service, a database and a fleet; ann and bob found
it, dora develops, olga operates, pia and quin approve. Does not: draw anything at random.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from surefoot.core import environment as environments
from surefoot.core import facts as f
from surefoot.core import policy
from surefoot.core import release as releases
from surefoot.core.fold import governance_digest
from surefoot.core.governance import EnvironmentPolicy, Governance, WavePolicy
from surefoot.core.manifest import Manifest, ManifestComponent
from surefoot.core.plan import Plan, Settings
from surefoot.core.target import Plain, Step, Target
from surefoot.core.world import Environment, World
from surefoot.engine.planner import Wanted, make_plan
from surefoot.trust.digest import Digest, digest_of
from surefoot.trust.keys import private_key

ENVIRONMENT = "production"
WAVES = WavePolicy(waves=(10, 50, 100), success_percent=60, error_percent=40, contract_percent=80)
ROLES = {
    "dora": "developer",
    "olga": "operator",
    "pia": "approver",
    "quin": "approver",
}
GOVERNANCE = Governance(
    product="simulated",
    roles={
        "developer": ("release.create",),
        "operator": ("deploy.production", "environment.manage"),
        "approver": ("approve",),
    },
    environments={
        ENVIRONMENT: EnvironmentPolicy(
            protected=True,
            approvals=2,
            approver_role="approver",
            devices=WAVES,
            databases={"main": "sqlite"},
            process=True,
            fleet=True,
        )
    },
)


def person(name: str) -> policy.Asker:
    """Somebody who asks."""
    return policy.Asker(type="person", id=name)


def key_line(name: str) -> str:
    """A person's public key: the same in every run."""
    return private_key(digest_of(name.encode())[7:39].encode()).public.line()


def found_installation(world: World) -> list[f.Fact]:
    """The first entry."""
    founders = tuple(f.Founder(person=n, key=key_line(n)) for n in ("ann", "bob"))
    return policy.create_installation(world, "simulation", "simulated", founders)


def accept_rules(world: World, governance: Governance = GOVERNANCE) -> list[f.Fact]:
    """Bob accepts what ann wrote."""
    fact = f.DefinitionAccepted(
        definition=digest_of(b"surefoot.yaml"), governance=msgspec.to_builtins(governance)
    )
    accepted = policy.accept_definition(world, person("bob"), fact, ("ann",))
    protected = {name: e.protected for name, e in governance.environments.items()}
    return [*accepted, *environments.declare(world, protected)]


def enrol(world: World, name: str) -> list[f.Fact]:
    """Ann enrols somebody."""
    return policy.enrol(world, person("ann"), name, key_line(name), ())


def grant(world: World, name: str) -> list[f.Fact]:
    """Bob, who did not enrol them, gives the role."""
    return policy.grant(world, person("bob"), name, ROLES[name])


def manifest_of(version: str) -> Manifest:
    """A release's manifest."""

    def component(name: str, kind: str, detail: Plain) -> ManifestComponent:
        artifact = digest_of(f"{name} {version}".encode())
        return ManifestComponent(
            name=name, kind=kind, artifact=artifact, size_bytes=1, version=version, detail=detail
        )

    last = 1 if version == "1.0.0" else 3
    classes = ("expand", "expand", "contract")[:last]
    migrations: Plain = {
        "database": "main",
        "migrations": [{"number": n, "class": kind} for n, kind in enumerate(classes, 1)],
    }
    return Manifest(
        product="simulated",
        version=version,
        commit=digest_of(version.encode())[7:47],
        definition=digest_of(b"surefoot.yaml"),
        governance=Digest(governance_digest(GOVERNANCE)),
        components=(
            component("api", "service", {}),
            component("schema", "migrations", migrations),
            component("firmware", "firmware", {"image": {"version": version}}),
        ),
        compatibility={
            "api": {"provides": {"http": [1, 2]}, "requires": {"schema": [1, last]}},
            "schema": {"provides": {"schema": [1, last]}},
            "firmware": {"requires": {"http": [1, 1]}},
        },
        settings={},
        pipeline={},
        tools={},
        contributors=("dora",),
        cutter="dora",
    )


def register(world: World, manifest: Manifest) -> list[f.Fact]:
    """Dora registers the release she cut."""
    passed = f.GateResult(gate="tests", verdict="pass", reason="", evidence=digest_of(b"tests"))
    fact = f.ReleaseRegistered(
        release=manifest.digest(),
        version=manifest.version,
        commit=manifest.commit,
        components=tuple(
            f.ReleasedComponent(
                name=c.name, kind=c.kind, artifact=c.artifact, size_bytes=1, version=c.version
            )
            for c in manifest.components
        ),
        compatibility=manifest.compatibility,
        definition=manifest.definition,
        governance=manifest.governance,
        contributors=manifest.contributors,
        cutter=manifest.cutter,
        gates=(passed,),
    )
    return releases.register(world, person("dora"), fact, 0)


def plan_of(
    world: World, targets: Mapping[str, Target], manifest: Manifest, previous: Manifest | None
) -> Plan:
    """The plan, made by the planner from what the targets look like."""
    state = world.environments[ENVIRONMENT]
    environment = msgspec.convert(msgspec.to_builtins(state), Environment)
    streams = (f"env/{ENVIRONMENT}", "definition", f"release/{manifest.version}")
    artifact = manifest.component("api").artifact
    wanted = Wanted(
        deployment=len(world.deployments) + 1,
        environment=environment,
        purpose="deploy",
        manifest=manifest,
        release=manifest.digest(),
        previous=previous,
        policy=GOVERNANCE.environments[ENVIRONMENT],
        settings=Settings(values={"greeting": f"hello from {manifest.version}"}),
        desired={"process": {"api": {"artifact": artifact}}},
        smoke=({"name": "answers"},),
        heads={stream: world.heads.get(stream, -1) for stream in streams},
        explicit=_explicit(len(world.deployments) + 1, manifest, previous),
    )
    return make_plan(wanted, targets, {name: t.observe() for name, t in targets.items()})


def _explicit(number: int, manifest: Manifest, previous: Manifest | None) -> tuple[Step, ...]:
    """Steps of the database and of the fleet, as their drivers would plan them."""
    if previous is None:
        return (_database("install", "migrate", ("expand",), 1),)
    back: Plain = {"previous": {"release": previous.digest()}}
    waves = tuple(
        Step(
            id=f"fleet-wave-{wave + 1}",
            target="fleet",
            action="wave",
            component="firmware",
            arguments={
                "wave": wave,
                "deployment": number,
                "policy": msgspec.to_builtins(WAVES),
                **back,
            },
            summary=f"wave {wave + 1}: {percent}% of the devices",
        )
        for wave, percent in enumerate(WAVES.waves)
    )
    return (
        _database("backup-expand", "backup", (), 1),
        _database("expand", "migrate", ("expand",), 2),
        *waves,
        _database("backup-contract", "backup", (), 2),
        _database("contract", "migrate", ("contract",), 3),
    )


def _database(name: str, action: str, classes: tuple[str, ...], to: int) -> Step:
    arguments: Plain = {"classes": list(classes), "to": to} if classes else {}
    lost = "contract" in classes
    return Step(
        id=f"main.{name}",
        target="database:main",
        action=action,
        component="schema",
        arguments=arguments,
        summary=name,
        reversible=not lost,
        why_irreversible="rows written since cannot be read by the release before" if lost else "",
    )
