"""What a database role may do in effect, as a target tells it and a gate compares it.

Keeps: plain data. Does not: ask a database.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Attempted = Literal["refused", "allowed", "not-tried"]


class RoleRights(msgspec.Struct, frozen=True, kw_only=True):
    """One role, with what it has through others and through everybody.

    `attributes` are rights over the whole server; `tables` names, by table, its privileges in small
    letters; `owns` are tables and schemas, `creates_in` schemas in which it may make things.
    """

    attributes: tuple[str, ...] = ()
    member_of: tuple[str, ...] = ()
    tables: dict[str, tuple[str, ...]] = {}
    owns: tuple[str, ...] = ()
    creates_in: tuple[str, ...] = ()


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """The roles that were asked for and exist, the tables there are, and who else may log in."""

    roles: dict[str, RoleRights]
    tables: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()
