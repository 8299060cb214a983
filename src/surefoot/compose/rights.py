"""The gate `privilege` over the databases of an environment: PostgreSQL's rights, by role."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from surefoot.core.errors import Refused
from surefoot.core.privilege import Attempted, Rights
from surefoot.core.target import Target
from surefoot.gates.privilege import PrivilegeGate
from surefoot.targets.database import DatabaseTarget, postgres_rights
from surefoot.targets.database.postgres import PostgresDriver


def privilege_gate(
    targets: Callable[[str], Mapping[str, Target]], now_ms: Callable[[], int]
) -> PrivilegeGate:
    """The gate, asking the databases through their own targets."""

    def driver(environment: str, database: str) -> PostgresDriver:
        target = targets(environment).get(f"database:{database}")
        found = target.driver if isinstance(target, DatabaseTarget) else None
        if not isinstance(found, PostgresDriver):
            raise Refused(
                "gate.arguments.input",
                f"database {database} of {environment}",
                expected="a database with roles: PostgreSQL",
                found="none",
                remedy="correct privilege in surefoot.yaml",
            )
        return found

    def look(environment: str, database: str, roles: Collection[str]) -> Rights:
        return postgres_rights.rights(driver(environment, database), roles)

    def attempt(environment: str, database: str, role: str, statement: str) -> Attempted:
        return postgres_rights.attempt(driver(environment, database), role, statement)

    return PrivilegeGate(now_ms, look, attempt)
