"""The gate `privilege` on a real PostgreSQL: what roles have beyond what is declared is found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest

from surefoot.core.errors import Failed
from surefoot.core.gate import Evidence, judge
from surefoot.core.privilege import Attempted, Rights
from surefoot.core.target import Plain
from surefoot.gates.privilege import PrivilegeGate
from surefoot.testing.gate_conformance import GateConformance
from surefoot.trust.digest import digest_of

psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

SUBJECT = digest_of(b"a release")
SCHEMA = """
CREATE TABLE telemetry (id INTEGER PRIMARY KEY, room TEXT);
CREATE TABLE secret (pin TEXT);
CREATE ROLE app_role NOLOGIN;
CREATE ROLE reports_role NOLOGIN;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT SELECT, INSERT ON telemetry TO app_role;
GRANT SELECT ON telemetry TO reports_role;
"""
ROLES = ("app_role", "reports_role", "more_role", "login_role")
DECLARED: dict[str, Any] = {
    "app_role": {
        "may": {"telemetry": ["select", "insert"]},
        "must_not": ["delete from telemetry", "update telemetry set room = 'x'"],
    },
    "reports_role": {"may": {"public.telemetry": ["select"]}},
}


@pytest.fixture
def sql(postgres_dsn: str) -> Iterator[Callable[[str], list[Any]]]:
    """Statements as the server's superuser; the roles, which all databases share, are removed."""

    def run(text: str) -> list[Any]:
        with psycopg.connect(postgres_dsn, autocommit=True) as db:
            cursor = db.execute(text)
            return cursor.fetchall() if cursor.description else []

    run(SCHEMA)
    yield run
    for role in ROLES:
        if run(f"SELECT 1 FROM pg_roles WHERE rolname = '{role}'"):
            run(f"DROP OWNED BY {role} CASCADE")
            run(f"DROP ROLE {role}")


@pytest.fixture
def gate(postgres_dsn: str, sql: Any) -> PrivilegeGate:
    from surefoot.targets.database import postgres_rights
    from surefoot.targets.database.postgres import PostgresDriver

    driver = PostgresDriver(postgres_dsn)

    def look(environment: str, database: str, roles: Collection[str]) -> Rights:
        assert (environment, database) == ("dev", "main")
        return postgres_rights.rights(driver, roles)

    def attempt(environment: str, database: str, role: str, statement: str) -> Attempted:
        return postgres_rights.attempt(driver, role, statement)

    return PrivilegeGate(lambda: 0, look, attempt)


def asked(roles: Any = None, **more: Any) -> Plain:
    database = {"roles": DECLARED if roles is None else roles} | more
    return {"environment": "dev", "databases": {"main": database}}


def look(gate: PrivilegeGate, roles: Any = None, **more: Any) -> Evidence:
    return gate.run(SUBJECT, asked(roles, **more))


def verdict(evidence: Evidence) -> str:
    return judge(evidence, SUBJECT).verdict


class Case:
    subject = SUBJECT

    def __init__(self, gate: PrivilegeGate) -> None:
        self.gate = gate
        self.good = asked()
        self.bad = asked({"reports_role": {}})
        self.malformed: Plain = {"environment": "dev", "databases": {"main": {"roles": 1}}}

    def open_good(self) -> PrivilegeGate:
        return self.gate

    def open_bad(self) -> PrivilegeGate:
        return self.gate


class TestPrivilege(GateConformance):
    @pytest.fixture
    def case(self, gate: PrivilegeGate) -> Case:
        return Case(gate)


def test_nothing_is_changed_by_trying(gate: PrivilegeGate, sql: Any) -> None:
    sql("INSERT INTO telemetry VALUES (1, 'kitchen')")
    before = sql("SELECT relname FROM pg_class ORDER BY 1")
    evidence = look(gate)
    assert verdict(evidence) == "pass", evidence
    # Each of two roles: one table to make, one it may not read; the app's two statements.
    assert evidence.coverage == {"roles": 2, "tried": 6}
    sql("GRANT DELETE ON telemetry TO app_role")
    assert verdict(look(gate)) == "fail"
    assert sql("SELECT * FROM telemetry") == [(1, "kitchen")]
    assert sql("SELECT relname FROM pg_class ORDER BY 1") == before


MORE: dict[str, tuple[str, set[str], str]] = {
    "a grant": (
        "GRANT SELECT ON secret TO app_role",
        {"privilege-grant", "privilege-tried"},
        "may select in public.secret",
    ),
    "a grant on one column": (
        "GRANT UPDATE (room) ON telemetry TO reports_role",
        {"privilege-grant"},
        "may update in public.telemetry",
    ),
    "a grant to everybody": (
        "GRANT TRUNCATE ON secret TO PUBLIC",
        {"privilege-grant"},
        "may truncate in public.secret",
    ),
    "a role that has more": (
        "CREATE ROLE more_role; GRANT SELECT ON secret TO more_role; GRANT more_role TO app_role",
        {"privilege-grant", "privilege-member", "privilege-tried"},
        "is in the role more_role",
    ),
    "a role that must be taken on": (
        "CREATE ROLE more_role; GRANT SELECT ON secret TO more_role; "
        "ALTER ROLE app_role NOINHERIT; GRANT more_role TO app_role",
        {"privilege-member"},
        "is in the role more_role",
    ),
    "the whole server": (
        "ALTER ROLE app_role SUPERUSER",
        {
            *("privilege-attribute", "privilege-tried", "privilege-creates"),
            *("privilege-member", "privilege-owner"),
        },
        "has the right over the whole server: superuser",
    ),
    "past row security": (
        "ALTER ROLE app_role BYPASSRLS",
        {"privilege-attribute"},
        "bypass row security",
    ),
    "an owner": (
        "ALTER TABLE secret OWNER TO app_role",
        {"privilege-owner", "privilege-tried"},
        "owns public.secret",
    ),
    "making things": (
        "GRANT CREATE ON SCHEMA public TO app_role",
        {"privilege-creates"},
        "may make things in the schema public",
    ),
    "somebody else": (
        "CREATE ROLE login_role LOGIN",
        {"privilege-undeclared"},
        "the role login_role may log in",
    ),
}


@pytest.mark.parametrize("what", MORE)
def test_what_is_more_than_declared_is_found(what: str, gate: PrivilegeGate, sql: Any) -> None:
    statements, rules, words = MORE[what]
    sql(statements)
    evidence = look(gate)
    assert {finding.rule for finding in evidence.findings} == rules
    assert any(words in finding.title for finding in evidence.findings)
    assert verdict(evidence) == "fail"


def test_others_may_log_in(gate: PrivilegeGate, sql: Any) -> None:
    sql("CREATE ROLE login_role LOGIN")
    assert verdict(look(gate, others=["login_role"])) == "pass"


def test_a_table_that_is_declared_and_not_there_is_told(gate: PrivilegeGate) -> None:
    roles = DECLARED | {"reports_role": {"may": {"telemetry": ["select"], "readings": ["select"]}}}
    assert [f.rule for f in look(gate, roles).findings] == ["privilege-table"]


@pytest.mark.parametrize(
    "roles",
    [
        {},
        DECLARED | {"nobody_role": {}},
        {"app_role": DECLARED["app_role"] | {"must_not": ["select * from no_such_table"]}},
        {"app_role": DECLARED["app_role"] | {"must_not": ["vacuum"]}},
        {"app_role": DECLARED["app_role"] | {"must_not": ["select 1; select 2"]}},
    ],
)
def test_what_could_not_be_tried_is_inconclusive(roles: Any, gate: PrivilegeGate) -> None:
    assert verdict(look(gate, roles)) == "inconclusive"


def test_a_server_that_does_not_answer_is_an_error() -> None:
    def gone(*_: Any) -> Any:
        raise Failed("database.failed", "main", expected="an answer", found="none")

    assert verdict(PrivilegeGate(lambda: 0, gone, gone).run(SUBJECT, asked())) == "error"
