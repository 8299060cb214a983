"""What roles may do in PostgreSQL: from the catalogues, and by trying it as the role.

Keeps: nothing is changed. Reads and writes are only explained, which checks rights and touches no
row; what makes things is tried in a transaction that is always rolled back. Does not: judge.
Source: PostgreSQL's documentation, "Access Privilege Inquiry Functions" and "EXPLAIN".
"""

from __future__ import annotations

from collections.abc import Collection

import psycopg
from psycopg import sql

from surefoot.core.privilege import Attempted, Rights, RoleRights
from surefoot.targets.database.postgres import PostgresDriver
from surefoot.targets.database.postgres_catalog import Connection

EXPLAINED = ("select", "insert", "update", "delete", "table")
MADE = ("create", "grant")
_DENIED = "42501"

_TABLES = """
SELECT c.oid, n.nspname || '.' || c.relname, pg_get_userbyid(c.relowner)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema' AND c.relname !~ '^surefoot_'
ORDER BY 2
"""
_SCHEMAS = """
SELECT n.nspname, pg_get_userbyid(n.nspowner), has_schema_privilege(%s, n.oid, 'CREATE')
FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1
"""
_ROLES = """
SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication, rolcanlogin
FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> current_user ORDER BY 1
"""
_MEMBER = """
SELECT r.rolname FROM pg_roles r
WHERE r.rolname <> %s AND pg_has_role(%s, r.oid, 'MEMBER') ORDER BY 1
"""
_PRIVILEGES = """
SELECT p.name FROM (VALUES ('select'), ('insert'), ('update'), ('delete'), ('truncate'),
  ('references'), ('trigger')) AS p (name)
WHERE has_table_privilege(%s, %s::oid, p.name)
   OR (p.name IN ('select', 'insert', 'update') AND has_any_column_privilege(%s, %s::oid, p.name))
"""
_ATTRIBUTES = (
    "superuser",
    "create roles",
    "create databases",
    "bypass row security",
    "replication",
)


def rights(driver: PostgresDriver, wanted: Collection[str]) -> Rights:
    """The rights of the roles that exist, in one transaction. Raises `Failed`."""
    with driver.connect() as db:
        return _rights(db, wanted)


def _rights(db: Connection, wanted: Collection[str]) -> Rights:
    db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    rows = db.execute(_ROLES).fetchall()
    tables = db.execute(_TABLES).fetchall()
    found = {
        str(name): _role(db, str(name), tuple(bool(flag) for flag in flags), tables)
        for name, *flags, _ in rows
        if name in wanted
    }
    db.execute("ROLLBACK")
    return Rights(
        roles=found,
        tables=tuple(str(name) for _, name, _ in tables),
        logins=tuple(str(row[0]) for row in rows if row[-1]),
    )


def _role(
    db: Connection, name: str, flags: tuple[bool, ...], tables: list[tuple[object, ...]]
) -> RoleRights:
    members = {str(row[0]) for row in db.execute(_MEMBER, (name, name)).fetchall()}
    owners = {name, *members}
    schemas = db.execute(_SCHEMAS, (name,)).fetchall()
    owned = [f"schema {schema}" for schema, owner, _ in schemas if owner in owners]
    granted: dict[str, tuple[str, ...]] = {}
    for oid, table, owner in tables:
        if owner in owners:
            owned.append(str(table))
        held = db.execute(_PRIVILEGES, (name, oid, name, oid)).fetchall()
        if held:
            granted[str(table)] = tuple(sorted(str(row[0]) for row in held))
    return RoleRights(
        attributes=tuple(word for word, has in zip(_ATTRIBUTES, flags, strict=True) if has),
        member_of=tuple(sorted(members)),
        tables=granted,
        owns=tuple(sorted(owned)),
        creates_in=tuple(str(schema) for schema, _, creates in schemas if creates),
    )


def attempt(driver: PostgresDriver, role: str, statement: str) -> Attempted:
    """Whether the role may do it. `not-tried`: the role cannot be taken on, or another error.

    Raises `Failed` when the server does not answer.
    """
    first = statement.split(None, 1)[0].casefold() if statement.strip() else ""
    if first not in (*EXPLAINED, *MADE):
        return "not-tried"
    text = f"EXPLAIN {statement}" if first in EXPLAINED else statement
    with driver.connect() as db:
        return _attempt(db, role, text)


def _attempt(db: Connection, role: str, text: str) -> Attempted:
    db.execute("BEGIN")
    try:
        db.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        try:
            # The extended protocol takes one statement alone.
            db.execute(text.encode(), binary=True)
        except psycopg.Error as error:
            return "refused" if error.sqlstate == _DENIED else "not-tried"
        return "allowed"
    except psycopg.Error:
        return "not-tried"
    finally:
        db.execute("ROLLBACK")
