"""The gate `privilege`: what roles of a database may do in effect, against what is declared.

Keeps: a role that has more than declared, in any way, is a finding; each declared role is taken on
and tried, and what must be refused is tried as it; a role that could not be tried makes the
evidence incomplete. Does not: change a row or a right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator

import msgspec

from surefoot.core.errors import SurefootError
from surefoot.core.gate import Evidence, Finding
from surefoot.core.privilege import Attempted, Rights, RoleRights
from surefoot.core.target import Plain
from surefoot.trust.canonical import JSON
from surefoot.trust.digest import Digest

LookAtRights = Callable[[str, str, Collection[str]], Rights]
Attempt = Callable[[str, str, str, str], Attempted]
TRIED = "select 1"
MAKES = "create table surefoot_may_not (a int)"
_REMEDY = "revoke what is not declared, or declare it and have that reviewed"


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """What one role may do: privileges by table, roles it is in, statements that must fail."""

    may: dict[str, tuple[str, ...]] = {}
    member_of: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """The roles of one database; `others` may log in and are not looked at."""

    roles: dict[str, Role]
    others: tuple[str, ...] = ()


class Arguments(msgspec.Struct, frozen=True, kw_only=True):
    """Databases of an environment with the roles that are declared."""

    environment: str
    databases: dict[str, Database]


class _Look:
    """What has come of the run so far."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.untried: list[str] = []
        self.tried = 0


class PrivilegeGate:
    """See the module. `look` and `attempt` ask a database of an environment by name."""

    name = "privilege"

    def __init__(self, now_ms: Callable[[], int], look: LookAtRights, attempt: Attempt) -> None:
        self._now_ms = now_ms
        self._look = look
        self._attempt = attempt

    def run(self, subject: Digest, arguments: Plain) -> Evidence:
        """Compare and try every declared role. Raises nothing."""
        evidence = Evidence(
            gate=self.name,
            subject=subject,
            tool="surefoot-privilege",
            tool_version="1",
            started_at_ms=self._now_ms(),
        )
        try:
            wanted = msgspec.convert(arguments, Arguments)
            evidence = self._compared(evidence, wanted)
        except msgspec.ValidationError as error:
            evidence = msgspec.structs.replace(evidence, trouble=f"bad arguments: {error}"[:300])
        except SurefootError as error:
            evidence = msgspec.structs.replace(evidence, trouble=str(error)[:300])
        return msgspec.structs.replace(evidence, ended_at_ms=self._now_ms())

    def _compared(self, evidence: Evidence, wanted: Arguments) -> Evidence:
        look = _Look()
        figures: dict[str, JSON] = {}
        for name, database in wanted.databases.items():
            rights = self._look(wanted.environment, name, tuple(database.roles))
            figures[name] = msgspec.json.decode(msgspec.json.encode(rights))
            for role, declared in database.roles.items():
                self._role(look, wanted.environment, name, (role, declared), rights)
            known = {*database.roles, *database.others}
            for login in [login for login in rights.logins if login not in known]:
                title = f"the role {login} may log in to {name} and is not declared"
                look.findings.append(_finding("privilege-undeclared", name, login, title, "medium"))
        roles = sum(len(database.roles) for database in wanted.databases.values())
        return msgspec.structs.replace(
            evidence,
            complete=roles > 0 and not look.untried,
            coverage={
                "roles": roles,
                "tried": look.tried,
                **({"not_tried": [*look.untried[:50]]} if look.untried else {}),
            },
            figures=figures,
            findings=tuple(sorted(look.findings, key=lambda f: _WORST.index(f.severity))),
        )

    def _role(
        self, look: _Look, environment: str, database: str, what: tuple[str, Role], rights: Rights
    ) -> None:
        role, declared = what
        found = rights.roles.get(role)
        if found is None:
            look.untried.append(f"{database}: there is no role {role}")
            return
        for kind, detail, severity in _more(declared, found, rights):
            title = f"the role {role} of {database} {detail}, which is not declared"
            look.findings.append(_finding(f"privilege-{kind}", database, role, title, severity))
        if self._attempt(environment, database, role, TRIED) != "allowed":
            look.untried.append(f"{database}: {role} could not be taken on")
            return
        statements = [*declared.must_not, *_reads(declared, rights)]
        # Where it may make things is told already.
        statements += [] if found.creates_in else [MAKES]
        for statement in dict.fromkeys(statements):
            said = self._attempt(environment, database, role, statement)
            look.tried += 1
            if said == "allowed":
                title = f"the role {role} of {database} was not refused: {statement}"[:300]
                look.findings.append(_finding("privilege-tried", database, role, title, "high"))
            elif said == "not-tried":
                look.untried.append(f"{database}: {role}: {statement}"[:200])


_WORST = ("critical", "high", "medium", "low", "info")


def _reads(declared: Role, rights: Rights) -> Iterator[str]:
    """Reads of every table that the role may not read."""
    for table in rights.tables:
        if "select" not in _declared(declared, table):
            schema, _, name = table.partition(".")
            yield f"table {_quoted(schema)}.{_quoted(name)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _declared(role: Role, table: str) -> tuple[str, ...]:
    """Privileges declared for a table; without a schema it is in `public`."""
    held = role.may.get(table, ())
    if table.startswith("public."):
        held += role.may.get(table.removeprefix("public."), ())
    return held


def _more(declared: Role, found: RoleRights, rights: Rights) -> Iterator[tuple[str, str, str]]:
    """Kind, words and severity of everything that the role has beyond what is declared."""
    for attribute in found.attributes:
        yield "attribute", f"has the right over the whole server: {attribute}", "critical"
    for other in sorted(set(found.member_of) - set(declared.member_of)):
        yield "member", f"is in the role {other}", "high"
    for thing in found.owns:
        yield "owner", f"owns {thing}, and so may do everything with it", "high"
    for schema in found.creates_in:
        yield "creates", f"may make things in the schema {schema}", "medium"
    for table, held in found.tables.items():
        extra = sorted(set(held) - set(_declared(declared, table)))
        if extra and table not in found.owns:
            yield "grant", f"may {', '.join(extra)} in {table}", "high"
    for table in declared.may:
        whole = table if "." in table else f"public.{table}"
        if whole not in rights.tables:
            yield "table", f"is declared for the table {table}, but there is none", "low"


def _finding(rule: str, database: str, role: str, title: str, severity: str) -> Finding:
    joined = "\0".join((rule, database, role, title))
    return msgspec.convert(
        {
            "rule": rule,
            "title": title[:400],
            "place": f"database {database}, role {role}",
            "severity": severity,
            "fingerprint": "v1:" + hashlib.sha256(joined.encode()).hexdigest()[:32],
            "remedy": _REMEDY,
        },
        Finding,
    )
