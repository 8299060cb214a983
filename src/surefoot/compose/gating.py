"""Builders and gates of an installation, put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from surefoot.app.advisory_ground import Ground
from surefoot.app.gate_asks import gate_arguments
from surefoot.compose.folder import Settings, seed
from surefoot.core import waiver
from surefoot.core.errors import Refused
from surefoot.core.gate import Evidence, Gate
from surefoot.core.manifest import Manifest
from surefoot.core.manifest import decode as decode_manifest
from surefoot.core.plan import Plan
from surefoot.core.target import Outcome, Plain, Step, Target
from surefoot.core.world import Waiver, World
from surefoot.engine.gate_step import availability_step, gate_step
from surefoot.gates.active import STOP_FILE, Permit
from surefoot.gates.baseline.gate import BaselineGate
from surefoot.gates.hardening.gate import HardeningGate
from surefoot.gates.load.gate import LoadGate
from surefoot.gates.privilege import PrivilegeGate
from surefoot.gates.provenance import ProvenanceGate
from surefoot.gates.resilience.gate import ResilienceGate
from surefoot.gates.smoke import SmokeGate
from surefoot.gates.tests import TestsGate
from surefoot.gates.transport.gate import TransportGate
from surefoot.gates.vulnerabilities import VulnerabilitiesGate
from surefoot.journal.log import Log
from surefoot.store.blobs import FileBlobs
from surefoot.supply.builder import Builder
from surefoot.supply.cache import BuildFolder
from surefoot.supply.repository import Repository
from surefoot.supply.source import locate, walk_objects
from surefoot.targets.database import DatabaseTarget
from surefoot.targets.process import ProcessTarget
from surefoot.trust.digest import Digest
from surefoot.trust.keys import PrivateKey, parse_public_line, private_key


class Gating:
    """The builder, the gates before a release is registered, and the gates inside a deployment."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        blobs: FileBlobs,
        log: Log[World],
        now_ms: Callable[[], int],
        targets: Callable[[str], Mapping[str, Target]],
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.blobs = blobs
        self.log = log
        self.now_ms = now_ms
        self.targets = targets

    def manifest(self, release: Digest) -> Manifest:
        """What a release is made of."""
        return decode_manifest(self.blobs.get(release))

    def builder_key(self) -> PrivateKey:
        """The key under which builds say what they are."""
        return private_key(seed(self.folder, "builder"))

    def builder(self, report: Callable[[str], None]) -> Builder:
        return Builder(
            Path(self.settings.repository),
            self.folder / "builds" / "work",
            blobs=self.blobs,
            cache=BuildFolder(self.folder / "builds" / "record"),
            signer=self.builder_key(),
            now_ms=self.now_ms,
            progress=report,
            hidden=(self.folder,),
        )

    def release_gates(self) -> Mapping[str, Callable[[], Gate]]:
        """The gates before a release is registered, each made when a pipeline names it."""
        builders = [parse_public_line(self._builder_line())[0]]
        return {
            "provenance": lambda: ProvenanceGate(self.blobs, builders, self.now_ms),
            "tests": lambda: TestsGate(self.blobs, self.now_ms, builders),
            "secrets": self._secrets_gate,
            "hardening": self._hardening,
            "vulnerabilities": self._vulnerabilities,
            "baseline": self._baseline,
        }

    def look_gates(self) -> Mapping[str, Callable[[], Gate]]:
        """The gates that may look again at what runs: none of them changes or burdens anything."""
        release = self.release_gates()
        return {
            "hardening": self._hardening,
            "baseline": self._baseline,
            "privilege": self._privilege,
            "transport": lambda: TransportGate(self.now_ms),
            **{name: release[name] for name in ("provenance", "vulnerabilities")},
        }

    def _vulnerabilities(self) -> VulnerabilitiesGate:
        ground = Ground(self.log, self.blobs, self.now_ms)
        return VulnerabilitiesGate(self.blobs, ground, self.now_ms)

    def _secrets_gate(self) -> Gate:
        """Seconds of work: the scanner reads and joins all its rules first."""
        from surefoot.gates.secrets import History, SecretsGate  # noqa: PLC0415 -- heavy, optional

        repository = Path(self.settings.repository)
        cut_off = ""
        try:
            Repository(repository).require_complete()
        except Refused as refused:
            cut_off = refused.found
        history = History(
            objects=lambda: walk_objects(repository),
            locate=lambda name: locate(repository, name),
            references=len(Repository(repository).references()),
            cut_off=cut_off,
        )
        cache = self.folder / "builds" / "rules"
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        return SecretsGate(
            history, key=seed(self.folder, "installation"), cache=cache, now_ms=self.now_ms
        )

    def _builder_line(self) -> str:
        return self.builder_key().public.line()

    def steps(self) -> Mapping[str, Callable[[Plan, Step], Outcome]]:
        """What carries out the gates of a deployment, by action."""
        builders = [parse_public_line(self._builder_line())[0]]

        def gate(
            make: Callable[[Plan], Gate],
            arguments: Callable[[Plan, Step], Plain] = lambda plan, step: step.arguments,
        ) -> Callable[[Plan, Step], Outcome]:
            return gate_step(make, self.blobs, arguments, self._waived)

        return {
            "gate": gate(
                lambda plan: ProvenanceGate(self.blobs, builders, self.now_ms),
                lambda plan, step: gate_arguments("provenance", self.manifest(plan.release)),
            ),
            "smoke": gate(
                lambda plan: self._smoke(plan.environment, plan.release), self._smoke_arguments
            ),
            "hardening": gate(lambda plan: self._hardening()),
            "baseline": gate(lambda plan: self._baseline()),
            "privilege": gate(lambda plan: self._privilege()),
            "transport": gate(lambda plan: TransportGate(self.now_ms)),
            "load": gate(partial(self._active, LoadGate), self._load_arguments),
            "availability": availability_step(self._answered),
            "resilience": gate(partial(self._active, ResilienceGate), self._resilience_arguments),
        }

    def _privilege(self) -> PrivilegeGate:
        from surefoot.compose.rights import privilege_gate  # noqa: PLC0415 -- its extra is optional

        return privilege_gate(self.targets, self.now_ms)

    def _baseline(self) -> BaselineGate:
        return BaselineGate(self.blobs, self.now_ms)

    def _waived(self, plan: Plan, gate: str) -> Waiver | None:
        now_ms = self.now_ms()
        return self.log.read(
            lambda w: waiver.for_deployment(w, w.deployments[plan.deployment], gate, now_ms)
        )

    def _hardening(self) -> HardeningGate:
        return HardeningGate(self.blobs, self.now_ms)

    def _active(self, kind: type[LoadGate] | type[ResilienceGate], plan: Plan) -> Gate:
        """A gate that burdens the service: within its permit, and ended when the deployment is."""
        return kind(
            self._permit(plan, kind.name),
            self.blobs,
            self.now_ms,
            stopped=lambda: self.log.read(lambda w: bool(w.deployments[plan.deployment].stopping)),
        )

    def _resilience_arguments(self, plan: Plan, step: Step) -> Plain:
        services = self.manifest(plan.release).of_kind("service")
        target = self.targets(plan.environment)["process"]
        assert isinstance(target, ProcessTarget)
        asked: Plain = {"endpoint": self._listener(plan.environment, plan.release)}
        asked["pids"] = list(target.pids(services[0].name))
        return {**step.arguments, **asked}

    def _permit(self, plan: Plan, gate: str) -> Permit:
        """Leave to test the environment's service, and those it is to be compared with."""
        named = [plan.environment, *_against(plan)]
        endpoints = [self._listener_at(plan, name) for name in named]
        return Permit(
            run=f"{plan.environment}-{plan.deployment}-{gate}",
            environment=plan.environment,
            endpoints=tuple(endpoint for endpoint in endpoints if endpoint),
            stops=(str(self.folder / STOP_FILE),),
            protected=any(self._protected(name) for name in named),
        )

    def _protected(self, environment: str) -> bool:
        def of(world: World) -> bool:
            found = world.environments.get(environment)
            source = found.source if found else ""
            return world.definition.governance.policy(environment, source).protected

        return self.log.read(of)

    def _load_arguments(self, plan: Plan, step: Step) -> Plain:
        return {
            **step.arguments,
            "endpoint": self._listener(plan.environment, plan.release),
            "baselines": {name: self._listener_at(plan, name) for name in _against(plan)},
        }

    def _listener_at(self, plan: Plan, environment: str) -> str:
        """Where another environment has the same service, empty where it is not up."""
        services = self.manifest(plan.release).of_kind("service")
        target = self.targets(environment).get("process")
        if not services or not isinstance(target, ProcessTarget):
            return ""
        return target.address(services[0].name)

    def smoke(self, environment: str, release: Digest, checks: Sequence[Plain]) -> Evidence:
        """The quick checks of a release that an environment runs, now."""
        listener = self._listener(environment, release)
        arguments: Plain = {"checks": list(checks), "listener": listener}
        return self._smoke(environment, release).run(release, arguments)

    def _smoke(self, environment: str, release: Digest) -> SmokeGate:
        def ask(database: str, sql: str) -> Any:
            target = self.targets(environment)[f"database:{database}"]
            assert isinstance(target, DatabaseTarget)
            return target.check(sql)

        return SmokeGate(self.now_ms, ask, (self._listener(environment, release),))

    def _smoke_arguments(self, plan: Plan, step: Step) -> Plain:
        listener = self._listener(plan.environment, plan.release)
        return {"checks": step.arguments["checks"], "listener": listener}

    def _listener(self, environment: str, release: Digest) -> str:
        services = self.manifest(release).of_kind("service")
        return self.listener(environment, services[0].name) if services else ""

    def listener(self, environment: str, component: str) -> str:
        """The public address of a service."""
        target = self.targets(environment)["process"]
        assert isinstance(target, ProcessTarget)
        return target.address(component)

    def _answered(self, plan: Plan) -> tuple[int, int]:
        begun = self.log.read(lambda w: w.deployments[plan.deployment].begun_ms)
        target = self.targets(plan.environment)["process"]
        assert isinstance(target, ProcessTarget)
        totals = [
            target.availability(c.name, begun, self.now_ms() + 1000)
            for c in self.manifest(plan.release).of_kind("service")
        ]
        return sum(t.requests for t in totals), sum(t.failed + t.service for t in totals)


def _against(plan: Plan) -> list[str]:
    """The environments that scenarios of the plan are compared with."""
    found: set[str] = set()
    for planned in plan.steps:
        scenarios = planned.step.arguments.get("scenarios") if planned.step.action == "load" else ()
        for one in scenarios if isinstance(scenarios, list | tuple) else ():
            if isinstance(one, dict) and isinstance(one.get("against"), str):
                found.add(str(one["against"]))
    return sorted(found)
