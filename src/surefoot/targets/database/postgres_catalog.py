"""Reads a PostgreSQL database: objects from the catalog, rows as text, the ledger.

Rules: objects are compared by what the server says their definition is, not by who owns them or
who may use them; what an extension brought counts as the extension; rows are read in an order the
server makes of their text, under fixed output settings.
Does not: cover large objects, owners, privileges or settings of the database.
Source: PostgreSQL 15 documentation, chapter 53 "System Catalogs".
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import psycopg
from psycopg import sql

from surefoot.targets.database.driver import (
    LEDGER,
    ORIGIN,
    Content,
    Look,
    Origin,
    RowDigest,
    TableContent,
    ascii_name,
    same_migration,
)
from surefoot.targets.database.migration import Applied
from surefoot.trust import canonical
from surefoot.trust.digest import Digest, digest_of

Connection = psycopg.Connection[tuple[Any, ...]]

_INTEGER_MAX = 2**53 - 1
_ROWS_EXACT_MAX = 1_000_000
_FETCH = 2_000

# Each query gives (kind, schema, name, part of the definition); parts are joined in order.
_OUTSIDE_EXTENSIONS = """
    n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND NOT EXISTS (
        SELECT 1 FROM pg_depend e WHERE e.objid = {id} AND e.deptype = 'e')
"""
_QUERIES = (
    """
    SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
               WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'type' WHEN 'f' THEN 'foreign table'
               ELSE 'table' END,
           n.nspname, c.relname,
           concat_ws(' ', c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
               c.reloptions::text, pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid),
               CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
               CASE WHEN c.relkind = 'S' THEN (SELECT concat_ws(' ', seqtypid::regtype, seqstart,
                   seqincrement, seqmin, seqmax, seqcycle) FROM pg_sequence WHERE seqrelid = c.oid)
               END,
               (SELECT string_agg(i.inhparent::regclass::text, ',' ORDER BY i.inhseqno)
                   FROM pg_inherits i WHERE i.inhrelid = c.oid))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') AND {outside}
    """,
    """
    SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
               WHEN 'c' THEN 'type' WHEN 'f' THEN 'foreign table' ELSE 'table' END,
           n.nspname, c.relname,
           string_agg(concat_ws(' ', 'column', quote_ident(a.attname),
               format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END,
               a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid),
               CASE WHEN a.attcollation <> t.typcollation THEN
                   (SELECT collname FROM pg_collation WHERE oid = a.attcollation) END),
               ', ' ORDER BY a.attnum)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND a.attnum > 0 AND NOT a.attisdropped
        AND {outside}
    GROUP BY 1, 2, 3
    """,
    """
    SELECT 'table', n.nspname, c.relname,
           concat_ws(' ', 'constraint', k.conname, pg_get_constraintdef(k.oid), k.convalidated)
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE {outside} ORDER BY k.conname
    """,
    """
    SELECT 'index', n.nspname, i.relname,
           concat_ws(' ', pg_get_indexdef(i.oid), x.indisvalid)
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm') AND {outside}
    """,
    """
    SELECT 'trigger', n.nspname, c.relname || '.' || g.tgname,
           concat_ws(' ', pg_get_triggerdef(g.oid), g.tgenabled)
    FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT g.tgisinternal AND {outside}
    """,
    """
    SELECT 'rule', n.nspname, c.relname || '.' || r.rulename, pg_get_ruledef(r.oid)
    FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
        JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE r.rulename <> '_RETURN' AND {outside}
    """,
    """
    SELECT 'policy', n.nspname, c.relname || '.' || p.polname,
           concat_ws(' ', p.polcmd, p.polpermissive, pg_get_expr(p.polqual, p.polrelid),
               pg_get_expr(p.polwithcheck, p.polrelid))
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE {outside}
    """,
    """
    SELECT 'function', n.nspname, c.proname || '(' || pg_get_function_identity_arguments(c.oid)
               || ')', CASE WHEN c.prokind = 'a' THEN 'aggregate' ELSE pg_get_functiondef(c.oid) END
    FROM pg_proc c JOIN pg_namespace n ON n.oid = c.pronamespace WHERE {outside}
    """,
    """
    SELECT 'type', n.nspname, c.typname, concat_ws(' ', c.typtype,
           CASE WHEN c.typtype = 'd' THEN format_type(c.typbasetype, c.typtypmod) END,
           c.typnotnull, c.typdefault,
           (SELECT string_agg(quote_literal(l.enumlabel), ',' ORDER BY l.enumsortorder)
               FROM pg_enum l WHERE l.enumtypid = c.oid),
           (SELECT string_agg(pg_get_constraintdef(k.oid), ',' ORDER BY k.conname)
               FROM pg_constraint k WHERE k.contypid = c.oid))
    FROM pg_type c JOIN pg_namespace n ON n.oid = c.typnamespace
    WHERE c.typtype IN ('e', 'd', 'r') AND {outside}
    """,
    "SELECT 'extension', '', extname, extversion FROM pg_extension WHERE extname <> 'plpgsql'",
    """
    SELECT 'schema', '', c.nspname, '' FROM pg_namespace c, pg_namespace n
    WHERE n.oid = c.oid AND c.nspname <> 'public' AND {outside}
    """,
)
_TABLES = """
    SELECT n.nspname, c.relname, c.reltuples::bigint
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    ORDER BY 1, 2
"""
# The server itself writes "x IN ('a')" on varchar in two ways, before and after a dump.
_LIST = re.compile(r"\(ARRAY\[((?:'(?:[^']|'')*'::character varying(?:, )?)+)\]\)::text\[\]")
_LIST_ITEM = re.compile(r"('(?:[^']|'')*'::character varying)")
_SEQUENCES = "SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2"


def named(schema: str, name: str) -> str:
    """A name as it is shown: with its schema unless that is public."""
    return ascii_name(name if schema in ("", "public") else f"{schema}.{name}")


def is_own(name: str) -> bool:
    """Whether an object belongs to one of Surefoot's tables."""
    return name.startswith("surefoot_")


def objects(db: Connection) -> dict[str, Digest]:
    """Every object, like "table telemetry", and its definition's digest."""
    parts: dict[str, list[str]] = defaultdict(list)
    for query in _QUERIES:
        alias = "x.indexrelid" if "FROM pg_index" in query else "c.oid"
        outside = _OUTSIDE_EXTENSIONS.format(id=alias)
        text = query.replace("{outside}", outside)
        for kind, schema, name, part in db.execute(text.encode()):
            if not is_own(name):
                parts[f"{kind} {named(schema, name)}"].append(_same_lists(str(part)))
    return {
        name: digest_of(canonical.encode([ascii_name(part) for part in found]))
        for name, found in parts.items()
    }


def _same_lists(definition: str) -> str:
    """A definition with lists of varchar in one of the two ways."""

    def rewritten(found: re.Match[str]) -> str:
        items = _LIST_ITEM.sub(r"(\1)::text", found[1])
        return f"ARRAY[{items}]"

    return _LIST.sub(rewritten, definition)


def tables(db: Connection) -> list[tuple[str, str, int]]:
    """Schema, name and estimated rows of each table that holds rows; partitions one by one."""
    return [(schema, name, rows) for schema, name, rows in db.execute(_TABLES)]


def sequences(db: Connection) -> dict[str, int]:
    """Last value of each sequence that was used, up to what a JSON number holds."""
    return {
        named(schema, name): min(max(int(value or 0), 0), _INTEGER_MAX)
        for schema, name, value in db.execute(_SEQUENCES)
    }


def fix_output(db: Connection) -> None:
    """Settings that rows as text depend on."""
    db.execute(
        "SET DateStyle='ISO, YMD'; SET IntervalStyle='iso_8601'; SET TimeZone='UTC';"
        " SET bytea_output='hex'; SET extra_float_digits=3; SET xmloption='content';"
        " SET search_path='pg_catalog'"
    )


def content(db: Connection) -> Content:
    """Everything a backup is compared by; inside the caller's transaction."""
    fix_output(db)
    found = sequences(db)  # first: a sequence may move on, whatever the transaction sees
    return Content(
        objects=objects(db),
        tables={named(schema, name): _rows(db, schema, name) for schema, name, _ in tables(db)},
        sequences=found,
    )


def _rows(db: Connection, schema: str, table: str) -> TableContent:
    running = RowDigest()
    query = sql.SQL(
        'SELECT ("surefoot row".*)::text COLLATE "C" FROM ONLY {} AS "surefoot row" ORDER BY 1'
    ).format(sql.Identifier(schema, table))
    with db.cursor(name="surefoot_rows") as cursor:
        cursor.itersize = _FETCH
        for row in cursor.execute(query):
            running.add(row)
    return running.result()


def look(db: Connection) -> Look:
    """The database as it is now; inside the caller's transaction."""
    fix_output(db)
    size = db.execute("SELECT pg_database_size(current_database())").fetchone()
    version = db.execute("SHOW server_version").fetchone()
    assert size is not None and version is not None
    return Look(
        applied=applied(db),
        objects=objects(db),
        counts={
            named(schema, name): _count(db, schema, name, estimate)
            for schema, name, estimate in tables(db)
            if not is_own(name)
        },
        size_bytes=int(size[0]),
        version=str(version[0]),
        origin=_origin(db),
    )


def _count(db: Connection, schema: str, table: str, estimate: int) -> int:
    """Rows of a table; the server's estimate for a large one."""
    if estimate > _ROWS_EXACT_MAX:
        return estimate
    query = sql.SQL("SELECT count(*) FROM ONLY {}").format(sql.Identifier(schema, table))
    row = db.execute(query).fetchone()
    return int(row[0]) if row else 0


def _has(db: Connection, table: str) -> bool:
    row = db.execute("SELECT to_regclass(%s) IS NOT NULL", (f"public.{table}",)).fetchone()
    return bool(row and row[0])


def applied(db: Connection) -> tuple[Applied, ...]:
    """The ledger, empty when the table is not there."""
    if not _has(db, LEDGER):
        return ()
    rows = db.execute(
        f"SELECT number, class, words, sha256, applied_at, operation FROM public.{LEDGER}"  # noqa: S608
        " ORDER BY number".encode()
    )
    return tuple(
        Applied(number=n, kind=kind, words=words, sha256=sha, applied_at=at, operation=operation)
        for n, kind, words, sha, at, operation in rows
    )


def is_applied(db: Connection, entry: Applied) -> bool:
    """Whether the ledger has the migration; with other content it is `Corrupt`."""
    return any(same_migration(found, entry) for found in applied(db))


def _origin(db: Connection) -> Origin | None:
    if not _has(db, ORIGIN):
        return None
    query = f"SELECT operation, backup, policy FROM public.{ORIGIN}".encode()  # noqa: S608
    row = db.execute(query).fetchone()
    return Origin(operation=row[0], backup=row[1], policy=row[2]) if row else None
