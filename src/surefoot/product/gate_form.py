"""The shapes of what `hardening`, `baseline` and `transport` are asked, with their limits.

Does not: read YAML, or compare fields with each other (`check_pipeline.py`).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from surefoot.product.words import Endpoint, FilePath, Line, Moment, Name


class Exemption(msgspec.Struct, frozen=True, kw_only=True, rename={"until_ms": "until"}):
    """What is lived with until a time: a rule, at all places or those of a pattern."""

    rule: Name
    reason: Line
    until_ms: Moment
    place: Line = "*"


class Hardening(msgspec.Struct, frozen=True, kw_only=True, rename={"exemptions": "except"}):
    """What the gate hardening looks at. Of all groups of rules, unless some are named.

    Before a release it looks into the artifacts of `components`, all services unless some are
    named. In a deployment it looks at the environment's host, or a root file system at `root`.
    """

    root: Annotated[
        str, Meta(max_length=300, pattern=r"/[^\x00-\x1f\x7f]*", description="an absolute path")
    ] = "/"
    components: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    groups: Annotated[tuple[Name, ...], Meta(max_length=50)] = ()
    evaluated_percent_min: Annotated[int, Meta(ge=1, le=100)] = 80
    exemptions: Annotated[tuple[Exemption, ...], Meta(max_length=200)] = ()


class Baseline(msgspec.Struct, frozen=True, kw_only=True, rename={"exemptions": "except"}):
    """The approved snapshot: a file of the repository, and its digest, which people agree to.

    Before a release it is compared with the artifacts of `components`, all services unless some are
    named; in a deployment with the host or the root file system at `root`, and with what the
    environment declares. `files` are patterns of files that are kept with their digest.
    """

    file: FilePath
    digest: Annotated[
        str, Meta(pattern=r"sha256:[0-9a-f]{64}", description="sha256: and 64 hex digits")
    ]
    root: Annotated[
        str, Meta(max_length=300, pattern=r"/[^\x00-\x1f\x7f]*", description="an absolute path")
    ] = "/"
    components: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    files: Annotated[tuple[Line, ...], Meta(max_length=100)] = ()
    exemptions: Annotated[tuple[Exemption, ...], Meta(max_length=200)] = ()


class SecureEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An address that answers over TLS or SSH. `name` is what clients call it, else its host.

    The chain must lead to an authority of the system, or of the file `authorities`; with `pin`, the
    SHA-256 of the public key (SubjectPublicKeyInfo), that key is trusted and no other.
    """

    address: Endpoint
    kind: Literal["tls", "postgresql", "ssh"] = "tls"
    name: Annotated[str, Meta(pattern=r"[A-Za-z0-9.:-]{1,253}", description="a name")] | None = None
    pin: Annotated[str, Meta(pattern=r"[0-9a-f]{64}", description="64 hex digits")] | None = None
    authorities: Annotated[str, Meta(max_length=300, pattern=r"/[^\x00-\x1f\x7f]*")] | None = None


class Transport(msgspec.Struct, frozen=True, kw_only=True, rename={"exemptions": "except"}):
    """What the gate transport asks, after the switch."""

    endpoints: Annotated[tuple[SecureEndpoint, ...], Meta(min_length=1, max_length=100)]
    certificate_days_min: Annotated[int, Meta(ge=0, le=366)] = 21
    exemptions: Annotated[tuple[Exemption, ...], Meta(max_length=200)] = ()


DatabaseRight = Literal["select", "insert", "update", "delete", "truncate", "references", "trigger"]
Statement = Annotated[
    str,
    Meta(
        min_length=6,
        max_length=1000,
        pattern=r"(?i)(select|insert|update|delete|table|create|grant)\s[^\x00;]+",
        description="one statement: select, insert, update, delete, table, create or grant",
    ),
]
RoleName = Annotated[str, Meta(pattern=r"[a-z_][a-z0-9_$-]{0,62}", description="a role")]
TableName = Annotated[str, Meta(pattern=r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?", max_length=128)]


class DatabaseRole(msgspec.Struct, frozen=True, kw_only=True):
    """What one role may do, and no more: privileges by table, and the roles that it is in.

    `must_not` are statements that must be refused to it; they are tried as the role.
    """

    may: dict[TableName, tuple[DatabaseRight, ...]] = {}
    member_of: Annotated[tuple[RoleName, ...], Meta(max_length=50)] = ()
    must_not: Annotated[tuple[Statement, ...], Meta(max_length=50)] = ()


class DatabaseRoles(msgspec.Struct, frozen=True, kw_only=True):
    """The roles of one database. `others` may log in as well and are not looked at."""

    roles: dict[RoleName, DatabaseRole]
    others: Annotated[tuple[RoleName, ...], Meta(max_length=50)] = ()


class Privilege(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate privilege compares, after the migrations and before the switch."""

    databases: dict[Name, DatabaseRoles]
