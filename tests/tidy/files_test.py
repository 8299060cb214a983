"""Every file is used, says what it is, and holds nothing of the machine it was written on."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from surefoot.doors.cli.commands import COMMANDS
from surefoot.store.database import statement, statement_of_many

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "surefoot"
TOP = {
    ".ci": "what decides whether a change lands",
    ".gitignore": "what is made, not written",
    "ARCHITECTURE.md": "the map of the code",
    "CHANGELOG.md": "what changed",
    "LICENSE": "Apache-2.0",
    "Makefile": "the commands of the project",
    "README.md": "what it is and how to start",
    "SECURITY.md": "what is defended, how to report",
    "benchmarks": "make bench",
    "docs": "documentation",
    "examples": "a product to copy; the demo runs it",
    "pyproject.toml": "the package and its tools",
    "requirements-test.lock": "locked dependencies of the tests",
    "requirements-field.lock": "a device client that the field tests run, locked",
    "requirements.lock": "locked dependencies",
    "scripts": "set-up and lock",
    "setup.py": "puts the example into the wheel",
    "src": "the package",
    "tests": "the tests",
    "tools": "the verifier in a single file",
}
# Run as programs, or loaded by name.
ENTRIES = {
    "surefoot": "the package",
    "surefoot.__main__": "python -m surefoot",
    "surefoot.compose.auditor": "loaded by the commands of an auditor",
    "surefoot.compose.house": "loaded by server run",
    "surefoot.compose.offline": "loaded by journal verify and export",
    "surefoot.compose.witness": "loaded by the commands of a witness",
    "surefoot.demo.run": "loaded by demo",
    "surefoot.gates.load.__main__": "started by the load gate",
    "surefoot.gates.resilience.__main__": "started by the resilience gate",
    "surefoot.demo.terminal": "loaded by demo on a terminal",
    "surefoot.demo.yours": "loaded by demo --yours",
    "surefoot.doors.cli.main": "the command's entry point",
    "surefoot.doors.cli.reference": "python -m, writes two reference pages",
    "surefoot.doors.cli.terminal": "loaded for progress on a terminal",
    "surefoot.product.reference": "python -m, writes the page of surefoot.yaml",
    "surefoot.supply.jail": "the program inside a build's namespaces",
    "surefoot.targets.keeper.__main__": "the keeper, a program of its own",
}
MAY_PRINT = {
    "doors": "a door's output",
    "demo": "the demonstration's output",
    "testing": "programs that tests start",
    "supply/jail.py": "a program of its own, to standard error",
    "targets/keeper/__main__.py": "a program of its own",
}
# May only shrink: short helpers and protocol members whose name says it all.
WITHOUT_DOCSTRING = {
    "app/facade.py": {"set", "list"},
    "app/upkeep.py": {"ask_for"},
    "compose/gating.py": {"builder", "steps"},
    "core/world.py": {"index", "kind", "stream", "time_ms", "body"},
    "doors/cli/commands_words.py": {"question", "command"},
    "engine/compatibility.py": {"parts_of", "objects"},
}
# May only shrink: statements that only tests run, and lines that wait for their next change.
UNUSED_STATEMENTS: set[str] = set()
WIDE = {"scripts/setup": 2}
COLUMNS = 100


@cache
def tracked() -> tuple[Path, ...]:
    """The project's files; in an unpacked archive, without git, all that are there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        names = listed.stdout.decode().split("\0")
        return tuple(ROOT / name for name in names if name and (ROOT / name).is_file())
    made = {".venv", "__pycache__", ".hypothesis", ".git", ".demo", "build", "dist"}
    return tuple(
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not any(p in made or "cache" in p for p in path.parts)
    )


def texts() -> Iterator[tuple[str, str]]:
    """Name and text of every file that is text."""
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content:
            yield str(path.relative_to(ROOT)), content.decode("utf-8", "replace")


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    words = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(words[:-1] if words[-1] == "__init__" else words)


def test_nothing_of_a_machine_or_of_a_registry_is_in_a_file() -> None:
    # Put together here, so that this file does not hold them.
    needles = ["/wo" + "rk/", "/ro" + "ot/", "/home/" + "runner", "/Us" + "ers/"]
    needles += ["files.python" + "hosted", "py" + "pi.org", "npm" + "js.", "crates" + ".io"]
    needles += ["proxy.go" + "lang", "--index" + "-url http", "extra-index" + "-url"]
    found = [f"{name}: {n}" for name, text in texts() for n in needles if n in text]
    assert found == []


def test_every_thing_at_the_top_has_a_purpose() -> None:
    top = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert sorted(top - set(TOP)) == []


def _imported() -> set[str]:
    names: set[str] = set()
    for path in tracked():
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module} | {f"{node.module}.{a.name}" for a in node.names}
    return names


def test_every_module_is_used() -> None:
    by_command = {f"surefoot.doors.cli.{c.run.split(':')[0]}" for c in COMMANDS}
    used = _imported() | by_command | set(ENTRIES)
    modules = [path for path in sources() if path.name != "__init__.py"]
    assert [m for m in map(module_of, modules) if m not in used] == []


def test_every_entry_is_a_module() -> None:
    assert sorted(set(ENTRIES) - {module_of(path) for path in sources()}) == []


def test_every_template_and_picture_is_used() -> None:
    web = PACKAGE / "doors" / "web"
    text = "\n".join(
        p.read_text(encoding="utf-8") for p in web.rglob("*") if p.suffix in (".py", ".html")
    )
    shown = [*(web / "templates").glob("*.html"), *(web / "static").iterdir()]
    assert [p.name for p in shown if p.is_file() and p.name not in text] == []


def test_every_statement_is_run() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources())
    unused = []
    for file in PACKAGE.rglob("queries/*.sql"):
        names = re.findall(r"^-- name: (\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert names, file
        room = re.sub(r"(_many)?_(sqlite|postgres)$", "", file.stem)
        unused += [f"{file.stem}.{name}" for name in names if f'"{room}.{name}"' not in code]
    assert sorted(set(unused) - UNUSED_STATEMENTS) == []


def test_a_statement_for_many_rows_takes_what_the_one_for_a_row_takes() -> None:
    looked_at = 0
    for file in PACKAGE.rglob("queries/*_many_postgres.sql"):
        room = file.stem.removesuffix("_many_postgres")
        for name in re.findall(r"^-- name: (\w+)", file.read_text(encoding="utf-8"), re.MULTILINE):
            one, many = (
                statement(f"{room}.{name}", "sqlite"),
                statement_of_many(f"{room}.{name}", "postgres"),
            )
            assert many is not None
            columns = re.search(r"AS r \((.*?)\)", many, re.DOTALL)
            assert columns is not None, name
            given = {column.split()[0] for column in columns.group(1).split(",")} - {"place"}
            assert given == set(re.findall(r"(?<!:):([a-z_]+)", one)), name
            looked_at += 1
    assert looked_at > 5


def test_only_doors_print() -> None:
    found = []
    for path in sources():
        name = str(path.relative_to(PACKAGE))
        if name.startswith(tuple(MAY_PRINT)):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Name) and called.id == "print":
                found.append(f"{name}:{called.lineno}")
    assert found == []


def _public(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if not node.name.startswith("_"):
                yield node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public(node.body)


def test_public_functions_say_what_they_do() -> None:
    bare = []
    for path in sources():
        name = str(path.relative_to(PACKAGE))
        for node in _public(ast.parse(path.read_text(encoding="utf-8")).body):
            known = node.name in WITHOUT_DOCSTRING.get(name, ())
            if not known and not node.name.startswith("test_") and not ast.get_docstring(node):
                bare.append(f"{name}:{node.lineno} {node.name}")
    assert bare == []


def test_no_line_is_too_wide() -> None:
    """What ruff does not look at."""
    wide = Counter(
        name
        for name, text in texts()
        if name.endswith((".sql", ".sh")) or name.startswith("scripts/")
        for line in text.splitlines()
        if len(line) > COLUMNS
    )
    assert {name: count for name, count in wide.items() if count > WIDE.get(name, 0)} == {}


def test_files_end_as_they_should() -> None:
    made = ("requirements", "tests/vectors/")
    bad = []
    for name, text in texts():
        if not text or name.startswith(made):
            continue
        if not text.endswith("\n") or "\r" in text or "\t" in text.replace("\n\t", "\n"):
            bad.append(name)
    # Make demands tabs, and Go's own formatter writes them.
    assert [name for name in bad if name != "Makefile" and not name.endswith(".go")] == []
