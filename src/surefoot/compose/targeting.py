"""The targets of an installation's environments, as the rules in force declare them.

A PostgreSQL address may hold `{environment}`, so that a clone gets a database of its own. The
password is a secret of the environment, opened with the first connection of a process and again
when it has a new version. Every target is made with the log's keys, and acts on nothing but a claim
that a checkpoint under one of them holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from surefoot.core.errors import Refused
from surefoot.core.interlock import Interlock
from surefoot.core.target import Target
from surefoot.core.world import World
from surefoot.engine.clock import SystemClock
from surefoot.journal.log import Log
from surefoot.product import DatabaseTarget as DeclaredDatabase
from surefoot.product import Environment, parse_definition
from surefoot.secrets.embedded import EmbeddedSecrets
from surefoot.store.blobs import FileBlobs
from surefoot.store.database import Database
from surefoot.store.device import DeviceRegistry
from surefoot.targets.database import DatabaseTarget
from surefoot.targets.database.driver import Driver
from surefoot.targets.database.sqlite import SqliteDriver
from surefoot.targets.fleet import FleetTarget
from surefoot.targets.process import ProcessTarget
from surefoot.trust.digest import Digest
from surefoot.trust.note import VerifierKey


class Targeting:
    """Makes targets once for each environment and definition."""

    def __init__(
        self,
        folder: Path,
        log: Log[World],
        database: Database,
        blobs: FileBlobs,
        registry: DeviceRegistry,
        secrets: EmbeddedSecrets,
        clock: SystemClock,
        log_keys: tuple[VerifierKey, ...],
    ) -> None:
        self._folder = folder
        self._log = log
        self._database = database
        self._blobs = blobs
        self._registry = registry
        self._secrets = secrets
        self._clock = clock
        self._log_keys = log_keys
        self._made: dict[str, tuple[str, Mapping[str, Target]]] = {}

    def of(self, environment: str) -> Mapping[str, Target]:
        """The environment's targets by name; none before a definition is accepted."""
        digest, source = self._log.read(
            lambda w: (
                w.definition.digest,
                found.source if (found := w.environments.get(environment)) else "",
            )
        )
        known = self._made.get(environment)
        if known is not None and known[0] == digest:
            return known[1]
        declared = self._declared(digest, environment, source)
        made = self._make(environment, declared) if declared else {}
        self._made[environment] = (digest, made)
        return made

    def _declared(self, digest: str, environment: str, source: str) -> Environment | None:
        if not digest:
            return None
        definition = parse_definition(self._blobs.get(Digest(digest)))
        return definition.environments.get(environment) or definition.environments.get(source)

    def _make(self, environment: str, declared: Environment) -> Mapping[str, Target]:
        folder = self._folder / "targets" / environment
        interlock = Interlock(environment, self._log_keys)
        made: dict[str, Target] = {}
        for name, database in declared.targets.databases.items():
            made[f"database:{name}"] = DatabaseTarget(
                f"database:{name}",
                self._driver(folder, environment, name, database),
                self._blobs,
                folder / "database" / name,
                interlock=interlock,
                now_ms=self._clock.now_ms,
                random=self._clock.token,
            )
        if declared.targets.process is not None:
            made["process"] = ProcessTarget(
                folder / "process",
                environment,
                self._blobs,
                self._secrets,
                self._clock.now_ms,
                interlock=interlock,
            )
        if declared.targets.fleet is not None:
            made["fleet"] = FleetTarget(
                environment,
                self._database,
                self._registry,
                self._clock.now_ms,
                interlock=interlock,
            )
        return made

    def _driver(
        self, folder: Path, environment: str, name: str, declared: DeclaredDatabase
    ) -> Driver:
        if declared.engine == "sqlite":
            return SqliteDriver(folder / "data" / f"{name}.sqlite")
        if not declared.address:
            raise Refused(
                "target.database.address",
                f"database {name} of {environment}",
                expected="an address of a PostgreSQL server",
                found="none",
                remedy="set address in surefoot.yaml and have the definition accepted",
            )
        # The driver's own package is an optional extra of an installation.
        from surefoot.targets.database.postgres import PostgresDriver  # noqa: PLC0415

        return PostgresDriver(
            declared.address.replace("{environment}", environment.replace("-", "_")),
            password=self._password(environment, declared.password_secret),
        )

    def _password(self, environment: str, secret: str | None) -> Callable[[], bytes] | None:
        if not secret:
            return None

        held: dict[int, bytes] = {}

        def opened() -> bytes:
            version = self._log.read(lambda w: w.environments[environment].secrets.get(secret, 0))
            if version not in held:
                # Each opening is an entry of the journal: one a process, not one a connection.
                found = self._secrets.open(environment, secret, version)
                held.clear()
                held[version] = found
            return held[version]

        return opened
