"""Pseudonyms for a masked clone: equal values stay equal, and nobody can go back.

Rules: a pseudonym is HMAC-SHA-256 over the value's text under a random key of this one clone,
which is thrown away; it depends on the value alone, so keys that are masked on both sides still
join; empty (NULL) stays empty. A column that does not exist, whose type has no pseudonym, or
whose foreign key is masked on one side only, is refused.
Does not: hide how often a value occurs, nor which rows are empty.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Callable, Iterable, Sequence

from surefoot.core.errors import Refused
from surefoot.targets.database.driver import Column, Pseudonym

COLUMNS_MAX = 500

_TEXT = ("TEXT", "CHARACTER VARYING", "VARCHAR", "CHARACTER", "CHAR", "CLOB", "CITEXT", "NAME")
_WHOLE_BITS = {"SMALLINT": 15, "INTEGER": 31, "INT": 31, "BIGINT": 52}
_NUMBER = ("REAL", "DOUBLE", "DOUBLE PRECISION", "FLOAT", "NUMERIC", "DECIMAL")


def pseudonym_with(key: bytes) -> Pseudonym:
    """The pseudonym function under one key: 32 bytes for any value."""

    def pseudonym(value: bytes) -> bytes:
        return hmac.digest(key, value, hashlib.sha256)

    return pseudonym


def parse_columns(declared: Sequence[str]) -> tuple[Column, ...]:
    """Columns declared as "table.column", schema-qualified tables with two dots.

    Raises `Refused("database.mask.input")` for another form or for none at all.
    """
    if not 0 < len(declared) <= COLUMNS_MAX:
        raise refused("masked columns", f"1 to {COLUMNS_MAX} of table.column", repr(declared)[:80])
    found = []
    for text in declared:
        table, dot, name = text.rpartition(".")
        if not (table and dot and name):
            raise refused(f"masked column {text!r}"[:100], "table.column", repr(text)[:80])
        found.append(Column(table=table, name=name))
    return tuple(dict.fromkeys(found))


def refused(subject: str, expected: str, found: str) -> Refused:
    """The refusal of a declared column."""
    return Refused(
        "database.mask.input",
        subject,
        expected=expected,
        found=found,
        remedy="correct the environment's data.masked, or take the policy none",
    )


def require_known(columns: Iterable[Column], known: set[Column]) -> None:
    """Raise `Refused` for a declared column that the database does not have."""
    for column in columns:
        if column not in known:
            raise refused(f"masked column {column.table}.{column.name}", "a column", "no such one")


def require_both_sides(columns: Iterable[Column], pairs: Iterable[tuple[Column, Column]]) -> None:
    """Raise `Refused` where a foreign key would be masked on one side only."""
    declared = {_key(column) for column in columns}
    for child, parent in pairs:
        if (_key(child) in declared) != (_key(parent) in declared):
            left, right = (child, parent) if _key(child) in declared else (parent, child)
            raise refused(
                f"masked column {left.table}.{left.name}",
                f"{right.table}.{right.name} masked too: a foreign key joins them",
                "one side only",
            )


def _key(column: Column) -> tuple[str, str]:
    return column.table.lower(), column.name.lower()


def text_maker(declared_type: str, pseudonym: Pseudonym) -> Callable[[str], str] | None:
    """How a value's text becomes its pseudonym's text for a column type; None: it has none.

    `declared_type` is upper case like "VARCHAR(20)" or "INTEGER".
    """
    name, _, rest = declared_type.upper().partition("(")
    name = name.strip()
    if name in _TEXT:
        size = int(rest.split(")")[0]) if rest else 23
        return lambda value: ("masked-" + pseudonym(value.encode()).hex()[:16])[-size:]
    if name in _WHOLE_BITS:
        bits = _WHOLE_BITS[name]
        return lambda value: str(_whole(pseudonym(value.encode()), bits))
    if name in _NUMBER:
        digits = int(rest.split(",")[0].rstrip(")")) if rest else 9
        scale = int(rest.split(",")[1].rstrip(") ")) if "," in rest else 0
        return lambda value: str(
            _whole(pseudonym(value.encode()), 52) % 10 ** min(digits - scale, 9)
        )
    if name in ("BYTEA", "BLOB"):
        return lambda value: "\\x" + pseudonym(value.encode())[:16].hex()
    if name == "UUID":
        return lambda value: str(uuid.UUID(bytes=pseudonym(value.encode())[:16], version=4))
    if name in ("JSON", "JSONB"):
        return lambda value: f'{{"masked":"{pseudonym(value.encode()).hex()[:16]}"}}'
    if name == "BOOLEAN":
        return lambda value: "false"
    return None


def value_maker(pseudonym: Pseudonym) -> Callable[[object], str | bytes | int | float | None]:
    """How a SQLite value becomes its pseudonym: by the type the value has itself."""

    def make(value: object) -> str | bytes | int | float | None:
        if value is None:
            return None
        if isinstance(value, bytes):
            return pseudonym(value)[:16]
        mixed = pseudonym(str(value).encode("utf-8", "surrogateescape"))
        if isinstance(value, str):
            return "masked-" + mixed.hex()[:16]
        whole = _whole(mixed, 52)
        return float(whole) if isinstance(value, float) else whole

    return make


def _whole(mixed: bytes, bits: int) -> int:
    return int.from_bytes(mixed[:8], "big") >> (64 - bits)
