"""The database target: migrations, verified backups, restores and clones of one database.

Rules: every act holds the target's receipts lock and looks before it acts, so that a repeat after
a crash finishes what is missing and does nothing twice: a migration's ledger row names its
operation, a clone's origin row does, and a restore compares first. What goes wrong inside the
user's SQL is an outcome; what may pass by itself (locks, disks, connections) is `Failed`.
Does not: start or stop services; it checks that nobody is connected where that matters.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from surefoot.core.errors import Refused
from surefoot.core.interlock import Interlock
from surefoot.core.target import Blobs, Capabilities, Observation, Outcome, Plain, Step, Token
from surefoot.targets.database import backup as backups
from surefoot.targets.database import plan as plans
from surefoot.targets.database.action import (
    Backup,
    Check,
    CloneFrom,
    Create,
    Destroy,
    Migrate,
    Restore,
    parse,
)
from surefoot.targets.database.driver import (
    Driver,
    Limits,
    Look,
    Origin,
    Scalar,
    StatementFailed,
    digest_of_objects,
)
from surefoot.targets.database.mask import parse_columns, pseudonym_with
from surefoot.targets.database.migration import Applied, Migration, brief_of, pending, read
from surefoot.targets.words import Receipts
from surefoot.trust import canonical
from surefoot.trust.digest import digest_of, parse_digest

_KEY_BYTES = 32


def capabilities_of(engine: str) -> Capabilities:
    """What the driver of `sqlite` or `postgres` can do."""
    networked = engine != "sqlite"
    return Capabilities(
        name=f"database ({engine})",
        actions=("create", "backup", "migrate", "restore", "clone_from", "check", "destroy"),
        needs_network=networked,
        needs_credential=networked,
        can_roll_back=True,
        can_dry_run=True,
        can_extract=True,
    )


class DatabaseTarget:
    """One database of one environment, behind one driver."""

    def __init__(
        self,
        name: str,
        driver: Driver,
        blobs: Blobs,
        folder: Path,
        *,
        interlock: Interlock,
        now_ms: Callable[[], int],
        random: Callable[[int], bytes],
        limits: Limits | None = None,
    ) -> None:
        """`folder` keeps the receipts and, for a while, dumps; `random` gives unguessable bytes."""
        self._name = name
        self._driver = driver
        self._blobs = blobs
        self._folder = folder
        self._receipts = Receipts(folder / "receipts.json")
        self._interlock = interlock
        self._now_ms = now_ms
        self._random = random
        self._limits = limits or Limits()

    @property
    def capabilities(self) -> Capabilities:
        """Constant for the driver."""
        return capabilities_of(self._driver.engine)

    def address(self, component: str = "") -> str:
        """Where services find the database; the same for every component, without a password."""
        return self._driver.address()

    def check(self, sql: str) -> Scalar:
        """The one value of a query that only reads, for the smoke gate.

        Raises `Refused("database.check.input")` for anything else.
        """
        return self._driver.check(sql)

    @property
    def driver(self) -> Driver:
        """The engine's driver, for questions that only one engine can answer."""
        return self._driver

    def observe(self) -> Observation:
        """Engine, schema and checksums are stable; rows and sizes are volatile."""
        if not self._driver.exists():
            stable: Plain = {"engine": self._driver.engine, "state": "absent"}
            return Observation(target=self._name, stable=stable)
        look = self._driver.look()
        return Observation(target=self._name, stable=self._stable(look), volatile=_volatile(look))

    def _stable(self, look: Look) -> Plain:
        stable: Plain = {
            "engine": self._driver.engine,
            "state": "present",
            "schema/version": max((entry.number for entry in look.applied), default=0),
            "schema/contract": max(
                (entry.number for entry in look.applied if entry.kind == "contract"), default=0
            ),
            "schema/digest": str(digest_of_objects(look.objects)),
        }
        stable |= {f"schema/{entry.number:04d}": entry.sha256 for entry in look.applied}
        stable |= {f"schema/object/{name}": str(found) for name, found in look.objects.items()}
        return stable

    def plan(
        self, desired: Mapping[str, canonical.JSON], observed: Observation
    ) -> tuple[Step, ...]:
        """Steps from observed to desired; see `surefoot.targets.database.plan`."""
        return plans.plan(self._name, desired, observed)

    def apply(self, step: Step, token: Token) -> Outcome:
        """Act; see the contract in `surefoot.core.target`."""
        self._interlock.check(step, token)
        act = parse(step)
        with self._receipts.admit(step, token) as finished:
            if finished is not None:
                return finished
            started = time.monotonic()
            outcome = self._act(act, token)
            milliseconds = round((time.monotonic() - started) * 1000)
            timed = {**outcome.figures, "milliseconds": milliseconds}
            outcome = msgspec.structs.replace(outcome, figures=timed)
            # A crash here leaves an act without receipt: its repeat looks first and finds it done.
            return self._receipts.record(step, token, outcome)

    def _act(self, act: object, token: Token) -> Outcome:
        match act:
            case Create():
                self._driver.create()
                return Outcome(status="done")
            case Destroy():
                self._driver.destroy()
                return Outcome(status="done")
            case Backup():
                return self._back_up(token)
            case Migrate():
                return self._migrate(act, token)
            case Restore():
                return self._restore(act, token)
            case CloneFrom():
                return self._clone(act, token)
            case Check():
                return self._checked(act)
        raise AssertionError(f"no act for {act!r}")

    def _back_up(self, token: Token) -> Outcome:
        self._require_present()
        try:
            digest, manifest = backups.back_up(
                self._driver,
                self._blobs,
                self._folder / "dumps",
                _mark(token),
                self._limits.backup_bytes_max,
            )
        except backups.Differs as error:
            return Outcome(status="failed", reason=f"the backup does not restore: {error}")
        return Outcome(
            status="done",
            figures=backups.figures(digest, manifest),
            evidence=(digest, manifest.dump),
        )

    def _migrate(self, act: Migrate, token: Token) -> Outcome:
        self._require_present()
        migrations = read(self._blobs.get(parse_digest(act.artifact)))
        ledger = self._driver.look().applied
        todo = self._todo(act, migrations, {entry.number: entry.sha256 for entry in ledger})
        done = [entry.number for entry in ledger if entry.operation == token.operation]
        rows = 0
        for migration in todo:
            try:
                rows += self._driver.migrate(migration, self._entry(migration, token))
            except StatementFailed as error:
                return _migration_failed(migration, error, done)
            # A crash here leaves the ledger row: the repeat finds it under its operation.
            done.append(migration.number)
        return Outcome(status="done", figures={"applied": [*done], "rows_changed": rows})

    def _todo(
        self, act: Migrate, migrations: tuple[Migration, ...], applied: Mapping[int, str]
    ) -> list[Migration]:
        """The pending migrations up to `to`; one of another class among them is refused."""
        numbers = {brief.number for brief in pending(applied, map(brief_of, migrations))}
        todo = [m for m in migrations if m.number in numbers and m.number <= act.to]
        for migration in todo:
            if migration.kind not in act.classes:
                raise Refused(
                    "migration.class.refused",
                    migration.label,
                    expected=" or ".join(act.classes),
                    found=migration.kind,
                    remedy="plan again: the database is not as it was when the plan was made",
                )
        return todo

    def _entry(self, migration: Migration, token: Token) -> Applied:
        moment = datetime.fromtimestamp(self._now_ms() / 1000, UTC)
        return Applied(
            number=migration.number,
            kind=migration.kind,
            words=migration.words,
            sha256=str(migration.sha256),
            applied_at=moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            operation=token.operation,
        )

    def _restore(self, act: Restore, token: Token) -> Outcome:
        if not act.writers_stopped:
            raise Refused(
                "database.restore.writers",
                self._name,
                expected="writers_stopped: true",
                found="false",
                remedy="stop the services that write first; rows written meanwhile would be lost",
            )
        manifest = backups.load(self._blobs, parse_digest(act.backup), self._driver.engine)
        dump = Path(self._blobs.path(manifest.dump))
        try:
            with self._driver.restored(dump, _mark(token)) as scratch:
                backups.require_same(manifest.content(), scratch.content())
                scratch.place()
            self._verify_live(manifest, _mark(token))
        except backups.Differs as error:
            return Outcome(status="failed", reason=f"the restored database differs: {error}")
        return Outcome(status="done", figures=backups.figures(parse_digest(act.backup), manifest))

    def _verify_live(self, manifest: backups.Manifest, mark: str) -> None:
        """Compare the live database with the manifest, once more, where it is now."""
        dumps = self._folder / "dumps"
        dumps.mkdir(parents=True, exist_ok=True, mode=0o700)
        dump = dumps / f"{mark}.verify"
        try:
            backups.require_same(manifest.content(), self._driver.dump(dump))
        finally:
            dump.unlink(missing_ok=True)

    def _clone(self, act: CloneFrom, token: Token) -> Outcome:
        origin = Origin(operation=token.operation, backup=act.backup, policy=act.policy)
        look = self._driver.look() if self._driver.exists() else Look()
        figures: Plain = {"policy": act.policy, "backup": act.backup}
        if look.origin == origin:  # a crash came between the clone and its receipt
            return Outcome(status="done", figures={**figures, "rows": sum(look.counts.values())})
        if not look.is_empty():
            raise Refused(
                "database.clone.target",
                self._name,
                expected="no database, or an empty one",
                found=f"{len(look.objects)} objects",
                remedy="destroy the database first, or clone into a new environment",
            )
        columns = parse_columns(act.masked) if act.policy == "masked" else ()
        manifest = backups.load(self._blobs, parse_digest(act.backup), self._driver.engine)
        dump = Path(self._blobs.path(manifest.dump))
        bare = act.policy == "none"
        with self._driver.restored(dump, _mark(token), schema_only=bare) as scratch:
            if columns:
                scratch.mask(columns, pseudonym_with(self._random(_KEY_BYTES)))
            trouble = backups.clone_trouble(manifest, scratch.content(), act.policy, columns)
            if trouble:
                return Outcome(status="failed", reason=f"the clone is not as declared: {trouble}")
            scratch.mark(origin)
            scratch.place()
        found = self._driver.look()
        return Outcome(status="done", figures={**figures, "rows": sum(found.counts.values())})

    def _checked(self, act: Check) -> Outcome:
        value = self._driver.check(act.sql)
        shown: canonical.JSON = "" if value is None else value
        if isinstance(shown, int) and abs(shown) >= 2**53:
            shown = str(shown)  # outside what canonical JSON holds as a number
        if act.expect is not None and act.expect != shown:
            reason = f"expected {act.expect!r}, found {shown!r}"
            return Outcome(status="failed", reason=reason[:300], figures={"value": shown})
        return Outcome(status="done", figures={"value": shown})

    def _require_present(self) -> None:
        if not self._driver.exists():
            raise Refused(
                "database.state.absent",
                self._name,
                expected="a database",
                found="none",
                remedy="create it first",
            )


def _volatile(look: Look) -> Plain:
    volatile: Plain = {f"rows/{name}": count for name, count in look.counts.items()}
    volatile |= {"size_bytes": look.size_bytes, "engine/version": look.version}
    if look.origin is not None:
        volatile["origin"] = {"backup": look.origin.backup, "policy": look.origin.policy}
    return volatile


def _mark(token: Token) -> str:
    """A short name for an operation's scratch, the same for its repeat."""
    return digest_of(token.operation.encode()).removeprefix("sha256:")[:12]


def _migration_failed(migration: Migration, error: StatementFailed, done: list[int]) -> Outcome:
    where = f" statement {error.statement} (line {error.line})" if error.statement else ""
    return Outcome(
        status="failed",
        reason=f"{migration.label}{where}: {error.reason}; rolled back"[:500],
        figures={
            "applied": [*done],
            "failed": {
                "number": migration.number,
                "statement": error.statement,
                "line": error.line,
            },
        },
    )
