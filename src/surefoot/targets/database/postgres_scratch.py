"""A PostgreSQL backup restored into a database of its own: compared, masked, put into place.

Rules: pseudonyms are made here and joined in through a temporary table, so that the key never
reaches the server; foreign keys over masked columns are dropped and made again, which checks them;
triggers are off while values change; masked tables are rewritten (VACUUM FULL), so that no old
row stays in their files.
Does not: mask inside large objects; a database that has any is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import psycopg
from psycopg import sql

from surefoot.targets.database import postgres_catalog as catalog
from surefoot.targets.database.driver import (
    CREATE_ORIGIN,
    ORIGIN,
    Column,
    Content,
    Origin,
    Pseudonym,
)
from surefoot.targets.database.mask import (
    refused,
    require_both_sides,
    require_known,
    text_maker,
)
from surefoot.targets.database.postgres_catalog import Connection

_FETCH = 2_000
_COLUMNS = r"""
    SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
        AND a.attgenerated = '' AND n.nspname NOT LIKE 'pg\_%'
        AND n.nspname <> 'information_schema' AND c.relname NOT LIKE 'surefoot\_%'
"""
_KEYS = """
    SELECT n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid), a.attname,
           fn.nspname, fc.relname, fa.attname
    FROM pg_constraint k
        JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_class fc ON fc.oid = k.confrelid JOIN pg_namespace fn ON fn.oid = fc.relnamespace
        CROSS JOIN LATERAL unnest(k.conkey, k.confkey) AS u (child, parent)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.child
        JOIN pg_attribute fa ON fa.attrelid = k.confrelid AND fa.attnum = u.parent
    WHERE k.contype = 'f' AND k.conparentid = 0
"""
_TRIGGERS = """
    SELECT n.nspname, c.relname, g.tgname
    FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT g.tgisinternal AND g.tgenabled = 'O' AND g.tgparentid = 0
"""
_VIEWS = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'm' AND c.relispopulated ORDER BY c.oid
"""


class Place(Protocol):
    """Where a scratch goes, and how it is reached."""

    def connect(self, name: str = "") -> AbstractContextManager[Connection]:
        """A connection to a database of the server."""

    def take(self, scratch: str) -> None:
        """Rename a scratch into place."""


class PostgresScratch:
    """A restored database on the same server."""

    def __init__(self, name: str, place: Place) -> None:
        self._name = name
        self._place = place

    def content(self) -> Content:
        """What was restored."""
        with self._place.connect(self._name) as db:
            db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return catalog.content(db)

    def mark(self, origin: Origin) -> None:
        """Write where this database came from."""
        create = CREATE_ORIGIN.replace(ORIGIN, f"public.{ORIGIN}")
        values = (origin.operation, origin.backup, origin.policy)
        with self._place.connect(self._name) as db, db.transaction():
            db.execute(create.encode())
            db.execute(f"DELETE FROM public.{ORIGIN}".encode())  # noqa: S608
            db.execute(f"INSERT INTO public.{ORIGIN} VALUES (%s, %s, %s)".encode(), values)  # noqa: S608

    def place(self) -> None:
        """Rename into place."""
        self._place.take(self._name)

    def mask(self, columns: tuple[Column, ...], pseudonym: Pseudonym) -> None:
        """Replace the columns' values."""
        with self._place.connect(self._name) as db:
            catalog.fix_output(db)
            types = _types(db, columns)
            makers = {column: text_maker(types[column], pseudonym) for column in columns}
            try:
                with db.transaction(), _without_keys(db, columns), _without_triggers(db):
                    for column, maker in makers.items():
                        if maker is None:
                            raise _unmaskable(column, types[column])
                        _replace(db, column, types[column], maker)
            except psycopg.IntegrityError as error:
                found = f"{error.diag.message_primary} ({error.sqlstate})"
                raise refused("masked columns", "pseudonyms that fit", found) from None
            for table in sorted({column.table for column in columns}):
                db.execute(sql.SQL("VACUUM (FULL, ANALYZE) {}").format(_identifier(table)))
            for schema, name in db.execute(_VIEWS).fetchall():
                view = sql.Identifier(schema, name)
                db.execute(sql.SQL("REFRESH MATERIALIZED VIEW {}").format(view))


def _unmaskable(column: Column, kind: str) -> Exception:
    return refused(
        f"masked column {column.table}.{column.name}", "a type that has pseudonyms", kind
    )


def _types(db: Connection, columns: tuple[Column, ...]) -> dict[Column, str]:
    """The type of every column; refuses columns that cannot be masked."""
    types = {
        Column(table=catalog.named(schema, table), name=name): kind
        for schema, table, name, kind in db.execute(_COLUMNS)
    }
    require_known(columns, set(types))
    pairs = [
        (
            Column(table=catalog.named(row[0], row[1]), name=row[4]),
            Column(table=catalog.named(row[5], row[6]), name=row[7]),
        )
        for row in db.execute(_KEYS)
    ]
    require_both_sides(columns, pairs)
    if db.execute("SELECT 1 FROM pg_largeobject_metadata LIMIT 1").fetchone():
        raise refused("database", "no large objects", "some, which may hold copies of values")
    return types


def _identifier(table: str) -> sql.Identifier:
    schema, dot, name = table.rpartition(".")
    return sql.Identifier(schema if dot else "public", name)


def _replace(db: Connection, column: Column, kind: str, maker: Callable[[str], str]) -> None:
    """Map every value of one column to its pseudonym, and join the map in."""
    names = {
        "table": _identifier(column.table),
        "column": sql.Identifier(column.name),
        "type": sql.SQL(kind),  # as the catalog prints it
    }
    db.execute("CREATE TEMPORARY TABLE surefoot_map (old text, new text) ON COMMIT DROP")
    distinct = sql.SQL("SELECT DISTINCT {column}::text FROM {table} WHERE {column} IS NOT NULL")
    insert = "INSERT INTO pg_temp.surefoot_map VALUES (%s, %s)"
    with db.cursor(name="surefoot_values") as values, db.cursor() as writer:
        values.execute(distinct.format(**names))
        while rows := values.fetchmany(_FETCH):
            writer.executemany(insert, [(old, maker(old)) for (old,) in rows])
    db.execute("ANALYZE pg_temp.surefoot_map")
    update = sql.SQL(
        "UPDATE {table} AS t SET {column} = m.new::{type} FROM pg_temp.surefoot_map m"
        " WHERE t.{column}::text = m.old"
    )
    db.execute(update.format(**names))
    db.execute("DROP TABLE pg_temp.surefoot_map")


@contextmanager
def _without_keys(db: Connection, columns: tuple[Column, ...]) -> Iterator[None]:
    """Foreign keys over masked columns away, and made again, which checks every row."""
    declared = set(columns)
    keys = {
        (row[0], row[1], row[2]): row[3]
        for row in db.execute(_KEYS)
        if Column(table=catalog.named(row[0], row[1]), name=row[4]) in declared
    }
    drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
    for schema, table, name in keys:
        db.execute(drop.format(sql.Identifier(schema, table), sql.Identifier(name)))
    yield
    add = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}")
    for (schema, table, name), definition in keys.items():
        made = add.format(sql.Identifier(schema, table), sql.Identifier(name), sql.SQL(definition))
        db.execute(made)


@contextmanager
def _without_triggers(db: Connection) -> Iterator[None]:
    """Triggers off, and on again in the same transaction."""
    triggers = db.execute(_TRIGGERS).fetchall()
    switch = "ALTER TABLE {} %s TRIGGER {}"
    for word in ("DISABLE", "ENABLE"):
        for schema, table, name in triggers:
            statement = sql.SQL(switch % word)
            db.execute(statement.format(sql.Identifier(schema, table), sql.Identifier(name)))
        if word == "DISABLE":
            yield
