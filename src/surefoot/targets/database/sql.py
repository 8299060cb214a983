"""Reads the user's SQL just enough to split it, to refuse what would end a transaction, and to
name what it takes away.

Rules: one lexer for both engines (comments, quoted text, quoted names, dollar quotes); a file is
split only at semicolons that end a statement; nothing is rewritten. What a statement does is
judged by its words, and each driver enforces the same again while it runs.
Does not: parse expressions, or execute anything.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import msgspec

from surefoot.core.errors import Refused

Engine = Literal["sqlite", "postgres"]

STATEMENT_BYTES_MAX = 256 * 1024
STATEMENTS_MAX = 2_000

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<line>--[^\n]*)
    | (?P<block>/\*)
    | (?P<escape>[eE]'(?:[^'\\]|\\.|'')*')
    | (?P<text>'(?:[^']|'')*')
    | (?P<name>"(?:[^"]|"")*")
    | (?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][\w]*)?\$)
    | (?P<word>[A-Za-z_\x80-\U0010ffff][\w$]*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_SQLITE_NAME = re.compile(r"\[[^\]]*\]|`(?:[^`]|``)*`")

_REFUSED_FIRST = {
    "sqlite": {
        *("ATTACH", "BEGIN", "COMMIT", "DETACH", "END", "EXPLAIN", "PRAGMA", "RELEASE"),
        *("ROLLBACK", "SAVEPOINT", "VACUUM"),
    },
    "postgres": {
        *("ABORT", "BEGIN", "CALL", "CHECKPOINT", "COMMIT", "COPY", "DEALLOCATE", "DISCARD"),
        *("END", "EXECUTE", "EXPLAIN", "LISTEN", "LOAD", "NOTIFY", "PREPARE", "RELEASE"),
        *("RESET", "ROLLBACK", "SAVEPOINT", "SET", "SHOW", "START", "UNLISTEN", "VACUUM"),
    },
}
_REFUSED_PAIRS = {
    (verb, noun)
    for verb in ("ALTER", "CREATE", "DROP")
    for noun in ("DATABASE", "TABLESPACE", "SYSTEM", "ROLE", "USER", "SUBSCRIPTION")
}


class Token(msgspec.Struct, frozen=True):
    """A word, a quoted name, a quoted text or one other character; `end` is its offset."""

    kind: str
    text: str
    end: int

    @property
    def key(self) -> str:
        """The word in upper case; empty for anything else."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def plain(self) -> str:
        """The name without its quotes."""
        return self.text[1:-1] if self.kind == "name" else self.text


class Statement(msgspec.Struct, frozen=True):
    """One statement with its semicolon, and the line it starts at (from 1)."""

    text: str
    line: int
    tokens: tuple[Token, ...]


def tokens(sql: str, engine: Engine) -> Iterator[Token]:
    """The tokens that count, in order. Raises `Refused` for a quote or comment without end."""
    at = 0
    while at < len(sql):
        if engine == "sqlite" and (quoted := _SQLITE_NAME.match(sql, at)):
            at = quoted.end()
            yield Token("name", quoted.group(), at)
            continue
        found = _TOKEN.match(sql, at)
        assert found is not None and found.lastgroup is not None
        kind, at = found.lastgroup, found.end()
        if kind == "block":
            at = _block_end(sql, at, nested=engine == "postgres")
        elif kind == "dollar" and engine == "postgres":
            at = _dollar_end(sql, found.group(), at)
            yield Token("text", found.group(), at)
        elif kind == "other" and found.group() in "'\"":
            raise _unended(sql, found.start(), "quote")
        elif kind == "escape" and engine == "sqlite":
            at = found.start() + 1  # a name that ends in e, then a plain text
            yield Token("word", sql[found.start()], at)
        elif kind not in ("space", "line"):
            yield Token("text" if kind == "escape" else kind, found.group(), at)


def _block_end(sql: str, at: int, *, nested: bool) -> int:
    """Offset after the block comment that began before `at`; PostgreSQL nests them."""
    start, depth = at, 1
    for mark in re.finditer(r"/\*|\*/", sql[at:]):
        if mark.group() == "*/":
            depth -= 1
        elif nested:
            depth += 1
        if depth == 0:
            return start + mark.end()
    raise _unended(sql, at, "comment")


def _dollar_end(sql: str, tag: str, at: int) -> int:
    end = sql.find(tag, at)
    if end < 0:
        raise _unended(sql, at, f"{tag} quote")
    return end + len(tag)


def _unended(sql: str, at: int, what: str) -> Refused:
    return Refused(
        "database.sql.input",
        f"line {sql.count(chr(10), 0, at) + 1}",
        expected=f"the end of the {what}",
        found="the end of the file",
        remedy=f"close the {what}",
    )


def split(sql: str, engine: Engine) -> tuple[Statement, ...]:
    """The statements of a file, each ended by a semicolon.

    Raises `Refused("database.sql.input")` for a last statement without semicolon, one of more
    than 256 KiB, or more than 2,000 of them.
    """
    found: list[Statement] = []
    held: list[Token] = []
    start = 0
    for token in tokens(sql, engine):
        held.append(token)
        if token.text != ";" or not _ends(sql[start : token.end], held, engine):
            continue
        if len(held) > 1:
            found.append(_statement(sql, start, held))
        start, held = token.end, []
        if len(found) > STATEMENTS_MAX:
            raise _limit(f"{STATEMENTS_MAX} statements at most", "more", "split the migration")
    if held:
        raise _limit(
            "a semicolon after every statement", f"{held[0].text[:40]!r} …", "end the last one"
        )
    return tuple(found)


def _statement(sql: str, start: int, held: list[Token]) -> Statement:
    text = sql[start : held[-1].end]
    if len(text.encode()) > STATEMENT_BYTES_MAX:
        raise _limit(f"{STATEMENT_BYTES_MAX} bytes a statement", str(len(text)), "split it")
    first = held[0].end - len(held[0].text)
    return Statement(text.strip(), sql.count("\n", 0, first) + 1, tuple(held))


def _limit(expected: str, found: str, remedy: str) -> Refused:
    return Refused("database.sql.input", "sql", expected=expected, found=found, remedy=remedy)


def _ends(text: str, held: list[Token], engine: Engine) -> bool:
    """Whether the semicolon ends the statement: not in a trigger's or an atomic function's body."""
    if len(text) > STATEMENT_BYTES_MAX:
        return True  # refused by its size
    if engine == "sqlite":
        return sqlite3.complete_statement(text)
    texts = [token.text for token in held]
    if texts.count("(") > texts.count(")"):
        return False  # a rule's list of commands
    keys = [token.key for token in held]
    if any(pair == ("BEGIN", "ATOMIC") for pair in pairwise(keys)):
        return keys.count("BEGIN") + keys.count("CASE") == keys.count("END")
    return True


def refuse_unsafe(statement: Statement, engine: Engine, subject: str) -> None:
    """Raise `Refused("database.sql.refused")` for a statement that would leave the transaction,
    the database, or touch Surefoot's own tables."""
    keys = [token.key for token in statement.tokens]
    first = next((key for key in keys if key), "")
    words = tuple(key for key in keys if key)[:2]
    found = ""
    if first in _REFUSED_FIRST[engine] and words != ("SET", "CONSTRAINTS"):
        found = first
    elif len(words) == 2 and words in _REFUSED_PAIRS:
        found = " ".join(words)
    elif "CONCURRENTLY" in keys and first in {"CREATE", "DROP", "REINDEX", "REFRESH", "ALTER"}:
        found = f"{first} … CONCURRENTLY"
    elif any(_is_own(token) for token in statement.tokens):
        found = "a name that begins with surefoot_"
    if found:
        raise Refused(
            "database.sql.refused",
            f"{subject} line {statement.line}",
            expected="statements that stay in the migration's transaction and database",
            found=found,
            remedy="take the statement out; Surefoot opens and ends the transaction itself",
        )


def _is_own(token: Token) -> bool:
    return token.kind in ("word", "name") and token.plain.lower().startswith("surefoot_")


def takes_away(statements: tuple[Statement, ...]) -> tuple[str, ...]:
    """What older programs can no longer use afterwards, like "drops column telemetry.room".

    A table dropped and put back by a rename in the same file is rebuilt, not taken away.
    """
    found: list[str] = []
    made = {_made(statement) for statement in statements} - {""}
    for statement in statements:
        names = [token for token in statement.tokens if token.kind in ("word", "name", "other")]
        keys = [token.key for token in names]
        if keys[:2] in (["DROP", "TABLE"], ["DROP", "VIEW"]):
            noun = keys[1].lower()
            found += [f"drops {noun} {name}" for name in _listed(names[2:]) if name not in made]
        elif keys[:2] == ["ALTER", "TABLE"]:
            found += _altered(names[2:], statements)
    return tuple(found)


def _listed(names: list[Token]) -> list[str]:
    """The dotted names of a comma list, without IF EXISTS and CASCADE."""
    text = "".join(
        token.plain if token.kind != "other" else token.text
        for token in names
        if token.key not in ("IF", "EXISTS", "CASCADE", "RESTRICT")
    )
    return [name for name in text.rstrip(";").split(",") if name]


def _made(statement: Statement) -> str:
    """The name a statement puts into place: CREATE [OR REPLACE] TABLE|VIEW x, RENAME TO x."""
    names = [token for token in statement.tokens if token.kind in ("word", "name")]
    keys = [token.key for token in names]
    if keys[:1] == ["ALTER"] and keys[-3:-1] == ["RENAME", "TO"]:
        return names[-1].plain
    if keys[:1] == ["CREATE"]:
        for at, key in enumerate(keys[:6]):
            if key in ("TABLE", "VIEW"):
                rest = [n for n in names[at + 1 :] if n.key not in ("IF", "NOT", "EXISTS")]
                return rest[0].plain if rest else ""
    return ""


def _altered(names: list[Token], statements: tuple[Statement, ...]) -> list[str]:
    """What one ALTER TABLE takes away; `names` starts after those two words."""
    names = [n for n in names if n.key not in ("IF", "EXISTS", "ONLY", "COLUMN") and n.text != ";"]
    at = 1
    while at + 1 < len(names) and names[at].text == ".":
        at += 2
    table = "".join(token.plain for token in names[:at])
    dropped = {
        name
        for statement in statements
        if [t.key for t in statement.tokens[:2]] == ["DROP", "TABLE"]
        for name in _listed(list(statement.tokens[2:]))
    }
    found = []
    for clause in _clauses(names[at:]):
        keys = [token.key for token in clause]
        if keys[:1] == ["DROP"] and keys[1:2] != ["CONSTRAINT"] and len(clause) > 1:
            found.append(f"drops column {table}.{clause[1].plain}")
        elif keys[:2] == ["RENAME", "TO"]:
            if clause[-1].plain not in dropped:
                found.append(f"renames table {table}")
        elif keys[:1] == ["RENAME"] and keys[1:2] != ["CONSTRAINT"] and len(clause) > 1:
            found.append(f"renames column {table}.{clause[1].plain}")
        elif keys[:1] == ["ALTER"] and "TYPE" in keys[2:5]:
            found.append(f"changes the type of column {table}.{clause[1].plain}")
    return found


def _clauses(names: list[Token]) -> list[list[Token]]:
    """The comma-separated clauses of an ALTER TABLE, commas in parentheses kept."""
    clauses: list[list[Token]] = [[]]
    depth = 0
    for token in names:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.text == "," and depth == 0:
            clauses.append([])
        else:
            clauses[-1].append(token)
    return clauses
