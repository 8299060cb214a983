"""An opened installation: everything concrete, put together once."""

from __future__ import annotations

import secrets as randomness
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import msgspec

from surefoot import __version__
from surefoot.app import (  # noqa: F401 -- importing them registers their operations
    advisories,
    deployment_questions,
    deployments,
    device_certificates,
    device_enrolment,
    device_identity,
    device_list,
    device_tags,
    devices,
    environment_map,
    environments,
    findings,
    fleet,
    gate_evidence,
    journal,
    payload,
    people,
    proof,
    releases,
    rollouts,
    root,
    steering,
    upkeep,
    waivers,
    watches,
    witnesses,
)
from surefoot.app.facade import App
from surefoot.app.jobs import Jobs
from surefoot.app.releasing import Releasing
from surefoot.app.upkeep import note_read
from surefoot.compose.door import desk_of
from surefoot.compose.drafts import Drafts
from surefoot.compose.folder import (
    checkpoint_path,
    load_settings,
    log_key,
    log_keys,
    open_log,
    private_file,
    seed,
)
from surefoot.compose.gating import Gating
from surefoot.compose.pacing import pacing
from surefoot.compose.rooting import keep_root
from surefoot.compose.signed import finder, signed_acts
from surefoot.compose.targeting import Targeting
from surefoot.compose.watching import watcher_of
from surefoot.compose.witnessing import anchor_signer, read_policy
from surefoot.core.environment import report_services
from surefoot.core.errors import SurefootError
from surefoot.core.fold import new_world
from surefoot.core.target import Plain, Target
from surefoot.core.world import World
from surefoot.engine.clock import SystemClock
from surefoot.engine.effects import Effects, draft
from surefoot.engine.fleet_books import FleetBooks
from surefoot.engine.fleet_books import fact as batch_fact
from surefoot.engine.loop import Engine
from surefoot.journal.anchor import Anchor
from surefoot.journal.cosigning import Cosigning
from surefoot.journal.device_proof import DeviceProver
from surefoot.journal.proof import Prover
from surefoot.journal.verify import verify_live
from surefoot.secrets.embedded import EmbeddedSecrets
from surefoot.secrets.recipient import Recipient, new_identity, public_of
from surefoot.secrets.text import SecretText
from surefoot.store.blobs import FileBlobs
from surefoot.store.device import DeviceRegistry
from surefoot.store.device_batches import DeviceBatches
from surefoot.store.device_blast import blast
from surefoot.store.device_certificates import DeviceCertificates
from surefoot.store.device_holds import DeviceHolds
from surefoot.store.device_identity import DeviceIdentities
from surefoot.store.device_inventory import DeviceInventory
from surefoot.store.device_rollouts import DeviceRollouts, Rollout
from surefoot.store.device_tags import DeviceTags
from surefoot.store.enrolment_codes import EnrolmentCodes
from surefoot.store.lease import Leases
from surefoot.store.secret import SecretRows
from surefoot.targets.database import DatabaseTarget
from surefoot.targets.process import ProcessTarget
from surefoot.trust.entry import Actor
from surefoot.trust.note import verifiers

_LOOK_MS = 2_000
_RECHECK_LEAVES = 5_000
_SNAPSHOT_LEAVES = 10_000


class Installation:
    """An opened data folder: the application and its engine."""

    def __init__(self, folder: Path, fault: Callable[[str], None] = lambda place: None) -> None:
        self.folder = folder
        self.settings = load_settings(folder)
        self.clock = SystemClock()
        self.log, self.database = open_log(folder, self.settings, fault)
        self.blobs = FileBlobs(folder / "blobs")
        self.registry = DeviceRegistry(self.database, self.clock.now_ms)
        self.identities = DeviceIdentities(self.database, self.clock.now_ms)
        self.books = FleetBooks(self.registry, DeviceBatches(self.database), self.blobs)
        self._looked_ms = 0
        self.worker = randomness.token_hex(4)
        self.runner = Actor(type="machine", id=f"runner-{self.worker}", auth="process")
        self.secrets = self._secrets()
        self.targeting = Targeting(
            folder,
            self.log,
            self.database,
            self.blobs,
            self.registry,
            self.secrets,
            self.clock,
            verifiers(log_key(folder, self.settings)),
        )
        self.gating = Gating(
            folder, self.settings, self.blobs, self.log, self.clock.now_ms, self.targets
        )
        self.drafts = Drafts(folder / "drafts", self.gating.builder_key)
        self.effects = Effects(
            self.log,
            self.blobs,
            self.targets,
            self.gating.steps(),
            self.clock,
            self.worker,
            fault=fault,
        )
        self.cosigning = self._cosigning()
        self.anchor = self._anchor()
        self.app = self._app()
        leases = Leases(self.database)
        if not self.settings.store:
            # SQLite's folder is locked by this process: whoever held a lease before is dead.
            leases.clear()
        self.watcher = watcher_of(self, leases)
        self.engine = self._engine(leases)
        self.desk = desk_of(folder, self.settings, self.registry, self.identities, self.blobs)

    @cached_property
    def codes(self) -> EnrolmentCodes:
        """One-time codes of devices."""
        return EnrolmentCodes(self.database, self.clock.now_ms)

    @cached_property
    def certificates(self) -> DeviceCertificates:
        """Certificates of devices, and whose are believed."""
        return DeviceCertificates(self.database)

    def _cosigning(self) -> Cosigning:
        return Cosigning(
            self.log,
            self.database,
            read_policy(self.folder),
            verifiers(log_keys(self.folder, self.settings)),
            now_ms=self.clock.now_ms,
        )

    def _anchor(self) -> Anchor | None:
        origin = verifiers(log_key(self.folder, self.settings))[0].name
        signer = anchor_signer(self.folder, origin)
        if signer is None:
            return None
        return Anchor(self.log, self.database, signer, lambda: self.clock.now_ms() // 1000)

    def _engine(self, leases: Leases) -> Engine:
        return Engine(
            self.log,
            self.effects,
            leases,
            self.clock,
            self.worker,
            seal_devices=self.upkeep,
            beat_seconds=self.settings.heartbeat_seconds,
            lease_seconds=self.settings.lease_seconds,
        )

    def close(self) -> None:
        """Keep what makes the next start fast, and release the folder."""
        self.watcher.stop()
        with suppress(SurefootError):
            self.log.keep_snapshot()
        self.database.close()

    def _app(self) -> App:
        key = log_key(self.folder, self.settings)
        prover = Prover(
            self.log,
            self.database,
            log_keys(self.folder, self.settings),
            f"surefoot {__version__}",
            policy=read_policy(self.folder),
        )
        return App(
            log=self.log,
            prover=prover,
            device_prover=DeviceProver(self.log, prover, self.blobs.get),
            blobs=self.blobs,
            clock=self.clock,
            effects=self.effects,
            targets=self.targets,
            secrets=self.secrets,
            fleet=self.registry,
            inventory=DeviceInventory(self.database),
            identities=self.identities,
            codes=self.codes,
            certificates=self.certificates,
            tags=DeviceTags(self.database),
            blast=partial(blast, self.database),
            holds=DeviceHolds(self.database, self.clock.now_ms),
            rollouts=self.rollouts,
            builder=Releasing(
                Path(self.settings.repository), self.gating.builder, self.gating.release_gates()
            ),
            jobs=Jobs(self.clock.now_ms, self.clock.token),
            log_key=key,
            cosigning=self.cosigning,
            anchor=self.anchor,
            identity_salt=seed(self.folder, "identity-salt"),
            runner=self.runner,
            keep_draft=self.drafts.keep,
            find_draft=self.drafts.find,
            address=self.address,
            addresses=self.addresses,
            secrets_prepare=self.prepare_secrets,
            verify_journal=self.verify,
            keep_root=partial(keep_root, self.folder),
            watch=lambda environment, gate: self.watcher.look(environment, gate),
        )

    # -- targets ----------------------------------------------------------------------------------

    def targets(self, environment: str) -> Mapping[str, Target]:
        """The targets of an environment, by name, as the rules in force declare them."""
        return self.targeting.of(environment)

    def rollouts(self, environment: str, limit: int) -> list[Rollout]:
        """An environment's newest rollouts."""
        return DeviceRollouts(self.database, environment, self.clock.now_ms).newest(limit)

    def address(self, environment: str, database: str) -> str:
        """Where an environment's service finds its database."""
        target = self.targets(environment)[f"database:{database}"]
        assert isinstance(target, DatabaseTarget)
        return target.address()

    def addresses(self, environment: str) -> Plain:
        """Where an environment's services answer, by component; empty before their first start."""
        target = self.targets(environment).get("process")
        if not isinstance(target, ProcessTarget):
            return {}
        made = self.log.read(lambda w: list(w.releases.values()))
        names = {c for r in made for c, p in r.components.items() if p.kind == "service"}
        found = {name: target.address(name) for name in sorted(names)}
        return {name: place for name, place in found.items() if place}

    # -- secrets ----------------------------------------------------------------------------------

    def _secrets(self) -> EmbeddedSecrets:
        return EmbeddedSecrets(
            SecretRows(self.database),
            installation=self.settings.installation,
            installation_key=SecretText(seed(self.folder, "installation").hex()),
            now_ms=self.clock.now_ms,
            token=self.clock.token,
            find_identity=self._identity,
            on_read=lambda environment, name, version: note_read(
                self.app, environment, name, version
            ),
        )

    def _identity(self, environment: str) -> SecretText | None:
        """Read when it is needed: another process on the folder may have made it."""
        with suppress(FileNotFoundError):
            return SecretText(self._identity_file(environment).read_text())
        return None

    def _identity_file(self, environment: str) -> Path:
        return self.folder / "keys" / f"runner-{environment}.age"

    def prepare_secrets(self, environment: str) -> None:
        """Give an environment's runner an identity and its secrets a data key, once."""
        with self.database.exclusive("secrets"):
            identity = self._identity(environment)
            if identity is None:
                identity, _ = new_identity()
                private_file(self._identity_file(environment), identity.reveal())
            # A crash here leaves an identity without a data key, which the repeat makes.
            if not SecretRows(self.database).keys(environment):
                key = public_of(identity)
                recipient = Recipient(name=f"runner {environment}", key=key)
                self.secrets.prepare(environment, [recipient])

    # -- the rest ---------------------------------------------------------------------------------

    @cached_property
    def pace(self) -> Callable[[], int]:
        """Lets devices begin when their turn comes."""
        return pacing(self.database, self.clock.now_ms, self.log, self.blobs, self.runner)

    def seal_devices(self) -> None:
        """Bring device reports that are not in the journal yet into it, batch by batch."""
        for environment in self.log.read(lambda w: [e.name for e in w.environments.values()]):
            while (batch := self.books.collect(environment)) is not None:
                fact = batch_fact(batch)

                def rule(world: World, fact: Any = fact) -> list[Any]:
                    books = world.devices.get(fact.environment)
                    if books is not None and books.last_report >= fact.last_report:
                        return []
                    return [draft(fact, (fact.batch,))]

                receipt = self.log.transact(rule, self.runner, f"seal {environment}")
                index = receipt.first if receipt else self.log.size() - 1
                self.books.mark_sealed(batch, index)

    def upkeep(self) -> None:
        """What the engine's loop does besides deployments: at each turn, and every two seconds."""
        self.seal_devices()
        self.pace()
        self.log.recheck(_RECHECK_LEAVES)
        self.log.keep_snapshot(_SNAPSHOT_LEAVES)
        if self.clock.now_ms() - self._looked_ms > _LOOK_MS:
            self._looked_ms = self.clock.now_ms()
            self.note_services()
            self.watcher.run()
            if self.anchor is not None and self.anchor.due():
                self.anchor.cosign()

    def note_services(self) -> None:
        """Bring what keepers did on their own (restarts after a crash) into the journal."""
        for environment in self.log.read(lambda w: list(w.environments)):
            target = self.targets(environment).get("process")
            if not isinstance(target, ProcessTarget):
                continue
            for component, events in target.events().items():
                newest = self.log.read(partial(_newest_report, environment, component))
                if not any(at_ms > newest for at_ms, _, _ in events):
                    continue
                rule = partial(_reports, environment, component, events)
                self.log.transact(rule, self.runner, f"keeper {environment}/{component}")

    def verify(self) -> Plain:
        """Verify the whole journal, with a replay of every fact."""
        report = verify_live(
            self.database,
            log_keys(self.folder, self.settings),
            checkpoint_path(self.folder, self.settings),
            make_world=new_world,
            signed=signed_acts(finder(self.blobs)),
        )
        plain: Plain = {**msgspec.to_builtins(report), "ok": report.ok}
        return plain


def _newest_report(environment: str, component: str, world: World) -> int:
    books = world.services.get(environment)
    return books.newest_ms.get(component, 0) if books else 0


def _reports(
    environment: str, component: str, events: list[tuple[int, str, str]], world: World
) -> list[Any]:
    found = report_services(world, environment, component, events)
    return [draft(fact) for fact in found[-100:]]


@contextmanager
def opened(
    folder: Path, fault: Callable[[str], None] = lambda place: None
) -> Iterator[Installation]:
    """An installation, closed at the end."""
    installation = Installation(folder, fault)
    try:
        yield installation
    finally:
        installation.close()
