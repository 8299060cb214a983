"""The limits the architecture states: lines a file, lines a function; the list may only shrink."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINES_A_FILE = 400
LINES_A_FUNCTION = 50
EXCEPTIONS: dict[str, str] = {}


def _sources() -> list[Path]:
    return sorted((ROOT / "src").rglob("*.py"))


def test_no_file_is_too_long() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in _sources()
        if (count := len(path.read_text().splitlines())) > LINES_A_FILE
        and str(path.relative_to(ROOT)) not in EXCEPTIONS
    }
    assert not long


def test_no_function_is_too_long() -> None:
    long = []
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > LINES_A_FUNCTION:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} {size}")
    assert not long


def test_no_todo_is_left() -> None:
    marks = ("TO" + "DO", "FIX" + "ME")
    left = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in _sources()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if any(mark in line for mark in marks)
    ]
    assert not left


def test_only_the_clock_reads_the_time() -> None:
    # The keeper is a program of its own: it outlives whoever could hand it a clock.
    allowed = {"src/surefoot/engine/clock.py", "src/surefoot/targets/keeper/__main__.py"}
    readers = []
    for path in _sources():
        name = str(path.relative_to(ROOT))
        if name in allowed:
            continue
        text = path.read_text()
        readers += [
            f"{name}: {call}"
            for call in ("time.time(", "time.time_ns(", "datetime.now(", "utcnow(")
            if call in text
        ]
    assert not readers
