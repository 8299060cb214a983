"""Both engines behind one fixture: a real SQLite file and a real PostgreSQL server."""

from __future__ import annotations

import hashlib
import itertools
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from surefoot.core.errors import Corrupt, Failed
from surefoot.core.target import Outcome, Step, Token
from surefoot.targets.database import DatabaseTarget
from surefoot.targets.database.driver import Limits
from surefoot.targets.database.migration import describe, pack
from surefoot.targets.database.postgres import PostgresDriver
from surefoot.targets.database.sqlite import SqliteDriver
from surefoot.testing.claims import Claims
from surefoot.testing.postgres import PostgresServer
from surefoot.trust.digest import Digest, digest_of

FILES = {
    "0001_expand_first_tables.sql": """
        -- The first tables; a comment with a semicolon; is no statement.
        CREATE TABLE device (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE telemetry (
            id INTEGER PRIMARY KEY, device TEXT REFERENCES device (name), room TEXT, value REAL
        );
        INSERT INTO device VALUES (1, 'one; two'), (2, 'it''s');
    """,
    "0002_expand_unit.sql": "ALTER TABLE telemetry ADD COLUMN unit TEXT;",
    "0003_backfill_unit.sql": """-- surefoot: batches at most 100
        UPDATE telemetry SET unit = 'C' WHERE id IN
            (SELECT id FROM telemetry WHERE unit IS NULL LIMIT 10);
    """,
    "0004_contract_drop_value.sql": "ALTER TABLE telemetry DROP COLUMN value;",
}
LIMITS = Limits(lock_timeout_ms=3_000, statement_timeout_ms=30_000)


class FolderBlobs:
    """Blobs in a folder, verified when read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: Digest) -> Path:
        path = self.folder / digest.removeprefix("sha256:")
        if not path.exists():
            raise Failed("blob.missing", digest, expected="a file", found="none")
        if digest_of(path.read_bytes()) != digest:
            raise Corrupt("blob.differs", digest, expected=digest, found="other bytes")
        return path

    def put(self, content: bytes) -> Digest:
        self.folder.mkdir(exist_ok=True)
        digest = digest_of(content)
        (self.folder / digest.removeprefix("sha256:")).write_bytes(content)
        return digest

    def get(self, digest: Digest) -> bytes:
        return self.path(digest).read_bytes()


class Stand:
    """A database target with short ways to act on it and to look behind it."""

    def __init__(self, engine: str, folder: Path, driver: Any, sql: Callable[..., list[Any]]):
        self.engine = engine
        self.folder = folder
        self.driver = driver
        self.sql = sql
        self.blobs = FolderBlobs(folder / "blobs")
        self.claims = Claims("test")
        self.target = self.target_with(driver)
        self._fences = itertools.count(1)

    def target_with(self, driver: Any) -> DatabaseTarget:
        return DatabaseTarget(
            "main",
            driver,
            self.blobs,
            self.folder / "target",
            interlock=self.claims.interlock(),
            now_ms=lambda: 1_700_000_000_000,
            random=os.urandom,
            limits=LIMITS,
        )

    def fence(self) -> int:
        return next(self._fences)

    def token(self, step: Step, operation: str = "") -> Token:
        fence = self.fence()
        return self.claims.token(step, operation or f"1/{fence}", fence)

    def act(self, action: str, operation: str = "", **arguments: Any) -> Outcome:
        step = Step(id=f"main.{action}", target="main", action=action, arguments=arguments)
        return self.target.apply(step, self.token(step, operation))

    def artifact(self, files: dict[str, str]) -> Digest:
        return self.blobs.put(pack({name: sql.encode() for name, sql in files.items()}))

    def migrate(self, files: dict[str, str], *classes: str, operation: str = "") -> Outcome:
        artifact = self.artifact(files)
        chosen = list(classes or ("expand", "backfill"))
        return self.act("migrate", operation, artifact=artifact, classes=chosen, to=len(files))

    def desired(self, files: dict[str, str], before: str = "1.0.0") -> dict[str, Any]:
        artifact = self.artifact(files)
        briefs = describe(self.blobs.get(artifact), self.target.capabilities and self.driver.engine)
        return {"artifact": artifact, "migrations": briefs, "before": before}

    def count(self, table: str) -> int:
        return int(self.sql(f"SELECT count(*) FROM {table}")[0][0])


def sqlite_stand(folder: Path, name: str = "main") -> Stand:
    path = folder / "data" / f"{name}.db"

    def sql(text: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as db:
            return db.execute(text, values).fetchall()

    return Stand("sqlite", folder, SqliteDriver(path, LIMITS), sql)


def postgres_stand(folder: Path, server: PostgresServer, name: str = "main") -> Stand:
    unique = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
    dsn = server.dsn(f"{name}_{unique}")

    def sql(text: str, *values: object) -> list[Any]:
        with psycopg.connect(dsn, autocommit=True) as db:
            cursor = db.execute(text.replace("?", "%s"), values or None)
            return cursor.fetchall() if cursor.description else []

    return Stand("postgres", folder, PostgresDriver(dsn, limits=LIMITS), sql)


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], Stand]:
    """A maker of stands by name, each with a database of its own; they share blobs."""

    def made(name: str) -> Stand:
        folder = tmp_path / name
        folder.mkdir()
        if engine == "sqlite":
            stand = sqlite_stand(folder, name)
        else:
            stand = postgres_stand(folder, request.getfixturevalue("postgres_server"), name)
        stand.blobs.folder = tmp_path / "blobs"
        return stand

    return made


@pytest.fixture
def stand(make: Callable[[str], Stand]) -> Stand:
    """An empty database."""
    empty = make("main")
    empty.act("create")
    return empty


@pytest.fixture
def filled(stand: Stand) -> Stand:
    """A database with the first two migrations and some rows."""
    assert stand.migrate(dict(list(FILES.items())[:2])).status == "done"
    rows = [f"({n}, 'one; two', 'room {n % 3}', {n}.5)" for n in range(25)]
    stand.sql(f"INSERT INTO telemetry (id, device, room, value) VALUES {', '.join(rows)}")
    return stand


@pytest.fixture
def files() -> dict[str, str]:
    """The migrations of the example."""
    return dict(FILES)
