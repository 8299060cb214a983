"""Each room does only what the architecture lets it: processes, SQL, imports, randomness."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "surefoot"

# Each entry with its reason; the lists may only shrink.
MAY_START_PROCESSES = {
    "compose/leaf_process.py": "a second process of ours, which only reads",
    "targets/": "what deployments change: services, the keeper, the database's own tools",
    "gates/tool.py": "the one place that runs a gate's tool",
    "supply/source.py": "git",
    "supply/build.py": "the product's own build",
    "supply/jail.py": "the program a build runs inside; it becomes the build's command",
    "demo/": "a user of the command line, and of the programs beside it",
    "testing/": "servers and programs that tests need",
}
MAY_HOLD_SQL = {
    "targets/database/": "the user's database, not ours",
    "store/sqlite.py": "how a connection is set up, begun and checked",
    "store/postgres.py": "locks of a session and how a connection is set up",
    "demo/proof.py": "forges a copy of the journal by hand, as an attacker would",
    "testing/outside.py": "reads the journal without our code",
}
MAY_IMPORT_INSIDE = {"compose/", "doors/cli/"}
MAY_IMPORT_BY_NAME = {"doors/cli/", "demo/"}
MAY_MAKE_RANDOMNESS = {
    "engine/clock.py": "the clock of everything",
    "compose/": "a worker's name, the seeds of a new installation",
    "demo/": "a user of the command line",
    "testing/": "seeded generators",
    "targets/database/mask.py": "identifiers derived from a key, so the same every time",
    "supply/sbom.py": "an identifier derived from the content, so the same every time",
}
PURE = ("core", "trust", "product")
IMPURE_CALLS = {"open", "input", "exec", "eval", "compile", "breakpoint", "print"}
IMPURE_MODULES = {
    *("asyncio", "glob", "http", "io", "logging", "multiprocessing", "os", "psycopg", "random"),
    *("secrets", "select", "shutil", "signal", "socket", "sqlite3", "ssl", "starlette"),
    *("subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid", "uvicorn"),
}
PROCESS_CALLS = re.compile(r"^(exec\w*|fork\w*|spawn\w*|posix_spawnp?|system|popen)$")
SQL = re.compile(
    r"^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE (TABLE|INDEX)|DROP|PRAGMA|BEGIN|ALTER)\b"
)


@cache
def trees() -> tuple[tuple[str, ast.Module], ...]:
    """Every module by its name inside the package, parsed once."""
    return tuple(
        (str(path.relative_to(PACKAGE)), ast.parse(path.read_text(encoding="utf-8")))
        for path in sorted(PACKAGE.rglob("*.py"))
    )


def nodes(*kinds: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, kinds):
                yield name, node


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


def others(found: set[str], allowed: dict[str, str] | set[str]) -> list[str]:
    return sorted(name for name in found if not name.startswith(tuple(allowed)))


def attribute(node: ast.AST, module: str) -> str:
    """The name a module's attribute is used under, empty for anything else."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.attr if node.value.id == module else ""
    return ""


def starters() -> set[str]:
    found = {
        name
        for name, node in nodes(ast.Import, ast.ImportFrom)
        if {"subprocess", "multiprocessing", "pty"} & {m.partition(".")[0] for m in imported(node)}
    }
    return found | {
        name for name, node in nodes(ast.Attribute) if PROCESS_CALLS.match(attribute(node, "os"))
    }


def test_only_some_rooms_start_processes() -> None:
    found = starters()
    assert found
    assert others(found, MAY_START_PROCESSES) == []


def test_no_process_is_started_through_a_shell() -> None:
    found = [
        f"{name}:{node.value.lineno}"
        for name, node in nodes(ast.keyword)
        if isinstance(node, ast.keyword)
        and node.arg == "shell"
        and not (isinstance(node.value, ast.Constant) and node.value.value is False)
    ]
    assert found == []


def holders_of_sql() -> set[str]:
    return {
        name
        for name, node in nodes(ast.Constant)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value)
    }


def test_sql_is_in_files_of_named_statements() -> None:
    found = holders_of_sql()
    assert found
    assert others(found, MAY_HOLD_SQL) == []


def test_databases_are_opened_in_the_store_alone() -> None:
    found = {
        name
        for name, node in nodes(ast.Import, ast.ImportFrom)
        if {"sqlite3", "psycopg"} & {m.partition(".")[0] for m in imported(node)}
    }
    rooms = {"store/", "targets/database/", "demo/proof.py", "testing/"}
    assert others(found, rooms) == []


def test_imports_stand_at_the_top() -> None:
    found = {
        f"{name}:{node.lineno}"
        for name, tree in trees()
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(outer)
        if isinstance(node, ast.Import | ast.ImportFrom)
        and any(m.partition(".")[0] == "surefoot" for m in imported(node))
    }
    assert others(found, MAY_IMPORT_INSIDE) == []


def test_only_the_command_line_and_the_demo_import_by_name() -> None:
    found = {name for name, node in nodes(ast.Attribute) if attribute(node, "importlib")}
    assert others(found, MAY_IMPORT_BY_NAME) == []


def makers_of_randomness() -> set[str]:
    return {
        name
        for name, node in nodes(ast.Import, ast.ImportFrom)
        if {"random", "secrets", "uuid"} & {m.partition(".")[0] for m in imported(node)}
    } | {name for name, node in nodes(ast.Attribute) if attribute(node, "os") == "urandom"}


def test_randomness_is_made_in_few_places() -> None:
    assert others(makers_of_randomness(), MAY_MAKE_RANDOMNESS) == []


@pytest.mark.parametrize("room", PURE)
def test_pure_rooms_touch_nothing_outside(room: str) -> None:
    found = []
    for name, tree in trees():
        if not name.startswith(f"{room}/"):
            continue
        for node in ast.walk(tree):
            found += [
                f"{name}: {m}" for m in imported(node) if m.partition(".")[0] in IMPURE_MODULES
            ]
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Name) and called.id in IMPURE_CALLS:
                found.append(f"{name}:{called.lineno} {called.id}")
    assert found == []


@pytest.mark.parametrize("room", PURE)
def test_pure_rooms_keep_no_changing_state(room: str) -> None:
    """No `global`, and no cache that could answer for another world."""
    found = [
        f"{name}:{node.lineno}"
        for name, tree in trees()
        if name.startswith(f"{room}/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Global | ast.Nonlocal)
    ]
    assert found == []


def test_only_the_log_adds_entries() -> None:
    """The statement that inserts into the journal is named in one module."""
    found = {
        name
        for name, node in nodes(ast.Constant)
        if isinstance(node, ast.Constant) and node.value == "journal.insert_entry"
    }
    assert found == {"journal/log.py"}


def test_every_exception_is_needed() -> None:
    """A place that no longer does what it may do leaves the list."""
    for found, allowed in (
        (starters(), MAY_START_PROCESSES),
        (holders_of_sql(), MAY_HOLD_SQL),
        (makers_of_randomness(), MAY_MAKE_RANDOMNESS),
    ):
        assert [p for p in allowed if not any(name.startswith(p) for name in found)] == []
