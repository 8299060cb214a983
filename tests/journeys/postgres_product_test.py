"""A product whose databases are PostgreSQL, through the whole engine and its commands.

Releases with migrations on rows that are there, one that fails halfway, a masked copy, an
environment destroyed and rebuilt from its verified backup. The control plane's store is PostgreSQL
as well.
"""

from __future__ import annotations

import json
import secrets
import shutil
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from surefoot.demo import acts
from surefoot.testing.postgres import PostgresServer

pytestmark = pytest.mark.timeout(600)

PRODUCT = Path(__file__).parent / "postgres_product"
PEOPLE = {"ann": ("developer",), "bob": ("approver",), "olga": ("operator",)}
SECOND = {
    "0002_expand_add_fahrenheit.sql": "ALTER TABLE reading ADD COLUMN fahrenheit DOUBLE PRECISION;",
    "0003_backfill_fill_fahrenheit.sql": "UPDATE reading SET fahrenheit = celsius * 1.8 + 32;",
}
BAD = {
    "0004_expand_create_rooms.sql": "CREATE TABLE room (name TEXT PRIMARY KEY);\n"
    "UPDATE reading SET celsius = 0;\n"
    "INSERT INTO room (name) SELECT room FROM reading;"
}
ROWS = [("kitchen", 20.5), ("kitchen", 21.0), ("cellar", 12.0)]


class Journey:
    """The product's stage, and what an outsider sees of its databases."""

    def __init__(self, stage: Any, server: PostgresServer) -> None:
        self.stage = stage
        self.server = server

    def rows(self, database: str, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.dsn(database)) as db:
            return db.execute(query.encode()).fetchall()

    def databases(self) -> set[str]:
        found = self.rows("postgres", "SELECT datname FROM pg_database")
        return {name for (name,) in found if name.startswith("readings_")}

    def install(self) -> None:
        """As a person does it, without the devices of the demonstration."""
        stage = self.stage
        for who in PEOPLE:
            stage.run("", "key", "generate", str(stage.keys / who), "--comment", who)
        shutil.copytree(PRODUCT, stage.repository, ignore=shutil.ignore_patterns("__pycache__"))
        definition = stage.repository / "surefoot.yaml"
        address = self.server.dsn("readings_{environment}")
        definition.write_text(definition.read_text().replace("ADDRESS", address))
        stage.git("ann", "init", "--quiet", "--initial-branch", "main", ".")
        self.commit({}, "Readings 1.0.0")
        founders = [
            word
            for who in ("ann", "bob")
            for word in ("--founder", f"{who}={stage.keys / who}.pub,{who}@example.test")
        ]
        stage.run(
            "", "init", str(stage.data), *founders, "--repository", str(stage.repository),
            "--product", "readings",
        )  # fmt: skip
        stage.start_server()
        request = str(stage.folder / "olga.json")
        stage.run(
            "olga", "person", "request", "olga", "--identity", "olga@example.test",
            "--request", request,
        )  # fmt: skip
        stage.run("ann", "person", "enrol", "--request", request)
        stage.run("bob", "definition", "accept", "HEAD")
        for who, roles in PEOPLE.items():
            for role in roles:
                stage.run("ann" if who == "bob" else "bob", "person", "grant", who, role)
        self.give_password("dev")

    def give_password(self, environment: str) -> None:
        """The server of the tests trusts everybody; it is opened and handed over all the same."""
        self.stage.run(
            "olga", "secret", "set", environment, "database_password", "--from-file", "-",
            stdin=secrets.token_hex(16),
        )  # fmt: skip

    def commit(self, migrations: dict[str, str], message: str) -> None:
        for name, text in migrations.items():
            (self.stage.repository / "migrations" / name).write_text(text + "\n")
        self.stage.git("ann", "add", "--all")
        self.stage.git("ann", "commit", "--quiet", "--message", message)

    def deploy(self, version: str, *expected: str) -> dict[str, Any]:
        acts.cut(self.stage, version)
        plan = acts.request(self.stage, "dev", version)
        return acts.finish(self.stage, plan["deployment"], *expected)

    def finish(self, answer: dict[str, Any]) -> None:
        acts.finish(self.stage, answer["deployment"])

    def asked(self, environment: str) -> str:
        """The database that the environment's service was told of."""
        with urllib.request.urlopen(
            acts.service_url(self.stage, environment), timeout=90
        ) as answer:
            return str(json.loads(answer.read())["database"])


@pytest.fixture
def journey(
    shared: Callable[[Path], Any],
    postgres_server: PostgresServer,
    require_tool: Callable[[str], str],
) -> Any:
    require_tool("pg_dump")
    made = Journey(shared(PRODUCT), postgres_server)
    made.install()
    yield made
    made.stage.close()
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as db:
        for name in made.databases():
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            db.execute(drop)


def test_releases_copy_and_rebuild_on_postgresql(journey: Journey) -> None:
    stage = journey.stage
    journey.deploy("1.0.0")
    assert journey.databases() == {"readings_dev"}
    assert journey.asked("dev") == journey.server.dsn("readings_dev")
    with psycopg.connect(journey.server.dsn("readings_dev")) as db:
        db.cursor().executemany("INSERT INTO reading (room, celsius) VALUES (%s, %s)", ROWS)

    journey.commit(SECOND, "Readings 1.1.0")
    ended = journey.deploy("1.1.0")
    assert any("backup" in step["id"] for step in ended["steps"])
    after = journey.rows("readings_dev", "SELECT room, celsius, fahrenheit FROM reading ORDER BY 1")
    assert [row[2] for row in after] == [pytest.approx(row[1] * 1.8 + 32) for row in after]

    journey.commit(BAD, "Readings 1.2.0")
    failed = journey.deploy("1.2.0", "returned")
    assert "0004" in failed["cause"]
    query = "SELECT room, celsius, fahrenheit FROM reading ORDER BY 1"
    assert journey.rows("readings_dev", query) == after
    assert journey.rows("readings_dev", "SELECT to_regclass('room')") == [(None,)]
    shown = stage.run("olga", "environment", "show", "dev")
    assert shown["release_version"] == "1.1.0"
    assert stage.run("olga", "drift", "check", "dev")["differences"] == []
    copy(journey, after)
    rebuild(journey, after)
    report = stage.run("olga", "journal", "verify")
    assert report.get("report", report)["ok"]


def copy(journey: Journey, rows: list[tuple[Any, ...]]) -> None:
    """A masked copy has a database of its own by its name, with no room's name in it."""
    stage = journey.stage
    clone = ("environment", "clone", "dev", "dev-eu", "--data", "masked")
    refused = stage.refused("olga", *clone, code="secret.missing")
    assert "surefoot secret set dev-eu database_password" in refused["remedy"]
    journey.give_password("dev-eu")
    journey.finish(stage.run("olga", *clone))
    assert journey.databases() == {"readings_dev", "readings_dev_eu"}
    assert journey.asked("dev-eu") == journey.server.dsn("readings_dev_eu")
    query = "SELECT room, celsius FROM reading ORDER BY number"
    copied = journey.rows("readings_dev_eu", query)
    source = journey.rows("readings_dev", query)
    assert [celsius for _, celsius in copied] == [celsius for _, celsius in source]
    rooms = {room for room, _ in copied}
    assert len(rooms) == 2 and not rooms & {room for room, *_ in rows}
    found = stage.run("olga", "environment", "diff", "dev", "dev-eu")["differences"]
    assert [d for d in found if not d["path"].startswith("secrets/")] == []


def rebuild(journey: Journey, rows: list[tuple[Any, ...]]) -> None:
    """Destroyed and made again from the record: every row of the verified backup is back."""
    stage = journey.stage
    journey.finish(stage.run("olga", "environment", "destroy", "dev"))
    assert journey.databases() == {"readings_dev_eu"}
    journey.finish(stage.run("olga", "environment", "rebuild", "dev"))
    query = "SELECT room, celsius, fahrenheit FROM reading ORDER BY 1"
    assert journey.rows("readings_dev", query) == rows
    assert journey.asked("dev") == journey.server.dsn("readings_dev")
