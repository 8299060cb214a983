"""Splitting, refusing and naming what is taken away, as tables."""

from __future__ import annotations

import pytest

from surefoot.core.errors import Refused
from surefoot.targets.database.sql import Engine, refuse_unsafe, split, takes_away

BOTH: tuple[Engine, ...] = ("sqlite", "postgres")
TRIGGER = "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE a SET x = 1; DELETE FROM b; END;"
ATOMIC = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END;"


@pytest.mark.parametrize(
    ("engine", "sql", "count"),
    [
        *((engine, "SELECT 1; SELECT 2;", 2) for engine in BOTH),
        *((engine, "-- a; b\nSELECT ';'; /* ; */ SELECT \";\" FROM t;", 2) for engine in BOTH),
        *((engine, "SELECT 'it''s; one';;", 1) for engine in BOTH),
        ("sqlite", TRIGGER + "SELECT 1;", 2),
        ("sqlite", "CREATE TABLE [a;b] (`c;d` TEXT);", 1),
        ("postgres", "SELECT $$a;b$$; SELECT $x$ $$ ; $x$;", 2),
        ("postgres", "/* a /* b; */ c; */ SELECT E'\\';';", 1),
        ("postgres", ATOMIC + "SELECT 1;", 2),
        ("postgres", "CREATE RULE r AS ON INSERT TO a DO ALSO (DELETE FROM b; DELETE FROM c);", 1),
        ("sqlite", "-- nothing", 0),
    ],
)
def test_split_only_where_statements_end(engine: Engine, sql: str, count: int) -> None:
    assert len(split(sql, engine)) == count


def test_a_statement_knows_its_line() -> None:
    found = split("\n-- first\nSELECT 1;\n\nSELECT\n2;", "sqlite")
    assert [statement.line for statement in found] == [3, 5]


@pytest.mark.parametrize("sql", ["SELECT 1", "SELECT 'a", "SELECT 1; /* a", 'SELECT "a;'])
def test_what_has_no_end_is_refused(sql: str) -> None:
    for engine in BOTH:
        with pytest.raises(Refused) as refused:
            split(sql, engine)
        assert refused.value.code == "database.sql.input"


def test_dollar_quote_without_end_is_refused() -> None:
    with pytest.raises(Refused):
        split("SELECT $a$ ;", "postgres")


def test_too_large_is_refused() -> None:
    with pytest.raises(Refused):
        split(f"SELECT '{'a' * 300_000}';", "sqlite")
    with pytest.raises(Refused):
        split("SELECT 1;" * 2_002, "postgres")


@pytest.mark.parametrize(
    ("engine", "sql"),
    [
        *((engine, "COMMIT;") for engine in BOTH),
        *((engine, "/* x */ rollback;") for engine in BOTH),
        *((engine, "VACUUM;") for engine in BOTH),
        *((engine, "SAVEPOINT a;") for engine in BOTH),
        *((engine, "DELETE FROM surefoot_migration;") for engine in BOTH),
        *((engine, 'DROP TABLE "Surefoot_Migration";') for engine in BOTH),
        ("sqlite", "ATTACH 'other.db' AS other;"),
        ("sqlite", "PRAGMA journal_mode=DELETE;"),
        ("postgres", "SET lock_timeout = 0;"),
        ("postgres", "COPY a FROM PROGRAM 'id';"),
        ("postgres", "CREATE INDEX CONCURRENTLY i ON a (b);"),
        ("postgres", "DROP DATABASE other;"),
        ("postgres", "ALTER SYSTEM SET fsync = off;"),
        ("postgres", "PREPARE TRANSACTION 'a';"),
    ],
)
def test_what_would_leave_the_transaction_is_refused(engine: Engine, sql: str) -> None:
    (statement,) = split(sql, engine)
    with pytest.raises(Refused) as refused:
        refuse_unsafe(statement, engine, "expand 0001")
    assert refused.value.code == "database.sql.refused"


@pytest.mark.parametrize(
    "sql",
    ["CREATE TABLE commit_log (id int);", "INSERT INTO a VALUES ('COMMIT');", "DROP INDEX i;"],
)
def test_harmless_words_pass(sql: str) -> None:
    for engine in BOTH:
        (statement,) = split(sql, engine)
        refuse_unsafe(statement, engine, "expand 0001")


@pytest.mark.parametrize(
    ("sql", "lost"),
    [
        ("ALTER TABLE t DROP COLUMN x;", ("drops column t.x",)),
        ("alter table if exists only t drop if exists x;", ("drops column t.x",)),
        (
            "ALTER TABLE a.t ADD y numeric(1,2), DROP x CASCADE;",
            ("drops column a.t.x",),
        ),
        ("DROP TABLE IF EXISTS a, b CASCADE;", ("drops table a", "drops table b")),
        ("DROP VIEW v; CREATE VIEW v AS SELECT 1;", ()),
        ("DROP VIEW v;", ("drops view v",)),
        ("ALTER TABLE t RENAME COLUMN a TO b;", ("renames column t.a",)),
        ("ALTER TABLE t RENAME TO u;", ("renames table t",)),
        ('ALTER TABLE t ALTER COLUMN "a" TYPE int;', ("changes the type of column t.a",)),
        ("ALTER TABLE t ALTER a DROP NOT NULL;", ()),
        ("ALTER TABLE t DROP CONSTRAINT c;", ()),
        ("DROP INDEX i;", ()),
        ("CREATE TABLE n (a); DROP TABLE t; ALTER TABLE n RENAME TO t;", ()),
    ],
)
def test_what_is_taken_away(sql: str, lost: tuple[str, ...]) -> None:
    assert takes_away(split(sql, "postgres")) == lost
